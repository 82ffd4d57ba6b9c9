"""Saving and resuming a training run, in LeRobot's layout and without pickle.

OUTPUT/train.json                                   the settings
OUTPUT/loss.csv                                     one line per LOG_EVERY steps
OUTPUT/checkpoints/000500/pretrained_model/         config.json, model.safetensors, policy_*processor.json
OUTPUT/checkpoints/000500/training_state/           optimizer.safetensors, training_step.json
OUTPUT/checkpoints/last -> 000500                   replaced atomically: a kill leaves the checkpoint before
"""

import json
import os
import shutil
from pathlib import Path

import torch
from lerobot.policies.factory import make_pre_post_processors
from safetensors.torch import load_file, save_file

from steadyhand.policies.flow.modeling_steadyhand_flow import SteadyhandFlowPolicy


def save_checkpoint(output: Path, step: int, policy: SteadyhandFlowPolicy, optimizer: torch.optim.Optimizer) -> Path:
    """Write the checkpoint of a step, point `last` to it, and remove the others."""
    folder = output / "checkpoints" / f"{step:06d}"
    model, state = folder / "pretrained_model", folder / "training_state"
    if (state / "training_step.json").is_file():
        return model  # complete: a run resumed at its end must not put the only checkpoint at risk
    shutil.rmtree(folder, ignore_errors=True)
    state.mkdir(parents=True)
    policy.save_pretrained(model)
    for processor in make_pre_post_processors(policy.config):
        processor.save_pretrained(model)
    save_file(_flatten(optimizer), state / "optimizer.safetensors")
    (state / "training_step.json").write_text(json.dumps({"step": step}))
    link = folder.parent / "last.new"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    os.replace(link, folder.parent / "last")
    for other in folder.parent.iterdir():
        if other.is_dir() and not other.is_symlink() and other != folder:
            shutil.rmtree(other)
    return model


def load_checkpoint(output: Path, policy: SteadyhandFlowPolicy, optimizer: torch.optim.Optimizer) -> int:
    """Continue from `last`: weights, average, statistics and optimizer; returns the step reached."""
    folder = output / "checkpoints" / "last"
    policy.load_state_dict(load_file(folder / "pretrained_model" / "model.safetensors"))
    _restore(optimizer, load_file(folder / "training_state" / "optimizer.safetensors"))
    return int(json.loads((folder / "training_state" / "training_step.json").read_text())["step"])


def _flatten(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's tensors under names such as `12.exp_avg`."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def _restore(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Inverse of _flatten; the groups (learning rate, decay) stay as built."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
