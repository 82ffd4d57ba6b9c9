"""The ROS side of both plug-ins: a node that spins for as long as the device is connected."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np

from steadyhand import ros, ros_messages
from steadyhand.errors import SteadyhandError
from steadyhand.ros_observation import ObservationNotReadyError, StateBuffer
from steadyhand.ros_requests import PoseRequests
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.ros_references import Frames, RefusalError

CONNECT_PATIENCE = 10.0
"""s that a device waits for the other nodes when it connects."""
PATIENCE = 1.0
"""s that a connected one waits for the robot's next message; the controller has stopped the arm by then."""
HAND_MAX_AGE = 0.3
"""s; after that a hand has let go. The scripted one speaks ten times a second, about what it has seen."""

Pose = tuple[np.ndarray, np.ndarray]


class _Link:
    """A node that spins. LeRobot keeps the main thread, and decides what Ctrl-C does."""

    def __init__(self, name: str, robot: RobotSpec, namespace: str) -> None:
        self.robot = robot
        self._stack = ExitStack()

        def setup(node: ros.Node) -> ros.Node:
            self.buffer = self._connect(node)
            return node

        self.node = self._stack.enter_context(ros.spinning(name, namespace, setup))

    def _connect(self, node: ros.Node) -> StateBuffer:
        """Open the topics; what hears the robot is returned."""
        raise NotImplementedError

    def close(self) -> None:
        """End the node."""
        self._stack.close()

    def wait_connected[T](self, look: Callable[[], T]) -> T:
        """As ``wait``, for the first messages of nodes that are still to be found."""
        hint = "; is the robot or `steadyhand twin` running in this ROS domain, with these cameras?"
        return self.wait(look, CONNECT_PATIENCE, hint)

    def wait[T](self, look: Callable[[], T], patience: float = PATIENCE, hint: str = "") -> T:
        """What ``look`` returns as soon as it is ready; SteadyhandError if it is not within ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return look()
            except ObservationNotReadyError as error:
                if time.monotonic() > deadline:
                    raise SteadyhandError(f"{error} after {patience:g} s{hint}") from None
            time.sleep(0.005)


class RobotLink(_Link):
    """Observes, and requests."""

    def __init__(self, robot: RobotSpec, namespace: str, environment: bool, cameras: Sequence[str]) -> None:
        """Open the topics, of which the environment's and the cameras' are left out at will."""
        self._environment, self._cameras = environment, cameras
        super().__init__("lerobot_robot", robot, namespace)

    def _connect(self, node: ros.Node) -> StateBuffer:
        self._requests = PoseRequests(node)
        return StateBuffer(node, self.robot.joints, environment=self._environment, cameras=self._cameras)

    def ready(self) -> dict[str, np.ndarray]:
        """The first observation, when the controller listens, too."""
        observation = self.buffer.now()[1]
        if not self._requests.heard:
            raise ObservationNotReadyError("nobody listens to target_pose yet")
        return observation

    def environment_names(self) -> tuple[str, ...]:
        """Names in the newest `task/environment_state`."""
        return tuple(self.buffer.message("task/environment_state", ros.now()).name)

    def request(self, position: np.ndarray, quaternion: np.ndarray, gripper: float) -> None:
        """Ask for a pose of the tool in the base frame and for an opening, as of now.

        Raises:
            SteadyhandError: Another node has asked for something within the last 0.5 s; nothing is sent then.
        """
        frame = self.buffer.frame_prefix(self.robot.base_frame) + self.robot.base_frame
        try:
            self._requests.send(position, quaternion, frame, gripper)
        except SteadyhandError as error:
            raise SteadyhandError(f"{error}; end it, or start `steadyhand teleop` with --relay") from None


class HandLink(_Link):
    """Hears what a hand asks for, below `hand/`."""

    def __init__(self, robot: RobotSpec, namespace: str) -> None:
        """Open the topics."""
        super().__init__("lerobot_teleoperator", robot, namespace)

    def _connect(self, node: ros.Node) -> StateBuffer:
        self._pose: tuple[float, Pose] | None = None  # stamp, pose in the base frame
        self._opening: float | None = None
        self._frames: Frames | None = None
        self._topic = ros.subscription(node, "hand/target_pose", self._on_pose).topic_name
        ros.subscription(node, "hand/gripper", self._on_gripper)
        state = ("current_pose", "reference_pose", "gripper/joint_states")
        return StateBuffer(node, self.robot.joints, state=state)

    def _on_pose(self, message: ros.PoseStamped) -> None:
        if self._frames is None:
            return
        try:
            pose = self._frames[message.header.frame_id].pose(*ros_messages.pose_arrays(message))
        except RefusalError as refusal:
            self.node.get_logger().warning(f"{self._topic} not passed on: {refusal}", throttle_duration_sec=1.0)
            return
        age = ros.now() - ros_messages.get_stamp(message)
        if abs(age) > HAND_MAX_AGE:
            warning = f"{self._topic} is {age:.2f} s old and not passed on; do the clocks differ?"
            self.node.get_logger().warning(warning, throttle_duration_sec=2.0)
        self._pose = ros_messages.get_stamp(message), pose

    def _on_gripper(self, message: ros.Float64MultiArray) -> None:
        if len(message.data) == 1:
            self._opening = message.data[0]

    def ready(self) -> None:
        """Return when the robot has been heard and there is a hand."""
        self.buffer.fresh_stamp()
        if not self.node.count_publishers(self._topic):
            raise ObservationNotReadyError(
                f"nobody publishes {self._topic}; start `steadyhand teleop --relay` (docs/lerobot.md)"
            )
        prefix = self.buffer.frame_prefix(self.robot.base_frame)
        self._frames = Frames(self.robot, self.robot.arm(), prefix)

    def pose(self) -> Pose | None:
        """What the hand asks for; None while it has let go."""
        asked = self._pose
        if asked is not None and abs(ros.now() - asked[0]) <= HAND_MAX_AGE:
            return asked[1]
        if not self.node.count_publishers(self._topic):
            self.node.get_logger().warning(f"nobody publishes {self._topic} any more", throttle_duration_sec=2.0)
        return None

    def opening(self) -> float | None:
        """Of the gripper, as last asked for; None while nobody has asked."""
        return self._opening

    def followed(self) -> tuple[Pose, float]:
        """The pose that the controller follows, and the measured opening."""
        stamp = self.buffer.fresh_stamp()
        return self.buffer.reference(stamp), self.buffer.message("gripper/joint_states", stamp).position[0]
