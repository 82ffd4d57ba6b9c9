"""What every task promises, whoever wrote it."""

from functools import cache

import numpy as np
import pytest

from steadyhand.data_collection.intervention import SupervisedDriver
from steadyhand.data_collection.labels import Segment
from steadyhand.errors import SteadyhandError
from steadyhand.sim._native import Observation
from steadyhand.sim.env import Episode, World
from steadyhand.sim.realtime import Instant, Shadow
from steadyhand.sim.rollout import EpisodeLog, Rollout, ScriptedDriver
from steadyhand.sim.rotations import rot6d_from_quat
from steadyhand.sim.tasks import check_conditions, make_task, task_names
from steadyhand.sim.tasks.task import Choice

FRESH_SEEDS = range(880_000, 880_005)

world = cache(lambda task: World.load("fr3", task))


@cache
def logs(task: str) -> list[EpisodeLog]:
    return list(Rollout(world(task), ScriptedDriver(), 2).run(FRESH_SEEDS))


@pytest.fixture(params=task_names())
def episode(request) -> Episode:
    return Episode(world(request.param))


def decide(episode: Episode) -> None:
    """One decision of the scripted operator."""
    frame = episode.observe()
    episode.request(episode.operator.act(frame.state, frame.truth))


def look(episode: Episode) -> tuple[Observation, ...]:
    return tuple(episode.twin.observe(arm) for arm in range(len(episode.twin)))


def hold(episode: Episode, seconds: float) -> None:
    """Stay where the tools are."""
    for_each = [[o.position, rot6d_from_quat(o.quaternion), [o.gripper]] for o in look(episode)]
    episode.request(np.concatenate([part for parts in for_each for part in parts]))
    episode.twin.step(round(1000 * seconds))


def test_names_are_unique_and_fit(episode):
    task, frame = episode.task, episode.observe()
    assert task.name in task_names()
    assert len(task.wordings) >= 2
    for names in (task.environment_names, task.subtasks, task.wordings):
        assert len(set(names)) == len(names) > 0
    assert frame.truth.shape == frame.environment.shape == (len(task.environment_names),)
    assert frame.truth.dtype == frame.environment.dtype == np.float64
    assert task.progress(frame.observations, frame.truth).shape == (len(task.subtasks),)
    assert isinstance(task.timeout_reason(frame.observations, frame.truth), str)
    assert task.time_limit > 0.0


def test_episodes_start_at_rest_within_their_ranges(episode):
    task = episode.task
    for seed in range(5):
        episode.reset(seed)
        assert list(episode.conditions) == list(task.ranges)
        check_conditions(task.ranges, episode.conditions)
        frame = episode.observe()
        assert np.isfinite(frame.truth).all()
        assert task.failure(frame.truth) is None
        assert not task.success(frame.observations, frame.truth)
        assert (task.progress(frame.observations, frame.truth) < 1.0).any()
        hold(episode, 0.5)
        np.testing.assert_allclose(episode.observe().truth, frame.truth, atol=2e-3)
    seeds = {tuple(episode.reset(seed) or episode.conditions.values()) for seed in range(8)}
    assert len(seeds) == 8


def test_a_condition_outside_the_ranges_is_refused(episode):
    with pytest.raises(SteadyhandError, match="unknown condition 'weather'; allowed: "):
        episode.reset(0, {"weather": 1.0})
    name = next(iter(episode.task.ranges))
    with pytest.raises(SteadyhandError, match=f"condition '{name}' is -1000000000.0; allowed: "):
        episode.reset(0, {name: -1e9})


def test_every_wording_says_what_is_asked_for(episode):
    asked = [
        name for name in episode.task.ranges if f"{{{name}}}" in episode.task.wordings[0]
    ]  # others only place things
    assert all(isinstance(episode.task.ranges[name], Choice) for name in asked)
    for wording in range(len(episode.task.wordings)):
        for seed in range(6):
            episode.reset(seed)
            text = episode.task.instruction(episode.conditions, wording)
            assert "{" not in text
            assert all(str(episode.conditions[name]) in text for name in asked)


def test_an_episode_repeats_to_the_last_bit(episode):
    def run() -> bytes:
        episode.reset(31)
        bits = b""
        for _ in range(40):
            decide(episode)
            episode.twin.step(episode.ticks)
            bits += episode.twin.qpos.tobytes() + episode.twin.qvel.tobytes() + episode.observe().truth.tobytes()
        return bits

    assert run() == run()


def test_the_scripted_operator_succeeds_and_the_progress_ends_at_one(episode):
    done = logs(episode.task.name)
    failed = {log.seed: log.reason for log in done if not log.success}
    assert len(failed) <= 1, failed
    for log in done:
        assert all(count == 0 for name, count in log.counters.items() if name.startswith("refused")), log.counters
        assert all(0.0 <= value <= 1.0 for value in log.progress.values())
        if log.success:
            assert set(log.progress.values()) == {1.0}, log.progress


def test_looking_often_changes_nothing(episode):
    """Ten looks a second or a hundred, once or twice at the same instant, at the twin or at its shadow."""
    task, twin, shadow = episode.task, episode.twin, Shadow(episode.world.model)
    episode.reset(5)
    often = episode.memory
    while episode.outcome() is None:
        decide(episode)
        for _ in range(10):
            twin.step(episode.ticks // 10 - 1)
            qpos = twin.qpos  # the twin's bodies are those at the beginning of its last step
            twin.step(1)
            seen = look(episode)
            shadow.show(Instant(seen, qpos, twin.mocap))
            often = task.remember(shadow, seen, often)
            np.testing.assert_array_equal(task.remember(shadow, seen, often), often)
            now = task.truth(shadow, often)
            np.testing.assert_allclose(task.truth(twin, often), now, atol=1e-9)
            assert ((task.progress(seen, now) >= 0.0) & (task.progress(seen, now) <= 1.0)).all()
    assert episode.outcome() == (True, "success")
    assert task.success(look(episode), task.truth(shadow, often))


class FrozenPolicy:
    """Does what the scripted operator does for some seconds, then nothing any more."""

    name, version = "frozen", "1"

    def __init__(self, task: str) -> None:
        self._task = make_task(task)
        self._rows: dict[int, list] = {}

    def reset(self, rows, seeds) -> None:
        for row, seed in zip(rows, seeds, strict=True):
            rng = np.random.default_rng(seed)
            self._rows[row] = [self._task.operator(rng), int(rng.integers(3, 35)), None]

    def act(self, observation, rows) -> np.ndarray:
        for i, row in enumerate(rows):
            operator, left, _ = self._rows[row]
            if left > 0:
                state, truth = (observation[f"observation.{name}"][i] for name in ("state", "environment_state"))
                self._rows[row][1:] = left - 1, operator.act(state.astype(np.float64), truth.astype(np.float64))
        return np.stack([self._rows[row][2] for row in rows])


def test_the_operator_takes_over_from_wherever_a_policy_stops(episode):
    name = episode.task.name
    driver = SupervisedDriver(FrozenPolicy(name))
    done = list(Rollout(world(name), driver, 2, time_limit=episode.task.time_limit + 15.0).run(FRESH_SEEDS[:3]))
    assert sum(log.success for log in done) >= 2, [(log.reason, log.progress) for log in done]
    for log in done:
        assert log.seed in driver.reasons or log.success
        if log.seed in driver.reasons and log.success:
            assert log.segments[-1] == Segment.CORRECTION
