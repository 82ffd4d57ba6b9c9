"""Two arms work together: who holds the bar, what counts as done, and the operator who does it."""

import numpy as np
import pytest

from steadyhand.sim.env import Episode, World
from steadyhand.sim.rollout import Rollout, ScriptedDriver
from steadyhand.sim.tasks.handover import BAR_HALF, on_pad

FRESH_SEEDS = range(780_000, 780_006)


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "handover")


def test_the_operator_succeeds_and_all_sub_tasks_are_done_in_order(world):
    logs = list(Rollout(world, ScriptedDriver(), workers=2).run(FRESH_SEEDS))
    assert sum(log.success for log in logs) >= 5, [log.reason for log in logs]
    for log in logs:
        assert log.decisions[0].action.shape == (20,)
        assert log.frames[0].state.shape == (32,)
        assert log.applied[0].shape == (20,)
        if log.success:
            assert list(log.progress.values()) == [1.0] * 5


def test_the_right_arm_does_not_reach_the_bar_at_its_start(world):
    bar, right = [world.task.ranges[name] for name in ("bar.x", "bar.y")], world.task.mounts[1]
    assert np.hypot(bar[0].low - right.x, bar[1].low - right.y) > 0.7


def test_a_bar_that_nobody_handed_over_does_not_count(world):
    """However it came to the pad: the truth remembers whether the right hand has held it alone."""
    episode = Episode(world)
    episode.reset(1)
    observations, truth = episode.look()
    truth = truth.copy()
    truth[:3] = [*truth[9:11], BAR_HALF[2]]
    assert truth[11] == 0.0
    assert not world.task.success(observations, truth)
    assert world.task.progress(observations, truth)[2:].max() < 1.0


def test_success_needs_both_hands_open_and_the_bar_down(world):
    episode = Episode(world)
    episode.reset(1)
    observations, truth = episode.look()
    assert world.task.timeout_reason(observations, truth) == "stuck_at_left_grasp"
    truth = truth.copy()
    truth[:3], truth[11] = [*truth[9:11], BAR_HALF[2]], 1.0
    assert world.task.success(observations, truth)
    assert list(world.task.progress(observations, truth)) == [1.0] * 5
    held = truth + 0.02 * np.eye(12)[2]
    assert not world.task.success(observations, held)
    assert not on_pad(held)
    for arm in (0, 1):
        episode.reset(1)
        seen = episode.twin.observe(arm)
        episode.twin.set_reference(seen.position, seen.quaternion, episode.twin.time, 0.0, arm)
        episode.twin.step(500)
        assert not world.task.success([episode.twin.observe(i) for i in (0, 1)], truth)


def test_failures_are_named(world):
    episode = Episode(world)
    episode.reset(1)
    truth = episode.look()[1].copy()
    assert world.task.failure(truth) is None
    for place, reason in (([0.9, 0, 0.012], "bar_out_of_reach"), ([0.45, -0.2, 0.012], "dropped")):
        truth[:3] = place
        assert world.task.failure(truth) == reason
