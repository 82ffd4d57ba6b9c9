"""What the operator hears: the terminal's bell or a spoken word for what a session does. Nothing waits for it."""

import queue
import shutil
import subprocess
import sys
import threading
import time

from steadyhand.data_collection.session import Answer, Event, Request
from steadyhand.errors import SteadyhandError, unknown

SOUNDS = ("none", "bell", "speech")
SPEAKERS = {"spd-say": ("spd-say", "--wait"), "espeak-ng": ("espeak-ng",), "say": ("say",)}
REFUSED = (5, "not possible")
CUES: dict[Request | Event, tuple[int, str]] = {  # rings of the bell, words
    Request.START: (1, "start"),
    Request.STOP_SUCCESS: (2, "success"),
    Request.STOP_FAILURE: (3, "failure"),
    Request.DISCARD: (3, "discarded"),
    Request.UNDO_DISCARD: (2, "kept"),
    Request.MARK: (1, "mark"),
    Request.NOTE: (1, "noted"),
    Request.QUIT: (1, "end"),
}
BROKEN_OFF = (5, "broken off")
_RING = 0.18  # s between two rings
_REST = 3.0  # s for the last cues


class Sounds:
    """Plays one cue after the other, in a thread of its own."""

    def __init__(self, kind: str) -> None:
        """``kind``: one of SOUNDS; SteadyhandError if this machine cannot make it."""
        if kind not in SOUNDS:
            raise unknown("sound", kind, SOUNDS)
        if kind == "bell" and not sys.stderr.isatty():
            raise SteadyhandError(
                "--sound bell needs a terminal to ring; use --sound speech, or run it in one (ssh -t)"
            )
        self._command = _speaker() if kind == "speech" else ()
        self._cues: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()
        self._player = threading.Thread(target=self._play, daemon=True) if kind != "none" else None
        if self._player is not None:
            self._player.start()

    def told(self, cause: Request | Event, answer: Answer) -> None:
        """Let the operator hear what came of a request."""
        if self._player is not None:
            self._cues.put(BROKEN_OFF if isinstance(cause, Event) else CUES[cause] if answer[0] else REFUSED)

    def _play(self) -> None:
        while (cue := self._cues.get()) is not None:
            rings, words = cue
            if self._command:
                subprocess.run([*self._command, words], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            for _ in range(0 if self._command else rings):
                print("\a", end="", file=sys.stderr, flush=True)
                time.sleep(_RING)

    def close(self) -> None:
        """Let the operator hear the rest, if that does not take long."""
        self._cues.put(None)
        if self._player is not None:
            self._player.join(_REST)


def _speaker() -> tuple[str, ...]:
    for name, command in SPEAKERS.items():
        if shutil.which(name):
            return command
    raise SteadyhandError(
        f"--sound speech needs one of the programs {', '.join(SPEAKERS)}; install speech-dispatcher or espeak-ng, or "
        "use --sound bell"
    )
