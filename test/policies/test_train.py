"""Training: repeatable, resumable, and its checkpoints are LeRobot's."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.policies.factory import make_policy, make_pre_post_processors
from policy_testing import observation
from safetensors.torch import load_file

import steadyhand.policies.train as module
from steadyhand.errors import SteadyhandError
from steadyhand.policies.policy import load_policy
from steadyhand.policies.train import TrainConfig, learning_rate, train


def weights_of(output) -> dict[str, torch.Tensor]:
    return load_file(output / "checkpoints" / "last" / "pretrained_model" / "model.safetensors")


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_learns(dataset, tmp_path):
    result = train(TrainConfig((dataset,), tmp_path / "out", steps=150, batch_size=64, progress=False))
    rows = list(csv.DictReader((tmp_path / "out" / "loss.csv").open()))
    losses = [float(row["loss"]) for row in rows]
    assert [int(row["step"]) for row in rows] == list(range(25, 151, 25))
    assert losses[-1] < 0.6 * losses[0]
    assert result.loss == pytest.approx(losses[-1])
    assert (tmp_path / "out" / "loss.png").stat().st_size > 5000


def test_resumed_is_bit_identical_to_uninterrupted(dataset, tmp_path, monkeypatch):
    """Ctrl-C after 13 steps, then --resume, against one run of 30."""
    config = TrainConfig((dataset,), tmp_path / "whole", steps=30, batch_size=16, progress=False)
    train(config)
    parts = dataclasses.replace(config, output=tmp_path / "parts")
    step = module._step

    def interrupting(*args):
        if args[-1] == 12:
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    monkeypatch.setattr(module, "_step", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train(parts)
    saved = tmp_path / "parts" / "checkpoints" / "last" / "training_state" / "training_step.json"
    assert json.loads(saved.read_text()) == {"step": 13}
    monkeypatch.setattr(module, "_step", step)
    train(dataclasses.replace(parts, resume=True))
    assert_same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    folders = [path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()]
    assert sorted(folders) == ["000030", "last"]
    train(dataclasses.replace(parts, resume=True))  # nothing left to do, nothing lost
    assert_same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))


def test_same_seed_same_weights_even_from_a_thread(trained, dataset, tmp_path):
    config = TrainConfig((dataset,), tmp_path / "out", steps=40, batch_size=32, progress=False)
    thread = threading.Thread(target=train, args=(config,))
    thread.start()
    thread.join()
    assert_same(weights_of(tmp_path / "out"), load_file(trained.checkpoint / "model.safetensors"))


def test_lerobot_opens_the_checkpoint(trained, dataset):
    """make_policy and its processors give the actions our runner gives."""
    config = PreTrainedConfig.from_pretrained(trained.checkpoint)
    config.pretrained_path = trained.checkpoint
    policy = make_policy(config, ds_meta=LeRobotDatasetMetadata("test/synthetic", root=dataset))
    before, after = make_pre_post_processors(config, pretrained_path=str(trained.checkpoint))
    batch = observation(3)
    runner = load_policy(trained.checkpoint, seed=5)
    runner.reset([0, 1, 2], seeds=[1, 2, 3])
    single = {key: value[:, 0].numpy() for key, value in batch.items()}
    ours = runner.act(single, [0, 1, 2])
    repeated = {key: value[:, :1].repeat(1, 2, 1) for key, value in batch.items()}
    streams = [np.random.Philox(np.random.SeedSequence([5, 0, episode])) for episode in (1, 2, 3)]
    noise = np.stack([np.random.Generator(stream).standard_normal((16, 10), np.float32) for stream in streams])
    theirs = after(policy.predict_action_chunk(before(repeated), noise=torch.from_numpy(noise)))
    np.testing.assert_allclose(ours, theirs[:, 0], atol=1e-5)


def test_lerobot_trains_it(dataset, tmp_path):
    """`lerobot-train` finds the plug-in, calls our average, and we open what it wrote."""
    output = tmp_path / "lerobot"
    command = [
        sys.executable, "-m", "lerobot.scripts.lerobot_train",
        "--policy.discover_packages_path=steadyhand.policies.flow", "--policy.type=steadyhand_flow",
        "--policy.device=cpu", "--policy.push_to_hub=false", "--dataset.repo_id=test/synthetic",
        f"--dataset.root={dataset}", f"--output_dir={output}", "--steps=20", "--batch_size=16",
        "--num_workers=0", "--save_freq=20", "--wandb.enable=false",
    ]  # fmt: skip
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(weights_of(output)["updates"]) == 20
    policy = load_policy(output)
    actions = policy.act({key: value[:, 0].numpy() for key, value in observation(2).items()}, [0, 1])
    assert np.isfinite(actions).all()


def test_learning_rate_warms_up_and_ends_at_zero(trained):
    config = PreTrainedConfig.from_pretrained(trained.checkpoint)
    rates = [learning_rate(config, step) for step in range(41)]
    assert rates[0] == pytest.approx(config.optimizer_lr / config.scheduler_warmup_steps)
    assert max(rates) <= config.optimizer_lr
    assert rates[40] == pytest.approx(0)


def test_existing_output_is_refused(trained, dataset):
    output = trained.checkpoint.parents[2]
    with pytest.raises(SteadyhandError, match="exists; choose a new folder or add --resume"):
        train(TrainConfig((dataset,), output, progress=False))


@pytest.mark.parametrize("change", [{"seed": 1}, {"batch_size": 8}, {"steps": 41}, {"weights": "iwr"}])
def test_resume_with_other_settings_is_refused(trained, dataset, change):
    config = TrainConfig((dataset,), trained.checkpoint.parents[2], steps=40, batch_size=32, resume=True)
    with pytest.raises(SteadyhandError, match=f"has {next(iter(change))} "):
        train(dataclasses.replace(config, **change))


def test_mistakes_are_told_in_one_line(dataset, tmp_path):
    new = tmp_path / "new"
    cases = {
        "no run to resume": TrainConfig((dataset,), new, resume=True),
        "unknown weights 'best'": TrainConfig((dataset,), new, weights="best"),
        "--steps is 0": TrainConfig((dataset,), new, steps=0),
        "--batch-size is 0": TrainConfig((dataset,), new, batch_size=0),
        "is no folder": TrainConfig((tmp_path / "nothing",), new),
    }
    for message, config in cases.items():
        with pytest.raises(SteadyhandError, match=message) as caught:
            train(config)
        assert "\n" not in str(caught.value)
        assert not new.exists()


def test_unwritable_output(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SteadyhandError, match="cannot be written"):
        train(TrainConfig((dataset,), tmp_path / "file" / "out"))


def test_broken_checkpoints_are_refused(trained, tmp_path):
    with pytest.raises(SteadyhandError, match="no checkpoint in"):
        load_policy(tmp_path)
    model = tmp_path / "pretrained_model"
    model.mkdir()
    for file in trained.checkpoint.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(SteadyhandError, match="cannot be loaded"):
        load_policy(tmp_path)
    (model / "model.safetensors").unlink()
    with pytest.raises(SteadyhandError, match="cannot be loaded"):
        load_policy(tmp_path)
    (model / "config.json").write_text('{"type": "act"}')
    with pytest.raises(SteadyhandError, match="of type 'act'; allowed: steadyhand_flow"):
        load_policy(tmp_path)
    (model / "config.json").write_text("{")
    with pytest.raises(SteadyhandError, match="cannot be read"):
        load_policy(tmp_path)


def test_wrong_observation_is_refused(trained):
    policy = load_policy(trained.checkpoint)
    with pytest.raises(SteadyhandError, match=r"'observation.reference' of shape \(9,\), got nothing"):
        policy.act({"observation.state": np.zeros((1, 16))}, [0])


def test_dataset_without_the_tracked_pose_is_refused(dataset, tmp_path):
    """As recorded by others: one line that names the column."""
    plain = tmp_path / "plain"
    shutil.copytree(dataset, plain)
    info = json.loads((plain / "meta/info.json").read_text())
    del info["features"]["observation.reference"]
    (plain / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(SteadyhandError, match=r"plain' has no column 'observation\.reference'; .*record it") as caught:
        train(TrainConfig((dataset, plain), tmp_path / "out", steps=1, progress=False))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()  # so that the next attempt may use it
