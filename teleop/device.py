"""What a teleoperation device is: a hand that is asked again and again what it wants."""

from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np

BUTTONS = ("reset", "start", "success", "failure", "discard")
"""Presses that are passed on, in this order if several come at once: to the twin, then to the recorder."""


@dataclass(frozen=True)
class Command:
    """What the hand wants at one instant.

    Either a velocity, which moves the requested pose on from where the arm is, or an absolute pose (leader arms,
    scripts), which replaces it.
    """

    twist: np.ndarray = field(default_factory=lambda: np.zeros(6))  # base axes, m/s and rad/s
    gripper: float | None = None  # 0 closed .. 1 open; None: as before
    clutch: bool = True  # False: the hand has let go of the arm, nothing is requested
    buttons: frozenset[str] = frozenset()  # pressed since the last read, of BUTTONS
    target: tuple[np.ndarray, np.ndarray] | None = None  # position (3) m, quaternion (4) xyzw, base frame
    stamp: float | None = None  # when it was decided, Unix time; None: now
    finished: bool = False  # the hand will not move any more


class Device(Protocol):
    """One kind of hand."""

    rate: float
    """Times per second that it wants to be asked."""
    help: str
    """How to use it, for the terminal."""

    def read(self) -> Command:
        """What the hand wants now; returns at once."""

    def pressed(self, button: str, answer: str | None) -> None:
        """Told what came of a button: None if done, else why not."""

    def __enter__(self) -> Self:
        """Take hold of the hardware."""

    def __exit__(self, *_: object) -> None:
        """Leave the hardware as it was found, whatever happened."""
