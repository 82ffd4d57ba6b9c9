"""Pre- and post-processing of the flow policy: LeRobot's plain pipelines; the policy normalises inside."""

from typing import Any

from lerobot.processor import PolicyAction, PolicyProcessorPipeline, make_default_pre_post_processors
from torch import Tensor

from steadyhand.policies.flow.configuration_steadyhand_flow import SteadyhandFlowConfig


def make_steadyhand_flow_pre_post_processors(
    config: SteadyhandFlowConfig, dataset_stats: dict[str, dict[str, Tensor]] | None = None
) -> tuple[
    PolicyProcessorPipeline[dict[str, Any], dict[str, Any]],
    PolicyProcessorPipeline[PolicyAction, PolicyAction],
]:
    """Rename, add the batch axis, move to the device; and back to the CPU."""
    return make_default_pre_post_processors(config, dataset_stats)
