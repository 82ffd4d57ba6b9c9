"""Chunks, their borders, and the table of weights."""

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
from policy_testing import CORRECTION, DEMO, HANDOVER, POLICY, RECOVERY, REWIND, make_dataset

from steadyhand.errors import SteadyhandError
from steadyhand.policies.frames import Frames, load_frames
from steadyhand.policies.weights import sample_weights


def frames_of(episodes: list[list[int]]) -> Frames:
    """Frames whose state and action are their own number."""
    segment = np.concatenate(episodes)
    number = np.arange(len(segment), dtype=np.float32)
    episode = np.repeat(np.arange(len(episodes)), [len(one) for one in episodes])
    state, reference, action = (np.tile(number[:, None], width) for width in (16, 9, 10))
    return Frames(state, reference, None, action, episode, segment)


def test_chunks_end_with_the_episode():
    chunks = frames_of([[DEMO] * 5, [DEMO] * 3]).chunks(n_obs_steps=2, horizon=4)
    assert chunks.actions[..., 0].tolist() == [
        [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 4], [3, 4, 4, 4], [4, 4, 4, 4],
        [5, 6, 7, 7], [6, 7, 7, 7], [7, 7, 7, 7],
    ]  # fmt: skip
    assert chunks.valid.sum(1).tolist() == [4, 4, 3, 2, 1, 3, 2, 1]
    seen = chunks.state[..., 0].tolist()
    assert seen == [[0, 0], [0, 1], [1, 2], [2, 3], [3, 4], [5, 5], [5, 6], [6, 7]]
    assert chunks.reference[..., 0].tolist() == seen


def test_chunks_do_not_cross_from_policy_to_human_or_over_unused_frames():
    frames = frames_of([[POLICY, POLICY, RECOVERY, CORRECTION, HANDOVER, POLICY]])
    weights = np.array([1, 1, 1, 1, 0, 1.0])
    chunks = frames.chunks(n_obs_steps=1, horizon=4, weights=weights)
    assert chunks.start.tolist() == [0, 1, 2, 3, 5]
    assert chunks.valid.sum(1).tolist() == [2, 1, 2, 1, 1]
    assert chunks.actions[..., 0].tolist() == [[0, 1, 1, 1], [1] * 4, [2, 3, 3, 3], [3] * 4, [5] * 4]


def test_uniform_ignores_what_nobody_decided():
    frames = frames_of([[DEMO, POLICY, HANDOVER, REWIND, RECOVERY, CORRECTION]])
    np.testing.assert_allclose(sample_weights("uniform", frames, []), np.array([1, 1, 0, 0, 1, 1]) / 4)


def test_iwr_gives_interventions_half():
    frames = frames_of([[DEMO] * 6, [POLICY] * 2 + [HANDOVER] + [RECOVERY, CORRECTION]])
    weights = sample_weights("iwr", frames, [])
    np.testing.assert_allclose(weights, [1 / 16] * 8 + [0] + [1 / 4] * 2)


def test_iwr_needs_interventions():
    with pytest.raises(SteadyhandError, match="iwr"):
        sample_weights("iwr", frames_of([[DEMO] * 4]), [])


def test_rac_keeps_the_policy_only_where_it_succeeded_alone(tmp_path):
    segments = [[DEMO] * 2, [POLICY, RECOVERY, CORRECTION], [POLICY] * 2, [POLICY] * 3]
    path = make_dataset(tmp_path / "data", segments, success=[False, True, True, False])
    weights = sample_weights("rac", load_frames([path]), [path])
    np.testing.assert_allclose(weights * 6, [1, 1, 0, 1, 1, 1, 1, 0, 0, 0])


def test_rac_over_two_datasets(dataset, tmp_path):
    """Successes belong to the right dataset."""
    failed = make_dataset(tmp_path / "failed", [[POLICY] * 4, [POLICY] * 5], success=[False, True])
    frames = load_frames([failed, dataset])
    assert len(np.unique(frames.episode)) == 5
    weights = sample_weights("rac", frames, [failed, dataset])
    assert (weights[:4] == 0).all()
    assert (weights[4:9] > 0).all()
    assert (weights > 0).sum() == 5 + 30 + 14 + 20


def test_rac_without_sidecar(tmp_path):
    path = make_dataset(tmp_path / "data", [[POLICY] * 2])
    with pytest.raises(SteadyhandError, match=r"episodes\.parquet"):
        sample_weights("rac", load_frames([path]), [path])


def test_nothing_left_to_train_on():
    with pytest.raises(SteadyhandError, match="leave no frame"):
        sample_weights("uniform", frames_of([[REWIND] * 3]), [])


def test_unknown_weights():
    with pytest.raises(SteadyhandError, match="unknown weights 'best'; allowed: uniform, iwr, rac"):
        sample_weights("best", frames_of([[DEMO]]), [])


def test_columns_are_what_was_recorded(dataset):
    """Against the file as LeRobot reads it."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    frames = load_frames([dataset])
    recorded = LeRobotDataset("test/synthetic", root=dataset)
    for index in (0, 31, 75):
        item = recorded[index]
        np.testing.assert_array_equal(frames.state[index], item["observation.state"])
        np.testing.assert_array_equal(frames.reference[index], item["observation.reference"])
        np.testing.assert_array_equal(frames.environment[index], item["observation.environment_state"])
        np.testing.assert_array_equal(frames.action[index], item["action"])
        assert frames.segment[index] == int(item["segment"])
        assert frames.episode[index] == int(item["episode_index"])


def test_values_that_are_not_finite_are_refused(tmp_path):
    path = make_dataset(tmp_path / "data", [[DEMO] * 3])
    file = next((path / "data").glob("**/*.parquet"))
    table = parquet.read_table(file)
    column = table.column_names.index("action")
    values = table["action"].to_pylist()
    values[1][0] = float("nan")
    field = table.schema.field("action")
    table = table.set_column(column, field, pyarrow.array(values, field.type))
    parquet.write_table(table, file)
    with pytest.raises(SteadyhandError, match="'action' is not finite in episode 0"):
        load_frames([path])


def test_missing_column_and_missing_dataset(dataset, tmp_path):
    without = make_dataset(tmp_path / "plain", [[DEMO] * 3], environment=False)
    assert load_frames([without]).environment is None
    with pytest.raises(SteadyhandError, match=r"unknown column 'observation\.environment_state'"):
        load_frames([dataset, without])
    with pytest.raises(SteadyhandError, match="LeRobot dataset"):
        load_frames([tmp_path / "nothing"])
