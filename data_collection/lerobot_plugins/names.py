"""What LeRobot's tools call the numbers of our state and action."""

from collections.abc import Mapping, Sequence

import numpy as np

from steadyhand.data_collection.schema import ACTION_NAMES
from steadyhand.errors import SteadyhandError

SUFFIX = ".pos"
"""lerobot-rollout (0.6.1) shows policies only those numbers of a robot whose names end so; a force, too, then must."""
ACTION_FEATURES: dict[str, type] = {name + SUFFIX: float for name in ACTION_NAMES}


def named(names: Sequence[str], values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Values under LeRobot's names, in our order."""
    return {name + SUFFIX: float(value) for name, value in zip(names, values, strict=True)}


def action_array(action: Mapping[str, float]) -> np.ndarray:
    """An action (10,) in our order; names are LeRobot's, or ours as in the datasets of `steadyhand record`."""
    try:
        values = [action[name + SUFFIX] if name + SUFFIX in action else action[name] for name in ACTION_NAMES]
    except KeyError as missing:
        raise SteadyhandError(
            f"the action has no number {missing}; it has: {', '.join(action)}; needed: {', '.join(ACTION_FEATURES)}"
        ) from None
    return np.array(values, np.float64)
