"""The scripted human of nut_on_peg: lowers, turns, and lifts off again what is caught."""

import numpy as np

from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.blocks import above
from steadyhand.sim.tasks.grasping import GraspingHand, gripped
from steadyhand.sim.tasks.operator import Goal, Skill, smallest

CLEAR = 0.008  # m between the nut's lower end and the post's top where a new attempt begins
TURN = np.radians(70.0)  # of the nut against the lugs when it is let go
PRESS = 0.006  # m below the plate that the hand aims at
PRESSED = 9.0  # N of contact that tells lugs from a slot,
STUCK = 6  # if it lasts for so many decisions; rubbing along the slot is shorter


class NutHand(GraspingHand):
    """It sees where peg and nut really are. Truth: NutOnPeg's (14,)."""

    def __init__(
        self, rng: np.random.Generator, grip: float, caught: float, top: float, skill: Skill | None = None
    ) -> None:
        """Heights in m: of the handle above the nut's lower end, of a caught nut and of the post above the plate."""
        super().__init__(rng, skill)
        self._grip_height, self._caught, self._top = grip, caught, top
        self._lifting = False
        self._pressed = 0

    def things(self, truth: np.ndarray) -> np.ndarray:
        """The nut, and its turning at 5 cm from its middle."""
        return np.concatenate([truth[:3], 0.05 * truth[3:9]])

    def wrong(self, state: np.ndarray, truth: np.ndarray) -> str | None:
        """The nut is held on the lugs."""
        held = state[9] < 0.5 and self._on_lugs(truth) and gripped(state, self._handle(truth))
        return "caught" if held else None

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where to, from what is seen."""
        nut_yaw = yaw_of(truth[3:9])
        against = smallest(nut_yaw - float(np.arctan2(truth[13], truth[12])), np.pi)
        height = truth[2] - truth[11]
        # Turned, it is below the lugs anyway, and may tilt a little.
        down = self._offset(truth) < 0.01 and height < (0.003 if abs(against) < 0.2 else 0.006)
        if down and abs(against) > TURN - 0.1:
            return self.let_go(state)
        handle = self._handle(truth)
        if not self.has(state, handle):
            self._lifting = False
            return self.fetch(state, np.append(handle, smallest(nut_yaw, np.pi)))
        if down:
            self._lifting, self._pressed = False, 0
            return self._turn(state, truth, against)
        self._pressed = self._pressed + 1 if self._on_lugs(truth) and state[12] > PRESSED else 0
        wrong = self._on_lugs(truth) and (abs(against) > 0.14 or self._pressed > STUCK)
        self._lifting = (self._lifting or wrong) and height < self._top + CLEAR
        if self._lifting:
            return self.lift(state, self._top + 2 * CLEAR - height)
        here = np.append(truth[:3], nut_yaw)
        goal = np.array([*truth[9:12], nut_yaw - against])
        return self.carry(state, here, goal, 0.06, period=np.pi, room=(0.0012, 0.05), press=PRESS)

    def _turn(self, state: np.ndarray, truth: np.ndarray, against: float) -> Goal:
        """On the plate: turn further the way it is turned already, pressed down a little."""
        self._recovering = False
        way = 1.0 if against > -0.25 else -1.0
        hand = self._hand.copy()
        hand[:2] += 0.25 * (truth[9:11] - truth[:2])
        hand[2] = self._grip_height + truth[11] - PRESS / 2
        hand[3] = yaw_of(state[3:9]) + (way * (TURN + 0.1) - against)
        return Goal(hand, 0.0, self.skill.fine_speed)

    def _handle(self, truth: np.ndarray) -> np.ndarray:
        return above(truth, self._grip_height)

    def _on_lugs(self, truth: np.ndarray) -> bool:
        return self._offset(truth) < 0.02 and self._caught - 0.003 < truth[2] - truth[11] < self._top - 0.006

    def _offset(self, truth: np.ndarray) -> float:
        return float(np.linalg.norm(truth[:2] - truth[9:11]))
