"""The teleoperator `steadyhand` for `lerobot-record`: the devices of `steadyhand teleop`.

The device runs in its own process, `steadyhand teleop --relay`, and asks below `hand/`; this passes it on to LeRobot,
and LeRobot to the robot, so that only one node publishes `target_pose`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from lerobot.teleoperators import Teleoperator, TeleoperatorConfig
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected

from steadyhand.data_collection.lerobot_plugins.names import ACTION_FEATURES, named
from steadyhand.data_collection.schema import ACTION_NAMES
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import load_robot
from steadyhand.sim.rotations import rot6d_from_quat

if TYPE_CHECKING:
    from steadyhand.data_collection.lerobot_plugins.ros_link import HandLink, Pose

MOVED = 0.02
"""m; an arm that holds but is this far from where it shall was moved by another: the twin was reset."""


@TeleoperatorConfig.register_subclass("steadyhand")
@dataclass(kw_only=True)
class SteadyhandTeleoperatorConfig(TeleoperatorConfig):
    """What follows --teleop. on the command line."""

    robot: str = "fr3"
    """As for `steadyhand twin`: a name, or the path of a robot file, of a URDF or of an MJCF."""
    namespace: str = ""
    """Namespace of the robot's topics."""


class SteadyhandTeleoperator(Teleoperator):
    """Asks for what the hand asks for; while it has let go, for the pose that the arm had then."""

    config_class = SteadyhandTeleoperatorConfig
    name = "steadyhand"

    def __init__(self, config: SteadyhandTeleoperatorConfig) -> None:
        """Load the robot's description; SteadyhandError without ROS."""
        from steadyhand.data_collection.lerobot_plugins import ros_link

        super().__init__(config)
        self.config, self._spec = config, load_robot(config.robot)
        self._open = ros_link.HandLink
        self._link: HandLink | None = None
        self._held: Pose | None = None
        self._opening = 1.0

    @property
    def action_features(self) -> dict[str, type]:
        """As the robot's."""
        return dict(ACTION_FEATURES)

    @property
    def feedback_features(self) -> dict[str, type]:
        """None: no device can push back."""
        return {}

    @property
    def is_connected(self) -> bool:
        """Whether the topics are open."""
        return self._link is not None

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Wait until the robot has been heard and there is a hand; SteadyhandError if that takes 10 s."""
        link = self._open(self._spec, self.config.namespace)
        try:
            link.wait_connected(link.ready)
            self._opening = link.wait(link.followed)[1]  # until the hand asks for another
        except BaseException:
            link.close()
            raise
        self._link, self._held = link, None

    @property
    def is_calibrated(self) -> bool:
        """There is nothing to calibrate."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    @check_if_not_connected
    def get_action(self) -> dict[str, Any]:
        """The hand's request of at most 0.3 s ago, or what holds the arm; SteadyhandError if the robot is silent."""
        assert self._link is not None
        pose, opening = self._link.pose(), self._link.opening()
        if pose is None:
            pose = self._hold(self._link)
        else:
            self._held = None
        gripper = self._opening if opening is None else opening
        return named(ACTION_NAMES, np.concatenate([pose[0], rot6d_from_quat(pose[1]), [gripper]]))

    def _hold(self, link: "HandLink") -> "Pose":
        """Where to stay: the pose that the controller followed when the hand let go."""
        followed = link.wait(link.followed)[0]
        if self._held is None or np.linalg.norm(followed[0] - self._held[0]) > MOVED:
            self._held = followed
        return self._held

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        """There is none to send."""
        if feedback:
            raise SteadyhandError(f"the teleoperator takes no feedback; given: {', '.join(feedback)}")

    @check_if_not_connected
    def disconnect(self) -> None:
        """Listen no more."""
        assert self._link is not None
        self._link.close()
        self._link = None
