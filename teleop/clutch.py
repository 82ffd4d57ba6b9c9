"""From velocities to requested poses, without a jump when the hand takes over."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

Pose = tuple[np.ndarray, np.ndarray]
"""Position (3) in metres, quaternion (4) xyzw."""


@dataclass(frozen=True)
class Limits:
    """How fast a hand may move the arm, and how far the request may run ahead of it."""

    speed: float = 0.25  # m/s
    turn_speed: float = 1.0  # rad/s
    lead: float = 0.05  # m between the request and the arm, so that nothing winds up against an obstacle
    turn_lead: float = 0.3  # rad


class Clutch:
    """Integrates a hand's velocity; begins at the arm's present pose whenever it engages."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._target: Pose | None = None

    @property
    def engaged(self) -> bool:
        """Whether there is a requested pose."""
        return self._target is not None

    def release(self) -> None:
        """Forget the request."""
        self._target = None

    def move(self, twist: np.ndarray, dt: float, current: Pose) -> Pose:
        """The requested pose after ``dt`` seconds of ``twist`` (6: m/s, rad/s in base axes)."""
        limits = self.limits
        position, quaternion = self._target or current
        position = position + dt * _clip(twist[:3], limits.speed)
        turned = Rotation.from_rotvec(dt * _clip(twist[3:], limits.turn_speed)) * Rotation.from_quat(quaternion)
        position = current[0] + _clip(position - current[0], limits.lead)
        arm = Rotation.from_quat(current[1])
        ahead = (turned * arm.inv()).as_rotvec()
        turned = Rotation.from_rotvec(_clip(ahead, limits.turn_lead)) * arm
        self._target = position, turned.as_quat()
        return self._target


def _clip(vector: np.ndarray, limit: float) -> np.ndarray:
    """The same direction, at most ``limit`` long."""
    return vector * min(1.0, limit / max(float(np.linalg.norm(vector)), 1e-12))
