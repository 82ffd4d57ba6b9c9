"""Wipe: rub four spots off the table with a sponge, pressing neither too lightly nor too hard.

The force is physics: the sponge sits on a spring along the tool, whose compression tells the force, and a ring above it
is dragged along and stays where the force was largest. A spot is a thin disc that gives way when it is pressed with
LEAST newtons or more, sinks below the table's surface and stays there: gone for eyes and cameras alike. So it makes no
difference how often anybody looks, and nothing has to be remembered.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.scene import COLLISION_GROUP, VISUAL_GROUP
from steadyhand.sim.tasks.operator import PERIOD, Goal
from steadyhand.sim.tasks.palette import BLUE, DARK, LIGHT, ORANGE, YELLOW
from steadyhand.sim.tasks.task import Conditions, Range, Ranges, Scene, Start, Task
from steadyhand.sim.tasks.tip import NEAR, NUDGE, TipHand

SPOTS = 4
LEAST, MOST = 3.0, 25.0  # N that wipe, and that are too many
STIFFNESS, DAMPING = 800.0, 8.0  # of the sponge, N/m and N s/m
REACH = 0.080  # m from the tool frame to the sponge's lower face, at rest
SPONGE_MASS, SPONGE_RADIUS, SPONGE_HALF = 0.03, 0.030, 0.012  # kg, m
CROWN = 0.08  # m, radius of what touches: one contact, in the middle
FRICTION = 0.4
RING_FRICTION, RING_BALL = 0.4, 0.004  # N that move the ring; m, of the balls that push it
SPOT_RADIUS, SPOT_HEIGHT = 0.015, 0.0012  # m
PAINT = 0.0005  # m above the table that a spot is seen
SUNK = 0.0008  # m that a wiped spot has given way
RANGES: Ranges = {
    f"spot{i}.{axis}": entry
    for i, (x, y) in enumerate(((0.47, -0.13), (0.55, -0.06), (0.47, 0.06), (0.55, 0.13)))
    for axis, entry in (("x", Range(x - 0.03, x + 0.03)), ("y", Range(y - 0.05, y + 0.05)))
}


class Wipe(Task):
    """See the module's docstring.

    Truth (17,): x y z of the middle of the sponge's lower face; force now and largest so far, N; for every spot x, y
    and how far it is wiped, 0 to 1.
    """

    name = "wipe"
    wordings = (
        "wipe the spots off the table",
        "rub all four spots away with the sponge, gently",
        "clean the table",
    )
    time_limit = 30.0
    environment_names = (
        "sponge.x", "sponge.y", "sponge.z", "force", "largest_force",
        *(f"spot{i}.{entry}" for i in range(SPOTS) for entry in ("x", "y", "wiped")),
    )  # fmt: skip
    subtasks = ("press", "wipe")
    needs_gripper = False
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the sponge (body "sponge" on a slide of the tool) and the spots (mocap bodies with a body "paint")."""
        _add_sponge(spec.body(robot.tool_frame))
        touching = ["table"]
        for i in range(SPOTS):
            _add_spot(spec.worldbody.add_body(name=f"spot{i}", mocap=True, pos=[0.5, 0.1 * (i - 1.5), 0.0]), i)
            touching.append(f"paint{i}")
        # Named pairs only: the sponge passes through the fingers that it is held with.
        for name in touching:
            spec.add_pair(
                geomname1="sponge", geomname2=name, condim=3, friction=[FRICTION, FRICTION, 0.005, 1e-4, 1e-4]
            )
        spec.add_pair(geomname1="sponge_ball", geomname2="ring_ball", condim=1)

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """Spots where they were drawn."""
        places = [(conditions[f"spot{i}.x"], conditions[f"spot{i}.y"]) for i in range(SPOTS)]
        return Start(home, np.array([[x, y, 0.0, 1.0, 0.0, 0.0, 0.0] for x, y in places], dtype=np.float64).ravel())

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(17,) as named in environment_names."""
        holder, sponge, ring = (scene.body_pose(name)[0] for name in ("holder", "sponge", "ring"))
        forces = STIFFNESS * np.array([np.linalg.norm(holder - sponge), np.linalg.norm(holder - ring)])
        spots = np.array([scene.body_pose(f"paint{i}")[0] for i in range(SPOTS)])
        spots[:, 2] = np.clip(-spots[:, 2] / SUNK, 0.0, 1.0)
        return np.concatenate([sponge, forces, spots.ravel()])

    def operator(self, rng: np.random.Generator) -> "WipeOperator":
        """A scripted human who feels the force."""
        return WipeOperator(rng)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Largest force, as far as it is needed; spots wiped."""
        return np.array([min(1.0, truth[4] / LEAST), _spots(truth)[:, 2].mean()])

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """All spots gone, never pressed too hard."""
        return bool((_spots(truth)[:, 2] >= 1.0).all() and truth[4] <= MOST)

    def failure(self, truth: np.ndarray) -> str | None:
        """What was pressed too hard is scratched."""
        return "pressed_too_hard" if truth[4] > MOST else None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """Pressed at all, and enough."""
        if truth[4] < 0.5:
            return "never_touched"
        return "pressed_too_lightly" if truth[4] < LEAST else "spots_left"


def _add_sponge(tool: mujoco.MjsBody) -> None:
    """The frames of holder, sponge and ring lie together in the middle of the sponge's lower face, at rest."""
    drawn = {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "group": VISUAL_GROUP, "contype": 0, "conaffinity": 0}
    touch = {"type": mujoco.mjtGeom.mjGEOM_SPHERE, "group": COLLISION_GROUP, "contype": 0, "conaffinity": 0}
    slide = {"type": mujoco.mjtJoint.mjJNT_SLIDE, "axis": [0, 0, -1]}
    top = -2 * SPONGE_HALF
    holder = tool.add_body(name="holder", pos=[0, 0, REACH])
    holder.add_geom(fromto=[0, 0, -REACH, 0, 0, top], size=[0.006, 0, 0], mass=0.01, rgba=DARK, **drawn)
    sponge = tool.add_body(name="sponge", pos=[0, 0, REACH], gravcomp=1.0)
    sponge.add_joint(name="sponge", stiffness=STIFFNESS, damping=DAMPING, **slide)
    half = SPONGE_HALF / 2
    for z, colour in ((-half, YELLOW), (-3 * half, BLUE)):
        size = [SPONGE_RADIUS, half, 0]
        sponge.add_geom(pos=[0, 0, z], size=size, mass=SPONGE_MASS / 2, rgba=colour, **drawn)
    sponge.add_geom(name="sponge", pos=[0, 0, -CROWN], size=[CROWN, 0, 0], mass=0.0, **touch)
    sponge.add_geom(name="sponge_ball", pos=[0, 0, top], size=[RING_BALL, 0, 0], mass=0.0, **touch)
    ring = tool.add_body(name="ring", pos=[0, 0, REACH], gravcomp=1.0)
    # The heavy "rotor" keeps what only friction holds from creeping.
    ring.add_joint(
        name="ring", frictionloss=RING_FRICTION, armature=0.5, solimp_friction=[0.999, 0.9999, 0.001, 0.5, 2], **slide
    )
    above = top - 2 * RING_BALL
    ring.add_geom(name="ring_ball", pos=[0, 0, above], size=[RING_BALL, 0, 0], mass=0.0, **touch)
    ring.add_geom(pos=[0, 0, above], size=[0.012, 0.002, 0], mass=0.005, rgba=LIGHT, **drawn)


def _add_spot(spot: mujoco.MjsBody, i: int) -> None:
    paint = spot.add_body(name=f"paint{i}", gravcomp=1.0)
    paint.add_joint(
        name=f"paint{i}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, -1], frictionloss=LEAST, armature=1.0,
        solimp_friction=[0.999, 0.9999, 0.001, 0.5, 2],
    )  # fmt: skip
    cylinder = {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "contype": 0, "conaffinity": 0}
    half = 0.002
    paint.add_geom(
        name=f"paint{i}", pos=[0, 0, SPOT_HEIGHT - half], size=[SPOT_RADIUS, half, 0], mass=0.01,
        group=COLLISION_GROUP, **cylinder,
    )  # fmt: skip
    size = [SPOT_RADIUS, half, 0]
    paint.add_geom(pos=[0, 0, PAINT - half], size=size, mass=0.0, rgba=ORANGE, group=VISUAL_GROUP, **cylinder)


def _spots(truth: np.ndarray) -> np.ndarray:
    """x, y and how far wiped (SPOTS, 3)."""
    return truth[5:].reshape(SPOTS, 3)


class WipeOperator(TipHand):
    """Comes down on the nearest spot and goes on to the next without lifting, at an even force."""

    force = 9.0  # N
    careful = 17.0  # N at which a supervisor steps in
    give = 0.3 / 520.0  # m per N and decision: a part of what sponge and arm give
    safe_height = 0.08

    def remaining(self, state: np.ndarray, truth: np.ndarray) -> float:
        """Spots that are left, and the way to the nearest, in parts of a metre."""
        left = SPOTS - _spots(truth)[:, 2].sum()
        return float(left + (np.linalg.norm(self._nearest(truth) - truth[:3]) if left > 0.0 else 0.0))

    def trouble(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """It presses hard, or comes no further."""
        return "pressing_hard" if truth[3] > self.careful else super().trouble(state, truth, time)

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Travel to a spot, or rub on."""
        if (_spots(truth)[:, 2] >= 1.0).all():
            return self.up(state, truth)
        spot = self._nearest(truth)
        across = float(np.linalg.norm(spot[:2] - truth[:2]))
        if truth[3] < 1.0 and not (across < NEAR and truth[2] < 0.03):
            return self.travel(state, truth, [*spot[:2], 0.01])
        return self._rub(state, truth, spot[:2] - truth[:2])

    def _rub(self, state: np.ndarray, truth: np.ndarray, way: np.ndarray) -> Goal:
        """Along the table by the way (2,), the hand higher or lower by the force."""
        step = NUDGE * way if np.linalg.norm(way) < NEAR else state[:2] + way - self._hand[:2]
        step *= min(1.0, 1.5 * self.skill.fine_speed * PERIOD / max(float(np.linalg.norm(step)), 1e-9))
        down = np.clip(self.give * (self.force - truth[3]), -0.006, 0.004)
        hand = self._hand + np.array([*step, -down, 0.0])
        return Goal(hand, 0.0, self.skill.speed)

    def _nearest(self, truth: np.ndarray) -> np.ndarray:
        """Place (3,) of the nearest spot that is left."""
        spots = _spots(truth)
        left = spots[spots[:, 2] < 1.0]
        place = left[int(np.linalg.norm(left[:, :2] - truth[:2], axis=1).argmin())]
        return np.array([place[0], place[1], 0.0])
