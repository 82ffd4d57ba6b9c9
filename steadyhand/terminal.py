"""Single keys from a terminal; needs no window system, so it works over SSH."""

import os
import select
import sys
import termios
import tty
from typing import Self

from steadyhand.errors import SteadyhandError


class Keys:
    """Keys come at once and unseen; Ctrl-C stays what it is. The terminal gets its settings back at the end."""

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise SteadyhandError("standard input is no terminal, so no keys can be read; run it in one (ssh -t)")
        self._fd = sys.stdin.fileno()

    def __enter__(self) -> Self:
        self._settings = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._settings)

    def read(self) -> str:
        """All keys since the last call, in lower case."""
        return self.raw().lower()

    def raw(self) -> str:
        """All keys since the last call, as they came."""
        keys = ""
        while select.select([self._fd], [], [], 0.0)[0]:
            data = os.read(self._fd, 1024)
            if not data:
                raise SteadyhandError("the terminal has gone, no keys can be read any more")
            keys += data.decode(errors="ignore")
        return keys
