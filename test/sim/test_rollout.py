"""Many episodes at once, and a human who takes over."""

import re

import numpy as np
import pytest
from misled import MisledPolicy

from steadyhand.data_collection import collect
from steadyhand.data_collection.intervention import SupervisedDriver
from steadyhand.data_collection.labels import MODES, Segment
from steadyhand.sim import rollout
from steadyhand.sim.env import World
from steadyhand.sim.rollout import EpisodeLog, PolicyDriver, Rollout, ScriptedDriver
from steadyhand.sim.tasks import peg_insertion

SEEDS = [44, 41, 47, 42, 45]


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


@pytest.fixture(scope="module")
def logs(world) -> list[EpisodeLog]:
    return list(Rollout(world, ScriptedDriver(), 1).run(SEEDS))


def misled(world: World, wrong: float) -> MisledPolicy:
    """Believes the hole to be `wrong` (m) beside where it is."""
    return MisledPolicy(world.task, lambda environment: environment + wrong * np.eye(14)[9])


def bits(log: EpisodeLog) -> bytes:
    arrays = [array for frame in log.frames for array in (frame.state, frame.joints, frame.environment, frame.truth)]
    arrays += [decision.action for decision in log.decisions] + log.applied
    return b"".join(array.tobytes() for array in arrays)


def same(a: list[EpisodeLog], b: list[EpisodeLog]) -> bool:
    return [(x.seed, x.success, x.reason, x.steps, bits(x)) for x in a] == [
        (x.seed, x.success, x.reason, x.steps, bits(x)) for x in b
    ]


def test_episodes_come_in_the_order_of_the_seeds(logs):
    assert [log.seed for log in logs] == SEEDS


def test_the_number_of_workers_changes_nothing(world, logs):
    assert same(logs, list(Rollout(world, ScriptedDriver(), 2).run(SEEDS)))


def test_rows_that_are_used_again_change_nothing(world, logs, monkeypatch):
    monkeypatch.setattr(rollout, "ROWS", 2)
    assert same(logs, list(Rollout(world, ScriptedDriver(), 2).run(SEEDS)))


def test_what_is_recorded_says_which_subtask_and_what_the_controller_does(logs):
    for log in logs:
        labels = [collect.frame_of(log, i) for i in range(len(log))]
        done = [int(label["subtask"][0]) for label in labels]
        assert done[0] == 0
        assert done == sorted(done)
        assert done[-1] <= sum(progress >= 1.0 for progress in log.progress.values())
        assert {int(label["chunk_index"][0]) for label in labels} == {-1}
        modes = [MODES[label["controller_status"][0]] for label in labels]
        assert modes == [arm.status.mode.name.lower() for frame in log.frames for arm in frame.observations]
    assert max(log.done[-1] for log in logs) > 0


class ByThrees(MisledPolicy):
    """Says that it decides three actions at once."""

    def act(self, observation, rows):
        self.asked = getattr(self, "asked", -1) + 1
        return super().act(observation, rows)

    def chunk_index(self, rows):
        return [self.asked % 3] * len(rows)


def test_the_place_in_a_policys_chunk_is_kept(world):
    driver = PolicyDriver(ByThrees(world.task, lambda environment: environment))
    (log,) = Rollout(world, driver, 1, time_limit=1.0).run([44])
    assert [decision.chunk_index for decision in log.decisions] == [i % 3 for i in range(len(log))]


def test_every_decision_has_its_frame_from_before_it(logs):
    for log in logs:
        assert len(log.frames) == len(log.decisions) == len(log.applied) == len(log.scenes) == log.steps == len(log)
        assert [round(frame.time, 9) for frame in log.frames] == [round(0.1 * i, 9) for i in range(len(log))]
        assert set(log.segments) == {Segment.DEMO}
        assert log.segments.dtype == np.int8


def test_what_was_applied_is_what_was_requested_a_little_later(logs):
    # smoothing_time is one period: the reference tracked at its end is on its way to what was requested.
    for log in logs:
        requested = np.array([decision.action for decision in log.decisions])
        applied = np.array(log.applied)
        assert applied.shape == requested.shape
        assert np.abs(applied[:, :3] - requested[:, :3]).max() < 0.03
        np.testing.assert_array_equal(applied[:, 9], np.clip(requested[:, 9], 0, 1))


def test_the_time_limit_can_be_set(world):
    (log,) = Rollout(world, ScriptedDriver(), 1, time_limit=0.5).run([1])
    assert not log.success
    assert log.steps == 5


def test_no_seeds_no_episodes(world):
    assert list(Rollout(world, ScriptedDriver(), 1).run([])) == []


def test_a_policy_decides_for_all_rows_at_once(world):
    policy = misled(world, 0.0)
    logs = list(Rollout(world, PolicyDriver(policy), 2, time_limit=1.0).run(SEEDS))
    assert policy.calls == [(0, 1, 2, 3, 4)] * 10
    assert all(set(log.segments) == {Segment.POLICY} for log in logs)


@pytest.fixture(scope="module")
def supervised(world) -> tuple[SupervisedDriver, list[EpisodeLog]]:
    """Episodes of a policy that sets the peg down beside the hole."""
    driver = SupervisedDriver(misled(world, 0.008))
    limit = world.task.time_limit + 15.0
    return driver, list(Rollout(world, driver, 2, time_limit=limit).run(SEEDS))


def test_an_intervention_is_recovery_then_correction_and_ends_the_episode(supervised):
    driver, logs = supervised
    for log in logs:
        letters = "".join(Segment(segment).name[0] for segment in log.segments if segment != Segment.RECOVERY)
        word = "".join("R" if segment == Segment.RECOVERY else Segment(segment).name[0] for segment in log.segments)
        assert set(letters) <= {"P", "C"}
        assert re.fullmatch(r"P+(R*C+)?", word), word
        assert ("C" in word) == (log.seed in driver.reasons)
    words = [log for log in logs if Segment.RECOVERY in log.segments]
    assert len(words) >= 3, "a peg on the rim is first lifted"


def test_interventions_rescue_what_the_policy_cannot_do(supervised):
    driver, logs = supervised
    assert set(driver.reasons) == set(SEEDS)
    assert set(driver.reasons.values()) <= {"jammed", "stalled", "peg_tipped"}
    assert np.mean([log.success for log in logs]) >= 0.8


def test_a_policy_that_succeeds_is_left_alone(world, monkeypatch):
    monkeypatch.setattr(peg_insertion, "HOLE_SIGMA", 0.0)  # it sees as well as the human
    driver = SupervisedDriver(misled(world, 0.0))
    logs = list(Rollout(world, driver, 2).run(SEEDS))
    alone = [log for log in logs if log.seed not in driver.reasons]
    assert len(alone) >= 2
    assert all(log.success and set(log.segments) == {Segment.POLICY} for log in alone)


def test_supervised_episodes_do_not_depend_on_the_workers(world, supervised):
    limit = world.task.time_limit + 15.0
    again = list(Rollout(world, SupervisedDriver(misled(world, 0.008)), 1, time_limit=limit).run(SEEDS))
    assert same(supervised[1], again)
    for one, other in zip(supervised[1], again, strict=True):
        np.testing.assert_array_equal(one.segments, other.segments)
