"""The phases of a recording session and what may be asked in each: one table, as data.

Whoever wants something (keys, services, topics, files, a signal) only requests; the loop of the main thread decides, by
this table. Help lines, services, docs/session.md and tests are made of it as well: `python -m
steadyhand.data_collection.session > docs/session.md`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from steadyhand.errors import SteadyhandError, unknown


class Phase(StrEnum):
    """Where a session is."""

    IDLE = "idle"  # no episode yet, or none to come back to
    RECORDING = "recording"
    SAVED = "saved"  # the last episode is kept
    DISCARDED = "discarded"  # the last episode is not
    ENDED = "ended"


class Request(StrEnum):
    """What can be asked for."""

    START = "start"
    STOP_SUCCESS = "stop_success"
    STOP_FAILURE = "stop_failure"
    DISCARD = "discard"
    UNDO_DISCARD = "undo_discard"
    REDO = "redo"
    MARK = "mark"
    NOTE = "note"
    QUIT = "quit"


class Event(StrEnum):
    """What happens without having been asked for."""

    BREAK_OFF = "break_off"


class Row(NamedTuple):
    """In a phase something is asked for: the phase it leads to, the recorder's action, what that is in words.

    An action is the name of a function of the recorder, or the requests that this one stands for.
    """

    phase: Phase
    cause: Request | Event
    to: Phase
    action: str | tuple[Request, ...]
    what: str


_START, _JUDGE = "a new episode begins", "changes what is thought of the last episode"
_AGAIN = (Request.DISCARD, Request.START)
_NOTE, _QUIT = "a remark about the last episode", "ends the session"
TABLE = {
    (row.phase, row.cause): row
    for row in (
        Row(Phase.IDLE, Request.START, Phase.RECORDING, "begin", _START),
        Row(Phase.IDLE, Request.QUIT, Phase.ENDED, "leave", _QUIT),
        Row(Phase.RECORDING, Request.STOP_SUCCESS, Phase.SAVED, "save", "the episode is kept, as a success"),
        Row(Phase.RECORDING, Request.STOP_FAILURE, Phase.SAVED, "save", "the episode is kept, as a failure"),
        Row(Phase.RECORDING, Request.DISCARD, Phase.DISCARDED, "drop", "the episode is left out"),
        Row(Phase.RECORDING, Request.REDO, Phase.RECORDING, _AGAIN, "the episode is left out and a new one begins"),
        Row(Phase.RECORDING, Request.MARK, Phase.RECORDING, "mark", "a sub-task is done; its name may follow"),
        Row(Phase.RECORDING, Request.NOTE, Phase.RECORDING, "note", "a remark about the running episode"),
        Row(Phase.RECORDING, Request.QUIT, Phase.ENDED, "drop", "the episode is left out and the session ends"),
        Row(Phase.RECORDING, Event.BREAK_OFF, Phase.IDLE, "break_off", "the episode could not be written to its end"),
        Row(Phase.SAVED, Request.START, Phase.RECORDING, "begin", _START),
        Row(Phase.SAVED, Request.STOP_SUCCESS, Phase.SAVED, "judge", _JUDGE),
        Row(Phase.SAVED, Request.STOP_FAILURE, Phase.SAVED, "judge", _JUDGE),
        Row(Phase.SAVED, Request.DISCARD, Phase.DISCARDED, "take_back", "the last episode is left out after all"),
        Row(Phase.SAVED, Request.REDO, Phase.RECORDING, _AGAIN, "the last episode is left out and a new one begins"),
        Row(Phase.SAVED, Request.NOTE, Phase.SAVED, "note", _NOTE),
        Row(Phase.SAVED, Request.QUIT, Phase.ENDED, "leave", _QUIT),
        Row(Phase.DISCARDED, Request.START, Phase.RECORDING, "begin", _START),
        Row(Phase.DISCARDED, Request.UNDO_DISCARD, Phase.SAVED, "bring_back", "the last episode is kept after all"),
        Row(Phase.DISCARDED, Request.REDO, Phase.RECORDING, (Request.START,), _START),
        Row(Phase.DISCARDED, Request.NOTE, Phase.DISCARDED, "note", _NOTE),
        Row(Phase.DISCARDED, Request.QUIT, Phase.ENDED, "leave", _QUIT),
    )
}
SERVICES = tuple(f"session/{request}" for request in Request if request is not Request.NOTE)  # a note needs its text

Answer = tuple[bool, str]
"""Whether it was done; what happened or why not, in a line."""


class BrokenOffError(SteadyhandError):
    """An action found that the running episode cannot be kept, and has put it away."""


def allowed(phase: Phase) -> list[Request]:
    """What may be asked for in a phase."""
    return [cause for where, cause in TABLE if where is phase and isinstance(cause, Request)]


def parse(line: str) -> tuple[Request, str]:
    """A request and its text, from a line like "mark grasped"."""
    name, _, text = line.strip().partition(" ")
    if name not in list(Request):
        raise unknown("request", name, list(Request))
    return Request(name), text.strip()


class Session:
    """Keeps the phase. Belongs to one thread."""

    def __init__(
        self,
        actions: Mapping[str, Callable[[Request | Event, str], str]],
        told: Callable[[Request | Event, str, Answer], None],
    ) -> None:
        """Begin idle.

        Args:
            actions: By their names in the table: do it and say what was done, or raise SteadyhandError and leave
                everything as it was, or raise BrokenOffError.
            told: Hears what was asked, its text, and what came of it.
        """
        self._actions, self._told = actions, told
        self.phase = Phase.IDLE

    def ask(self, request: Request, text: str = "") -> Answer:
        """Do what is asked for, if the table allows it now."""
        cause: Request | Event = request
        row = TABLE.get((self.phase, request))
        if row is None:
            now = ", ".join(allowed(self.phase)) or "nothing"
            answer = False, f"{request} is not possible while the session is {self.phase}; possible now: {now}"
        elif request is Request.NOTE and not text:
            answer = False, "a note needs its text, e.g.: note the cube slipped"
        elif isinstance(row.action, tuple):
            return self._ask_all(row.action)
        else:
            cause, answer = self._do(row, row.action, text)
        self._told(cause, text, answer)
        return answer

    def _ask_all(self, requests: tuple[Request, ...]) -> Answer:
        answers = []
        for request in requests:
            answers.append(self.ask(request))
            if not answers[-1][0]:
                break
        return answers[-1][0], "; ".join(said for _, said in answers)

    def _do(self, row: Row, action: str, text: str) -> tuple[Request | Event, Answer]:
        """What has happened in the end, and the answer."""
        try:
            said = self._actions[action](row.cause, text)
        except BrokenOffError as error:
            self.phase = TABLE[self.phase, Event.BREAK_OFF].to
            return Event.BREAK_OFF, (False, str(error))
        except SteadyhandError as error:
            return row.cause, (False, str(error))
        self.phase = row.to
        return row.cause, (True, said)

    def happen(self, event: Event, text: str) -> None:
        """Follow what nobody has asked for; text: why."""
        row = TABLE[self.phase, event]
        assert isinstance(row.action, str)
        _, (_, said) = self._do(row, row.action, text)
        self._told(event, text, (False, said))


def page() -> str:
    """The text of docs/session.md."""
    lines = [
        "# The phases of a recording session",
        "",
        "Made from `data_collection/session.py`; how to send requests: [datasets.md](datasets.md#asking-the-recorder).",
        "What is not in the table is refused, with what is possible then.",
        "",
        "| phase | request | leads to | what happens |",
        "|---|---|---|---|",
    ]
    for row in TABLE.values():
        cause = f"`{row.cause}`" if isinstance(row.cause, Request) else f"(by itself: `{row.cause}`)"
        lines.append(f"| `{row.phase}` | {cause} | `{row.to}` | {row.what} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
