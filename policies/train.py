"""Fit the flow policy to LeRobot datasets, all data in memory, on one core."""

import dataclasses
import json
import math
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature
from tqdm import tqdm

from steadyhand.data_collection.exclusion import read_exclusions
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.policies.flow import SteadyhandFlowConfig
from steadyhand.policies.flow.modeling_steadyhand_flow import SteadyhandFlowPolicy
from steadyhand.policies.frames import ACTION, ENVIRONMENT, REFERENCE, STATE, Frames, load_frames, read_features
from steadyhand.policies.loss_log import LossLog
from steadyhand.policies.train_config import TrainConfig
from steadyhand.policies.training_state import load_checkpoint, save_checkpoint
from steadyhand.policies.weights import SCHEMES, sample_weights

SAVE_EVERY = 500


@dataclass(frozen=True)
class TrainResult:
    """Where the policy is and what it took; seconds of this run, loss of the last line of loss.csv."""

    checkpoint: Path
    steps: int
    loss: float
    seconds: float
    frames: int
    parameters: int


@dataclass(frozen=True)
class _Samples:
    """M normalised chunks: features (M, F), target (M, H, 10), valid (M, H), cumulative weight (M,)."""

    features: torch.Tensor
    target: torch.Tensor
    valid: torch.Tensor
    cumulative: np.ndarray


def train(config: TrainConfig) -> TrainResult:
    """Train and save; SteadyhandError for what the user can fix; Ctrl-C saves before it is passed on."""
    excluded = read_exclusions(config.exclude, config.dataset) if config.exclude is not None else None
    _validate(config, excluded)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a second thread costs more than it brings at this size
    try:
        frames = load_frames(config.dataset, excluded)
        weights = sample_weights(config.weights, frames, config.dataset)
        torch.manual_seed(config.seed)
        policy = _build_policy(config)
        policy.fit(frames, weights)
        samples = _normalize(policy, frames, weights)
        optimizer = torch.optim.AdamW(
            policy.get_optim_params(),
            lr=policy.config.optimizer_lr,
            weight_decay=policy.config.optimizer_weight_decay,
            fused=True,
        )
        return _run(config, policy, optimizer, samples)
    finally:
        torch.set_num_threads(threads)


def _validate(config: TrainConfig, excluded: list[list[int]] | None) -> None:
    """Refuse bad settings and an output folder that would be overwritten; write the settings of a new run."""
    if config.weights not in SCHEMES:
        raise unknown("weights", config.weights, SCHEMES)
    for name in ("steps", "batch_size"):
        if getattr(config, name) < 1:
            raise SteadyhandError(f"--{name.replace('_', '-')} is {getattr(config, name)}; give at least 1")
    settings = _settings(config, excluded)
    file = config.output / "train.json"
    if config.resume:
        _check_same(config, file, settings)
        return
    if config.output.exists() and (not config.output.is_dir() or any(config.output.iterdir())):
        raise SteadyhandError(f"output '{config.output}' exists; choose a new folder or add --resume to go on there")
    for path in config.dataset:
        read_features(path)
    try:
        config.output.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings, indent=2))
    except OSError as error:
        raise SteadyhandError(
            f"output '{config.output}' cannot be written: {error.strerror}; choose another"
        ) from error


def _settings(config: TrainConfig, excluded: list[list[int]] | None) -> dict:
    """What must stay the same for a run to be continued."""
    fields = {name: value for name, value in dataclasses.asdict(config).items()
              if name not in ("output", "resume", "progress")}  # fmt: skip
    return fields | {"dataset": [str(path.resolve()) for path in config.dataset], "exclude": excluded}


def _check_same(config: TrainConfig, file: Path, settings: dict) -> None:
    """Refuse to resume a run that does not exist or had other settings."""
    if not file.is_file() or not (config.output / "checkpoints" / "last").is_dir():
        raise SteadyhandError(f"no run to resume in '{config.output}'; leave out --resume to start one")
    saved = json.loads(file.read_text())
    for name, value in settings.items():
        if saved.get(name) != value:
            raise SteadyhandError(
                f"the run in '{config.output}' has {name} {saved.get(name)}, got {value}; resume with"
                " the same settings or choose a new --output"
            )


def _build_policy(config: TrainConfig) -> SteadyhandFlowPolicy:
    """A fresh policy for the columns of the first dataset."""
    features = read_features(config.dataset[0])
    kinds = {
        STATE: FeatureType.STATE,
        REFERENCE: FeatureType.STATE,
        ENVIRONMENT: FeatureType.ENV,
        ACTION: FeatureType.ACTION,
    }
    shapes = {
        name: PolicyFeature(kind, tuple(features[name]["shape"])) for name, kind in kinds.items() if name in features
    }
    policy_config = SteadyhandFlowConfig(
        input_features={name: shapes[name] for name in (STATE, REFERENCE, ENVIRONMENT) if name in shapes},
        output_features={ACTION: shapes[ACTION]},
        device="cpu",
        push_to_hub=False,
        scheduler_decay_steps=config.steps,
        scheduler_warmup_steps=min(100, config.steps // 10),
    )
    policy_config.set_dataset_feature_metadata(features)
    try:
        return SteadyhandFlowPolicy(policy_config)
    except ValueError as error:
        raise SteadyhandError(f"dataset '{config.dataset[0]}' does not fit the policy: {error}") from error


def _normalize(policy: SteadyhandFlowPolicy, frames: Frames, weights: np.ndarray) -> _Samples:
    """Everything that does not change during training, computed once."""
    chunks = frames.chunks(policy.config.n_obs_steps, policy.config.horizon, weights)
    cumulative = np.cumsum(weights[chunks.start.numpy()])
    return _Samples(
        features=policy.normalize_features(policy.raw_features(chunks.state, chunks.reference, chunks.environment)),
        target=policy.normalize_actions(chunks.actions, chunks.state[:, -1]),
        valid=chunks.valid,
        cumulative=cumulative / cumulative[-1],
    )


def _run(config: TrainConfig, policy: SteadyhandFlowPolicy, optimizer, samples: _Samples) -> TrainResult:
    """The steps, with progress, log and checkpoints."""
    step = load_checkpoint(config.output, policy, optimizer) if config.resume else 0
    log = LossLog(config.output, step)
    began = time.perf_counter()
    policy.train()
    with _Interruption() as interruption, _progress_bar(config, step) as bar:
        while step < config.steps and not interruption.asked:
            loss = _step(config, policy, optimizer, samples, step)
            step += 1
            log.add(step, loss)
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            if step % SAVE_EVERY == 0 and step < config.steps:
                save_checkpoint(config.output, step, policy, optimizer)
    log.flush(step)
    checkpoint = save_checkpoint(config.output, step, policy, optimizer)
    log.plot()
    if interruption.asked:
        print(f"stopped after {step} of {config.steps} steps and saved; --resume goes on from there")
        raise KeyboardInterrupt
    parameters = sum(parameter.numel() for parameter in policy.network.parameters())
    seconds = time.perf_counter() - began
    return TrainResult(checkpoint, step, log.mean, seconds, len(samples.features), parameters)


def _progress_bar(config: TrainConfig, step: int) -> tqdm:
    return tqdm(total=config.steps, initial=step, desc="train", unit="step", disable=not config.progress)


def _step(config: TrainConfig, policy: SteadyhandFlowPolicy, optimizer, samples: _Samples, step: int) -> float:
    """One optimizer step; returns its loss.

    What is random comes from a generator seeded by seed and step: a resumed run repeats an uninterrupted one.
    """
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([config.seed, step])))
    rows = torch.from_numpy(np.searchsorted(samples.cumulative, random.random(config.batch_size), side="right"))
    target = samples.target[rows]
    noise = torch.from_numpy(random.standard_normal(target.shape, dtype=np.float32))
    moment = torch.from_numpy(random.random(config.batch_size, dtype=np.float32))
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(policy.config, step)
    loss = policy.flow_loss(samples.features[rows], target, samples.valid[rows], noise, moment).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    policy.update()
    return loss.item()


def learning_rate(config: SteadyhandFlowConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to zero at scheduler_decay_steps."""
    warm = min(1.0, (step + 1) / max(1, config.scheduler_warmup_steps))
    return config.optimizer_lr * warm * 0.5 * (1 + math.cos(math.pi * step / config.scheduler_decay_steps))


class _Interruption:
    """Turns the first Ctrl-C into a request, answered between two steps; the second interrupts at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "_Interruption":
        self._main = threading.current_thread() is threading.main_thread()  # only there can signals be handled
        if self._main:
            self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._previous)

    def _ask(self, *_: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._previous)
