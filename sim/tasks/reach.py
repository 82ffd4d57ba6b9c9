"""Reach: bring the tip of the tool to the ball that is asked for and stay there for a second.

Three balls hang in the air and stop nothing; every arm reaches them.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.scene import VISUAL_GROUP
from steadyhand.sim.tasks.operator import Goal
from steadyhand.sim.tasks.palette import COLOURS
from steadyhand.sim.tasks.task import Choice, Conditions, Range, Ranges, Scene, Start, Task
from steadyhand.sim.tasks.tip import TipHand, add_tip

BALLS = ("orange", "blue", "green")
RADIUS = 0.018  # m
CLOSE = 0.015  # m between the tip and the centre, inside which it is at the ball
STAY = 0.5  # s, after which it counts; as every success it then has to last
RANGES: Ranges = {
    "ball": Choice(BALLS),
    **{
        f"{colour}.{axis}": entry
        for colour, y in zip(BALLS, (-0.20, 0.0, 0.20), strict=True)
        for axis, entry in (("x", Range(0.45, 0.60)), ("y", Range(y - 0.06, y + 0.06)), ("z", Range(0.12, 0.30)))
    },
}


class Reach(Task):
    """See the module's docstring.

    Truth (16,): x y z of the tip, the orange, the blue and the green ball, 1 for the ball that is asked for and 0 for
    the others in the same order, seconds that the tip has been at it.

    Memory (5,): those three numbers, the time at which the tip came to the ball (-1: it is not there), the seconds.
    """

    name = "reach"
    wordings = (
        "bring the tool to the {ball} ball and stay there",
        "touch the {ball} ball with the tool",
        "go to the {ball} ball and wait",
    )
    time_limit = 8.0
    environment_names = (
        *(f"{body}.{axis}" for body in ("tip", *BALLS) for axis in "xyz"),
        *(f"wanted.{colour}" for colour in BALLS),
        "stayed",
    )
    subtasks = ("approach", "stay")
    needs_gripper = False
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the balls (mocap bodies "ball_COLOUR")."""
        add_tip(spec, robot)
        for i, colour in enumerate(BALLS):
            ball = spec.worldbody.add_body(name=f"ball_{colour}", mocap=True, pos=[0.5, 0.2 * (i - 1), 0.3])
            ball.add_geom(
                type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS, 0, 0], rgba=COLOURS[colour], group=VISUAL_GROUP,
                contype=0, conaffinity=0,
            )  # fmt: skip

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """Balls where they were drawn."""
        places = [[conditions[f"{colour}.{axis}"] for axis in "xyz"] for colour in BALLS]
        mocap = np.array([[*place, 1.0, 0.0, 0.0, 0.0] for place in places], dtype=np.float64)
        wanted = [float(colour == conditions["ball"]) for colour in BALLS]
        return Start(home, mocap.ravel(), np.array([*wanted, -1.0, 0.0]))

    def remember(self, scene: Scene, observations: Sequence[Observation], memory: np.ndarray) -> np.ndarray:
        """Since when the tip has been at the ball."""
        tip, _ = scene.body_pose("tip")
        ball, _ = scene.body_pose(f"ball_{BALLS[int(memory[:3].argmax())]}")
        if np.linalg.norm(tip - ball) > CLOSE:
            return np.array([*memory[:3], -1.0, 0.0])
        since = memory[3] if memory[3] >= 0.0 else observations[0].time
        return np.array([*memory[:3], since, observations[0].time - since])

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(16,) as named in environment_names."""
        places = [scene.body_pose(body)[0] for body in ("tip", *(f"ball_{colour}" for colour in BALLS))]
        return np.concatenate([*places, memory[:3], memory[4:]])

    def operator(self, rng: np.random.Generator) -> "ReachOperator":
        """A scripted human who goes there straight."""
        return ReachOperator(rng)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """How close, how long."""
        distance = float(np.linalg.norm(truth[:3] - wanted_ball(truth)))
        approach = 1.0 if distance <= CLOSE else np.clip(1.0 - distance / 0.4, 0.0, 0.99)
        return np.array([approach, min(1.0, truth[15] / STAY)])

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """Stayed there for STAY."""
        return bool(truth[15] >= STAY - 1e-6)

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """At which ball it was in the end."""
        distances = np.linalg.norm(truth[3:12].reshape(3, 3) - truth[:3], axis=1)
        if distances.min() > CLOSE:
            return "not_at_a_ball"
        return "did_not_stay" if truth[12 + int(distances.argmin())] else "at_the_wrong_ball"


class ReachOperator(TipHand):
    """Goes straight to the ball and rests there."""

    def remaining(self, state: np.ndarray, truth: np.ndarray) -> float:
        """Distance to the ball, m."""
        return float(np.linalg.norm(truth[:3] - wanted_ball(truth))) - truth[15]

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Straight there."""
        return self.move(state, truth, wanted_ball(truth), self.skill.speed)


def wanted_ball(truth: np.ndarray) -> np.ndarray:
    """Position (3,) of the ball that is asked for."""
    return truth[3:12].reshape(3, 3)[int(truth[12:15].argmax())]
