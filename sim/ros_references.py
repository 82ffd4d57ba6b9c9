"""What the twin is asked over ROS 2 topics, up to the controller core.

Here is judged what only a message has: names of joints, frames, lengths, and who publishes. Its content (finite, jump,
stamp, range) the core judges. Every refusal has a counter and a line in the log.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from steadyhand import ros, ros_messages
from steadyhand.crisp_control._core import MAX_CHUNK, ArmModel
from steadyhand.sim.realtime import RealtimeArm
from steadyhand.sim.robot import RobotSpec

LOG_PERIOD = 1.0  # s between two lines about the same kind of refusal

_CARTESIAN = ("target_pose", "target_path", "target_joint", "target_wrench", "target_stiffness")
TAKEN = {
    "cartesian_impedance": _CARTESIAN,
    "cartesian_admittance": _CARTESIAN,
    "joint_impedance": ("target_joint",),
    "gravity_compensation": (),
    "torque_feedback": ("target_joint",),
}
"""Targets that each controller has a use for; the core would ignore the others without a word."""
SHARED = ("target_pose", ros.GRIPPER_COMMAND)
"""Topics with several publishers by design: policy and operator take turns, the one that waits is silent."""
REFUSALS = (
    "refused_frame", "refused_gripper", "refused_joint_missing", "refused_joint_repeated", "refused_joint_unknown",
    "refused_joint_values", "refused_not_taken", "refused_path_length", "refused_several_publishers",
    "refused_stiffness_size",
)  # fmt: skip


class RefusalError(Exception):
    """A message that goes no further."""

    def __init__(self, counter: str, reason: str) -> None:
        """``counter`` is one of REFUSALS."""
        super().__init__(reason)
        self.counter = counter


@dataclass(frozen=True)
class Placement:
    """A frame that stands still, in the base frame."""

    origin: np.ndarray  # (3,) m
    rotation: np.ndarray  # (3, 3)
    turn: np.ndarray  # (4, 4) product of its quaternion with another one, xyzw

    @staticmethod
    def of(origin: np.ndarray, quaternion: np.ndarray) -> "Placement":
        """From a position and a quaternion xyzw."""
        x, y, z, w = quaternion
        turn = np.array([[w, -z, y, x], [z, w, -x, y], [-y, x, w, z], [-x, -y, -z, w]])
        return Placement(origin, Rotation.from_quat(quaternion).as_matrix(), turn)

    def pose(self, position: np.ndarray, quaternion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same pose in the base frame; a quaternion keeps its length, so that the core can refuse it."""
        return self.origin + self.rotation @ position, self.turn @ quaternion

    def wrench(self, wrench: np.ndarray) -> np.ndarray:
        """The same force and torque (6,) in base axes."""
        return np.concatenate([self.rotation @ wrench[:3], self.rotation @ wrench[3:]])


class Frames:
    """The frames a message may name: the base, "" for it, and every link that is fixed to it."""

    def __init__(self, robot: RobotSpec, arm: ArmModel, prefix: str = "") -> None:
        """``prefix``: what the names of its frames begin with."""
        links = [link for link in robot.urdf.links if not robot.urdf.group(link)]
        self._placements = {prefix + link: Placement.of(*arm.static_frame(link)) for link in links}
        self._allowed = ", ".join(f"'{frame}'" for frame in [*self._placements, ""])
        self._placements[""] = self._placements[prefix + robot.base_frame]

    def __getitem__(self, frame: str) -> Placement:
        """Where a frame is; refuses one that moves or that nobody knows."""
        if frame not in self._placements:
            raise RefusalError(
                "refused_frame", f"frame '{frame}' is unknown or moves with the arm; allowed: {self._allowed}"
            )
        return self._placements[frame]


def in_order(message: ros.JointState, field: str, joints: tuple[str, ...]) -> np.ndarray:
    """Values (n,) of a field in the order of ``joints``, by the names of the message, which must be the same ones."""
    names, values = list(message.name), list(getattr(message, field))
    unknown = [name for name in names if name not in joints]
    if unknown:
        raise RefusalError("refused_joint_unknown", f"no joint '{unknown[0]}'; the arm has: {', '.join(joints)}")
    missing = [name for name in joints if name not in names]
    if missing:
        raise RefusalError("refused_joint_missing", f"joint '{missing[0]}' is missing; needed: {', '.join(joints)}")
    if len(names) > len(joints):
        raise RefusalError("refused_joint_repeated", f"{len(names)} names for {len(joints)} joints; give each once")
    if len(values) != len(names):
        raise RefusalError("refused_joint_values", f"{len(names)} names, but {len(values)} values in '{field}'")
    by_name = dict(zip(names, values, strict=True))
    return np.array([by_name[name] for name in joints])


class ReferenceTopics:
    """Subscriptions of all targets of an arm; what is accepted goes to its controller at once."""

    def __init__(self, node: ros.Node, arm: RealtimeArm) -> None:
        """Subscribe; works once the node spins."""
        self._node, self._arm, self._log = node, arm, node.get_logger()
        mounted = arm.mounted
        self._joints = mounted.robot.joints
        self._frames = Frames(mounted.robot, mounted.model, mounted.mount.prefix)
        self._joint_field = "effort" if arm.controller == "torque_feedback" else "position"
        self._gripper = 1.0
        self.counts = dict.fromkeys(("targets", *REFUSALS, "several_publishers"), 0)
        self._logged: dict[str, float] = {}  # when a kind of refusal was last logged
        self._publishers: dict[str, int] = {}  # by topic, as of the last look
        handlers = {
            "target_pose": self._on_pose,
            "target_path": self._on_path,
            "target_joint": self._on_joint,
            "target_wrench": self._on_wrench,
            "target_stiffness": self._on_stiffness,
            ros.GRIPPER_COMMAND: self._on_gripper,
        }
        self._subscriptions = {name: self._listen(name, handle) for name, handle in handlers.items()}

    def reset(self) -> None:
        """A new episode has begun; the arm has forgotten all targets."""
        self._gripper = 1.0

    def _listen(self, name: str, handle: Callable):
        def receive(message) -> None:
            try:
                self._check_taken(name)
                self._check_alone(name)
                handle(message)
            except RefusalError as refusal:
                self._refuse(name, refusal)
                return
            self.counts["targets"] += name != ros.GRIPPER_COMMAND
            self._arm.send(self._gripper)

        return ros.subscription(self._node, name, receive)

    def _refuse(self, name: str, refusal: RefusalError) -> None:
        self.counts[refusal.counter] += 1
        now = time.monotonic()
        if now - self._logged.get(refusal.counter, -LOG_PERIOD) >= LOG_PERIOD:
            self._logged[refusal.counter] = now
            self._log.warning(f"{name} refused: {refusal}")

    def _check_taken(self, name: str) -> None:
        taken = TAKEN[self._arm.controller]
        if name not in (*taken, ros.GRIPPER_COMMAND):
            raise RefusalError("refused_not_taken", f"{self._arm.controller} takes {', '.join(taken) or 'no targets'}")

    def _check_alone(self, name: str) -> None:
        if name not in SHARED and self._node.count_publishers(name) > 1:
            raise RefusalError("refused_several_publishers", "several nodes publish it; stop all but one")

    def _on_pose(self, message: ros.PoseStamped) -> None:
        position, quaternion = self._frames[message.header.frame_id].pose(*ros_messages.pose_arrays(message))
        self._arm.references.set_pose(position, quaternion, ros_messages.get_stamp(message))

    def _on_path(self, message: ros.Path) -> None:
        """A pose without a frame of its own is in the frame of the path."""
        if not 1 <= len(message.poses) <= MAX_CHUNK:
            raise RefusalError("refused_path_length", f"{len(message.poses)} poses; allowed: 1 to {MAX_CHUNK}")
        poses = [
            self._frames[pose.header.frame_id or message.header.frame_id].pose(*ros_messages.pose_arrays(pose))
            for pose in message.poses
        ]
        positions, quaternions = map(np.array, zip(*poses, strict=True))
        times = np.array([ros_messages.get_stamp(pose) for pose in message.poses])
        self._arm.references.set_chunk(times, positions, quaternions, ros_messages.get_stamp(message))

    def _on_joint(self, message: ros.JointState) -> None:
        values, stamp = in_order(message, self._joint_field, self._joints), ros_messages.get_stamp(message)
        if self._joint_field == "effort":
            self._arm.references.set_torque(values, stamp)
        else:
            self._arm.references.set_joint(values, stamp)

    def _on_wrench(self, message: ros.WrenchStamped) -> None:
        wrench = self._frames[message.header.frame_id].wrench(ros_messages.wrench_array(message))
        self._arm.references.set_wrench(wrench, ros_messages.get_stamp(message))

    def _on_stiffness(self, message: ros.Float64MultiArray) -> None:
        """This type has no header: the stamp is the arrival's."""
        if len(message.data) != 6:
            raise RefusalError("refused_stiffness_size", f"{len(message.data)} numbers; needed: x y z rx ry rz")
        self._arm.references.set_stiffness(np.array(message.data), self._arm.now())

    def _on_gripper(self, message: ros.Float64MultiArray) -> None:
        value = message.data[0] if len(message.data) == 1 else float("nan")
        if not 0.0 <= value <= 1.0:
            raise RefusalError("refused_gripper", f"{list(message.data)}; needed: one number, 0 closed to 1 open")
        self._gripper = value

    def guard(self) -> None:
        """Look who publishes; two who move one arm at once is never meant."""
        for name, subscription in self._subscriptions.items():
            publishers = self._node.get_publishers_info_by_topic(subscription.topic_name)
            if len(publishers) > 1 and len(publishers) != self._publishers.get(name):
                names = ", ".join(sorted(p.node_namespace.rstrip("/") + "/" + p.node_name for p in publishers))
                self._log.warning(
                    f"{len(publishers)} nodes publish {subscription.topic_name}: {names}; "
                    + ("only one may speak at a time" if name in SHARED else "all are refused, stop all but one")
                )
            self._publishers[name] = len(publishers)
        most = max(self._publishers.values())
        self.counts["several_publishers"] = most if most > 1 else 0
