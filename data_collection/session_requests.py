"""Where requests to a recording session come from: keys, services, a topic, a file. They only queue; a loop serves."""

import os
import queue
import re
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from steadyhand import ros
from steadyhand.data_collection.session import SERVICES, Request, Session, parse
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.terminal import Keys

KEYS = {
    "enter": Request.START, "space": Request.START, "s": Request.STOP_SUCCESS, "f": Request.STOP_FAILURE,
    "d": Request.DISCARD, "u": Request.UNDO_DISCARD, "r": Request.REDO, "m": Request.MARK, "n": Request.NOTE,
    "q": Request.QUIT,
}  # fmt: skip
_SENT = {  # what a terminal sends for keys that are no letters
    "\n": "enter", "\r": "enter", " ": "space", "\t": "tab", "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right",
    "\x1b[D": "left", "\x1b[5~": "pageup", "\x1b[6~": "pagedown",
}  # fmt: skip
# Other keys send sequences as well, whose letters must not be taken for requests.
_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO."
_SPLIT = re.compile("|".join(map(re.escape, sorted(_SENT, key=len, reverse=True))) + f"|{_SEQUENCE}|.", re.DOTALL)
_BACKSPACE, _ESCAPE = "\x7f\b", "\x1b"


def key_map(text: str) -> dict[str, Request]:
    """The keys with their requests, changed by a text like "b=discard,pageup=start"."""
    keys = dict(KEYS)
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, name = (part.strip() for part in pair.rpartition("="))
        if len(key) != 1 and key not in _SENT.values():
            raise unknown("key", key, ["a letter or digit", *dict.fromkeys(_SENT.values())])
        if name not in list(Request):
            raise unknown("request", name, list(Request))
        keys[key.lower()] = Request(name)
    return keys


def help_line(keys: Mapping[str, Request]) -> str:
    """Which key asks for what."""
    by_request = {request: [key for key, own in keys.items() if own is request] for request in Request}
    return "    ".join(f"{' or '.join(own)}: {request}" for request, own in by_request.items() if own)


class KeyRequests:
    """Requests from the keys of a terminal. After the key for a note, a line is typed."""

    def __init__(self, keys: Keys, meaning: Mapping[str, Request]) -> None:
        """``meaning``: requests by key."""
        self._keys, self._meaning = keys, meaning
        self._note: str | None = None  # what has been typed of it

    def poll(self) -> list[tuple[Request, str]]:
        """What was pressed since the last call."""
        found = []
        for sent in _SPLIT.findall(self._keys.raw()):
            key = _SENT.get(sent, sent)
            if self._note is not None:
                if self._typed(sent):
                    found.append((Request.NOTE, self._note))
                    self._note = None
            elif request := self._meaning.get(key.lower()):
                if request is Request.NOTE:
                    self._note = ""
                else:
                    found.append((request, ""))
        return found

    def _typed(self, sent: str) -> bool:
        """Take a key of the note's line; whether that is complete."""
        assert self._note is not None
        if sent == _ESCAPE:
            self._note = None
        elif sent in _BACKSPACE:
            self._note = self._note[:-1]
        elif _SENT.get(sent) == "enter":
            if self._note:
                return True
            self._note = None
        elif sent.isprintable():
            self._note += sent
        return False

    @property
    def typing(self) -> str:
        """What is to be shown of a note that is being typed; "" if none is."""
        return "" if self._note is None else f"note (Enter ends it, Esc forgets it): {self._note}"


class RosRequests:
    """Requests from services and from the topic `session/request`."""

    def __init__(self, node: ros.Node) -> None:
        """Offer and listen."""
        self._queue: queue.SimpleQueue[tuple[str, ros.Future | None]] = queue.SimpleQueue()
        for name in SERVICES:
            ros.answer_later(node, name, partial(self._put, Path(name).name))
        ros.subscription(node, "session/request", lambda message: self._put(message.data, None))

    def _put(self, line: str, future: ros.Future | None) -> None:
        self._queue.put((line, future))

    def serve(self, session: Session) -> list[str]:
        """Pass everything on and answer; returns complaints about what is no request."""
        complaints = []
        while not self._queue.empty():
            line, future = self._queue.get()
            try:
                answer = session.ask(*parse(line))
            except SteadyhandError as error:
                complaints.append(f"session/request: {error}")
            else:
                if future is not None:
                    future.set_result(answer)
        return complaints


class FileRequests:
    """Requests from the lines of a named pipe, a device, or a file to which others append."""

    def __init__(self, path: Path) -> None:
        """Open it; what a file holds already is not asked for again. A pipe is made if nothing is there."""
        self._path, self._made, self._rest = path, False, b""
        try:
            if not path.exists():
                os.mkfifo(path)
                self._made = True
            pipe = stat.S_ISFIFO(path.stat().st_mode)
            # a pipe opened for writing too stays open when a writer leaves
            self._fd = os.open(path, (os.O_RDWR if pipe else os.O_RDONLY) | os.O_NONBLOCK)
            if stat.S_ISREG(path.stat().st_mode):
                os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            raise SteadyhandError(f"cannot read requests from '{path}': {error.strerror}; choose another") from None

    def serve(self, session: Session) -> list[str]:
        """Pass on the lines that are complete; returns complaints about what is no request."""
        try:
            self._rest += os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return []
        except OSError as error:
            raise SteadyhandError(f"requests cannot be read from '{self._path}' any more: {error.strerror}") from None
        *lines, self._rest = self._rest.split(b"\n")
        complaints = []
        for line in filter(None, (line.decode(errors="replace").strip() for line in lines)):
            try:
                session.ask(*parse(line))
            except SteadyhandError as error:
                complaints.append(f"{self._path}: {error}")
        return complaints

    def close(self) -> None:
        """Remove the pipe if it was made here."""
        os.close(self._fd)
        if self._made:
            self._path.unlink(missing_ok=True)
