"""Settings of the flow-matching policy, registered with LeRobot under the name `steadyhand_flow`."""

import re
from dataclasses import dataclass, field

from lerobot.configs import FeatureType, NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig, CosineDecayWithWarmupSchedulerConfig
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

POSITION = ("x", "y", "z")
ROTATION_6D = ("r0", "r1", "r2", "r3", "r4", "r5")
YAW = ("cos_yaw", "sin_yaw")
OBS_REFERENCE = "observation.reference"


@PreTrainedConfig.register_subclass("steadyhand_flow")
@dataclass
class SteadyhandFlowConfig(PreTrainedConfig):
    """Flow matching on chunks of tool poses, for low-dimensional observations.

    Args:
        n_obs_steps: Frames the policy sees: the current one and those before it.
        horizon: Length H of a predicted chunk, in decisions.
        n_action_steps: How many of the H actions are executed before the next chunk (K).
        num_steps: Euler steps from noise to action.
        width: Units of a hidden layer.
        blocks: Residual FiLM blocks.
        positions: Triples of indices into `observation.environment_state` that are points in the base frame,
            metres. Left empty, they are found by name (`peg.x`, `peg.y`, `peg.z`).
        rotations: Index lists of `observation.environment_state` that are orientations: six for a rotation
            6-D (`peg.r0` .. `peg.r5`), two for a yaw (`hole.cos_yaw`, `hole.sin_yaw`). Found likewise.
        fine_scales: Metres; every difference d of two points is also shown as tanh(d / scale), so that a
            millimetre is as visible as a decimetre.
        wrench_scales: N and Nm; force and torque enter as tanh(value / scale).
        ema_decay: Largest decay of the weight average; it warms up as (1 + n) / (10 + n).
    """

    n_obs_steps: int = 2
    horizon: int = 16
    n_action_steps: int = 4
    num_steps: int = 5
    width: int = 256
    blocks: int = 3
    positions: list[list[int]] = field(default_factory=list)
    rotations: list[list[int]] = field(default_factory=list)
    fine_scales: list[float] = field(default_factory=lambda: [0.001, 0.005, 0.02])
    wrench_scales: list[float] = field(default_factory=lambda: [10.0, 1.0])
    ema_decay: float = 0.999
    optimizer_lr: float = 1e-3
    optimizer_weight_decay: float = 1e-4
    scheduler_warmup_steps: int = 100
    scheduler_decay_steps: int = 1500
    # The policy normalises inside: its actions are relative to the tool, and so are their statistics.
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {kind.value: NormalizationMode.IDENTITY for kind in FeatureType}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.n_action_steps <= self.horizon:
            raise ValueError(f"n_action_steps must be in 1..horizon ({self.horizon}), got {self.n_action_steps}")
        if self.n_obs_steps < 1 or self.num_steps < 1 or self.blocks < 1:
            raise ValueError("n_obs_steps, num_steps and blocks must be at least 1")

    def set_dataset_feature_metadata(self, features: dict) -> None:
        """Find points and orientations by their names in the dataset; LeRobot calls this before building."""
        names = features.get(OBS_ENV_STATE, {}).get("names")
        if names and not self.positions and not self.rotations:
            self.positions, self.rotations = find_geometry(names)

    def validate_features(self) -> None:
        """Refuse observations and actions this policy cannot read; drop those it does not use."""
        given = self.input_features or {}  # type: ignore[has-type]  # of LeRobot, which mypy does not follow
        used_keys = (OBS_STATE, OBS_REFERENCE, OBS_ENV_STATE)
        self.input_features = {key: given[key] for key in given if key in used_keys}
        if self.robot_state_feature is None or self.robot_state_feature.shape not in ((10,), (16,)):
            raise ValueError(f"steadyhand_flow needs '{OBS_STATE}' of 10 or 16 values, got {self.robot_state_feature}")
        reference = given.get(OBS_REFERENCE)
        if reference is None or tuple(reference.shape) != (9,):
            raise ValueError(f"steadyhand_flow needs '{OBS_REFERENCE}' of 9 values, got {reference}")
        if self.action_feature is None or tuple(self.action_feature.shape) != (10,):
            raise ValueError(f"steadyhand_flow needs '{ACTION}' of 10 values, got {self.action_feature}")
        size = self.env_state_feature.shape[0] if self.env_state_feature else 0
        used = [index for group in self.positions + self.rotations for index in group]
        if used and max(used) >= size:
            raise ValueError(f"positions/rotations use index {max(used)}, '{OBS_ENV_STATE}' has {size} values")

    def get_optimizer_preset(self) -> AdamWConfig:
        """AdamW, as `steadyhand train` uses it."""
        return AdamWConfig(lr=self.optimizer_lr, weight_decay=self.optimizer_weight_decay)

    def get_scheduler_preset(self) -> CosineDecayWithWarmupSchedulerConfig:
        """Warm-up and half a cosine down to zero."""
        return CosineDecayWithWarmupSchedulerConfig(
            num_warmup_steps=self.scheduler_warmup_steps,
            num_decay_steps=self.scheduler_decay_steps,
            peak_lr=self.optimizer_lr,
            decay_lr=0.0,
        )

    @property
    def observation_delta_indices(self) -> list[int]:
        """Frames before the decision and its own."""
        return list(range(1 - self.n_obs_steps, 1))

    @property
    def action_delta_indices(self) -> list[int]:
        """The decisions of a chunk, the first taken at the newest observation."""
        return list(range(self.horizon))

    @property
    def reward_delta_indices(self) -> None:
        """No rewards."""
        return None


def find_geometry(names: list[str]) -> tuple[list[list[int]], list[list[int]]]:
    """Indices of the points and of the orientations among names such as `peg.x`, `peg.r0`, `hole.cos_yaw`."""
    objects: dict[str, dict[str, int]] = {}
    for index, name in enumerate(names):
        if match := re.fullmatch(r"(.+)\.(\w+)", name):
            objects.setdefault(match[1], {})[match[2]] = index
    positions, rotations = [], []
    for parts in objects.values():
        if all(axis in parts for axis in POSITION):
            positions.append([parts[axis] for axis in POSITION])
        for kind in (ROTATION_6D, YAW):
            if all(axis in parts for axis in kind):
                rotations.append([parts[axis] for axis in kind])
    return positions, rotations
