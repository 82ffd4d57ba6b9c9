"""Registers the robot `steadyhand` with LeRobot, which imports this module when its tools start."""

from steadyhand.data_collection.lerobot_plugins import SteadyhandRobot, SteadyhandRobotConfig

__all__ = ["SteadyhandRobot", "SteadyhandRobotConfig"]
