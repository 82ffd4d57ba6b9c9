"""The scripted human of peg_insertion: demonstrates, supervises, takes over, recovers and corrects."""

import numpy as np

from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.blocks import upright
from steadyhand.sim.tasks.operator import NUDGE, Goal, ScriptedHand, Skill, quarter

GRASP_ABOVE_CENTRE = 0.020  # m, where the fingers hold the peg
SAFE_HEIGHT = 0.17  # m of the tool with an empty hand
CARRY_CLEARANCE = 0.030  # m between the rim and the peg's lower end
CROOKED = 0.992  # cosine of the tilt beyond which the peg is grasped anew
BESIDE = np.array([0.0, -0.12])  # m from the hole, where there is free table
HOVER = 0.004  # m above the rim, where the last correction is made
PRESSED = 9.0  # N of contact that tells a rim from a hole
PUSH_DEPTH = 0.012  # m below the bottom that the hand aims at: with 1500 N/m a push of 18 N


class PegOperator(ScriptedHand):
    """It sees where peg and hole really are. Truth: PegInsertion's (14,)."""

    def __init__(
        self, rng: np.random.Generator, rim: float, peg_half_height: float, skill: Skill | None = None
    ) -> None:
        super().__init__(rng, skill)
        self._rim = rim
        self._half = peg_half_height
        self._setting_down = False
        self._stuck_since: float | None = None

    def trouble(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """The peg has been pressed on the rim for longer than its patience, or has fallen over."""
        bottom = truth[2] - self._half
        on_rim = _offset(truth) < 0.03 and -0.004 < bottom - self._rim < 0.004 and self._holds(state, truth)
        self._stuck_since = (self._stuck_since if self._stuck_since is not None else time) if on_rim else None
        if self._stuck_since is not None and time - self._stuck_since > self.skill.patience:
            return "jammed"
        return "peg_tipped" if upright(truth) < 0.8 and not self._holds(state, truth) else None

    def decide(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Recovery ends at a place that depends on what is held, so planning knows of it."""
        return self.plan(state, truth)

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where to, from what is seen."""
        if _seated(truth, self._half):
            return self._release(state)
        if self._grip < 0.5 and _near(state, truth):
            crooked = upright(truth) < CROOKED and truth[2] - self._half * upright(truth) > self._rim - 0.012
            self._setting_down = self._setting_down or crooked
            return self._set_down(state, truth) if self._setting_down else self._carry(state, truth)
        self._setting_down = False
        return self._fetch(state, truth)

    def _fetch(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        grasp = np.append(truth[:2], [truth[2] + GRASP_ABOVE_CENTRE, quarter(_peg_yaw(truth))])
        above = np.linalg.norm(state[:2] - grasp[:2])
        turned = abs(yaw_of(state[3:9]) - grasp[3])
        if above > 0.006 or turned > 0.06:
            self._recovering = self._recovering and state[2] < SAFE_HEIGHT - 0.03
            low = state[2] < SAFE_HEIGHT - 0.03 and above > 0.006
            xy = self._hand[:2] if low else grasp[:2]  # first up, so that nothing is knocked over
            return Goal(np.array([*xy, SAFE_HEIGHT, grasp[3]]), 1.0, self.skill.speed)
        self._recovering = False
        if state[2] > grasp[2] + 0.004:
            return Goal(grasp, 1.0, self.skill.fine_speed * 1.5)
        return Goal(grasp, 0.0, self.skill.fine_speed)

    def _carry(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        if state[9] > 0.45:  # fingers still closing
            return Goal(self._hand.copy(), 0.0, self.skill.fine_speed)
        bottom, offset = truth[2] - self._half, _offset(truth)
        clearance = bottom - self._rim
        if self._recovering and clearance > CARRY_CLEARANCE - 0.012:
            self._recovering = False
        lift = CARRY_CLEARANCE - clearance
        inside = clearance < -0.003 and offset < 0.004 and upright(truth) > 0.995
        if (not inside and offset > 0.02 and lift > 0.015) or self._recovering:
            up = self._hand.copy()  # straight up first
            up[2] = state[2] + lift
            return Goal(up, 0.0, self.skill.speed * 0.6)
        if offset > 0.02:
            goal = np.append(truth[9:11] + state[:2] - truth[:2], [state[2] + lift, self._turn(state, truth)])
            return Goal(goal, 0.0, self.skill.speed)
        speed = self.skill.fine_speed if clearance > 3 * HOVER or inside else 0.5 * self.skill.fine_speed
        return Goal(self._insert(state, truth, clearance, offset, inside), 0.0, speed)

    def _set_down(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """A peg that turned in the fingers never fits: put it on the table beside the fixture and grasp it again."""
        spot = truth[9:11] + BESIDE
        bottom = truth[2] - self._half * upright(truth)
        goal = np.append(spot + state[:2] - truth[:2], [state[2] - bottom, self._hand[3]])
        if np.linalg.norm(truth[:2] - spot) > 0.02:
            clearance = bottom - self._rim
            goal[2] += self._rim + CARRY_CLEARANCE
            if clearance < CARRY_CLEARANCE - 0.015:
                goal[:2] = self._hand[:2]
            return Goal(goal, 0.0, self.skill.speed)
        goal[:2] = self._hand[:2]
        touching = bottom < 0.004 + 0.015 * np.sqrt(max(0.0, 1.0 - upright(truth) ** 2))
        return Goal(goal, 1.0 if touching else 0.0, self.skill.fine_speed)

    def _insert(
        self, state: np.ndarray, truth: np.ndarray, clearance: float, offset: float, inside: bool
    ) -> np.ndarray:
        """Nudge towards the hole and go down as far as the alignment allows."""
        goal = self._hand.copy()
        if not inside:
            # The joints stick: nudging what the hand requests gets there, requesting the place itself does not.
            goal[:2] += NUDGE * (truth[9:11] - truth[:2])
        goal[3] = self._turn(state, truth)
        room = 0.0012 if clearance < 2 * HOVER else 0.004
        aligned = offset < room and abs(goal[3] - yaw_of(state[3:9])) < 0.04
        if not inside and state[12] > PRESSED and clearance < HOVER:
            goal[2] = state[2] - clearance + 2 * HOVER  # it stands on the rim: lift off, then look again
        elif inside or (aligned and clearance < 2 * HOVER):
            goal[2] = state[2] - clearance - self._rim - PUSH_DEPTH
        elif aligned or clearance < HOVER:
            goal[2] = state[2] - clearance + HOVER
        return goal

    def _turn(self, state: np.ndarray, truth: np.ndarray) -> float:
        hole_yaw = float(np.arctan2(truth[13], truth[12]))
        return yaw_of(state[3:9]) + quarter(hole_yaw - _peg_yaw(truth))

    def _release(self, state: np.ndarray) -> Goal:
        self._recovering = False
        goal = self._hand.copy()
        if state[9] > 0.7:
            goal[2] = SAFE_HEIGHT
        return Goal(goal, 1.0, self.skill.speed)

    def _holds(self, state: np.ndarray, truth: np.ndarray) -> bool:
        return bool(_near(state, truth) and state[9] < 0.5)


def _near(state: np.ndarray, truth: np.ndarray) -> bool:
    across = np.linalg.norm(state[:2] - truth[:2])
    return bool(across < 0.012 and -0.01 < state[2] - truth[2] < 0.045)


def _peg_yaw(truth: np.ndarray) -> float:
    return float(np.arctan2(truth[4], truth[3]))


def _offset(truth: np.ndarray) -> float:
    return float(np.linalg.norm(truth[:2] - truth[9:11]))


def _seated(truth: np.ndarray, half: float) -> bool:
    return _offset(truth) < 0.01 and truth[2] - half < 0.003
