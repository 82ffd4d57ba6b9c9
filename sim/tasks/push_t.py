"""Push T: push a T-shaped block onto the T painted on the table, with closed fingers or a stick.

The task of Chi et al., "Diffusion Policy", RSS 2023, and of Florence et al., "Implicit Behavioral Cloning", CoRL 2021,
with a block that can be tipped or pushed out of reach and a goal that is elsewhere every time.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.rotations import rot6d_from_quat, yaw_of
from steadyhand.sim.scene import COLLISION_GROUP, VISUAL_GROUP
from steadyhand.sim.tasks.blocks import spot_mocap
from steadyhand.sim.tasks.palette import BLUE, ORANGE
from steadyhand.sim.tasks.push_t_operator import BARS, PushOperator, pose_error
from steadyhand.sim.tasks.task import Conditions, Range, Ranges, Scene, Start, Task, free_pose
from steadyhand.sim.tasks.tip import add_tip

HALF_HEIGHT = 0.016  # m
GAP = 0.002  # m between the bars and the table: the block stands on three feet
FOOT_RADIUS = 0.006  # m
FEET = ((-0.056, 0.0274), (0.056, 0.0274), (0.0, -0.0766))  # m
MASS = 0.20  # kg
FRICTION = 0.35  # sliding, on the table
CLOSE, STRAIGHT = 0.010, np.deg2rad(8.0)  # m and rad that count as on the goal
RANGES: Ranges = {
    "block.x": Range(0.50, 0.58),  # m
    "block.y": Range(-0.15, 0.15),
    "goal.x": Range(0.52, 0.55),
    "goal.y": Range(-0.05, 0.05),
    "block.yaw": Range(-np.pi, np.pi),  # rad
    "goal.yaw": Range(-np.pi, np.pi),
}


class PushT(Task):
    """See the module's docstring.

    Truth (13,): tip x y z; block x y z (its centre of mass), cos and sin of its yaw, cosine of its tilt; goal x y, cos
    and sin of its yaw.
    """

    name = "push_t"
    wordings = (
        "push the T onto the painted T",
        "push the orange block onto the blue outline",
        "slide the T-shaped block to where its shape is painted on the table",
    )
    time_limit = 60.0
    environment_names = (
        "tip.x", "tip.y", "tip.z", "block.x", "block.y", "block.z", "block.cos_yaw", "block.sin_yaw", "block.up",
        "goal.x", "goal.y", "goal.cos_yaw", "goal.sin_yaw",
    )  # fmt: skip
    subtasks = ("position", "orientation", "both")
    needs_gripper = False
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the T (free body "block", origin at its centre of mass) and its painting (mocap body "goal")."""
        add_tip(spec, robot)
        drawn = {"type": mujoco.mjtGeom.mjGEOM_BOX, "group": VISUAL_GROUP}
        untouched = {"contype": 0, "conaffinity": 0}
        block = spec.worldbody.add_body(name="block", pos=[0.5, 0.0, HALF_HEIGHT + GAP])
        block.add_freejoint(name="block")
        goal = spec.worldbody.add_body(name="goal", mocap=True, pos=[0.5, 0.0, 0.0])
        for x, y, half_x, half_y in BARS:
            mass = MASS * half_x * half_y / sum(bar[2] * bar[3] for bar in BARS)
            # Its own friction counts, whatever it slides on or is pushed with.
            block.add_geom(
                pos=[x, y, 0], size=[half_x, half_y, HALF_HEIGHT], mass=mass, rgba=ORANGE, priority=1,
                friction=[FRICTION, 0.005, 0.0001], **drawn,
            )  # fmt: skip
            goal.add_geom(pos=[x, y, 0], size=[half_x, half_y, 0.0008], rgba=BLUE, **drawn, **untouched)
        for x, y in FEET:
            block.add_geom(
                type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[FOOT_RADIUS, 0, 0], mass=0.0, priority=1,
                pos=[x, y, FOOT_RADIUS - HALF_HEIGHT - GAP], friction=[FRICTION, 0.005, 0.0001], group=COLLISION_GROUP,
            )  # fmt: skip

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """Block and painting flat on the table, anyhow."""
        c = {name: float(value) for name, value in conditions.items()}
        qpos = home.copy()
        free_pose(model, qpos, "block", [c["block.x"], c["block.y"], HALF_HEIGHT + GAP], c["block.yaw"])
        return Start(qpos, spot_mocap(c["goal.x"], c["goal.y"], 0.0, c["goal.yaw"]))

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(13,) as named in environment_names."""
        tip, _ = scene.body_pose("tip")
        block, block_quat = scene.body_pose("block")
        goal, goal_quat = scene.body_pose("goal")
        turned, wanted = rot6d_from_quat(block_quat), yaw_of(rot6d_from_quat(goal_quat))
        yaw, up = yaw_of(turned), turned[0] * turned[4] - turned[1] * turned[3]
        return np.array(
            [*tip, *block, np.cos(yaw), np.sin(yaw), up, *goal[:2], np.cos(wanted), np.sin(wanted)], dtype=np.float64
        )

    def operator(self, rng: np.random.Generator) -> PushOperator:
        """A scripted human who thinks two pushes ahead."""
        return PushOperator(rng)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """How near, how straight, and both at once."""
        error = pose_error(truth)
        distance, angle = float(np.linalg.norm(error[:2])), abs(float(error[2]))
        near = 1.0 if distance < CLOSE else np.clip(1.0 - distance / 0.3, 0.0, 0.99)
        straight = 1.0 if angle < STRAIGHT else np.clip(1.0 - angle / np.pi, 0.0, 0.99)
        return np.array([near, straight, min(near, straight)], dtype=np.float64)

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """Within CLOSE and STRAIGHT of the painting, flat."""
        error = pose_error(truth)
        return bool(np.linalg.norm(error[:2]) < CLOSE and abs(error[2]) < STRAIGHT and truth[8] > 0.99)

    def failure(self, truth: np.ndarray) -> str | None:
        """A tipped block does not stand up again, one that is far away is out of reach."""
        if truth[5] < -0.01 or not 0.30 < np.linalg.norm(truth[3:5]) < 0.75:
            return "block_out_of_reach"
        return "block_tipped" if truth[8] < 0.7 else None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """What was still wrong."""
        near, straight, _ = self.progress(observations, truth)
        if near < 1.0 and straight < 1.0:
            return "far_and_turned"
        return "not_turned_right" if near == 1.0 else "beside_the_goal"
