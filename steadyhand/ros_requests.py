"""Asking an arm for poses, as the only one who does."""

from collections import deque

import numpy as np

from steadyhand import ros, ros_messages
from steadyhand.errors import SteadyhandError

QUARREL = 0.5
"""s after another node's request in which nothing is sent."""


class PoseRequests:
    """Publishes `target_pose` and the gripper's command, and hears whether another node does."""

    def __init__(self, node: ros.Node) -> None:
        """Connect."""
        self._target = ros.publisher(node, "target_pose")
        self._gripper = ros.publisher(node, ros.GRIPPER_COMMAND)
        self._sent: deque[float] = deque(maxlen=256)  # stamps
        self._other = 0.0  # when another node has asked for something
        ros.subscription(node, "target_pose", self._on_target)

    def _on_target(self, message: ros.PoseStamped) -> None:
        if ros_messages.get_stamp(message) not in self._sent:
            self._other = ros.now()

    @property
    def heard(self) -> bool:
        """Whether somebody listens beside this object."""
        return self._target.get_subscription_count() > 1

    def check_alone(self) -> None:
        """SteadyhandError if another node has asked for something within the last 0.5 s."""
        if abs(ros.now() - self._other) < QUARREL:
            raise SteadyhandError("another node publishes target_pose, so nothing is sent and the arm is left to it")

    def send(self, position: np.ndarray, quaternion: np.ndarray, frame: str, gripper: float | None = None) -> None:
        """Ask for a pose of the tool in a frame, and for an opening (None: as it is), as of now; see `check_alone`."""
        self.check_alone()
        target = ros_messages.pose(position, quaternion, ros.now(), frame)
        self._sent.append(ros_messages.get_stamp(target))
        if gripper is not None:
            self._gripper.publish(ros_messages.numbers([gripper]))
        self._target.publish(target)
