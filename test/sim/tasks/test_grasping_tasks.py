"""What is special about pick_place, stack and drawer: what counts, what is refused, and who mends it."""

import numpy as np
import pytest
from misled import MisledPolicy

from steadyhand.data_collection.intervention import SupervisedDriver
from steadyhand.data_collection.labels import Segment
from steadyhand.sim.env import Episode, World
from steadyhand.sim.rollout import EpisodeLog, Rollout
from steadyhand.sim.tasks import drawer, pick_place, stack
from steadyhand.sim.tasks.blocks import spot_of
from steadyhand.sim.tasks.task import free_pose


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return {name: World.load("fr3", name) for name in ("pick_place", "stack", "drawer")}


def supervised(world: World, mislead, seeds) -> tuple[SupervisedDriver, list[EpisodeLog]]:
    driver = SupervisedDriver(MisledPolicy(world.task, mislead))
    return driver, list(Rollout(world, driver, 2, time_limit=world.task.time_limit + 20.0).run(seeds))


def settle(episode: Episode, poses: dict[str, tuple[float, ...]], seconds: float = 1.0) -> np.ndarray:
    """Let things go at x, y, z (and yaw) with the arm at home; returns the truth after a while."""
    qpos = episode.twin.qpos
    for name, pose in poses.items():
        free_pose(episode.world.model, qpos, name, pose[:3], *pose[3:])
    episode.twin.reset(qpos, episode.twin.mocap, 1.0)
    episode.twin.step(round(1000 * seconds))
    return episode.task.truth(episode.twin, episode.memory)


@pytest.mark.parametrize("name", ["pick_place", "stack", "drawer"])
def test_things_start_at_rest_and_apart(worlds, name):
    episode = Episode(worlds[name])
    for seed in range(10):
        episode.reset(seed)
        before = episode.observe().truth
        episode.twin.step(300)
        np.testing.assert_allclose(episode.observe().truth, before, atol=5e-4)
        assert episode.outcome() is None


def test_the_instruction_decides_which_cube_counts(worlds):
    episode = Episode(worlds["pick_place"])
    for colour in pick_place.CUBES:
        for asked in pick_place.CUBES:
            episode.reset(5, {"colour": asked})
            assert asked in episode.instruction
            tray = spot_of(episode.twin, "tray")
            truth = settle(episode, {colour: (*tray[:2], 0.03)})
            right = colour == asked
            assert episode.task.success([episode.twin.observe()], truth) == right
            assert episode.task.failure(truth) == (None if right else "wrong_object")


def test_a_cube_on_the_rim_of_the_tray_is_not_in_it(worlds):
    episode = Episode(worlds["pick_place"])
    episode.reset(5, {"colour": "blue", "tray.yaw": 0.0})
    tray = spot_of(episode.twin, "tray")
    truth = settle(episode, {"blue": (tray[0] + pick_place.TRAY_HALF + 0.003, tray[1], 0.036)})
    assert not episode.task.success([episode.twin.observe()], truth)


def test_a_supervisor_puts_a_wrong_cube_aside_and_fetches_the_right_one(worlds):
    def another_colour(seen):
        seen[32:35] = np.roll(seen[32:35], 1)
        return seen

    driver, logs = supervised(worlds["pick_place"], another_colour, [3, 4, 5])
    assert set(driver.reasons.values()) == {"wrong_object_in_hand"}
    assert all(log.success and Segment.RECOVERY in log.segments for log in logs)


def test_a_tower_stands_and_a_crooked_one_does_not_count(worlds):
    episode, half = Episode(worlds["stack"]), stack.HALF[:, 2]
    heights = (half[0], 2 * half[0] + half[1], 2 * (half[0] + half[1]) + half[2])
    for shift, right in ((0.0, True), (0.013, False), (0.03, False)):
        episode.reset(1)
        tower = {name: (0.5 + shift * (name == "small"), 0.1, z) for name, z in zip(stack.NAMES, heights, strict=True)}
        truth = settle(episode, tower, 2.0)
        assert episode.task.success([episode.twin.observe()], truth) == right
    episode.twin.set_reference(*_pose(episode), episode.twin.time, 0.0)
    episode.twin.step(500)
    assert not episode.task.success([episode.twin.observe()], truth), "it must be let go"


def test_a_brick_on_its_side_has_toppled(worlds):
    episode = Episode(worlds["stack"])
    episode.reset(1)
    truth = episode.observe().truth
    assert episode.task.failure(truth) is None
    truth[9 + 3 : 18] = [0, 0, -1, 0, 1, 0]
    assert episode.task.failure(truth) == "toppled"


def test_a_supervisor_takes_a_badly_placed_brick_again(worlds):
    def base_beside(seen):
        seen[0] += 0.013
        return seen

    driver, logs = supervised(worlds["stack"], base_beside, [1, 2])
    assert driver.reasons
    assert all(log.success for log in logs)


def test_the_drawer_stays_where_it_is_left(worlds):
    episode = Episode(worlds["drawer"])
    episode.reset(2)
    for opening in (0.0, 0.05, 0.11):
        qpos = episode.twin.qpos
        qpos[episode.world.model.joint("drawer").qposadr[0]] = opening
        episode.twin.reset(qpos, episode.twin.mocap, 1.0)
        episode.twin.step(1000)
        truth = episode.task.truth(episode.twin, episode.memory)
        assert truth[14] == pytest.approx(opening, abs=1e-4)


def test_a_cube_counts_only_inside_the_shut_drawer(worlds):
    episode = Episode(worlds["drawer"])
    episode.reset(2)
    truth = episode.observe().truth
    openings = {0.0: True, 0.02: False, 0.12: False}
    for opening, right in openings.items():
        qpos = episode.twin.qpos
        qpos[episode.world.model.joint("drawer").qposadr[0]] = opening
        episode.twin.reset(qpos, episode.twin.mocap, 1.0)
        place = drawer.drawer_place(np.append(truth[:14], opening))
        stored = settle(episode, {"block": (*place, float(np.arctan2(truth[13], truth[12])))})
        assert drawer.inside(stored)
        assert episode.task.failure(stored) is None
        assert episode.task.success([episode.twin.observe()], stored) == right
    episode.reset(2)
    on_top = settle(episode, {"block": (*drawer.drawer_place(truth)[:2], drawer.CABINET_HEIGHT + drawer.HALF)})
    assert not drawer.inside(on_top)
    assert episode.task.failure(on_top) is None, "it can be taken from there"


def test_a_supervisor_opens_a_drawer_that_the_policy_cannot(worlds):
    def handle_elsewhere(seen):
        seen[14] += 0.05
        return seen

    driver, logs = supervised(worlds["drawer"], handle_elsewhere, [1, 2])
    assert set(driver.reasons.values()) <= {"fruitless", "stalled"}
    assert len(driver.reasons) == 2
    assert all(log.success for log in logs)


def _pose(episode: Episode) -> tuple[np.ndarray, np.ndarray]:
    seen = episode.twin.observe()
    return seen.position, seen.quaternion
