"""Rectified flow over chunks of tool poses (Liu et al. 2023; Lipman et al. 2023), as a LeRobot policy.

x_t = (1 - t) noise + t action; the network learns action - noise; Euler steps turn noise into a chunk.
Training moves `network`; `average`, its exponential moving average, is what acts.
"""

import copy
from collections import deque

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from steadyhand.errors import SteadyhandError
from steadyhand.policies.flow import transform
from steadyhand.policies.flow.configuration_steadyhand_flow import SteadyhandFlowConfig
from steadyhand.policies.flow.network import VelocityNetwork
from steadyhand.policies.frames import REFERENCE, Frames, load_frames

FEATURE_FLOOR = 0.01  # 1 mm, 0.01 rad or 1 % of full scale: less than that is noise and must not be blown up
FEATURE_CLIP = 5.0  # standard deviations; an observation far from the data must not saturate the network
ACTION_FLOOR = (0.001,) * 3 + (0.01,) * 6 + (0.05,)  # m, rotation, gripper
ACTION_SIZE, REFERENCE_SIZE = 10, 9


class SteadyhandFlowPolicy(PreTrainedPolicy):
    """Flow-matching policy; the statistics it normalises with are buffers and travel in the checkpoint."""

    config_class = SteadyhandFlowConfig
    name = "steadyhand_flow"

    def __init__(self, config: SteadyhandFlowConfig, dataset_stats=None, dataset_meta=None) -> None:
        """Build the network; `dataset_meta` (LeRobot's) gives the data to take statistics from.

        `dataset_stats`, which LeRobot passes too, describes absolute actions and is of no use here.
        """
        super().__init__(config)
        config.validate_features()
        features = transform.observation_features(*self._example(), config).shape[-1]
        self.network = VelocityNetwork(features, config.horizon, ACTION_SIZE, config.width, config.blocks)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_std", torch.zeros(features))
        self.register_buffer("action_mean", torch.zeros(config.horizon, ACTION_SIZE))
        self.register_buffer("action_std", torch.zeros(config.horizon, ACTION_SIZE))
        if dataset_meta is not None:
            self.fit(load_frames([dataset_meta.root]))
        self.reset()

    def _example(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Zeros shaped like one observation: tells how many features it has."""
        steps, extra = self.config.n_obs_steps, self.config.env_state_feature
        state = torch.zeros(1, steps, self.config.robot_state_feature.shape[0])
        reference = torch.zeros(1, steps, REFERENCE_SIZE)
        return state, reference, torch.zeros(1, steps, extra.shape[0]) if extra else None

    def fit(self, frames: Frames, weights=None) -> None:
        """Take the statistics from the frames that can start a chunk (weights > 0; all without weights)."""
        chunks = frames.chunks(self.config.n_obs_steps, self.config.horizon, weights)
        features = self.raw_features(chunks.state, chunks.reference, chunks.environment)
        self.feature_mean.copy_(features.mean(0))
        self.feature_std.copy_(features.std(0, correction=0).clamp_min(FEATURE_FLOOR))
        deltas = transform.encode_actions(chunks.actions, chunks.state[:, -1])
        valid = chunks.valid[..., None]
        count = valid.sum(0).clamp_min(1)
        mean = (deltas * valid).sum(0) / count
        std = (((deltas - mean) * valid).square().sum(0) / count).sqrt()
        self.action_mean.copy_(mean)
        self.action_std.copy_(torch.maximum(std, std.new_tensor(ACTION_FLOOR)))

    def raw_features(self, state: Tensor, reference: Tensor, environment: Tensor | None) -> Tensor:
        """Features (B, F) before normalisation, of (B, T, S), (B, T, 9) and (B, T, E)."""
        return transform.observation_features(state, reference, environment, self.config)

    def normalize_features(self, features: Tensor) -> Tensor:
        """Features (B, F) in standard deviations of the data."""
        if not bool((self.feature_std > 0).all()):
            raise SteadyhandError("the policy has no statistics: build it with dataset_meta or load a checkpoint")
        return ((features - self.feature_mean) / self.feature_std).clamp(-FEATURE_CLIP, FEATURE_CLIP)

    def normalize_actions(self, actions: Tensor, state: Tensor) -> Tensor:
        """Tool poses (B, H, 10) as the network predicts them; state (B, S) is the newest frame."""
        return (transform.encode_actions(actions, state) - self.action_mean) / self.action_std

    def restore_actions(self, chunk: Tensor, state: Tensor) -> Tensor:
        """Inverse of normalize_actions."""
        return transform.decode_actions(chunk * self.action_std + self.action_mean, state)

    def flow_loss(self, features: Tensor, target: Tensor, valid: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Loss (B,) of normalised features (B, F) and chunks (B, H, 10) over their valid (B, H) actions."""
        at = time[:, None, None]
        velocity = self.network((1 - at) * noise + at * target, time, features)
        error = (velocity - (target - noise)).square().mean(-1)
        return (error * valid).sum(1) / valid.sum(1).clamp_min(1)

    def forward(self, batch: dict[str, Tensor], reduction: str = "mean") -> tuple[Tensor, dict]:
        """LeRobot's training step: the mean loss, or with reduction "none" one for each sample."""
        state, reference, environment = self._observation(batch)
        target = self.normalize_actions(batch[ACTION], state[:, -1])
        features = self.normalize_features(self.raw_features(state, reference, environment))
        time = torch.rand(len(target), device=target.device)
        loss = self.flow_loss(features, target, ~batch["action_is_pad"], torch.randn_like(target), time)
        return (loss if reduction == "none" else loss.mean()), {}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network; LeRobot's trainer too calls it after every step."""
        count = int(self.updates)
        decay = min(self.config.ema_decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        self.updates += 1

    def get_optim_params(self):
        """What the optimizer moves; the average follows by itself."""
        return self.network.parameters()

    def reset(self) -> None:
        """Forget the observations and the queued actions of the last episode."""
        self._history: deque[dict[str, Tensor]] = deque(maxlen=self.config.n_obs_steps)
        self._queue: deque[Tensor] = deque()

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Tool poses (B, H, 10) for observations (B, T, ...); `noise` (B, H, 10) makes it repeatable."""
        state, reference, environment = self._observation(batch)
        observed = self.average.observe(self.normalize_features(self.raw_features(state, reference, environment)))
        chunk = torch.randn(len(state), *self.action_mean.shape, device=state.device) if noise is None else noise
        for step in range(self.config.num_steps):
            time = torch.full((len(state),), step / self.config.num_steps, device=state.device)
            chunk = chunk + self.average.velocity(chunk, time, observed) / self.config.num_steps
        return self.restore_actions(chunk, state[:, -1])

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Next action (B, 10) for single frames (B, ...), for LeRobot's loops; ours is ChunkRunner."""
        frame = {key: batch[key] for key in self.config.input_features}
        self._history.extend([frame] * (1 if self._history else self.config.n_obs_steps))
        if not self._queue:
            stacked = {key: torch.stack([past[key] for past in self._history], dim=1) for key in frame}
            chunk = self.predict_action_chunk(stacked, noise)
            self._queue.extend(chunk[:, : self.config.n_action_steps].unbind(1))
        return self._queue.popleft()

    def _observation(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        """State (B, T, S), reference (B, T, 9) and environment state (B, T, E) of a batch."""
        return batch[OBS_STATE], batch[REFERENCE], batch[OBS_ENV_STATE] if self.config.env_state_feature else None
