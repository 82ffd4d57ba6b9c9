"""The chunk runner: history, receding horizon, noise that belongs to the episode."""

import numpy as np
from policy_testing import observation

from steadyhand.policies.chunking import ChunkRunner
from steadyhand.policies.policy import load_policy


class Recorder:
    """A model whose actions tell what it saw: [newest value, oldest value, noise, position in chunk]."""

    n_obs_steps, n_action_steps, noise_shape = 2, 3, (5, 1)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, observation, noise):
        self.batches.append(len(noise))
        seen = observation["x"]
        step = np.broadcast_to(np.arange(5)[None, :, None], (len(seen), 5, 1))
        parts = [
            np.broadcast_to(seen[:, -1:], (len(seen), 5, 1)),
            np.broadcast_to(seen[:, :1], (len(seen), 5, 1)),
        ]
        return np.concatenate([*parts, noise, step], axis=-1)


def run(runner: ChunkRunner, steps: int, rows: list[int]) -> np.ndarray:
    """Actions (steps, rows, 4) for observations 100 * row + step."""
    return np.stack(
        [runner.act({"x": np.array([[100.0 * row + step] for row in rows])}, rows) for step in range(steps)]
    )


def test_history_and_horizon():
    model = Recorder()
    runner = ChunkRunner(model, "test", "0")
    runner.reset([1])
    actions = run(runner, 7, [1])[:, 0]
    assert actions[:, 3].tolist() == [0, 1, 2, 0, 1, 2, 0]  # K = 3 of H = 5
    assert actions[:, 0].tolist() == [100, 100, 100, 103, 103, 103, 106]  # the newest frame of each chunk
    assert actions[:, 1].tolist() == [100, 100, 100, 102, 102, 102, 105]  # the one before; the first repeated
    assert model.batches == [1, 1, 1]


def test_every_action_knows_its_place_in_its_chunk():
    runner = ChunkRunner(Recorder(), "test", "0")
    runner.reset([0, 1])
    assert runner.chunk_index([0, 1]) == [-1, -1]
    for _ in range(4):
        actions = run(runner, 1, [0, 1])[0]
        assert runner.chunk_index([0, 1]) == actions[:, 3].tolist()
    runner.reset([1])
    run(runner, 1, [0, 1])
    assert runner.chunk_index([0, 1]) == [1, 0]


def test_rows_share_a_forward_pass_only_when_they_need_a_chunk():
    model = Recorder()
    runner = ChunkRunner(model, "test", "0")
    runner.reset([0, 1, 2])
    run(runner, 2, [0, 1, 2])
    runner.reset([2])
    run(runner, 1, [0, 1, 2])
    run(runner, 1, [0, 1, 2])
    assert model.batches == [3, 1, 2]


def test_noise_belongs_to_the_episode():
    """Row, company and order do not matter, only the seed."""
    alone, together = (ChunkRunner(Recorder(), "test", "0", seed=7) for _ in range(2))
    alone.reset([0], seeds=[42])
    together.reset([3, 5], seeds=[1, 42])
    np.testing.assert_array_equal(run(alone, 9, [0])[:, 0, 2], run(together, 9, [3, 5])[:, 1, 2])
    other = ChunkRunner(Recorder(), "test", "0", seed=8)
    other.reset([0], seeds=[42])
    alone.reset([0], seeds=[42])
    assert (run(other, 3, [0])[:, 0, 2] != run(alone, 3, [0])[:, 0, 2]).all()


def test_without_seeds_episodes_differ_but_repeat():
    first, second = (ChunkRunner(Recorder(), "test", "0") for _ in range(2))
    noise = []
    for runner in (first, second):
        for _ in range(2):
            runner.reset([0])
            noise.append(run(runner, 1, [0])[0, 0, 2])
    assert noise[:2] == noise[2:]
    assert noise[0] != noise[1]


def test_policy_acts_the_same_batched_or_alone(trained):
    """Bit for bit, over several chunks and over more rows than one block."""
    rows = list(range(21))
    together = load_policy(trained.checkpoint)
    together.reset(rows, seeds=rows)
    frames = [{key: value[:, 0].numpy() for key, value in observation(21, step).items()} for step in range(6)]
    batched = np.stack([together.act(frame, rows) for frame in frames])
    for row in (0, 7, 20):
        alone = load_policy(trained.checkpoint)
        alone.reset([0], seeds=[row])
        actions = np.stack([alone.act({key: value[[row]] for key, value in frame.items()}, [0]) for frame in frames])
        np.testing.assert_array_equal(actions[:, 0], batched[:, row])
    assert batched.shape == (6, 21, 10)
