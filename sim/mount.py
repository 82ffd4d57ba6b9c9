"""Where arms stand in a scene, and what they are called there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mount:
    """Where the base of an arm stands on the table. The world's origin is where a single arm stands."""

    name: str = ""  # "left" or "right" of two arms, "" of a single one
    x: float = 0.0  # m
    y: float = 0.0  # m
    yaw: float = 0.0  # rad

    @property
    def prefix(self) -> str:
        """What the names of the arm begin with in the scene, in columns and in topics."""
        return f"{self.name}_" if self.name else ""

    @property
    def quaternion(self) -> np.ndarray:
        """Orientation (w, x, y, z) of the base in the world."""
        return np.array([np.cos(self.yaw / 2), 0.0, 0.0, np.sin(self.yaw / 2)])

    def to_base(self, position: np.ndarray) -> np.ndarray:
        """Position (3,) in the base frame of one in the world, m."""
        return self._R_world_base().T @ (np.asarray(position) - [self.x, self.y, 0.0])

    def to_world(self, position: np.ndarray) -> np.ndarray:
        """Position (3,) in the world of one in the base frame, m."""
        return self._R_world_base() @ np.asarray(position) + [self.x, self.y, 0.0]

    def _R_world_base(self) -> np.ndarray:
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


SINGLE: Sequence[Mount] = (Mount(),)
PAIR: Sequence[Mount] = (Mount("left", y=0.32), Mount("right", y=-0.32))  # side by side, both facing +x
