"""The scripted human of handover: two hands, each of which sees what the other does."""

import numpy as np

from steadyhand.sim.mount import PAIR
from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.operator import Goal, ScriptedHand, Skill, smallest

ARM = 16  # values of observation.state of one arm
ACTION = 10  # of an action
GRASP_OFF_CENTRE = 0.055  # m along the bar
ABOVE = 0.10  # m over the bar before going down to it
MEETING = np.array([0.45, 0.0, 0.24])  # m, where the bar's centre is handed over
SAFE_HEIGHT = 0.30  # m of a tool that has nothing to do
APART = 0.16  # m in y by which a hand without work keeps away from the bar's end
REACHED = 0.012  # m
TRUTH = 12  # values of the task's truth; behind them hands see the other arm's state


def end_of(truth: np.ndarray, arm: int) -> np.ndarray:
    """Where an arm (0 left, 1 right) is to hold the bar: position (3,) in the world."""
    axis = truth[6:9]  # the bar's y axis
    towards_left = axis if axis[1] >= 0.0 else -axis
    return truth[:3] + (GRASP_OFF_CENTRE if arm == 0 else -GRASP_OFF_CENTRE) * towards_left


class HandoverOperator:
    """See the module's docstring. State (32,), truth (12,), action (20,)."""

    def __init__(self, rng: np.random.Generator, rest_height: float, skill: Skill | None = None) -> None:
        self._hands = (_Left(rng, rest_height, skill), _Right(rng, rest_height, skill))

    @property
    def recovering(self) -> bool:
        """True from taking over until both arms are back where a demonstration would pass."""
        return any(hand.recovering for hand in self._hands)

    def act(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The next requested poses and openings of both arms."""
        views = _views(state, truth)
        actions = [hand.act(*view) for hand, view in zip(self._hands, views, strict=True)]
        for action, mount in zip(actions, PAIR, strict=True):
            action[:3] = mount.to_base(action[:3])
        return np.concatenate(actions)

    def watch(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """Takes over when nothing moves any more; both hands and the bar count."""
        views = _views(state, truth)
        reasons = [hand.watch(*view, time) for hand, view in zip(self._hands, views, strict=True)]
        return reasons[0] if all(reasons) else None

    def take_over(self, state: np.ndarray) -> None:
        """Both hands at once."""
        for arm, hand in enumerate(self._hands):
            hand.take_over(_in_world(state, arm))


def _in_world(state: np.ndarray, arm: int) -> np.ndarray:
    own = state[ARM * arm : ARM * (arm + 1)].copy()
    own[:3] = PAIR[arm].to_world(own[:3])
    return own


def _views(state: np.ndarray, truth: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each hand sees: its own state, and the truth with the other arm's state behind it; all in the world."""
    arms = [_in_world(state, arm) for arm in (0, 1)]
    return [(arms[0], np.append(truth, arms[1])), (arms[1], np.append(truth, arms[0]))]


class _Hand(ScriptedHand):
    """What both hands know. All positions are in the world."""

    arm = 0

    def __init__(self, rng: np.random.Generator, rest_height: float, skill: Skill | None) -> None:
        super().__init__(rng, skill)
        self._rest = rest_height

    def _holds(self, state: np.ndarray, truth: np.ndarray, arm: int) -> bool:
        return bool(np.linalg.norm(state[:3] - end_of(truth, arm)) < 0.025 and state[9] < 0.45)

    def _other_holds(self, truth: np.ndarray) -> bool:
        return self._holds(truth[TRUTH:], truth, 1 - self.arm)

    def _turned(self, truth: np.ndarray) -> float:
        """The yaw at which the fingers close across the bar: of the two, the one the hand is nearer to."""
        bar = np.arctan2(-truth[6], truth[7])
        return float(self._hand[3] + smallest(bar + np.pi / 2 - self._hand[3], np.pi))

    def _grasp(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Above its end of the bar, down, close."""
        place, yaw = end_of(truth, self.arm), self._turned(truth)
        beside = np.linalg.norm(state[:2] - place[:2])
        closing = self._grip < 0.5 and beside < 0.02
        low = state[2] < place[2] + 0.5 * ABOVE
        room = 1.5 if low else 1.0  # joints stick: what was good enough to go down stays good enough
        if not closing and (beside > 0.016 * room or abs(yaw_of(state[3:9]) - yaw) > 0.06 * room):
            if low and beside > 0.02:  # first up, so that nothing is knocked over
                return Goal(np.array([*self._hand[:2], place[2] + ABOVE, self._hand[3]]), 1.0, self.skill.speed)
            return Goal(np.array([*place[:2], place[2] + ABOVE, yaw]), 1.0, self.skill.speed)
        down = np.array([*place, yaw])
        return Goal(down, 0.0 if closing or state[2] < place[2] + 0.006 else 1.0, self.skill.fine_speed)

    def _carry(self, state: np.ndarray, truth: np.ndarray, centre: np.ndarray, speed: float) -> Goal:
        """Move the bar's centre there, its length along y."""
        bar = np.arctan2(-truth[6], truth[7])
        turn = -smallest(bar, np.pi)
        arm = np.array([0.0, GRASP_OFF_CENTRE if self.arm == 0 else -GRASP_OFF_CENTRE, 0.0])
        return Goal(np.append(centre + arm, yaw_of(state[3:9]) + turn), 0.0, speed)

    def _away(self, sign: float) -> Goal:
        """Straight up and open, then out of the other's way."""
        goal = self._hand.copy()
        goal[2] = SAFE_HEIGHT
        if self._hand[2] > SAFE_HEIGHT - 0.04:
            goal[1] = sign * max(abs(goal[1]), APART + GRASP_OFF_CENTRE)
        return Goal(goal, 1.0, self.skill.speed)


class _Left(_Hand):
    """Fetches the bar, brings it to the meeting place, lets go when the other holds it."""

    arm = 0

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where to, from what is seen."""
        if not self._holds(state, truth, 0):
            mine = truth[1] > -0.1 and truth[2] < self._rest + 0.02 and not self._other_holds(truth)
            return self._grasp(state, truth) if mine else self._away(1.0)
        if self._other_holds(truth) and truth[TRUTH + 9] < 0.4:
            return Goal(self._hand.copy(), 1.0, self.skill.fine_speed)
        if truth[2] < self._rest + 0.10 and np.linalg.norm(truth[:2] - MEETING[:2]) > 0.05:
            up = np.array([*self._hand[:2], self._hand[2] + 0.05, self._hand[3]])
            return Goal(up, 0.0, 0.5 * self.skill.speed)
        return self._carry(state, truth, MEETING, self.skill.speed)


class _Right(_Hand):
    """Waits, takes the bar at the meeting place, lays it on the pad once the other has let go."""

    arm = 1

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where to, from what is seen."""
        pad = truth[9:11]
        low = truth[2] < self._rest + 0.003
        if low and (np.abs(truth[:2] - pad) < 0.02).all():
            return Goal(self._hand.copy(), 1.0, 0.0) if state[9] < 0.7 else self._away(-1.0)
        if self._holds(state, truth, 1):
            if self._other_holds(truth) or (truth[TRUTH + 9] < 0.6 and truth[TRUTH + 2] < state[2] + 0.03):
                return Goal(self._hand.copy(), 0.0, self.skill.fine_speed)  # wait until the other has let go
            return self._lay_down(state, truth, pad)
        ready = self._other_holds(truth) and np.linalg.norm(truth[:3] - MEETING) < 2 * REACHED
        stranded = low and not self._other_holds(truth) and truth[1] < -0.15
        return self._grasp(state, truth) if ready or stranded else self._wait(truth)

    def _wait(self, truth: np.ndarray) -> Goal:
        place = np.array([MEETING[0], -APART - GRASP_OFF_CENTRE, SAFE_HEIGHT, self._turned(truth)])
        return Goal(place, 1.0, self.skill.speed)

    def _lay_down(self, state: np.ndarray, truth: np.ndarray, pad: np.ndarray) -> Goal:
        beside = np.linalg.norm(truth[:2] - pad)
        if beside > 0.012 and not (truth[2] < 0.05 and beside < 0.02):
            height = max(truth[2], 0.12) if beside < 0.05 else MEETING[2]
            return self._carry(state, truth, np.array([*pad, height]), self.skill.speed)
        return self._carry(state, truth, np.array([*pad, self._rest - 0.004]), self.skill.fine_speed * 1.5)
