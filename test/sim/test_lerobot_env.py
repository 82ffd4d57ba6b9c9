"""The twin as LeRobot sees it: found by its plug-in, evaluated and trained on with LeRobot's own tools."""

import json
import re
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.envs import close_envs, make_env, preprocess_observation
from lerobot.envs.utils import env_to_policy_features
from lerobot.scripts.lerobot_eval import rollout
from lerobot_pages import commands, install, run

from steadyhand.data_collection.collect import open_writer, write_episodes
from steadyhand.data_collection.sidecar import EpisodeInfo
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.gym.lerobot_env import SteadyhandEnvConfig
from steadyhand.sim.rollout import Rollout, ScriptedDriver

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "environments.md").read_text()
# What makes the page's commands short enough for a test; the last of two equal options counts.
SHORT = {
    "lerobot-train": "--steps=4 --env_eval_freq=4 --eval.n_episodes=1 --env.max_steps=4 --num_workers=0 "
    "--policy.dim_model=32 --policy.n_heads=2 --policy.n_encoder_layers=1 --policy.chunk_size=8 "
    "--policy.n_action_steps=8",
    "lerobot-eval": "--eval.n_episodes=2 --eval.batch_size=2 --env.max_steps=4",
}


class OperatorPolicy(torch.nn.Module):
    """The scripted operators of a vector's environments, as LeRobot's loop asks a policy."""

    def __init__(self, vector) -> None:
        super().__init__()
        self._twins = [env.unwrapped for env in vector.envs]

    def reset(self) -> None:
        self._driver = None

    def select_action(self, observation: dict) -> torch.Tensor:
        rows = range(len(self._twins))
        if self._driver is None:
            self._driver = ScriptedDriver()
            for row in rows:
                self._driver.begin(row, self._twins[row].episode)
        decisions = self._driver.decide(rows, [twin.frame for twin in self._twins])
        return torch.from_numpy(np.stack([decision.action for decision in decisions]))


@pytest.fixture(scope="module")
def demos(tmp_path_factory) -> Path:
    """A folder to work in, with two demonstrations where the page expects them."""
    folder = tmp_path_factory.mktemp("work")
    path = folder / "outputs" / "demo" / "demos"
    world = World.load("fr3", "peg_insertion")
    with open_writer(path, world) as writer:
        logs = Rollout(world, ScriptedDriver(), 2).run([1, 2])
        write_episodes(writer, world, logs, lambda log: EpisodeInfo(log.success, log.reason, seed=log.seed))
    return folder


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """Where the page's first command has installed the plug-in."""
    return install(commands(PAGE)[0], tmp_path_factory)


def test_features_are_what_a_policy_is_given():
    config = SteadyhandEnvConfig(
        observations=["state", "joints", "reference", "environment_state", "privileged_state", "wrench"],
        cameras=["front"], image_width=64, image_height=48,
    )  # fmt: skip
    envs = make_env(config, n_envs=2)
    vector = envs["steadyhand"][0]
    given = preprocess_observation(vector.reset(seed=[1, 2])[0])
    features = env_to_policy_features(config)
    assert features.pop("action").shape == (10,)
    assert {name: feature.shape for name, feature in features.items()} == {
        name: tuple(value.shape[1:]) for name, value in given.items()
    }
    assert given["observation.images.front"].shape == (2, 3, 48, 64)
    assert vector.metadata["render_fps"] == config.fps == 10
    assert vector.call("_max_episode_steps") == (200, 200)
    assert vector.call("task_description")[0] == "put the peg into the hole and let go"
    close_envs(envs)


def test_lerobots_loop_runs_the_same_episodes():
    """Rewards, lengths and successes as a rollout gives them; who finished early stands still."""
    config, seeds = SteadyhandEnvConfig(), [1_000_000, 1_000_001, 1_000_002]
    envs = make_env(config, n_envs=3)
    vector = envs["steadyhand"][0]
    policy, unchanged = OperatorPolicy(vector), lambda value: value
    result = rollout(vector, policy, *config.get_env_processors(), unchanged, unchanged, seeds=seeds)
    logs = list(Rollout(World.load("fr3", "peg_insertion"), ScriptedDriver(), 2).run(seeds))
    lengths = (result["done"].int().argmax(dim=1) + 1).tolist()
    assert lengths == [log.steps for log in logs]
    assert len(set(lengths)) > 1
    assert result["success"].any(dim=1).tolist() == [log.success for log in logs]
    assert result["reward"].sum(dim=1).tolist() == [float(log.success) for log in logs]
    assert [env.unwrapped.episode.steps for env in vector.envs] == lengths
    assert [env.unwrapped.episode.seed for env in vector.envs] == seeds
    close_envs(envs)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"task": "juggle"}, "unknown task 'juggle'; allowed: button_sequence, "),
        ({"robot": "r2d2"}, "unknown robot 'r2d2'"),
        ({"observations": ["force"]}, "unknown observation 'force'"),
        ({"fps": 30}, "--env.fps is 30; the twin decides 10 times a second"),
    ],
)
def test_mistakes_are_told_in_one_line(option, message):
    with pytest.raises(SteadyhandError, match=message):
        SteadyhandEnvConfig(**option)


def test_found_without_the_plugin():
    """As --env.discover_packages_path does it."""
    code = (
        "from lerobot.configs.parser import load_plugin; from lerobot.envs import EnvConfig; "
        "load_plugin('steadyhand.sim.gym'); print(sorted(EnvConfig.get_known_choices()))"
    )
    assert "'steadyhand'" in run([sys.executable, "-c", code], ROOT)


def test_the_page_in_python():
    code = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    said = run([sys.executable, "-c", code], ROOT)
    assert re.search(r"^False \w+ 1000000$", said, re.MULTILINE)
    assert "the cloud is (512, 6)" in said
    assert "fr3_leftfinger" in said


def test_the_page_on_the_command_line(demos, plugin):
    """The plug-in is installed, and its name is enough to train and to evaluate on the twin."""
    tools = commands(PAGE)[1:]
    scripts = Path(sysconfig.get_path("scripts"))
    assert [tool.split()[0] for tool in tools] == list(SHORT)
    for tool in tools:
        name, *options = tool.split()
        run([sys.executable, str(scripts / name), *options, *SHORT[name].split()], demos, plugin)
    outputs = demos / "outputs"
    info = json.loads((outputs / "act_eval" / "eval_info.json").read_text())
    assert info["overall"]["n_episodes"] == 2
    assert len(list((outputs / "act_eval" / "videos").rglob("*.mp4"))) == 2
    assert len(list((outputs / "act" / "eval").rglob("*.mp4"))) == 1


def test_our_policy_and_a_recording(demos, plugin, tmp_path):
    """A checkpoint of `steadyhand train` in lerobot-eval; what LeRobot records there is a dataset."""
    from steadyhand.policies.train import TrainConfig, train

    trained = train(TrainConfig((demos / "outputs/demo/demos",), tmp_path / "flow", steps=2, progress=False))
    command = [
        sys.executable, "-m", "lerobot.scripts.lerobot_eval", f"--policy.path={trained.checkpoint}",
        "--policy.device=cpu", "--env.type=steadyhand", "--env.cameras=[front,wrist]", "--env.image_width=64",
        "--env.image_height=48", "--env.max_steps=3", "--eval.n_episodes=1", "--eval.recording=true",
        "--seed=1000000", f"--output_dir={tmp_path / 'eval'}",
    ]  # fmt: skip
    run(command, tmp_path, plugin)
    recorded = LeRobotDataset("eval_recording", root=tmp_path / "eval" / "recordings" / "steadyhand_0")
    assert recorded.num_frames == 3
    assert recorded[0]["observation.images.wrist"].shape == (3, 48, 64)
