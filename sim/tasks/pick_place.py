"""Pick and place: three cubes, alike but for their colour, and a tray; the instruction says which one goes in."""

from collections.abc import Sequence
from itertools import permutations

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.tasks.blocks import (
    POSE,
    add_block,
    add_box,
    holds,
    let_go,
    level_yaw,
    nearness,
    out_of_reach,
    pose_names,
    pose_of,
    seen_from,
    spot_mocap,
    spot_names,
    spot_of,
)
from steadyhand.sim.tasks.grasping import GraspingHand, gripped
from steadyhand.sim.tasks.operator import Goal, quarter
from steadyhand.sim.tasks.palette import COLOURS, PALE, SLATE
from steadyhand.sim.tasks.task import Choice, Conditions, Range, Ranges, Scene, Start, Task, free_pose

CUBES = {name: COLOURS[name] for name in ("orange", "blue", "green")}
HALF = 0.018  # m, of a cube
TRAY_HALF = 0.065  # m, inside
TRAY_WALL = 0.016  # m high
FLOOR = 0.003  # m, the tray's thickness
PLACES = ((0.36, -0.20), (0.45, -0.07), (0.49, -0.20))  # m, where the cubes start, which one where is drawn
ORDERS = tuple(" ".join(order) for order in permutations(CUBES))
SPOTS = np.array([(0.36, -0.30), (0.58, -0.30), (0.60, -0.06), (0.46, -0.28), (0.36, -0.14)])  # m, to put things aside
TRAVEL = 0.075  # m of a cube's centre on its way
RANGES: Ranges = {
    "colour": Choice(tuple(CUBES)),
    "order": Choice(ORDERS),
    **{f"cube{i}.{axis}": Range(-0.02, 0.02) for i in range(3) for axis in "xy"},  # m, beside its place
    **{f"cube{i}.yaw": Range(-0.7, 0.7) for i in range(3)},  # rad
    "tray.x": Range(0.42, 0.54),
    "tray.y": Range(0.13, 0.21),
    "tray.yaw": Range(-0.4, 0.4),
}


class PickPlace(Task):
    """See the module's docstring.

    Truth (35,): poses (9,) of the orange, blue and green cube, the tray (5,), and 1 for the colour asked for, else 0.
    """

    name = "pick_place"
    wordings = (
        "put the {colour} block into the tray",
        "place the {colour} cube in the tray",
        "pick up the {colour} block and drop it into the box, leave the others alone",
    )
    time_limit = 15.0
    environment_names = (
        *(key for colour in CUBES for key in pose_names(colour)),
        *spot_names("tray"),
        *(f"wanted.{colour}" for colour in CUBES),
    )
    subtasks = ("grasp", "carry", "place", "release")
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the cubes (free bodies called like their colours) and the tray (mocap body "tray")."""
        for (colour, rgba), place in zip(CUBES.items(), PLACES, strict=True):
            add_block(spec, colour, [HALF] * 3, rgba, place)
        tray = spec.worldbody.add_body(name="tray", mocap=True, pos=[0.48, 0.17, 0.0])
        add_box(tray, (0, 0, FLOOR / 2), (TRAY_HALF, TRAY_HALF, FLOOR / 2), PALE)
        wall, outer = 0.003, TRAY_HALF + 0.006
        for sign in (-1, 1):
            at = sign * (TRAY_HALF + wall)
            add_box(tray, (at, 0, TRAY_WALL / 2), (wall, outer, TRAY_WALL / 2), SLATE)
            add_box(tray, (0, at, TRAY_WALL / 2), (TRAY_HALF, wall, TRAY_WALL / 2), SLATE)

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """The cubes beside each other in the order drawn; the memory (3,) says which one is asked for."""
        c, qpos = conditions, home.copy()
        for i, colour in enumerate(str(c["order"]).split()):
            at = [PLACES[i][0] + float(c[f"cube{i}.x"]), PLACES[i][1] + float(c[f"cube{i}.y"]), HALF]
            free_pose(model, qpos, colour, at, float(c[f"cube{i}.yaw"]))
        tray = spot_mocap(float(c["tray.x"]), float(c["tray.y"]), 0.0, float(c["tray.yaw"]))
        return Start(qpos, tray, np.array([float(colour == c["colour"]) for colour in CUBES]))

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(35,) as named in environment_names."""
        return np.concatenate([*(pose_of(scene, colour) for colour in CUBES), spot_of(scene, "tray"), memory])

    def operator(self, rng: np.random.Generator) -> "PickPlaceHand":
        """A scripted human who knows which cube is meant."""
        return PickPlaceHand(rng)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Grasped, above the tray, in it, let go."""
        cube, tray = wanted(truth), truth[27:32]
        inside = in_tray(tray, cube)
        local = seen_from(tray, cube)
        beside = max(0.0, float(np.linalg.norm(local[:2])) - 0.6 * TRAY_HALF)
        return np.array(
            [
                inside or holds(observations[0], cube),
                1.0 if inside else nearness(beside),
                1.0 if inside else nearness(cube[2] - HALF, 0.1) * (beside == 0.0),
                inside and let_go(observations[0]),
            ],
            dtype=np.float64,
        )

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """The cube asked for lies in the tray, and the hand has let go."""
        return in_tray(truth[27:32], wanted(truth)) and let_go(observations[0])

    def failure(self, truth: np.ndarray) -> str | None:
        """The wrong cube in the tray is what the instruction forbids; one off the table cannot be reached."""
        if any(in_tray(truth[27:32], cube) for cube in others(truth)):
            return "wrong_object"
        return "block_out_of_reach" if out_of_reach(wanted(truth)) else None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """Where it got stuck."""
        if in_tray(truth[27:32], wanted(truth)):
            return "not_released"
        if any(holds(observations[0], cube) for cube in others(truth)):
            return "wrong_object_in_hand"
        return "never_in_tray" if holds(observations[0], wanted(truth)) else "not_grasped"


class PickPlaceHand(GraspingHand):
    """Fetches the cube that is asked for; a wrong one in the hand is put aside. Truth: PickPlace's (35,)."""

    def things(self, truth: np.ndarray) -> np.ndarray:
        """The cube that is asked for."""
        return wanted(truth)[:3]

    def wrong(self, state: np.ndarray, truth: np.ndarray) -> str | None:
        """A wrong cube is in the hand."""
        held = state[9] < 0.5 and any(gripped(state, cube) for cube in others(truth))
        return "wrong_object_in_hand" if held else None

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where to, from what is seen."""
        cube, tray = wanted(truth), truth[27:32]
        if in_tray(tray, cube):
            return self.let_go(state)
        here = np.append(cube[:3], level_yaw(cube))
        if self.has(state, cube):
            tray_yaw = float(np.arctan2(tray[4], tray[3]))
            return self.carry(state, here, np.array([*tray[:2], FLOOR + HALF, tray_yaw]), TRAVEL, room=(0.01, 0.15))
        for wrong in others(truth):
            if self.has(state, wrong):
                return self._put_aside(state, truth, wrong)
        return self.fetch(state, np.append(cube[:3], quarter(here[3])))

    def _put_aside(self, state: np.ndarray, truth: np.ndarray, cube: np.ndarray) -> Goal:
        """On the table, where the fingers have room and no tray is."""
        rest = [pose[:2] for pose in (wanted(truth), *others(truth)) if pose[0] != cube[0]]
        spot = self.free_spot(SPOTS, np.array([*rest, truth[27:29]]))
        here = np.append(cube[:3], level_yaw(cube))
        if cube[2] < HALF + 0.003 and np.linalg.norm(cube[:2] - truth[27:29]) > 0.12:
            return self.let_go(state)
        return self.put_aside(state, here, np.append(spot, HALF), TRAVEL)


def wanted(truth: np.ndarray) -> np.ndarray:
    """Pose (9,) of the cube that is asked for."""
    return truth[: 3 * POSE].reshape(3, POSE)[int(np.argmax(truth[32:35]))]


def others(truth: np.ndarray) -> list[np.ndarray]:
    """Poses (9,) of the cubes that are not asked for."""
    return [pose for pose, asked in zip(truth[: 3 * POSE].reshape(3, POSE), truth[32:35], strict=True) if not asked]


def in_tray(tray: np.ndarray, cube: np.ndarray) -> bool:
    """Whether a cube (9,) lies on the floor of the tray (5,)."""
    local = seen_from(tray, cube)
    return bool(np.abs(local[:2]).max() < TRAY_HALF and local[2] < FLOOR + HALF + 0.004)
