"""The robot `steadyhand` for `lerobot-record`, `lerobot-replay` and `lerobot-rollout`: an arm behind our ROS topics."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from lerobot.robots import Robot, RobotConfig
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected

from steadyhand.data_collection.lerobot_plugins.names import ACTION_FEATURES, SUFFIX, action_array, named
from steadyhand.data_collection.schema import ACTION_NAMES, STATE_NAMES
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import load_robot
from steadyhand.sim.rotations import quat_from_rot6d, rot6d_from_quat
from steadyhand.sim.tasks import make_task

if TYPE_CHECKING:
    from steadyhand.data_collection.lerobot_plugins.ros_link import RobotLink


@RobotConfig.register_subclass("steadyhand")
@dataclass(kw_only=True)
class SteadyhandRobotConfig(RobotConfig):
    """What follows --robot. on the command line."""

    robot: str = "fr3"
    """As for `steadyhand twin`: a name, or the path of a robot file, of a URDF or of an MJCF."""
    namespace: str = ""
    """Namespace of the robot's topics."""
    cameras: list[str] = field(default_factory=list)
    """Cameras whose <camera>/image_raw belongs to the observation."""
    image_width: int = 640
    image_height: int = 480
    """Of the images that the cameras send, in pixels."""
    environment: str = ""
    """Name of the twin's task whose `task/environment_state` is appended to the state; "" for none."""

    def __post_init__(self) -> None:
        """LeRobot's own check wants a driver for each camera."""
        self.environment_names = make_task(self.environment).environment_names if self.environment else ()


class SteadyhandRobot(Robot):
    """Requests poses of the tool and openings of the gripper; the controller behind the topics keeps the arm safe."""

    config_class = SteadyhandRobotConfig
    name = "steadyhand"

    def __init__(self, config: SteadyhandRobotConfig) -> None:
        """Load the robot's description; SteadyhandError without ROS."""
        from steadyhand.data_collection.lerobot_plugins import ros_link

        super().__init__(config)
        self.config, self._spec = config, load_robot(config.robot)
        self._names = [*STATE_NAMES, *config.environment_names]
        self.cameras = dict.fromkeys(
            config.cameras, (config.image_height, config.image_width, 3)
        )  # LeRobot counts them
        self._open = ros_link.RobotLink
        self._link: RobotLink | None = None

    @property
    def observation_features(self) -> dict[str, Any]:
        """The state, whose order is that of `observation.state`, then the environment, then the pictures."""
        return {name + SUFFIX: float for name in self._names} | self.cameras

    @property
    def action_features(self) -> dict[str, type]:
        """The requested pose and opening, in the order of the column `action`."""
        return dict(ACTION_FEATURES)

    @property
    def is_connected(self) -> bool:
        """Whether the topics are open."""
        return self._link is not None

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Wait until every topic has been heard and nobody else moves the arm; SteadyhandError if that takes 10 s."""
        link = self._open(self._spec, self.config.namespace, bool(self.config.environment), self.config.cameras)
        try:
            self._check(link.wait_connected(link.ready), link)
        except BaseException:
            link.close()
            raise
        self._link = link

    def _check(self, observation: dict[str, np.ndarray], link: "RobotLink") -> None:
        """Refuse what is not as configured: the dataset's columns are made already."""
        for camera, shape in self.cameras.items():
            height, width = observation[f"observation.images.{camera}"].shape[:2]
            if (height, width) != shape[:2]:
                raise SteadyhandError(
                    f"camera '{camera}' sends {width}x{height} pixels, not {shape[1]}x{shape[0]}; give "
                    f"--robot.image_width={width} --robot.image_height={height}"
                )
        if self.config.environment and link.environment_names() != tuple(self.config.environment_names):
            raise SteadyhandError(
                f"--robot.environment={self.config.environment}, but the twin's task has other objects: "
                f"{', '.join(link.environment_names())}; name the task that the twin runs"
            )

    @property
    def is_calibrated(self) -> bool:
        """The arm's own electronics have done it."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do: gains and limits belong to the controller."""

    @check_if_not_connected
    def get_observation(self) -> dict[str, Any]:
        """The newest complete observation, at most 0.2 s old; SteadyhandError if there is none for 1 s."""
        assert self._link is not None
        observation = self._link.wait(self._link.buffer.now)[1]
        values = observation["observation.state"]
        if self.config.environment:
            values = np.concatenate([values, observation["observation.environment_state"]])
        pictures = {camera: observation[f"observation.images.{camera}"] for camera in self.cameras}
        return named(self._names, values) | pictures

    @check_if_not_connected
    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """Request a pose and an opening, stamped now; returns what was sent: a rotation, and an opening from 0 to 1.

        Raises:
            SteadyhandError: A number is missing, not finite, or the six of the rotation are none.
        """
        assert self._link is not None
        values = action_array(action)
        quaternion = quat_from_rot6d(values[3:9])
        if not (np.isfinite(values).all() and np.isfinite(quaternion).all()):
            raise SteadyhandError(f"the action is not sent, it is no pose: {named(ACTION_NAMES, values)}")
        gripper = float(np.clip(values[9], 0.0, 1.0))
        self._link.request(values[:3], quaternion, gripper)
        return named(ACTION_NAMES, np.concatenate([values[:3], rot6d_from_quat(quaternion), [gripper]]))

    @check_if_not_connected
    def disconnect(self) -> None:
        """Request nothing any more: the controller holds the arm where it is."""
        assert self._link is not None
        self._link.close()
        self._link = None
