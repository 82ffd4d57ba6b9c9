"""The topics of one arm of a twin: its states, what is asked of it, and what became of that."""

import math

from steadyhand import ros, ros_messages
from steadyhand.crisp_control.ros_parameters import twin_parameters
from steadyhand.sim.realtime import Instant, RealtimeArm, RealtimeWorld
from steadyhand.sim.ros_frames import FrameTopics
from steadyhand.sim.ros_references import ReferenceTopics
from steadyhand.sim.urdf import prefixed_links

LEVELS = {"TRACK": 0, "HOLD": 1, "DAMP": 2, "REFLEX": 2}  # of diagnostic_msgs: ok, warning, error
_STATES = ("joint_states", "current_pose", "current_twist", "external_wrench", "external_torques", "reference_pose",
           "gripper/joint_states")  # fmt: skip


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
        o, robot, out, m = self.arm.observation(instant), self.arm.mounted.robot, self._out, ros_messages
        stamp, frame = o.time, self.arm.base_frame
        out["joint_states"].publish(m.joints(robot.joints, o.q, stamp, o.dq, o.tau))
        out["current_pose"].publish(m.pose(o.position, o.quaternion, stamp, frame))
        out["current_twist"].publish(m.twist(o.twist, stamp, frame))
        out["external_wrench"].publish(m.wrench(o.wrench, stamp, frame))
        out["external_torques"].publish(m.joints(robot.joints, [], stamp, effort=o.tau_ext))
        out["reference_pose"].publish(m.pose(o.reference_position, o.reference_quaternion, stamp, frame))
        out["gripper/joint_states"].publish(m.joints(["gripper"], [o.gripper], stamp))  # 0 closed .. 1 open
        self._states_published += 1
        if o.status.mode.name != self._mode:
            self._mode = o.status.mode.name
            self.publish_status(instant)

    def publish_status(self, instant: Instant) -> None:
        """What the controller does."""
        self._status.publish(self.describe(instant))

    def describe(self, instant: Instant) -> ros.DiagnosticArray:
        """Mode, level and every counter."""
        observation = self.arm.observation(instant)
        status, counts = observation.status, self.references.counts
        values = {
            "controller": self.arm.controller,
            "reference_age": f"{status.reference_age:.3f}" if math.isfinite(status.reference_age) else "none yet",
            "tank_energy": f"{status.tank_energy:.4f}",
            "seed": self._world.seed,
            "speed": self._world.speed,
            "states_published": self._states_published,
        }
        loop = self._world.statistics()
        loop["loop_ticks"] = loop.pop("ticks")  # the controller counts its own, from the reset
        values |= status.counters | counts | loop
        name = f"{self._node.get_fully_qualified_name()}: controller"
        level = max(LEVELS[status.mode.name], 1 if counts["several_publishers"] else 0)
        return ros_messages.diagnostics(name, level, status.mode.name.lower(), values, observation.time)
