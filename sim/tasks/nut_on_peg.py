"""Nut on peg: a bayonet. Lower a nut over a peg with two lugs, turn it so that the lugs hold it down, and let go.

Below the nut there is a slot that the lugs fit through if the angle is right to 3 degrees, between two pairs of walls.
From 15 degrees on the lugs are caught outside the walls: the nut neither goes down nor turns towards the slot, so that
nothing can be mended in place; it must be lifted off and put on anew. Eyes see the peg with an error that is redrawn
while the nut is above the lugs and frozen once it hides them.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.scene import STIFF
from steadyhand.sim.tasks.blocks import (
    POSE,
    FrozenError,
    above,
    add_box,
    holds,
    let_go,
    nearness,
    out_of_reach,
    pose_names,
    pose_of,
    spot_mocap,
    spot_names,
    spot_of,
    upright,
)
from steadyhand.sim.tasks.nut_operator import NutHand
from steadyhand.sim.tasks.operator import smallest
from steadyhand.sim.tasks.palette import BLUE, ORANGE, PALE
from steadyhand.sim.tasks.task import Conditions, Range, Ranges, Scene, Start, Task, free_pose

BASE = 0.008  # m, height of the plate below the peg
POST, POST_TOP = 0.005, 0.027  # m, the post's radius, and its height above the plate
LUG, LUG_HEIGHT, LUG_REACH = 0.0015, 0.017, 0.027  # m, the lugs' radius, the height of their middle, how far they reach
LIP = (0.006, 0.012)  # m from the nut's lower end: what the lugs hold down when it is locked
CAUGHT = LUG_HEIGHT + LUG - LIP[0]  # m of the nut's lower end above the plate when the lugs are below the lip
ROOM = 0.0015  # m between the lugs and the walls of the slot
WALL = 0.001  # m, thickness of these walls
GRIP = 0.046  # m from the nut's lower end to the middle of its handle
SEATED = 0.003  # m above the plate
LOCKED = np.radians(45.0)
# Of aluminium, and hard: pressed by a hand, light things with MuJoCo's usual softness go right through thin lugs.
METAL = {"density": 2700.0, "friction": (0.3, 0.005, 0.0001), "solref": (0.003, 1.0), "solimp": STIFF[1]}
PEG_SIGMA = np.array([0.0008, 0.0008, 0.12])  # m, m, rad
RANGES: Ranges = {
    "nut.x": Range(0.38, 0.50),  # m
    "nut.y": Range(-0.22, -0.08),
    "peg.x": Range(0.42, 0.54),
    "peg.y": Range(0.08, 0.20),
    "nut.yaw": Range(-0.5, 0.5),  # rad
    "peg.yaw": Range(-0.5, 0.5),
}


class PegInView:
    """Sees the nut exactly, and the peg with an error (x, y, yaw) that freezes while the nut hides it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._error = FrozenError(rng, PEG_SIGMA)

    def see(self, truth: np.ndarray) -> np.ndarray:
        """Truth (14,) with the error (3,) added to the peg's x, y and yaw."""
        error = self._error.look(hidden=over_peg(truth) and height(truth) <= POST_TOP)
        seen = truth.copy()
        seen[9:11] += error[:2]
        yaw = np.arctan2(truth[13], truth[12]) + error[2]
        seen[12:14] = np.cos(yaw), np.sin(yaw)
        return seen


class NutOnPeg(Task):
    """See the module's docstring.

    Truth (14,): pose (9,) of the nut, at its lower end, its slot along x; the peg (5,), on its plate, its lugs along x.
    """

    name = "nut_on_peg"
    wordings = (
        "put the nut on the peg, turn it to lock it and let go",
        "lock the orange nut onto the blue peg",
        "fit the nut over the lugs, twist it a quarter turn and release it",
    )
    time_limit = 25.0
    environment_names = (*pose_names("nut"), *spot_names("peg"))
    subtasks = ("grasp", "align", "lower", "turn", "release")
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the nut (free body "nut") and the peg (mocap body "peg", origin on its plate)."""
        nut = spec.worldbody.add_body(name="nut", pos=[0.45, -0.15, 0.0])
        nut.add_freejoint(name="nut")
        _add_nut(nut)
        peg = spec.worldbody.add_body(name="peg", mocap=True, pos=[0.48, 0.14, BASE])
        add_box(peg, (0, 0, -BASE / 2), (0.045, 0.045, BASE / 2), PALE, **METAL)
        round_one = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "group": 2, "rgba": BLUE} | METAL
        peg.add_geom(fromto=[0, 0, 0, 0, 0, POST_TOP - POST], size=[POST, 0, 0], **round_one)
        end = LUG_REACH - LUG
        peg.add_geom(fromto=[-end, 0, LUG_HEIGHT, end, 0, LUG_HEIGHT], size=[LUG, 0, 0], **round_one)

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """The nut on the table, the peg beside it."""
        c = {name: float(value) for name, value in conditions.items()}
        qpos = home.copy()
        free_pose(model, qpos, "nut", [c["nut.x"], c["nut.y"], 0.0], c["nut.yaw"])
        return Start(qpos, spot_mocap(c["peg.x"], c["peg.y"], BASE, c["peg.yaw"]))

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(14,) as named in environment_names."""
        return np.concatenate([pose_of(scene, "nut"), spot_of(scene, "peg")])

    def perception(self, rng: np.random.Generator) -> PegInView:
        """The policy's eyes."""
        return PegInView(rng)

    def operator(self, rng: np.random.Generator) -> NutHand:
        """A scripted human who sees the truth."""
        return NutHand(rng, grip=GRIP, caught=CAUGHT, top=POST_TOP)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Grasped, above the peg at the right angle, how far down, how far turned, let go of a locked nut."""
        down = seated(truth)
        offset, off_turn = float(np.linalg.norm(truth[:2] - truth[9:11])), turned(truth)
        on_peg = over_peg(truth) and height(truth) < POST_TOP
        return np.array(
            [
                on_peg or holds(observations[0], above(truth, GRIP)),
                1.0 if down else min(nearness(max(0.0, offset - 0.003)), nearness(max(0.0, off_turn - 0.05), 2.0)),
                1.0 if down else on_peg * nearness(height(truth), POST_TOP),
                np.clip(off_turn / LOCKED, 0.0, 1.0) if down else 0.0,
                locked(truth) and let_go(observations[0]),
            ],
            dtype=np.float64,
        )

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """The nut lies on the plate below the lugs, turned by at least 45 degrees, and the hand has let go."""
        return locked(truth) and let_go(observations[0])

    def failure(self, truth: np.ndarray) -> str | None:
        """A nut on its side cannot be grasped from above; one off the table cannot be reached."""
        if out_of_reach(truth[:POSE]):
            return "nut_out_of_reach"
        return "nut_tipped" if upright(truth) < 0.5 else None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """Where it got stuck."""
        if locked(truth):
            return "not_released"
        if seated(truth):
            return "not_turned"
        if over_peg(truth) and height(truth) < POST_TOP:
            return "caught_on_lugs"
        return "never_on_peg" if holds(observations[0], above(truth, GRIP)) else "not_grasped"


def _add_nut(nut: mujoco.MjsBody) -> None:
    """Boxes about a slot along x; rails to stand on, walls below the lip with round lower edges, and a handle."""
    low, top = LIP
    slot, centre, inner, x, y = LUG + ROOM, POST + ROOM, LUG_REACH + 0.001, 0.036, 0.024
    handle, under = 0.008, 0.034

    def box(corner: tuple[float, float, float], other: tuple[float, float, float]) -> None:
        a, b = np.array(corner), np.array(other)
        add_box(nut, (a + b) / 2, np.abs(b - a) / 2, ORANGE, **METAL)

    for i in (-1, 1):
        box((i * inner, -y, 0), (i * x, y, top))
        box((-centre, i * centre, low), (centre, i * y, top))
        box((i * inner, -handle, top), (i * x, handle, under))
        for j in (-1, 1):
            box((i * centre, j * slot, low), (i * inner, j * y, top))
            box((i * 0.020, j * slot, 0.0015), (i * inner, j * (slot + WALL), low))
            middle = j * (slot + WALL / 2)
            nut.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[i * 0.021, middle, 0.0015, i * inner, middle, 0.0015],
                size=[WALL / 2, 0, 0], group=2, rgba=ORANGE, **METAL,
            )  # fmt: skip
    box((-x, -handle, under), (x, handle, 2 * GRIP - under))


def height(truth: np.ndarray) -> float:
    """Of the nut's lower end above the peg's plate, m."""
    return float(truth[2] - truth[11])


def turned(truth: np.ndarray) -> float:
    """Angle between the nut's slot and the peg's lugs, 0 to pi / 2."""
    return abs(smallest(yaw_of(truth[3:9]) - float(np.arctan2(truth[13], truth[12])), np.pi))


def over_peg(truth: np.ndarray) -> bool:
    """Whether the nut is above the peg."""
    return bool(np.linalg.norm(truth[:2] - truth[9:11]) < 0.02)


def seated(truth: np.ndarray) -> bool:
    """Whether the nut lies on the plate, the lugs above its lip."""
    return over_peg(truth) and height(truth) < SEATED and upright(truth) > 0.99


def locked(truth: np.ndarray) -> bool:
    """Whether the lugs hold the nut down."""
    return seated(truth) and turned(truth) > LOCKED
