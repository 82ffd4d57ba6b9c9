"""Fetching, carrying and putting down with a hand that points straight down: what scripted humans share.

Poses here are (4,): x, y, z in m and yaw in rad, of the tool or of the thing that is moved. Every method looks at where
things are now and returns the next goal, so an operator can start from anything that a policy leaves behind.
"""

from abc import abstractmethod

import numpy as np

from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.operator import NUDGE, PROGRESS, Goal, ScriptedHand, Skill, smallest

CLOSED = 0.48  # gripper opening below which the fingers hold what is at most 36 mm wide
OPEN = 0.62  # and above which they hold nothing
NEAR = 0.015  # m between the tool and what it holds
ABOVE = 0.006  # m beside the grasp that the fingers still clear
TURNED = 0.06  # rad
FRUITLESS = 8.0  # s without any of the things moving before taking over: a hand may be busy and yet do nothing

SOFTLY = 0.12  # the same for an empty hand, whose open fingers leave it room


class GraspingHand(ScriptedHand):
    """See the module's docstring."""

    travel = 0.15  # m of the tool with an empty hand, above everything that stands on the table

    def __init__(self, rng: np.random.Generator, skill: Skill | None = None) -> None:
        super().__init__(rng, skill)
        self._wrong_since: float | None = None
        self._moved: tuple[float, np.ndarray] | None = None

    @abstractmethod
    def things(self, truth: np.ndarray) -> np.ndarray:
        """Positions (m) that the task is about: they move when there is progress."""

    def wrong(self, state: np.ndarray, truth: np.ndarray) -> str | None:
        """What will not mend itself if it stays so for longer than the operator's patience."""
        return None

    def landmark(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The tool and the things."""
        return np.concatenate([state[:3], self.things(truth)])

    def trouble(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """Something has been wrong, or nothing but the hand has moved, for too long."""
        reason, things = self.wrong(state, truth), self.things(truth)
        self._wrong_since = (self._wrong_since if self._wrong_since is not None else time) if reason else None
        if self._wrong_since is not None and time - self._wrong_since > self.skill.patience:
            return reason
        if self._moved is None or np.linalg.norm(things - self._moved[1]) > PROGRESS:
            self._moved = (time, things)
        return "fruitless" if time - self._moved[0] > FRUITLESS else None

    def decide(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Recovery depends on what is held, so planning knows of it."""
        return self.plan(state, truth)

    def has(self, state: np.ndarray, grasp: np.ndarray) -> bool:
        """Whether the operator's own hand holds what is grasped at x, y, z."""
        return self._grip < 0.5 and gripped(state, grasp)

    def fetch(self, state: np.ndarray, grasp: np.ndarray) -> Goal:
        """Open, over the grasp (4,), down, close. Straight up first, so that nothing is knocked over."""
        if state[9] < OPEN and self._grip > 0.5:
            return Goal(self._hand.copy(), 1.0, self.skill.fine_speed)  # still opening
        across = float(np.linalg.norm(state[:2] - grasp[:2]))
        turned = abs(smallest(yaw_of(state[3:9]) - grasp[3], 2 * np.pi))
        if across > ABOVE or turned > TURNED:
            low = state[2] < self.travel - 0.03 and across > 2 * ABOVE
            self._recovering = self._recovering and low
            if low and self._grip < 0.5:
                return Goal(self._hand.copy(), 1.0, self.skill.fine_speed)
            if across < 2 * ABOVE and turned < TURNED:
                nudged = self._hand[:2] + SOFTLY * (grasp[:2] - state[:2])
                return Goal(np.array([*nudged, self._hand[2], grasp[3]]), 1.0, self.skill.fine_speed)
            xy = self._hand[:2] if low else grasp[:2]
            return Goal(np.array([*xy, self.travel, grasp[3]]), 1.0, self.skill.speed)
        self._recovering = False
        down = np.array([*(self._hand[:2] + SOFTLY * (grasp[:2] - state[:2])), *grasp[2:]])
        if state[2] > grasp[2] + 0.004:
            return Goal(down, 1.0, self.skill.fine_speed * 1.5)
        return Goal(down, 0.0, self.skill.fine_speed)

    def carry(
        self,
        state: np.ndarray,
        thing: np.ndarray,
        goal: np.ndarray,
        travel: float,
        period: float = np.pi / 2,
        room: tuple[float, float] = (0.004, 0.08),
        press: float = 0.0,
    ) -> Goal:
        """Up, across and down with the thing in the hand.

        Args:
            state: observation.state (16,).
            thing: Where the thing is (4,).
            goal: Where it has to go (4,).
            travel: Height of the thing on its way, m.
            period: Turn after which the thing looks alike, rad.
            room: Distance (m) and angle (rad) from the goal within which it is lowered.
            press: How far below the goal the hand aims, m.
        """
        if state[9] > CLOSED:
            return Goal(self._hand.copy(), 0.0, self.skill.fine_speed)  # still closing
        offset, lift = float(np.linalg.norm(goal[:2] - thing[:2])), travel - thing[2]
        turn = smallest(goal[3] - thing[3], period)
        self._recovering = self._recovering and lift > 0.012
        if self._recovering or (offset > 0.02 and lift > 0.015):
            return self.lift(state, lift)
        if offset > 0.02:
            hand = np.array([*(goal[:2] + state[:2] - thing[:2]), state[2] + lift, yaw_of(state[3:9]) + turn])
            return Goal(hand, 0.0, self.skill.speed)
        hand = self._hand.copy()
        hand[:2] += NUDGE * (goal[:2] - thing[:2])
        hand[3] += NUDGE * turn
        if offset < room[0] and abs(turn) < room[1]:
            hand[2] = state[2] + goal[2] - thing[2] - press
        near = thing[2] - goal[2] < 0.02
        return Goal(hand, 0.0, self.skill.fine_speed * (1.0 if near else 2.0))

    def put_aside(self, state: np.ndarray, thing: np.ndarray, spot: np.ndarray, travel: float) -> Goal:
        """Bring what is held (4,) to a spot x, y, z on the table; a recovery to its end, if it is one."""
        recovering, self._recovering = self._recovering, False
        goal = self.carry(state, thing, np.append(spot, thing[3]), travel, room=(0.02, 1.0))
        self._recovering = recovering
        return goal

    def lift(self, state: np.ndarray, height: float) -> Goal:
        """Straight up by `height` m with what is held."""
        up = self._hand.copy()
        up[2] = state[2] + height
        return Goal(up, 0.0, self.skill.speed * 0.6)

    def let_go(self, state: np.ndarray) -> Goal:
        """Open where the hand is, then straight up."""
        goal = self._hand.copy()
        if state[9] > OPEN:
            self._recovering = False
            goal[2] = max(self.travel, goal[2])
        return Goal(goal, 1.0, self.skill.speed)

    def free_spot(self, spots: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The one of the spots (N, 2) that is furthest from all other things (M, 2)."""
        distances = np.linalg.norm(spots[:, None] - others[None], axis=2)
        return spots[int(np.argmax(distances.min(axis=1)))]


def gripped(state: np.ndarray, grasp: np.ndarray) -> bool:
    """Whether the fingers are closed, or closing, about a grasp at x, y, z."""
    across, along = np.linalg.norm(state[:2] - grasp[:2]), abs(state[2] - grasp[2])
    return bool(across < NEAR and along < NEAR)
