"""A robot and a teleoperator for LeRobot's tools, both of type `steadyhand`.

LeRobot looks for a device's class in the package around the module of its configuration: here.
Nothing in this package imports rclpy before a device is made, so that LeRobot's tools start without ROS.
"""

from steadyhand.data_collection.lerobot_plugins.robot import SteadyhandRobot, SteadyhandRobotConfig
from steadyhand.data_collection.lerobot_plugins.teleoperator import (
    SteadyhandTeleoperator,
    SteadyhandTeleoperatorConfig,
)

__all__ = [
    "SteadyhandRobot",
    "SteadyhandRobotConfig",
    "SteadyhandTeleoperator",
    "SteadyhandTeleoperatorConfig",
]
