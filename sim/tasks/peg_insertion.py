"""Peg insertion: pick a square peg up, put it into a square hole and let go.

The peg (30 x 30 x 80 mm) has 1.5 mm of room on each side of a 33 mm hole, 30 mm deep, whose walls are rough: a peg set
down on the rim stays there. Eyes see the hole with an error that is redrawn while the peg is above the rim and frozen
once the peg hides it, so that a wrong guess cannot be seen away, only lifted away and tried again.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.tasks.blocks import (
    POSE,
    FrozenError,
    let_go,
    out_of_reach,
    pose_names,
    pose_of,
    spot_mocap,
    spot_names,
    spot_of,
    upright,
)
from steadyhand.sim.tasks.palette import BLUE, ORANGE
from steadyhand.sim.tasks.peg_operator import PegOperator
from steadyhand.sim.tasks.task import Conditions, Range, Ranges, Scene, Start, Task, free_pose

PEG_HALF = np.array([0.015, 0.015, 0.040])  # m
HOLE_WIDTH = 0.033  # m
HOLE_DEPTH = 0.030  # m; the rim's height, as the table is the bottom
FIXTURE_HALF = 0.060  # m
PEG_MASS = 0.12  # kg
WALL_FRICTION = 1.0  # sliding; 2.5 times that of printed plastic, so that nothing slides in by luck
OCCLUSION_HEIGHT = 0.005  # m above the rim below which the peg hides the hole
HOLE_SIGMA = 0.0015  # m, per axis
RANGES: Ranges = {
    "peg.x": Range(0.37, 0.53),  # m
    "peg.y": Range(-0.23, -0.07),
    "hole.x": Range(0.42, 0.58),
    "hole.y": Range(0.07, 0.23),
    "peg.yaw": Range(-0.4, 0.4),  # rad
    "hole.yaw": Range(-0.4, 0.4),
}


class HoleInView:
    """Sees the peg exactly, and the hole with an error that freezes while the peg hides it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._error = FrozenError(rng, [HOLE_SIGMA, HOLE_SIGMA])

    def see(self, truth: np.ndarray) -> np.ndarray:
        """Truth (14,) with the error (2,) added to the hole's x and y."""
        seen = truth.copy()
        seen[9:11] += self._error.look(over_fixture(truth) and peg_height(truth) <= HOLE_DEPTH + OCCLUSION_HEIGHT)
        return seen


class PegInsertion(Task):
    """See the module's docstring.

    Truth (14,): peg x y z, peg rot6d, hole x y z (centre of the rim), cos and sin of its yaw.
    """

    name = "peg_insertion"
    wordings = (
        "put the peg into the hole and let go",
        "insert the orange peg into the square hole",
        "pick up the peg and place it in the blue block",
    )
    time_limit = 20.0
    environment_names = (*pose_names("peg"), *spot_names("hole"))
    subtasks = ("grasp", "align", "insert", "release")
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the peg (free body "peg") and the fixture (mocap body "hole", origin at the centre of the rim)."""
        peg = spec.worldbody.add_body(name="peg", pos=[0.45, -0.15, PEG_HALF[2]])
        peg.add_freejoint(name="peg")
        peg.add_geom(
            name="peg", type=mujoco.mjtGeom.mjGEOM_BOX, size=PEG_HALF, mass=PEG_MASS, group=2,
            rgba=ORANGE, friction=[WALL_FRICTION, 0.005, 0.0001],
        )  # fmt: skip
        hole = spec.worldbody.add_body(name="hole", mocap=True, pos=[0.50, 0.15, HOLE_DEPTH])
        inner, outer = HOLE_WIDTH / 2, FIXTURE_HALF
        wall = (outer - inner) / 2
        for i, (x, y, sx, sy) in enumerate(
            [
                (inner + wall, 0, wall, outer),
                (-inner - wall, 0, wall, outer),
                (0, inner + wall, inner, wall),
                (0, -inner - wall, inner, wall),
            ]
        ):
            hole.add_geom(
                name=f"hole_wall{i}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=[x, y, -HOLE_DEPTH / 2],
                size=[sx, sy, HOLE_DEPTH / 2], group=2, rgba=BLUE,
                friction=[WALL_FRICTION, 0.005, 0.0001],
            )  # fmt: skip

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """Peg upright on the table, hole beside it."""
        c = {name: float(value) for name, value in conditions.items()}
        qpos = home.copy()
        free_pose(model, qpos, "peg", [c["peg.x"], c["peg.y"], PEG_HALF[2]], c["peg.yaw"])
        return Start(qpos, spot_mocap(c["hole.x"], c["hole.y"], HOLE_DEPTH, c["hole.yaw"]))

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(14,) as named in environment_names."""
        return np.concatenate([pose_of(scene, "peg"), spot_of(scene, "hole")])

    def perception(self, rng: np.random.Generator) -> HoleInView:
        """The policy's eyes."""
        return HoleInView(rng)

    def operator(self, rng: np.random.Generator) -> PegOperator:
        """A scripted human who sees the truth."""
        return PegOperator(rng, rim=HOLE_DEPTH, peg_half_height=float(PEG_HALF[2]))

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Grasped (or beyond needing it), above the hole, how deep, let go."""
        inside = over_fixture(truth) and peg_height(truth) < HOLE_DEPTH - 0.003
        offset = float(np.linalg.norm(truth[:2] - truth[9:11]))
        depth = np.clip(1.0 - peg_height(truth) / HOLE_DEPTH, 0.0, 1.0) if inside else 0.0
        return np.array(
            [
                _held(observations[0], truth) or inside,
                1.0 if inside or offset < 0.003 else np.clip(1.0 - offset / 0.3, 0.0, 1.0),
                1.0 if seated(truth) else depth,
                seated(truth) and let_go(observations[0]),
            ],
            dtype=np.float64,
        )

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """Seated to within 3 mm of the bottom, upright, and let go."""
        return seated(truth) and let_go(observations[0])

    def failure(self, truth: np.ndarray) -> str | None:
        """A peg that lies on its side cannot be grasped from above; one off the table cannot be reached."""
        if out_of_reach(truth[:POSE]):
            return "peg_out_of_reach"
        if upright(truth) < 0.5 and peg_height(truth) < HOLE_DEPTH:
            return "peg_tipped"
        return None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """Where it got stuck."""
        if seated(truth):
            return "not_released"
        if over_fixture(truth) and peg_height(truth) < HOLE_DEPTH + OCCLUSION_HEIGHT:
            return "jammed_on_rim" if peg_height(truth) > HOLE_DEPTH - 0.004 else "jammed_in_hole"
        return "never_inserted" if _held(observations[0], truth) else "not_grasped"


def peg_height(truth: np.ndarray) -> float:
    """Height of the centre of the peg's lower end above the table, m."""
    return float(truth[2] - PEG_HALF[2] * abs(upright(truth)))


def over_fixture(truth: np.ndarray) -> bool:
    """Whether the peg is above the fixture's block."""
    return bool(np.linalg.norm(truth[:2] - truth[9:11]) < FIXTURE_HALF)


def seated(truth: np.ndarray) -> bool:
    """Whether the peg stands in the hole."""
    return over_fixture(truth) and peg_height(truth) < 0.003 and upright(truth) > 0.99


def _held(observation: Observation, truth: np.ndarray) -> bool:
    return bool(np.linalg.norm(observation.position - truth[:3]) < 0.06 and observation.gripper < 0.5)
