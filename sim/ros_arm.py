"""The topics of one arm of a twin: its states, what is asked of it, and what became of that."""

import math
from collections.abc import Mapping
from typing import Any

from steadyhand import ros, ros_messages
from steadyhand.crisp_control.ros_parameters import twin_parameters
from steadyhand.sim._native import Observation
from steadyhand.sim.env import MountedArm
from steadyhand.sim.realtime import Instant, RealtimeArm, RealtimeWorld
from steadyhand.sim.ros_frames import FrameTopics
from steadyhand.sim.ros_references import ReferenceTopics
from steadyhand.sim.urdf import prefixed_links

LEVELS = {"TRACK": 0, "HOLD": 1, "DAMP": 2, "REFLEX": 2}  # of diagnostic_msgs: ok, warning, error
_STATES = ("joint_states", "current_pose", "current_twist", "external_wrench", "external_torques", "reference_pose",
           "gripper/joint_states")  # fmt: skip


def states(arm: MountedArm, o: Observation, stamp: float) -> dict[str, Any]:
    """The messages of all states of an arm, by topic."""
    robot, frame, m = arm.robot, arm.mount.prefix + arm.robot.base_frame, ros_messages
    return {
        "joint_states": m.joints(robot.joints, o.q, stamp, o.dq, o.tau),
        "current_pose": m.pose(o.position, o.quaternion, stamp, frame),
        "current_twist": m.twist(o.twist, stamp, frame),
        "external_wrench": m.wrench(o.wrench, stamp, frame),
        "external_torques": m.joints(robot.joints, [], stamp, effort=o.tau_ext),
        "reference_pose": m.pose(o.reference_position, o.reference_quaternion, stamp, frame),
        "gripper/joint_states": m.joints(["gripper"], [o.gripper], stamp),  # 0 closed .. 1 open
    }


def status(
    node: str, controller: str, seed: int, o: Observation, stamp: float, further: Mapping[str, object], level: int = 0
) -> ros.DiagnosticArray:
    """What the controller does: mode and every counter.

    Args:
        node: Name of the node that says it.
        controller: Name.
        seed: Of the episode.
        o: What it is about.
        stamp: s.
        further: Numbers to add.
        level: At least (of diagnostic_msgs).
    """
    known = o.status
    values = {
        "controller": controller,
        "reference_age": f"{known.reference_age:.3f}" if math.isfinite(known.reference_age) else "none yet",
        "tank_energy": f"{known.tank_energy:.4f}",
        "seed": seed,
    }
    mode, values = known.mode.name, values | known.counters | further
    return ros_messages.diagnostics(f"{node}: controller", max(LEVELS[mode], level), mode.lower(), values, stamp)


class ArmTopics:
    """All topics of one arm, on the node of its namespace."""

    def __init__(self, node: ros.Node, world: RealtimeWorld, arm: RealtimeArm) -> None:
        """Advertise everything; works once the node spins."""
        self.arm, self._node, self._world = arm, node, world
        self._states_published = 0
        self._out = {name: ros.publisher(node, name) for name in _STATES}
        self._status = ros.publisher(node, "controller_status")
        self.references = ReferenceTopics(node, arm)
        ros.declare_fixed(node, twin_parameters(arm.mounted.robot, arm.controller))
        self._description = ros.publisher(node, "robot_description")
        mounted = arm.mounted  # its links are called as in the frames
        self._description.publish(ros.String(data=prefixed_links(mounted.robot.urdf_xml, mounted.mount.prefix)))
        self.frames = FrameTopics(node, world.world, [mounted], world.advance())
        self._mode = ""

    def publish(self, instant: Instant) -> None:
        """All states with the stamp of the instant; the status too if the mode has changed."""
        o = self.arm.observation(instant)
        for name, message in states(self.arm.mounted, o, o.time).items():
            self._out[name].publish(message)
        self._states_published += 1
        if o.status.mode.name != self._mode:
            self._mode = o.status.mode.name
            self.publish_status(instant)

    def publish_status(self, instant: Instant) -> None:
        """What the controller does."""
        self._status.publish(self.describe(instant))

    def describe(self, instant: Instant) -> ros.DiagnosticArray:
        """Mode, level and every counter."""
        observation, counts = self.arm.observation(instant), self.references.counts
        loop = self._world.statistics()
        loop["loop_ticks"] = loop.pop("ticks")  # the controller counts its own, from the reset
        further = {"speed": self._world.speed, "states_published": self._states_published} | counts | loop
        node, seed = self._node.get_fully_qualified_name(), self._world.seed
        level = 1 if counts["several_publishers"] else 0
        return status(node, self.arm.controller, seed, observation, observation.time, further, level)
