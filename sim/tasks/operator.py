"""Scripted humans that hold a tool pointing straight down: they see late, their hand is not quite still.

They know nothing of the future. They are reactive: what to do next follows from where things are, so they can start
from any situation a policy leaves behind.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from steadyhand.sim.rotations import yaw_of

PERIOD = 0.1  # s between decisions
MAX_TURN = 0.08  # rad per decision
NUDGE = 0.25  # of a seen offset, per decision: the joints stick, requesting the place itself does not get there
PROGRESS = 0.02  # m that tool or objects must have moved to count as progress


@dataclass(frozen=True)
class Skill:
    """How good the human is."""

    delay: int = 2  # decisions between seeing and acting
    tremor: float = 0.0006  # m, standard deviation of the hand's slow drift
    speed: float = 0.20  # m/s far from things
    fine_speed: float = 0.06  # m/s close to them
    patience: float = 1.2  # s without success at a delicate place before taking over
    stall: float = 4.0  # s without any motion of consequence before taking over


class Goal(NamedTuple):
    """Where the hand wants to be."""

    hand: np.ndarray  # (4,) x, y, z in m and yaw in rad
    grip: float  # 0 closed .. 1 open
    speed: float  # m/s


class ScriptedHand(ABC):
    """See the module's docstring. Arrays: observation.state (16,), the task's truth (E,), action (10,)."""

    retreat_height = 0.17  # m of the tool at which recovery ends

    def __init__(self, rng: np.random.Generator, skill: Skill | None = None) -> None:
        self.skill = skill or Skill()
        self._rng = rng
        self._seen: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=self.skill.delay + 1)
        self._drift = np.zeros(3)
        self._hand = np.full(4, np.nan)  # x, y, z, yaw requested last; nothing yet
        self._grip = 1.0
        self._recovering = False
        self._progress: tuple[float, np.ndarray] | None = None

    @property
    def recovering(self) -> bool:
        """True from taking over until the arm is back where a demonstration would pass."""
        return self._recovering

    @abstractmethod
    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where a demonstration goes from here."""

    def trouble(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """The task's own reason to take over, or None."""
        return None

    def landmark(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Positions that move when there is progress."""
        return np.concatenate([state[:3], truth[:3]])

    def decide(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Recover straight up if taken over, then do as in a demonstration."""
        if self._recovering and state[2] < self.retreat_height - 0.02:
            return Goal(np.array([*self._hand[:2], self.retreat_height, self._hand[3]]), self._grip, self.skill.speed)
        self._recovering = False
        return self.plan(state, truth)

    def act(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The next requested pose and gripper opening."""
        self._seen.append((state, truth))
        state, truth = self._seen[0]
        if np.isnan(self._hand[0]):
            self._hand = pose4(state)
        goal, grip, speed = self.decide(state, truth)
        step = goal - self._hand
        step[:3] *= min(1.0, speed * PERIOD / max(float(np.linalg.norm(step[:3])), 1e-9))
        step[3] = np.clip(step[3], -MAX_TURN, MAX_TURN)
        self._hand = self._hand + step
        self._grip = grip
        self._drift[:] = 0.8 * self._drift + 0.6 * self._rng.normal(0.0, self.skill.tremor, 3)
        return down_action(self._hand + np.append(self._drift, 0.0), grip)

    def watch(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """Takes over for the task's own reason, or when nothing moved for longer than its patience."""
        self._seen.append((state, truth))
        state, truth = self._seen[0]
        if reason := self.trouble(state, truth, time):
            return reason
        landmark = self.landmark(state, truth)
        if self._progress is None or np.linalg.norm(landmark - self._progress[1]) > PROGRESS:
            self._progress = (time, landmark)
        return "stalled" if time - self._progress[0] > self.skill.stall else None

    def take_over(self, state: np.ndarray) -> None:
        """The hand takes the arm where it is, and first brings it back to familiar ground."""
        self._hand = pose4(state)
        self._grip = 0.0 if state[9] < 0.5 else 1.0
        self._recovering = True
        self._seen.clear()
        self._drift = np.zeros(3)


def pose4(state: np.ndarray) -> np.ndarray:
    """Position and yaw (4,) of the tool."""
    return np.append(state[:3], yaw_of(state[3:9])).astype(np.float64)


def down_action(hand: np.ndarray, grip: float) -> np.ndarray:
    """Action (10,) of a tool straight down at x, y, z, yaw (4,): R = Rz(yaw) diag(1, -1, -1)."""
    c, s = np.cos(hand[3]), np.sin(hand[3])
    return np.array([*hand[:3], c, s, 0.0, s, -c, 0.0, grip])


def quarter(angle: float) -> float:
    """The smallest of the equivalent angles of a square, rad."""
    return smallest(angle, np.pi / 2)


def smallest(angle: float, period: float) -> float:
    """The smallest of the angles that are alike after every turn by `period`, rad."""
    return float((angle + period / 2) % period - period / 2)
