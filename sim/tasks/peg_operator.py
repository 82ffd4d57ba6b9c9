"""The scripted human of peg_insertion: demonstrates, supervises, takes over, recovers and corrects.

It sees where peg and hole really are, but late (reaction delay) and its hand is not quite still; it knows nothing of
the future. It is reactive: what to do next follows from where things are, so it can start from any situation a policy
leaves behind.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from steadyhand.sim.rotations import yaw_of

PERIOD = 0.1  # s between decisions
GRASP_ABOVE_CENTRE = 0.020  # m, where the fingers hold the peg
SAFE_HEIGHT = 0.17  # m of the tool with an empty hand
CARRY_CLEARANCE = 0.030  # m between the rim and the peg's lower end
CROOKED = 0.992  # cosine of the tilt beyond which the peg is grasped anew
BESIDE = np.array([0.0, -0.12])  # m from the hole, where there is free table
HOVER = 0.004  # m above the rim, where the last correction is made
PRESSED = 9.0  # N of contact that tells a rim from a hole
NUDGE = 0.25  # of the seen offset, per decision
PUSH_DEPTH = 0.012  # m below the bottom that the hand aims at: with 1500 N/m a push of 18 N


@dataclass(frozen=True)
class Skill:
    """How good the human is."""

    delay: int = 2  # decisions between seeing and acting
    tremor: float = 0.0006  # m, standard deviation of the hand's slow drift
    speed: float = 0.20  # m/s far from things
    fine_speed: float = 0.06  # m/s close to them
    patience: float = 1.2  # s of no progress on the rim before taking over
    stall: float = 4.0  # s without any motion of consequence before taking over


class PegOperator:
    """See the module's docstring. Arrays: observation.state (16,), PegInsertion's truth (14,), action (10,)."""

    def __init__(
        self, rng: np.random.Generator, rim: float, peg_half_height: float, skill: Skill | None = None
    ) -> None:
        self.skill = skill or Skill()
        self._rng = rng
        self._rim = rim
        self._half = peg_half_height
        self._seen: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=self.skill.delay + 1)
        self._drift = np.zeros(3)
        self._hand = np.full(4, np.nan)  # x, y, z, yaw requested last; nothing yet
        self._grip = 1.0
        self._recovering = False
        self._setting_down = False
        self._stuck_since: float | None = None
        self._progress: tuple[float, np.ndarray] | None = None

    @property
    def recovering(self) -> bool:
        """True from taking over until the arm is back where a demonstration would pass."""
        return self._recovering

    def act(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The next requested pose and gripper opening."""
        self._seen.append((state, truth))
        state, truth = self._seen[0]
        if np.isnan(self._hand[0]):
            self._hand = _pose4(state)
        goal, grip, speed = self._plan(state, truth)
        step = goal - self._hand
        step[:3] *= min(1.0, speed * PERIOD / max(float(np.linalg.norm(step[:3])), 1e-9))
        step[3] = np.clip(step[3], -0.08, 0.08)
        self._hand = self._hand + step
        self._grip = grip
        self._drift[:] = 0.8 * self._drift + 0.6 * self._rng.normal(0.0, self.skill.tremor, 3)
        return _action(self._hand + np.append(self._drift, 0.0), grip)

    def watch(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """Takes over when the peg has been pressed on the rim, or nothing moved, for longer than its patience."""
        self._seen.append((state, truth))
        state, truth = self._seen[0]
        bottom = truth[2] - self._half
        on_rim = _offset(truth) < 0.03 and -0.004 < bottom - self._rim < 0.004 and self._holds(state, truth)
        self._stuck_since = (self._stuck_since if self._stuck_since is not None else time) if on_rim else None
        if self._stuck_since is not None and time - self._stuck_since > self.skill.patience:
            return "jammed"
        if peg_up(truth) < 0.8 and not self._holds(state, truth):
            return "peg_tipped"
        landmark = np.concatenate([state[:3], truth[:3]])
        if self._progress is None or np.linalg.norm(landmark - self._progress[1]) > 0.02:
            self._progress = (time, landmark)
        if time - self._progress[0] > self.skill.stall:
            return "stalled"
        return None

    def take_over(self, state: np.ndarray) -> None:
        """The hand takes the arm where it is, and first brings it back to familiar ground."""
        self._hand = _pose4(state)
        self._grip = 0.0 if state[9] < 0.5 else 1.0
        self._recovering = True
        self._seen.clear()
        self._drift = np.zeros(3)

    def _plan(self, state: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Goal (x, y, z, yaw) of the hand, gripper opening and speed, from what is seen."""
        if _seated(truth, self._half):
            return self._release(state)
        if self._grip < 0.5 and _near(state, truth):
            crooked = peg_up(truth) < CROOKED and truth[2] - self._half * peg_up(truth) > self._rim - 0.012
            self._setting_down = self._setting_down or crooked
            return self._set_down(state, truth) if self._setting_down else self._carry(state, truth)
        self._setting_down = False
        return self._fetch(state, truth)

    def _fetch(self, state: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float, float]:
        grasp = np.append(truth[:2], [truth[2] + GRASP_ABOVE_CENTRE, _quarter(_peg_yaw(truth))])
        above = np.linalg.norm(state[:2] - grasp[:2])
        turned = abs(yaw_of(state[3:9]) - grasp[3])
        if above > 0.006 or turned > 0.06:
            self._recovering = self._recovering and state[2] < SAFE_HEIGHT - 0.03
            low = state[2] < SAFE_HEIGHT - 0.03 and above > 0.006
            xy = self._hand[:2] if low else grasp[:2]  # first up, so that nothing is knocked over
            return np.array([*xy, SAFE_HEIGHT, grasp[3]]), 1.0, self.skill.speed
        self._recovering = False
        if state[2] > grasp[2] + 0.004:
            return grasp, 1.0, self.skill.fine_speed * 1.5
        return grasp, 0.0, self.skill.fine_speed

    def _carry(self, state: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float, float]:
        if state[9] > 0.45:  # fingers still closing
            return self._hand.copy(), 0.0, self.skill.fine_speed
        bottom, offset = truth[2] - self._half, _offset(truth)
        clearance = bottom - self._rim
        if self._recovering and clearance > CARRY_CLEARANCE - 0.012:
            self._recovering = False
        lift = CARRY_CLEARANCE - clearance
        inside = clearance < -0.003 and offset < 0.004 and peg_up(truth) > 0.995
        if (not inside and offset > 0.02 and lift > 0.015) or self._recovering:
            up = self._hand.copy()  # straight up first
            up[2] = state[2] + lift
            return up, 0.0, self.skill.speed * 0.6
        if offset > 0.02:
            goal = np.append(truth[9:11] + state[:2] - truth[:2], [state[2] + lift, self._turn(state, truth)])
            return goal, 0.0, self.skill.speed
        speed = self.skill.fine_speed if clearance > 3 * HOVER or inside else 0.5 * self.skill.fine_speed
        return self._insert(state, truth, clearance, offset, inside), 0.0, speed

    def _set_down(self, state: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float, float]:
        """A peg that turned in the fingers never fits: put it on the table beside the fixture and grasp it again."""
        spot = truth[9:11] + BESIDE
        bottom = truth[2] - self._half * peg_up(truth)
        goal = np.append(spot + state[:2] - truth[:2], [state[2] - bottom, self._hand[3]])
        if np.linalg.norm(truth[:2] - spot) > 0.02:
            clearance = bottom - self._rim
            goal[2] += self._rim + CARRY_CLEARANCE
            if clearance < CARRY_CLEARANCE - 0.015:
                goal[:2] = self._hand[:2]
            return goal, 0.0, self.skill.speed
        goal[:2] = self._hand[:2]
        touching = bottom < 0.004 + 0.015 * np.sqrt(max(0.0, 1.0 - peg_up(truth) ** 2))
        return goal, 1.0 if touching else 0.0, self.skill.fine_speed

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
        return yaw_of(state[3:9]) + _quarter(hole_yaw - _peg_yaw(truth))

    def _release(self, state: np.ndarray) -> tuple[np.ndarray, float, float]:
        self._recovering = False
        goal = self._hand.copy()
        if state[9] > 0.7:
            goal[2] = SAFE_HEIGHT
        return goal, 1.0, self.skill.speed

    def _holds(self, state: np.ndarray, truth: np.ndarray) -> bool:
        return bool(_near(state, truth) and state[9] < 0.5)


def _pose4(state: np.ndarray) -> np.ndarray:
    return np.append(state[:3], yaw_of(state[3:9])).astype(np.float64)


def _action(hand: np.ndarray, grip: float) -> np.ndarray:
    c, s = np.cos(hand[3]), np.sin(hand[3])
    # Tool straight down: R = Rz(yaw) diag(1, -1, -1).
    return np.array([*hand[:3], c, s, 0.0, s, -c, 0.0, grip])


def _near(state: np.ndarray, truth: np.ndarray) -> bool:
    across = np.linalg.norm(state[:2] - truth[:2])
    return bool(across < 0.012 and -0.01 < state[2] - truth[2] < 0.045)


def _peg_yaw(truth: np.ndarray) -> float:
    return float(np.arctan2(truth[4], truth[3]))


def _quarter(angle: float) -> float:
    """The smallest of the equivalent angles of a square."""
    return float((angle + np.pi / 4) % (np.pi / 2) - np.pi / 4)


def _offset(truth: np.ndarray) -> float:
    return float(np.linalg.norm(truth[:2] - truth[9:11]))


def peg_up(truth: np.ndarray) -> float:
    """Cosine of the peg's tilt: the z component of its long axis."""
    return float(truth[3] * truth[7] - truth[4] * truth[6])


def _seated(truth: np.ndarray, half: float) -> bool:
    return _offset(truth) < 0.01 and truth[2] - half < 0.003
