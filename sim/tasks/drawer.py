"""Drawer: pull a drawer open by its handle, put a cube inside, push it shut.

The drawer slides with friction and damping, so it stays where it is left. Its handle is an upright plate that a hand
from above can grasp.
"""

from collections.abc import Sequence

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
    placed_at,
    pose_names,
    pose_of,
    seen_from,
    spot_mocap,
    spot_names,
    spot_of,
)
from steadyhand.sim.tasks.grasping import GraspingHand
from steadyhand.sim.tasks.operator import Goal, smallest
from steadyhand.sim.tasks.palette import BLUE, ORANGE, PALE, SLATE
from steadyhand.sim.tasks.task import Conditions, Range, Ranges, Scene, Start, Task, free_pose

# Along x the cabinet's frame points out of its front, its origin is on the table below the middle of the front.
HALF = 0.018  # m, of the cube
DEPTH, WIDTH, FRONT_HEIGHT = 0.15, 0.17, 0.048  # m, of the drawer
PANEL = 0.004  # m, half the thickness of what the drawer is made of
FLOOR = 0.010  # m above the table, where a cube in the drawer lies
HANDLE = (0.020, 0.006, 0.020)  # m, half-lengths of the plate
HANDLE_AT = (0.028, 0.042)  # m from the front's middle and above the table
TRAVEL = 0.13  # m that the drawer can be pulled out
FRICTION, DAMPING = 3.0, 15.0  # N, N s/m, of the slide
OPEN_ENOUGH, SHUT = 0.10, 0.005  # m
INSIDE = -0.055  # m behind the front, the middle of what is free when the drawer is open
CABINET_HEIGHT = 0.066  # m
SPOTS = np.array([(0.40, -0.24), (0.56, -0.24), (0.36, -0.12), (0.60, -0.12)])  # m, to put the cube aside
CARRY = 0.105  # m of the cube's centre on its way
RANGES: Ranges = {
    "block.x": Range(0.37, 0.50),  # m
    "block.y": Range(-0.25, -0.13),
    "block.yaw": Range(-0.7, 0.7),  # rad
    "cabinet.x": Range(0.44, 0.52),
    "cabinet.y": Range(0.13, 0.17),
    "cabinet.yaw": Range(-1.72, -1.42),
}


class Drawer(Task):
    """See the module's docstring.

    Truth (15,): pose (9,) of the cube, the cabinet (5,), and how far the drawer is pulled out, m.
    """

    name = "drawer"
    wordings = (
        "open the drawer, put the cube inside and close it",
        "put the orange cube away into the drawer",
        "pull the drawer open by its handle, place the block in it, then push it shut",
    )
    time_limit = 40.0
    environment_names = (*pose_names("block"), *spot_names("cabinet"), "drawer.opening")
    subtasks = ("open", "grasp", "place", "close")
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the cube (free body "block") and the cabinet (mocap body), in it the drawer (body and joint "drawer")."""
        add_block(spec, "block", [HALF] * 3, ORANGE, (0.45, -0.18))
        cabinet = spec.worldbody.add_body(name="cabinet", mocap=True, pos=[0.48, 0.15, 0.0])
        side, top, back = WIDTH / 2 + 0.010, CABINET_HEIGHT, DEPTH + 0.014
        add_box(cabinet, (-back / 2, 0, top - 0.004), (back / 2, side, 0.004), BLUE)
        add_box(cabinet, (-back + 0.004, 0, (top - 0.008) / 2), (0.004, side, (top - 0.008) / 2), BLUE)
        for sign in (-1, 1):
            at = (-back / 2, sign * (side - 0.004), (top - 0.008) / 2)
            add_box(cabinet, at, (back / 2, 0.004, (top - 0.008) / 2), BLUE)
        drawer = cabinet.add_body(name="drawer")
        drawer.add_joint(
            name="drawer", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[1, 0, 0], range=[0.0, TRAVEL],
            limited=True, frictionloss=FRICTION, damping=[DAMPING, 0, 0],
        )  # fmt: skip
        _add_drawer(drawer)
        for other in ("cabinet", "world"):
            spec.add_exclude(bodyname1="drawer", bodyname2=other)

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """The drawer shut, the cube on the table."""
        c = {name: float(value) for name, value in conditions.items()}
        qpos = home.copy()
        qpos[model.joint("drawer").qposadr[0]] = 0.0
        free_pose(model, qpos, "block", [c["block.x"], c["block.y"], HALF], c["block.yaw"])
        return Start(qpos, spot_mocap(c["cabinet.x"], c["cabinet.y"], 0.0, c["cabinet.yaw"]))

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(15,) as named in environment_names."""
        cabinet = spot_of(scene, "cabinet")
        opening = seen_from(cabinet, scene.body_pose("drawer")[0])[0]
        return np.concatenate([pose_of(scene, "block"), cabinet, [opening]])

    def operator(self, rng: np.random.Generator) -> "DrawerHand":
        """A scripted human."""
        return DrawerHand(rng)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Pulled open (or beyond needing it), cube grasped, cube inside, shut again and let go."""
        stored, opening = inside(truth), truth[14]
        away = float(np.linalg.norm(truth[:3] - drawer_place(truth)))
        shut = 1.0 if opening < SHUT else nearness(opening, TRAVEL)
        return np.array(
            [
                1.0 if stored else np.clip(opening / OPEN_ENOUGH, 0.0, 1.0),
                stored or holds(observations[0], truth),
                1.0 if stored else nearness(away),
                stored * (0.9 * shut + 0.1 * (shut == 1.0 and let_go(observations[0]))),
            ],
            dtype=np.float64,
        )

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """The cube lies in the drawer, the drawer is shut, and the hand has let go."""
        return inside(truth) and truth[14] < SHUT and let_go(observations[0])

    def failure(self, truth: np.ndarray) -> str | None:
        """A cube off the table cannot be reached, nor one that fell behind the drawer, below the cabinet's top."""
        if out_of_reach(truth[:POSE]):
            return "block_out_of_reach"
        local = seen_from(truth[9:14], truth)
        behind = -DEPTH < local[0] < truth[14] - DEPTH  # the drawer's back
        under = abs(local[1]) < WIDTH / 2 and local[2] < CABINET_HEIGHT
        return "block_behind_drawer" if behind and under else None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """Where it got stuck."""
        if inside(truth):
            return "not_shut" if truth[14] >= SHUT else "not_released"
        if truth[14] < OPEN_ENOUGH:
            return "not_opened"
        return "never_inside" if holds(observations[0], truth) else "not_grasped"


class DrawerHand(GraspingHand):
    """Opens, stores and shuts, from whatever stands where. Truth: Drawer's (15,)."""

    travel = 0.15

    def things(self, truth: np.ndarray) -> np.ndarray:
        """The cube and the drawer."""
        return np.append(truth[:3], truth[14])

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Where to, from what is seen."""
        yaw = float(np.arctan2(-truth[13], -truth[12]))  # of the hand: the handle is alike from both sides
        if self.has(state, truth):
            return self._bring(state, truth, yaw)
        if inside(truth):
            return self.let_go(state) if truth[14] < SHUT else self._slide(state, truth, yaw, -0.012)
        handle = drawer_handle(truth)
        pulling = self.has(state, handle)
        if truth[14] < OPEN_ENOUGH or (pulling and truth[14] < TRAVEL - 0.012):
            return self._slide(state, truth, yaw, TRAVEL)
        return self.let_go(state) if pulling else self.fetch(state, self._grasp(truth, yaw))

    def _grasp(self, truth: np.ndarray, yaw: float) -> np.ndarray:
        """Of the cube, with the fingers apart across the drawer, where they will have room."""
        return np.append(truth[:3], yaw + smallest(level_yaw(truth) - yaw, np.pi / 2))

    def _bring(self, state: np.ndarray, truth: np.ndarray, yaw: float) -> Goal:
        """Into the drawer; aside, if that is not open yet."""
        if inside(truth):
            return self.let_go(state)
        here = np.append(truth[:3], level_yaw(truth))
        if truth[14] > OPEN_ENOUGH - 0.02:
            return self.carry(state, here, np.append(drawer_place(truth), yaw), CARRY, room=(0.006, 0.1))
        if truth[2] < HALF + 0.003 and seen_from(truth[9:14], truth)[0] > 0.2:
            return self.let_go(state)
        spot = self.free_spot(SPOTS, truth[None, 9:11])
        return self.put_aside(state, here, np.append(spot, HALF), CARRY)

    def _slide(self, state: np.ndarray, truth: np.ndarray, yaw: float, aim: float) -> Goal:
        """Take the handle and move it until the drawer is as far out as aimed at, m."""
        handle = drawer_handle(truth)
        if not self.has(state, handle):
            return self.fetch(state, np.append(handle, yaw))
        self._recovering = False
        if state[9] > 0.4:
            return Goal(self._hand.copy(), 0.0, self.skill.fine_speed)  # still closing
        way = placed_at(truth[9:14], (aim - truth[14], 0, 0)) - truth[9:12]
        hand = np.array([*(state[:3] + way)[:2], handle[2], yaw])
        return Goal(hand, 0.0, self.skill.speed * 0.6)


def _add_drawer(drawer: mujoco.MjsBody) -> None:
    low, high, p = 0.004, FRONT_HEIGHT, PANEL
    side, wall = WIDTH / 2, 0.040
    add_box(drawer, (-DEPTH / 2, 0, (low + FLOOR) / 2), (DEPTH / 2, side, (FLOOR - low) / 2), PALE)
    add_box(drawer, (-p, 0, (FLOOR + high) / 2), (p, side, (high - FLOOR) / 2), PALE)
    add_box(drawer, (-DEPTH + p, 0, (FLOOR + wall) / 2), (p, side, (wall - FLOOR) / 2), PALE)
    for sign in (-1, 1):
        at = (-DEPTH / 2, sign * (side - p), (FLOOR + wall) / 2)
        add_box(drawer, at, (DEPTH / 2 - 2 * p, p, (wall - FLOOR) / 2), PALE)
    add_box(drawer, (HANDLE_AT[0], 0, HANDLE_AT[1]), HANDLE, SLATE)
    add_box(drawer, (0.004, 0, HANDLE_AT[1] - 0.012), (0.004, HANDLE[1], 0.008), SLATE)


def drawer_handle(truth: np.ndarray) -> np.ndarray:
    """Where the handle is grasped (3,)."""
    return placed_at(truth[9:14], (truth[14] + HANDLE_AT[0], 0.0, HANDLE_AT[1]))


def drawer_place(truth: np.ndarray) -> np.ndarray:
    """Where the cube's centre belongs in the drawer (3,) as it is now."""
    return placed_at(truth[9:14], (truth[14] + INSIDE, 0.0, FLOOR + HALF))


def inside(truth: np.ndarray) -> bool:
    """Whether the cube lies on the drawer's floor."""
    x, y, z = seen_from(truth[9:14], truth)
    within = -DEPTH < x - truth[14] < 0.0 and abs(y) < WIDTH / 2
    return bool(within and z < FLOOR + HALF + 0.004)
