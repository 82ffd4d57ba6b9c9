"""Registers the teleoperator `steadyhand` with LeRobot, which imports this module when its tools start."""

from steadyhand.data_collection.lerobot_plugins import SteadyhandTeleoperator, SteadyhandTeleoperatorConfig

__all__ = ["SteadyhandTeleoperator", "SteadyhandTeleoperatorConfig"]
