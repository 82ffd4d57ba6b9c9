"""Registers Steadyhand's environments and policies with LeRobot, which imports this module when its tools start."""

import steadyhand.policies.flow
import steadyhand.sim.gym.lerobot_env  # noqa: F401
