"""LeRobot checkpoints as chunk models. Only JSON and safetensors are read: nothing in them is executed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors
from safetensors import SafetensorError
from safetensors.torch import load_file

from steadyhand.errors import SteadyhandError
from steadyhand.policies.flow import SteadyhandFlowConfig
from steadyhand.policies.flow.modeling_steadyhand_flow import ACTION_SIZE, SteadyhandFlowPolicy

# Rows of every forward pass: another shape sums in another order, and episodes would depend on the batch.
BLOCK = 16


class LeRobotChunkModel:
    """A flow policy with its pre- and post-processors, numpy in and out."""

    def __init__(self, policy: SteadyhandFlowPolicy, preprocessor, postprocessor, version: str) -> None:
        self.name, self.version = policy.name, version
        self.n_obs_steps, self.n_action_steps = policy.config.n_obs_steps, policy.config.n_action_steps
        self.noise_shape: tuple[int, ...] = (policy.config.horizon, ACTION_SIZE)
        self._policy, self._before, self._after = policy.eval(), preprocessor, postprocessor
        self._inputs = {key: tuple(feature.shape) for key, feature in policy.config.input_features.items()}

    def predict(self, observation: dict[str, np.ndarray], noise: np.ndarray) -> np.ndarray:
        """Actions (B, H, 10) for observations (B, T, ...) and noise (B, H, 10)."""
        self._check(observation)
        arrays = {key: observation[key].astype(np.float32) for key in self._inputs}
        blocks = [
            self._predict_block({key: values[first : first + BLOCK] for key, values in arrays.items()},
                                noise[first : first + BLOCK])
            for first in range(0, len(noise), BLOCK)
        ]  # fmt: skip
        return np.concatenate(blocks)

    @torch.inference_mode()
    def _predict_block(self, observation: dict[str, np.ndarray], noise: np.ndarray) -> np.ndarray:
        """As predict, for at most BLOCK rows, filled up to BLOCK."""
        rows = len(noise)
        fill = np.minimum(np.arange(BLOCK), rows - 1)
        batch = self._before({key: torch.from_numpy(values[fill]) for key, values in observation.items()})
        start = torch.from_numpy(noise[fill]).to(self._policy.config.device)
        return self._after(self._policy.predict_action_chunk(batch, noise=start)).numpy()[:rows]

    def _check(self, observation: dict[str, np.ndarray]) -> None:
        for key, shape in self._inputs.items():
            given = observation[key].shape[2:] if key in observation else "nothing"
            if given != shape:
                raise SteadyhandError(
                    f"the policy expects '{key}' of shape {shape}, got {given}; use the task and robot"
                    " it was trained on"
                )


def open_checkpoint(path: Path) -> LeRobotChunkModel:
    """Find, validate and load a checkpoint."""
    folder = model_folder(path)
    config = _read_config(folder)
    weights = folder / "model.safetensors"
    try:
        policy = SteadyhandFlowPolicy(config)
        policy.load_state_dict(load_file(weights))
        policy.to(config.device)
        before, after = make_pre_post_processors(config, pretrained_path=str(folder))
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SteadyhandError(f"checkpoint '{folder}' cannot be loaded: {reason}; train it again") from error
    torch.set_num_threads(1)
    return LeRobotChunkModel(policy, before, after, hashlib.sha256(weights.read_bytes()).hexdigest()[:12])


def model_folder(path: Path) -> Path:
    """The folder with config.json at or below `path`."""
    for folder in (path, path / "pretrained_model", path / "checkpoints" / "last" / "pretrained_model"):
        if (folder / "config.json").is_file():
            return folder
    raise SteadyhandError(
        f"no checkpoint in '{path}' (no config.json there, in pretrained_model or in"
        " checkpoints/last/pretrained_model); give the --output folder of 'steadyhand train'"
    )


def _read_config(folder: Path) -> SteadyhandFlowConfig:
    """The policy's settings, if the checkpoint is one of ours."""
    try:
        kind = json.loads((folder / "config.json").read_text()).get("type")
        config = PreTrainedConfig.from_pretrained(folder) if kind == SteadyhandFlowPolicy.name else None
    except Exception as error:  # draccus raises many kinds for a broken file
        reason = " ".join(str(error).split())[:200]
        raise SteadyhandError(f"settings '{folder / 'config.json'}' cannot be read: {reason}") from error
    if config is None:
        raise SteadyhandError(
            f"checkpoint '{folder}' holds a policy of type '{kind}'; allowed: {SteadyhandFlowPolicy.name}"
        )
    return config
