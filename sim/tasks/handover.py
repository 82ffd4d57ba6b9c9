"""Handover: the left arm picks a bar up and hands it to the right one, which puts it on a pad.

The bar (24 x 180 x 24 mm, its length along y) has room for both hands, one at each end. Both point down. The right arm
does not reach the bar at its start; the left one may reach the pad, so it counts only if the right has held it alone.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.mount import PAIR
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.tasks.blocks import let_go, pose_names, pose_of, spot_mocap
from steadyhand.sim.tasks.handover_operator import HandoverOperator, end_of
from steadyhand.sim.tasks.palette import BLUE, ORANGE
from steadyhand.sim.tasks.task import Conditions, Range, Ranges, Scene, Start, Task, free_pose

BAR_HALF = np.array([0.012, 0.090, 0.012])  # m
BAR_MASS = 0.10  # kg
PAD_HALF = np.array([0.055, 0.115, 0.001])  # m; painted on the table
ON_PAD = np.array([0.040, 0.030])  # m between the centres, x and y
LIFT = 0.15  # m that the bar is to be lifted for the handover
RANGES: Ranges = {
    "bar.x": Range(0.38, 0.52),  # m
    "bar.y": Range(0.30, 0.42),
    "bar.yaw": Range(-0.4, 0.4),  # rad
    "pad.x": Range(0.40, 0.52),
    "pad.y": Range(-0.46, -0.38),
}


class Handover(Task):
    """See the module's docstring.

    Truth (12,): bar x y z, bar rot6d, pad x y, 1 once the right arm has held the bar alone; in the world, whose origin
    lies between the arms. Memory (1,): the last of these.
    """

    name = "handover"
    wordings = (
        "hand the bar from the left arm to the right arm and put it on the pad",
        "pass the orange bar over and lay it down on the blue pad",
    )
    time_limit = 30.0
    environment_names = (*pose_names("bar"), "pad.x", "pad.y", "handed")
    subtasks = ("left_grasp", "lift", "right_grasp", "left_release", "place")
    mounts = PAIR
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the bar (free body "bar") and the pad (mocap body "pad", without contacts)."""
        bar = spec.worldbody.add_body(name="bar", pos=[0.45, 0.36, BAR_HALF[2]])
        bar.add_freejoint(name="bar")
        box = mujoco.mjtGeom.mjGEOM_BOX
        bar.add_geom(name="bar", type=box, size=BAR_HALF, mass=BAR_MASS, group=2, rgba=ORANGE)
        pad = spec.worldbody.add_body(name="pad", mocap=True, pos=[0.46, -0.42, PAD_HALF[2]])
        pad.add_geom(name="pad", type=box, size=PAD_HALF, group=2, contype=0, conaffinity=0, rgba=BLUE)

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """Bar on the table before the left arm, pad before the right one."""
        c = {name: float(value) for name, value in conditions.items()}
        qpos = home.copy()
        free_pose(model, qpos, "bar", [c["bar.x"], c["bar.y"], BAR_HALF[2]], c["bar.yaw"])
        return Start(qpos, spot_mocap(c["pad.x"], c["pad.y"], PAD_HALF[2], 0.0), np.zeros(1))

    def remember(self, scene: Scene, observations: Sequence[Observation], memory: np.ndarray) -> np.ndarray:
        """Whether the right arm has held the bar alone."""
        bar = pose_of(scene, "bar")
        alone = self._holds(1, observations, bar) and not self._holds(0, observations, bar)
        return np.array([1.0]) if alone else memory

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(12,) as named in environment_names."""
        return np.concatenate([pose_of(scene, "bar"), scene.body_pose("pad")[0][:2], memory])

    def operator(self, rng: np.random.Generator) -> HandoverOperator:
        """One scripted human with two hands."""
        return HandoverOperator(rng, rest_height=float(BAR_HALF[2]))

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Grasped by the left, lifted, grasped by the right, let go by the left, on the pad and let go."""
        left, right = (self._holds(arm, observations, truth) for arm in (0, 1))
        lifted = np.clip((truth[2] - BAR_HALF[2]) / LIFT, 0.0, 1.0) if left or right else 0.0
        handed = bool(truth[11])
        return np.array(
            [left or handed, 1.0 if handed else lifted, right or handed, handed, self.success(observations, truth)],
            dtype=np.float64,
        )

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """The right arm has been handed the bar, it lies on the pad, and no hand holds it."""
        return bool(truth[11]) and on_pad(truth) and all(let_go(arm) for arm in observations)

    def failure(self, truth: np.ndarray) -> str | None:
        """A bar beyond the arms' reach, or one that fell where only the right arm gets to: nothing to hand over."""
        if truth[2] < -0.01 or not 0.2 < truth[0] < 0.72 or abs(truth[1]) > 0.65:
            return "bar_out_of_reach"
        fallen = truth[2] < BAR_HALF[2] + 0.004 and truth[1] < -0.12
        return "dropped" if fallen and not on_pad(truth) and self._far_from_pad(truth) else None

    def _far_from_pad(self, truth: np.ndarray) -> bool:
        return bool((np.abs(truth[:2] - truth[9:11]) > 3 * ON_PAD).any())

    def _holds(self, arm: int, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        tool = self.mounts[arm].to_world(observations[arm].position)
        return bool(np.linalg.norm(tool - end_of(truth, arm)) < 0.03 and observations[arm].gripper < 0.5)


def on_pad(truth: np.ndarray) -> bool:
    """Whether the bar lies on the pad."""
    return bool((np.abs(truth[:2] - truth[9:11]) < ON_PAD).all() and truth[2] < BAR_HALF[2] + 0.003)
