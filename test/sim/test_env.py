"""Episodes: repeatable, observed before they are acted on, judged by the task."""

import numpy as np
import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import ACTION_SIZE, DECISION_PERIOD, Episode, World, state_vector
from steadyhand.sim.rotations import rot6d_from_quat


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


@pytest.fixture
def episode(world) -> Episode:
    return Episode(world)


def advance(episode: Episode, decisions: int) -> list[np.ndarray]:
    """Everything seen along a scripted stretch."""
    seen = []
    for _ in range(decisions):
        frame = episode.observe()
        seen += [frame.state, frame.joints, frame.environment, frame.truth]
        episode.request(episode.operator.act(frame.state, frame.truth))
        episode.twin.step(episode.ticks)
    return seen


def hold(episode: Episode) -> np.ndarray:
    """The action that stays where the tool is."""
    seen = episode.observe().observation
    return np.concatenate([seen.position, rot6d_from_quat(seen.quaternion), [1.0]])


def test_reset_repeats_an_episode_whatever_ran_before(world, episode):
    episode.reset(11)
    first = advance(episode, 30)
    for other in (12, 13):
        episode.reset(other)
        advance(episode, 7)
    episode.reset(11)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, advance(episode, 30), strict=True))
    fresh = Episode(world)
    fresh.reset(11)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, advance(fresh, 30), strict=True))


def test_reset_restores_the_time_limit(episode):
    episode.time_limit = 99.0
    episode.reset(1)
    assert episode.time_limit == episode.task.time_limit
    assert episode.steps == 0


def test_different_seeds_are_different_scenes(episode):
    starts = []
    for seed in range(5):
        episode.reset(seed)
        starts.append(episode.observe().truth)
    assert len({start.tobytes() for start in starts}) == 5


def test_the_frame_is_as_the_dataset_describes_it(world, episode):
    episode.reset(3)
    advance(episode, 5)
    frame = episode.observe()
    assert frame.state.shape == (16,)
    assert frame.joints.shape == (14,)
    assert frame.environment.shape == frame.truth.shape == (len(world.task.environment_names),)
    assert frame.time == pytest.approx(5 * DECISION_PERIOD)
    seen = frame.observation
    np.testing.assert_array_equal(frame.state, state_vector(seen))
    np.testing.assert_array_equal(frame.state[:3], seen.position)
    np.testing.assert_array_equal(frame.state[3:9], rot6d_from_quat(seen.quaternion))
    assert frame.state[9] == seen.gripper
    np.testing.assert_array_equal(frame.state[10:], seen.wrench)
    assert {value.dtype for value in frame.policy_input().values()} == {np.dtype(np.float32)}


def test_observing_twice_sees_the_same_state(episode):
    episode.reset(4)
    advance(episode, 3)
    first, second = episode.observe(), episode.observe()
    np.testing.assert_array_equal(first.state, second.state)
    np.testing.assert_array_equal(first.truth, second.truth)


def test_a_frame_does_not_know_the_action_that_follows(world):
    frames = []
    for direction in (-1.0, 1.0):
        episode = Episode(world)
        episode.reset(9)
        action = hold(episode)
        episode.reset(9)
        frame = episode.observe()
        action[0] += 0.1 * direction
        episode.request(action)
        kept = frame.state.copy()
        episode.twin.step(episode.ticks)
        np.testing.assert_array_equal(frame.state, kept)
        frames.append((frame.state, episode.observe().state))
    (before, after), (same_before, other_after) = frames
    np.testing.assert_array_equal(before, same_before)
    assert after[0] < before[0] < other_after[0]


def test_a_request_moves_the_arm_within_one_period(episode):
    episode.reset(5)
    action = hold(episode)
    before = episode.observe().state[:3]
    action[2] -= 0.05
    episode.request(action)
    episode.twin.step(episode.ticks)
    moved = episode.observe().state[:3] - before
    assert -0.05 < moved[2] < -0.002  # the reference is 58 % of the way after one smoothing_time


@pytest.mark.parametrize("action", [np.zeros(9), np.zeros((1, 10)), np.zeros(0), 1.0])
def test_an_action_of_another_shape_is_refused(episode, action):
    with pytest.raises(SteadyhandError, match=f"an action has {ACTION_SIZE} numbers"):
        episode.request(action)


def test_an_action_that_is_not_finite_is_refused_by_the_controller(episode):
    episode.reset(6)
    for bad in (np.full(10, np.nan), np.full(10, np.inf), np.zeros(10)):  # zeros: no rotation at all
        episode.request(bad)
        episode.twin.step(episode.ticks)
    counters = episode.observe().observation.status.counters
    assert counters["accepted"] == 0
    assert counters["refused_not_finite"] == 3
    assert np.isfinite(episode.twin.qpos).all()


def test_an_episode_that_does_nothing_ends_with_its_time(episode):
    episode.reset(7)
    episode.time_limit = 1.0
    action = hold(episode)
    while (outcome := episode.outcome()) is None:
        episode.request(action)
        episode.twin.step(episode.ticks)
    assert outcome == (False, "not_grasped")
    assert episode.steps == 10


def test_an_episode_needs_a_task():
    with pytest.raises(SteadyhandError, match="needs a task"):
        Episode(World.load("fr3", None))


def test_conditions_can_be_given_and_are_checked(episode):
    episode.reset(3)
    drawn = dict(episode.conditions)
    episode.reset(3, {"peg.x": 0.40})
    assert episode.conditions == drawn | {"peg.x": 0.40}
    assert episode.observe().truth[0] == pytest.approx(0.40)
    with pytest.raises(SteadyhandError, match=r"peg\.x' is 2.*0\.37 to 0\.53"):
        episode.reset(3, {"peg.x": 2.0})
    with pytest.raises(SteadyhandError, match=r"unknown condition 'peg'.*peg\.x"):
        episode.reset(3, {"peg": 0.4})


def test_progress_grows_to_all_done(episode):
    episode.reset(5)
    seen = [episode.progress.copy()]
    while episode.outcome() is None:
        frame = episode.observe()
        episode.request(episode.operator.act(frame.state, frame.truth))
        episode.twin.step(episode.ticks)
        seen.append(episode.progress.copy())
    assert (np.diff(seen, axis=0) >= 0.0).all()
    np.testing.assert_array_equal(episode.progress, 1.0)
