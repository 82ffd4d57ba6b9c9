"""What is special about reach, push_t, wipe and button_sequence: what counts, and what cannot be mended."""

from collections.abc import Callable

import numpy as np
import pytest

from steadyhand.sim.env import Episode, World
from steadyhand.sim.tasks.button_sequence import BUTTONS
from steadyhand.sim.tasks.push_t import CLOSE, STRAIGHT
from steadyhand.sim.tasks.wipe import LEAST, MOST


@pytest.fixture
def begin() -> Callable[..., Episode]:
    """An episode of a task."""

    def make(task: str, seed: int = 3, **conditions) -> Episode:
        episode = Episode(World.load("fr3", task))
        episode.reset(seed, conditions)
        return episode

    return make


def work(episode: Episode, believe: Callable[[np.ndarray], np.ndarray] = np.copy, force: float | None = None):
    """Let the scripted human work in what it believes to be so; the outcome."""
    if force is not None:
        episode.operator.force = force
    while (outcome := episode.outcome()) is None:
        frame = episode.observe()
        episode.request(episode.operator.act(frame.state, believe(frame.truth)))
        episode.twin.step(episode.ticks)
    return outcome


def test_the_wrong_button_cannot_be_taken_back(begin):
    episode = begin("button_sequence", order=", ".join(BUTTONS))

    def in_reverse(truth: np.ndarray) -> np.ndarray:
        believed = truth.copy()
        believed[3:23].reshape(4, 5)[:, 4] = 5.0 - believed[3:23].reshape(4, 5)[:, 4]
        return believed

    assert work(episode, in_reverse) == (False, "wrong_button")
    assert episode.look()[1][23] == 0.0  # nothing was pressed in its turn
    assert episode.progress.max() < 1.0


def test_buttons_count_in_the_order_that_is_said(begin):
    episode = begin("button_sequence", order=", ".join(BUTTONS[::-1]))
    assert ", ".join(BUTTONS[::-1]) in episode.instruction
    assert work(episode) == (True, "success")


@pytest.mark.parametrize(("force", "outcome"), [(12.0, (True, "success")), (60.0, (False, "pressed_too_hard"))])
def test_the_sponge_knows_how_hard_it_is_pressed(begin, force, outcome):
    episode = begin("wipe")
    assert work(episode, force=force) == outcome
    largest = episode.look()[1][4]
    assert largest > MOST if force > MOST else LEAST < largest < MOST


def test_spots_stay_where_nobody_presses(begin):
    """A sponge that lies on with less than it takes wipes nothing."""
    episode = begin("wipe")
    assert work(episode, force=1.5)[0] is False
    assert 0.5 < episode.look()[1][4] < LEAST  # it did touch
    assert episode.look()[1][5:].reshape(4, 3)[:, 2].max() < 1.0


def test_the_t_must_lie_close_straight_and_flat(begin):
    episode = begin("push_t")
    observations, truth = episode.look()
    task, there = episode.task, truth.copy()
    there[[3, 4]], there[[6, 7]], there[8] = truth[9:11], truth[11:13], 1.0
    assert task.success(observations, there)
    turned = there.copy()
    yaw = np.arctan2(there[7], there[6])
    for angle, fits in ((0.9 * STRAIGHT, True), (1.1 * STRAIGHT, False)):
        turned[6:8] = np.cos(yaw + angle), np.sin(yaw + angle)
        assert task.success(observations, turned) == fits
    for offset, fits in ((0.9 * CLOSE, True), (1.1 * CLOSE, False)):
        assert task.success(observations, there + offset * np.eye(13)[3]) == fits
    tipped = there.copy()
    tipped[8] = 0.2
    assert not task.success(observations, tipped)
    assert (task.failure(tipped), task.failure(there)) == ("block_tipped", None)


def test_a_visit_to_the_wrong_ball_is_told_from_the_right_one(begin):
    episode = begin("reach", ball="blue")

    def orange(truth: np.ndarray) -> np.ndarray:
        believed = truth.copy()
        believed[12:15] = 1.0, 0.0, 0.0
        return believed

    assert work(episode, orange) == (False, "at_the_wrong_ball")
