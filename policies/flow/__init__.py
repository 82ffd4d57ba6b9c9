"""Flow-matching policy as a LeRobot plug-in: `lerobot-train --policy.type=steadyhand_flow` finds it through
`--policy.discover_packages_path=steadyhand.policies.flow`, and importing this package registers it."""

from steadyhand.policies.flow.configuration_steadyhand_flow import SteadyhandFlowConfig

__all__ = ["SteadyhandFlowConfig"]
