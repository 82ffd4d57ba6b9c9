"""The task's physics, eyes and scripted human."""

import numpy as np
import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import Episode, World
from steadyhand.sim.rollout import Rollout, ScriptedDriver
from steadyhand.sim.tasks import make_task
from steadyhand.sim.tasks.operator import Skill
from steadyhand.sim.tasks.peg_insertion import HOLE_DEPTH, HOLE_SIGMA, PEG_HALF, HoleInView, seated
from steadyhand.sim.tasks.peg_operator import PegOperator

FRESH_SEEDS = range(770_000, 770_040)


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


@pytest.fixture
def episode(world) -> Episode:
    return Episode(world)


def truth_at(height: float, offset: float = 0.0, hole: tuple[float, float] = (0.5, 0.15)) -> np.ndarray:
    """Truth (14,) of an upright peg whose lower end is at `height`, `offset` beside the hole."""
    x, y = hole
    return np.array([x + offset, y, height + PEG_HALF[2], 1, 0, 0, 0, 1, 0, x, y, HOLE_DEPTH, 1, 0], dtype=float)


def drop(episode: Episode, offset: np.ndarray, seconds: float = 2.0) -> np.ndarray:
    """Let the peg go just above the rim, `offset` (2,) beside the hole; returns the truth after a while."""
    episode.reset(0)
    qpos, mocap = episode.twin.qpos, episode.twin.mocap
    at = episode.world.model.joint("peg").qposadr[0]
    qpos[at : at + 7] = [*(mocap[:2] + offset), HOLE_DEPTH + PEG_HALF[2] + 0.001, *mocap[3:7]]
    episode.twin.reset(qpos, mocap)
    episode.twin.step(round(1000 * seconds))
    return episode.task.truth(episode.twin, episode.memory)


def test_objects_start_at_rest_within_their_ranges(world, episode):
    ranges = world.task.ranges
    for seed in range(20):
        episode.reset(seed)
        truth = episode.observe().truth
        drawn = (*truth[:2], *truth[9:11])
        assert all(ranges[name].holds(value) for name, value in zip(list(ranges)[:4], drawn, strict=True))
        np.testing.assert_allclose(drawn, [episode.conditions[name] for name in list(ranges)[:4]], atol=1e-12)
        assert np.hypot(*truth[12:14]) == pytest.approx(1.0)
        episode.twin.step(300)
        np.testing.assert_allclose(episode.observe().truth, truth, atol=5e-4)


def test_a_peg_above_the_hole_falls_in_and_one_beside_it_does_not(episode):
    inside = drop(episode, np.zeros(2))
    assert seated(inside)
    assert episode.task.success([episode.twin.observe()], inside)
    for offset in ([0.004, 0.0], [0.0, -0.004], [0.003, 0.003]):
        outside = drop(episode, np.array(offset))
        assert not seated(outside)
        assert outside[2] > HOLE_DEPTH  # it leans or lies on the rim


def test_success_needs_an_open_hand(world, episode):
    inside = drop(episode, np.zeros(2))
    seen = episode.twin.observe()
    episode.twin.set_reference(seen.position, seen.quaternion, episode.twin.time, 0.0)
    episode.twin.step(500)
    assert not world.task.success([episode.twin.observe()], inside)
    assert world.task.timeout_reason([episode.twin.observe()], inside) == "not_released"


def test_failures_are_named(world, episode):
    episode.reset(0)
    seen = episode.twin.observe()
    lying = truth_at(0.0, offset=-0.2)
    lying[3:9] = [0, 0, -1, 0, 1, 0]
    lying[2] = PEG_HALF[0]
    far, fallen = truth_at(0.0), truth_at(-0.5)
    far[0] = 1.0
    assert world.task.failure(truth_at(0.0)) is None
    assert world.task.failure(lying) == "peg_tipped"
    assert world.task.failure(far) == world.task.failure(fallen) == "peg_out_of_reach"
    assert world.task.timeout_reason([seen], truth_at(HOLE_DEPTH, 0.004)) == "jammed_on_rim"
    assert world.task.timeout_reason([seen], truth_at(HOLE_DEPTH - 0.01)) == "jammed_in_hole"
    assert world.task.timeout_reason([seen], truth_at(0.0, 0.3)) == "not_grasped"


def test_eyes_err_anew_above_the_rim_and_freeze_below_it():
    eyes = HoleInView(np.random.default_rng(0))

    def error(truth: np.ndarray) -> tuple[float, float]:
        seen = eyes.see(truth)
        np.testing.assert_array_equal(np.delete(seen, [9, 10]), np.delete(truth, [9, 10]))
        return tuple(seen[9:11] - truth[9:11])

    above, below, beside = truth_at(HOLE_DEPTH + 0.02), truth_at(HOLE_DEPTH + 0.001), truth_at(0.0, offset=0.3)
    assert len({error(above) for _ in range(50)}) == 50
    frozen = error(below)
    assert {error(below) for _ in range(50)} == {frozen}
    assert error(above) != frozen  # lifted away: a new guess
    assert error(below) != frozen
    assert len({error(beside) for _ in range(50)}) == 50
    spread = np.std([error(above) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(spread, HOLE_SIGMA, rtol=0.1)


def record(world: World, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """State and truth along a scripted episode."""
    log = next(Rollout(world, ScriptedDriver(), 1).run([seed]))
    assert log.success
    return [(frame.state, frame.truth) for frame in log.frames]


def replay(frames: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """What a new operator with a fixed hand does on these frames."""
    operator = PegOperator(np.random.default_rng(3), rim=HOLE_DEPTH, peg_half_height=float(PEG_HALF[2]))
    return np.array([operator.act(state.copy(), truth.copy()) for state, truth in frames])


def test_the_operator_knows_no_future_and_reacts_late(world):
    frames = record(world, 21)
    actions = replay(frames)
    for cut in (5, 20, len(frames) // 2):
        moved = [(state, truth + np.array([0.05, 0.03, 0, *np.zeros(11)])) for state, truth in frames[cut:]]
        changed = replay(frames[:cut] + moved)
        np.testing.assert_array_equal(changed[:cut], actions[:cut])
        delay = Skill().delay
        np.testing.assert_array_equal(changed[cut : cut + delay], actions[cut : cut + delay])
        assert not np.array_equal(changed[cut + delay :], actions[cut + delay :])


def test_the_operator_succeeds_in_95_percent_of_fresh_episodes(world):
    logs = list(Rollout(world, ScriptedDriver(), 2).run(FRESH_SEEDS))
    failed = {log.seed: log.reason for log in logs if not log.success}
    assert len(failed) <= 0.05 * len(logs), failed
    for log in logs:
        assert all(count == 0 for name, count in log.counters.items() if name.startswith("refused")), log.counters


def test_the_names_describe_the_truth(world):
    assert world.task.environment_names[:3] == ("peg.x", "peg.y", "peg.z")
    assert world.task.environment_names[9:12] == ("hole.x", "hole.y", "hole.z")
    assert len(world.task.environment_names) == 14


def test_an_unknown_task_lists_the_tasks():
    with pytest.raises(SteadyhandError, match=r"unknown task 'juggle'; allowed: .*peg_insertion"):
        make_task("juggle")
