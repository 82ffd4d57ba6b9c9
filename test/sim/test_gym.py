"""The Gymnasium environments: the episodes of `steadyhand eval`, behind the interface that everybody knows."""

import gc
import json
import warnings
import weakref

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import steadyhand.sim.gym
from steadyhand import evaluate
from steadyhand.errors import SteadyhandError
from steadyhand.evaluate import EvalConfig
from steadyhand.sim.env import World
from steadyhand.sim.gym.environment import DRAWN_SEEDS
from steadyhand.sim.gym.options import OBSERVATIONS, PRIVILEGED
from steadyhand.sim.point_cloud import CloudSpec, capture
from steadyhand.sim.render import Renderer
from steadyhand.sim.rollout import Rollout, ScriptedDriver
from steadyhand.sim.tasks import make_task, task_names
from steadyhand.sim.tasks.peg_insertion import PegInsertion

PEG = "steadyhand/PegInsertion-v0"
NAMES = [steadyhand.sim.gym.env_id(task) for task in task_names()]
# Absolute poses in metres and unbounded measurements are meant.
EXPECTED = ("symmetric and normalized", "value is -infinity", "value is infinity")


SIGHTS = {
    "cameras": ("front",),
    "depth": ("side", "front"),
    "segmentation": ("side",),
    "point_cloud": ("front", "side"),
    "cloud": CloudSpec(points=64, colours=True),
    "image_size": (64, 48),
}


def make(**options) -> gymnasium.Env:
    return gymnasium.make(PEG, **options)


def play(env: gymnasium.Env, seed: int | None) -> tuple[list, list[float], tuple[bool, bool], dict]:
    """An episode by the scripted operator: frames, rewards, (terminated, truncated), last info."""
    driver, ended = ScriptedDriver(), (False, False)
    observation, info = env.reset(seed=seed)
    twin = env.unwrapped
    driver.begin(0, twin.episode)
    frames, rewards = [], []
    while not any(ended):
        expected = twin.frame.policy_input()
        for name, value in observation.items():
            np.testing.assert_array_equal(value, expected[f"observation.{name}"])
        frames.append(twin.frame)
        action = driver.decide([0], [twin.frame])[0].action
        observation, reward, *ended, info = env.step(action)
        rewards.append(reward)
    return frames, rewards, tuple(ended), info


def arrays(observation: dict) -> list[np.ndarray]:
    """The arrays of nested dictionaries."""
    values = [observation[key] for key in sorted(observation)]
    return [part for value in values for part in (arrays(value) if isinstance(value, dict) else [value])]


def bits(frames: list) -> bytes:
    return b"".join(
        part.tobytes() for frame in frames for part in (frame.state, frame.joints, frame.reference, frame.environment)
    )


def test_every_task_is_registered():
    assert set(NAMES) <= gymnasium.registry.keys()
    assert PEG in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_gymnasiums_checker_passes(name):
    env = gymnasium.make(name, **SIGHTS, observations=OBSERVATIONS, max_steps=20, render_mode="rgb_array")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env.unwrapped)
    messages = [str(warning.message) for warning in caught]
    assert [message for message in messages if not any(words in message for words in EXPECTED)] == []
    env.close()


@pytest.mark.parametrize("max_steps", [None, 7])
def test_same_seed_same_bits_as_a_rollout(max_steps):
    world = World.load("fr3", "peg_insertion")
    limit = None if max_steps is None else max_steps * 0.1
    env = make(max_steps=max_steps)
    for log in Rollout(world, ScriptedDriver(), 2, limit).run([1_000_001, 1_000_000]):
        frames, rewards, (terminated, truncated), info = play(env, log.seed)
        assert bits(frames) == bits(log.frames)
        assert len(frames) == log.steps
        assert (info["seed"], info["success"], info["reason"]) == (log.seed, log.success, log.reason)
        assert rewards == [0.0] * (log.steps - 1) + [float(log.success)]
        assert (terminated, truncated) == (log.success, not log.success)
    env.close()


def test_the_episodes_of_steadyhand_eval(tmp_path):
    evaluate.main(EvalConfig(tmp_path / "eval", episodes=2, videos=0))
    env = make()
    for row in json.loads((tmp_path / "eval" / "eval.json").read_text())["episodes"]:
        frames, _, _, info = play(env, row["seed"])
        assert (len(frames), info["success"], info["reason"]) == (row["steps"], row["success"], row["reason"])
    env.close()


def test_failing_for_good_terminates(monkeypatch):
    monkeypatch.setattr(PegInsertion, "failure", lambda self, truth: "fell")
    env = make()
    env.reset(seed=1)
    _, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert (reward, terminated, truncated, info["reason"]) == (0.0, True, False, "fell")
    with pytest.raises(SteadyhandError, match=r"over \(fell\); call reset"):
        env.step(env.action_space.sample())
    env.close()


def test_seeds():
    env = make(seed=5, max_steps=2)
    assert env.reset()[1]["seed"] == 5
    drawn = [env.reset()[1]["seed"] for _ in range(2)]
    assert drawn[0] != drawn[1]
    assert all(DRAWN_SEEDS[0] <= seed < DRAWN_SEEDS[1] for seed in drawn)
    again = make(seed=6, max_steps=2)
    assert again.reset(seed=5)[1]["seed"] == 5
    assert [again.reset()[1]["seed"] for _ in range(2)] == drawn
    env.close()
    again.close()


def test_privileged_state_is_the_truth():
    env = make(observations=(PRIVILEGED, "environment_state"))
    observation, _ = env.reset(seed=3)
    assert observation.keys() == {PRIVILEGED, "environment_state"}
    np.testing.assert_array_equal(observation[PRIVILEGED], env.unwrapped.frame.truth.astype(np.float32))
    assert not np.array_equal(observation[PRIVILEGED], observation["environment_state"])
    env.close()


def test_pictures():
    env = make(observations=("state",), cameras=("front", "wrist"), image_size=(96, 64), render_mode="rgb_array")
    observation, _ = env.reset(seed=3)
    assert env.render().shape == (360, 480, 3)
    twin = env.unwrapped.episode.twin
    renderer = Renderer(env.unwrapped.episode.world.model, 96, 64)
    for camera in ("front", "wrist"):
        np.testing.assert_array_equal(observation["pixels"][camera], renderer.render(twin.qpos, camera, twin.mocap))
    renderer.close()
    env.close()


def test_depth_segmentation_and_point_cloud():
    """Each camera is drawn in one go, and shows what it shows alone."""
    env = make(**SIGHTS, observations=())
    observation, _ = env.reset(seed=3)
    twin = env.unwrapped.episode.twin
    renderer = Renderer(env.unwrapped.episode.world.model, 64, 48)
    data = renderer.pose(twin.qpos, twin.mocap)
    assert observation.keys() == {"pixels", "depth", "segmentation", "point_cloud"}
    assert [list(observation[key]) for key in ("pixels", "depth", "segmentation")] == [
        list(SIGHTS[option]) for option in ("cameras", "depth", "segmentation")
    ]
    np.testing.assert_array_equal(observation["pixels"]["front"], renderer.draw(data, "front"))
    for camera in SIGHTS["depth"]:
        np.testing.assert_array_equal(
            observation["depth"][camera], renderer.view(data, camera, rgb=False, depth=True).depth
        )
    bodies = observation["segmentation"]["side"]
    np.testing.assert_array_equal(bodies, renderer.view(data, "side", bodies=True).bodies)
    names = env.unwrapped.body_names
    assert {names[number] for number in np.unique(bodies)} >= {"world", "fr3_link0", "fr3_hand"}
    cloud = capture(renderer, data, SIGHTS["point_cloud"], SIGHTS["cloud"])
    np.testing.assert_array_equal(observation["point_cloud"], cloud)
    renderer.close()
    env.close()


def test_the_wrench_is_that_of_the_state():
    env = make(observations=("state", "wrench"))
    observation, _ = env.reset(seed=3)
    np.testing.assert_array_equal(observation["wrench"], observation["state"][10:])
    assert np.abs(env.step(env.action_space.sample())[0]["wrench"]).max() > 0
    env.close()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectors_run_the_same_episodes(mode):
    """Three decisions of two environments; the next episode then starts in the same step."""
    name, options = f"steadyhand.sim.gym:{PEG}", {"max_steps": 3, **SIGHTS}
    vector_kwargs = {"autoreset_mode": AutoresetMode.SAME_STEP}
    if mode == "async":
        vector_kwargs["context"] = "forkserver"
    vector = gymnasium.make_vec(name, num_envs=2, vectorization_mode=mode, vector_kwargs=vector_kwargs, **options)
    envs = [make(**options) for _ in range(2)]
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 2, 10)).astype(np.float32)
    together, _ = vector.reset(seed=[8, 9])
    alone = [env.reset(seed=seed)[0] for env, seed in zip(envs, (8, 9), strict=True)]
    for action in actions:
        for batch, *rows in zip(arrays(together), *map(arrays, alone), strict=True):
            np.testing.assert_array_equal(batch, np.stack(rows))
        together, rewards, terminated, truncated, info = vector.step(action)
        alone = [env.step(row)[0] for env, row in zip(envs, action, strict=True)]
    assert truncated.all()
    assert not terminated.any()
    assert not rewards.any()
    assert list(info["final_info"]["seed"]) == [8, 9]
    assert all(info["final_info"]["reason"])
    assert (info["seed"] >= DRAWN_SEEDS[0]).all()
    for env in (vector, *envs):
        env.close()


def test_close_frees_everything():
    env = make(cameras=("front",), image_size=(64, 48), render_mode="rgb_array")
    env.reset(seed=1)
    env.render()
    twin = env.unwrapped
    other = make()
    assert other.unwrapped.episode.world is twin.episode.world
    other.close()
    renderers = list(twin._renderers.values())
    freed = [weakref.ref(part) for part in (twin.episode, twin.episode.world)]
    env.close()
    env.close()
    gc.collect()
    assert len(renderers) == 2
    assert not any(renderer._free.alive for renderer in renderers)
    assert [reference() for reference in freed] == [None, None]
    for use in (env.render, env.reset, lambda: env.step(env.action_space.sample())):
        with pytest.raises(SteadyhandError, match="closed; make a new one"):
            use()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"picture": 1},
            "unknown option 'picture'; allowed: task, robot, observations, cameras, depth, segmentation, point_cloud",
        ),
        ({"robot": "r2d2"}, "unknown robot 'r2d2'; allowed: fr3"),
        ({"observations": ("force",)}, "unknown observation 'force'; allowed: state, joints"),
        ({"observations": "state"}, "observations is the word 'state'; give a list"),
        ({"observations": ()}, "needs observations or cameras"),
        ({"depth": "front"}, "depth is the word 'front'; give a list"),
        ({"segmentation": ("top",)}, "unknown camera 'top'; allowed: front, side, wrist"),
        ({"point_cloud": ("front", "top")}, "unknown camera 'top'; allowed: front, side, wrist"),
        ({"cloud": 1024}, "cloud is 1024; give a CloudSpec"),
        ({"point_cloud": ("front",), "cloud": CloudSpec(bodies=("cup",))}, "unknown body 'cup'; allowed: world"),
        ({"cameras": ("top",)}, "unknown camera 'top'; allowed: front, side, wrist"),
        ({"image_size": (2000, 100)}, "picture size 2000x100 does not fit; allowed: 1x1 to"),
        ({"image_size": (64.0, 48)}, "give width and height in pixels"),
        ({"max_steps": 0}, "max_steps is 0; give a whole number from 1"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"robot": "iiwa14"}, "needs a gripper, robot 'iiwa14' has none"),
        ({"task": "juggle"}, "unknown task 'juggle'; allowed: .*peg_insertion"),
    ],
)
def test_mistakes_are_told_in_one_line(option, message):
    with pytest.raises(SteadyhandError, match=message.replace("(", r"\(")) as caught:
        make(**option)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*not in the possible render_modes")
def test_unknown_render_mode():
    with pytest.raises(SteadyhandError, match="unknown render_mode 'ansi'; allowed: rgb_array"):
        make(render_mode="ansi")


def test_names_follow_the_tasks():
    assert make_task("peg_insertion").name == "peg_insertion"
    with pytest.raises(SteadyhandError, match="unknown task 'peg'"):
        steadyhand.sim.gym.env_id("peg")
