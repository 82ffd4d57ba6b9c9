"""The keyboard of a terminal as a device."""

import time
from typing import Self

import numpy as np

from steadyhand.teleop.device import Command
from steadyhand.terminal import Keys

# A held key repeats about 30 times a second; it counts as released when it has not come for this long.
HOLD = 0.15  # s
AXES = {
    "w": (0, 1), "s": (0, -1), "a": (1, 1), "d": (1, -1), "r": (2, 1), "f": (2, -1),
    "u": (3, 1), "o": (3, -1), "i": (4, 1), "k": (4, -1), "j": (5, 1), "l": (5, -1),
}  # fmt: skip
PRESSES = {"0": "reset", "1": "start", "2": "success", "3": "failure", "4": "discard"}


class Keyboard:
    """See ``help``."""

    rate = 30.0
    help = (
        "w s a d r f: move x y z    u o i k j l: turn about x y z    g: gripper    space: let go, take hold again\n"
        "0: reset the twin    recording: 1 start  2 success  3 failure  4 discard    Ctrl-C: end"
    )

    def __init__(self, speed: float = 0.1, turn_speed: float = 0.6) -> None:
        """Find the terminal.

        Args:
            speed: Of the tool while a key is held, m/s.
            turn_speed: The same for turning, rad/s.
        """
        self._keys = Keys()
        self._scale = np.array([speed] * 3 + [turn_speed] * 3)
        self._held: dict[str, float] = {}
        self._gripper: float | None = None
        self._clutch = True

    def __enter__(self) -> Self:
        self._keys.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self._keys.__exit__(*reason)

    def read(self) -> Command:
        """Velocity of the held keys, toggles and presses since the last call."""
        now, presses = time.monotonic(), set()
        for key in self._keys.read():
            if key in AXES:
                self._held[key] = now
            elif key == " ":
                self._clutch = not self._clutch
            elif key == "g":
                self._gripper = 1.0 if self._gripper == 0.0 else 0.0
            elif key in PRESSES:
                presses.add(PRESSES[key])
        twist = np.zeros(6)
        for key, pressed in self._held.items():
            if now - pressed < HOLD:
                axis, sign = AXES[key]
                twist[axis] += sign
        return Command(twist * self._scale, self._gripper, self._clutch, frozenset(presses))

    def pressed(self, button: str, answer: str | None) -> None:
        """The terminal shows it already."""
