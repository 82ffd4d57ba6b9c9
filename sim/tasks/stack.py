"""Stack: a tower of three flat bricks, the large one at the bottom, the small one on top, standing without the hand."""

from collections.abc import Sequence
from itertools import permutations

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.blocks import (
    POSE,
    above,
    add_block,
    holds,
    let_go,
    nearness,
    out_of_reach,
    pose_names,
    pose_of,
    upright,
)
from steadyhand.sim.tasks.grasping import GraspingHand
from steadyhand.sim.tasks.operator import Goal, quarter
from steadyhand.sim.tasks.palette import BLUE, GREEN, ORANGE
from steadyhand.sim.tasks.task import Choice, Conditions, Range, Ranges, Scene, Start, Task, free_pose

NAMES = ("large", "medium", "small")
HALF = np.array([(0.028, 0.028, 0.020), (0.018, 0.018, 0.015), (0.014, 0.014, 0.012)])  # m
BESIDE = 0.010  # m that a brick may lie beside the middle of the one below
PLACES = ((0.42, -0.14), (0.42, 0.12), (0.55, 0.0))  # m, where the bricks start, which one where is drawn
ORDERS = tuple(" ".join(order) for order in permutations(NAMES))
SPOTS = np.array([(0.38, -0.24), (0.38, 0.24), (0.60, -0.16), (0.60, 0.16), (0.40, 0.0)])  # m, to put things aside
CLEARANCE = 0.025  # m between a brick on its way and the tower
RANGES: Ranges = {
    "order": Choice(ORDERS),
    **{f"{name}.{axis}": Range(-0.03, 0.03) for name in NAMES for axis in "xy"},  # m, beside its place
    **{f"{name}.yaw": Range(-0.7, 0.7) for name in NAMES},  # rad
}


class Stack(Task):
    """See the module's docstring. Truth (27,): poses (9,) of the large, the medium and the small brick."""

    name = "stack"
    wordings = (
        "build a tower: the green brick on the blue one and the orange one on top",
        "stack the green brick on the blue one, then the orange brick on the green one",
        "pile the bricks up by size and let go",
    )
    time_limit = 25.0
    environment_names = tuple(key for name in NAMES for key in pose_names(name))
    subtasks = ("grasp_medium", "stack_medium", "grasp_small", "stack_small", "release")
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the bricks, free bodies called "large", "medium" and "small"."""
        for name, half, rgba, place in zip(NAMES, HALF, (BLUE, GREEN, ORANGE), PLACES, strict=True):
            add_block(spec, name, half, rgba, place)

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """The bricks beside each other on the table, in the order drawn."""
        qpos = home.copy()
        for place, name in zip(PLACES, str(conditions["order"]).split(), strict=True):
            x, y, yaw = (float(conditions[f"{name}.{key}"]) for key in ("x", "y", "yaw"))
            free_pose(model, qpos, name, [place[0] + x, place[1] + y, HALF[NAMES.index(name)][2]], yaw)
        return Start(qpos)

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(27,) as named in environment_names."""
        return np.concatenate([pose_of(scene, name) for name in NAMES])

    def operator(self, rng: np.random.Generator) -> "StackHand":
        """A scripted human."""
        return StackHand(rng)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Of the medium and the small brick: grasped, brought onto the one below; then let go of a whole tower."""
        bricks = truth.reshape(3, POSE)
        first, second = rests_on(bricks, 1), rests_on(bricks, 1) and rests_on(bricks, 2)
        return np.array(
            [
                first or holds(observations[0], bricks[1]),
                1.0 if first else nearness(_way(bricks, 1)),
                second or (first and holds(observations[0], bricks[2])),
                1.0 if second else first * nearness(_way(bricks, 2)),
                second and let_go(observations[0]),
            ],
            dtype=np.float64,
        )

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """The tower stands and the hand has let go."""
        bricks = truth.reshape(3, POSE)
        return rests_on(bricks, 1) and rests_on(bricks, 2) and let_go(observations[0])

    def failure(self, truth: np.ndarray) -> str | None:
        """A brick on its side cannot be turned by a hand from above; one off the table cannot be reached."""
        bricks = truth.reshape(3, POSE)
        if any(out_of_reach(brick) for brick in bricks):
            return "brick_out_of_reach"
        return "toppled" if any(upright(brick) < 0.5 for brick in bricks) else None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """Where it got stuck."""
        bricks = truth.reshape(3, POSE)
        if not rests_on(bricks, 1):
            return "medium_never_stacked"
        return "not_released" if rests_on(bricks, 2) else "small_never_stacked"


class StackHand(GraspingHand):
    """Builds the tower from whatever stands where. Truth: Stack's (27,)."""

    travel = 0.19

    def things(self, truth: np.ndarray) -> np.ndarray:
        """All bricks."""
        return truth.reshape(3, POSE)[:, :3].ravel()

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where to, from what is seen."""
        bricks = truth.reshape(3, POSE)
        held = self._held(state, bricks)
        if held is not None:
            return self._bring(state, bricks, held)
        for i in (1, 2):
            if not rests_on(bricks, i):
                return self.fetch(state, np.append(bricks[i][:3], quarter(yaw_of(bricks[i][3:]))))
        return self.let_go(state)

    def _held(self, state: np.ndarray, bricks: np.ndarray) -> int | None:
        nearest = min((2, 1), key=lambda i: abs(state[2] - bricks[i][2]) + np.linalg.norm(state[:2] - bricks[i][:2]))
        return nearest if self.has(state, bricks[nearest]) else None

    def _bring(self, state: np.ndarray, bricks: np.ndarray, held: int) -> Goal:
        """Onto the brick below; aside, if that one is not where it belongs yet."""
        here = np.append(bricks[held][:3], yaw_of(bricks[held][3:]))
        if rests_on(bricks, held):
            return self.let_go(state)
        if held == 2 and not rests_on(bricks, 1):
            if bricks[2][2] < HALF[2, 2] + 0.003:
                return self.let_go(state)
            spot = self.free_spot(SPOTS, bricks[:2, :2])
            return self.put_aside(state, here, np.append(spot, HALF[2, 2]), 0.07)
        below = bricks[held - 1]
        goal = np.append(above(below, HALF[held - 1, 2] + HALF[held, 2]), yaw_of(below[3:]))
        return self.carry(state, here, goal, goal[2] + CLEARANCE, room=(0.003, 0.08))


def rests_on(bricks: np.ndarray, upper: int) -> bool:
    """Whether a brick lies flat on the next larger one; bricks (3, 9)."""
    above, below = bricks[upper], bricks[upper - 1]
    gap = above[2] - below[2] - HALF[upper, 2] - HALF[upper - 1, 2]
    beside = np.linalg.norm(above[:2] - below[:2])
    return bool(beside < BESIDE and abs(gap) < 0.002 and min(upright(above), upright(below)) > 0.99)


def _way(bricks: np.ndarray, upper: int) -> float:
    """How far a brick is from its place on the next larger one, m."""
    goal = above(bricks[upper - 1], HALF[upper, 2] + HALF[upper - 1, 2])
    return float(np.linalg.norm(bricks[upper][:3] - goal))
