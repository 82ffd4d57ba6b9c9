"""From chunks to actions: history, receding horizon and repeatable noise, for many episodes at once."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Observation = dict[str, np.ndarray]


class ChunkModel(Protocol):
    """A model from observation histories to action chunks."""

    n_obs_steps: int
    n_action_steps: int
    noise_shape: tuple[int, ...]

    def predict(self, observation: Observation, noise: np.ndarray) -> np.ndarray:
        """Actions (B, H, 10) for observations (B, n_obs_steps, ...) and noise (B, *noise_shape)."""


@dataclass
class _Row:
    """One episode under way."""

    noise: np.random.Generator
    history: deque[Observation]
    queue: deque[np.ndarray] = field(default_factory=deque)
    executed: int = 0  # actions of the newest chunk


class ChunkRunner:
    """Runs a chunk model as a Policy: predicts H actions, executes the first K, predicts again.

    Rows that need a chunk share one forward pass. Every row has a noise generator of its own, seeded by
    the runner's seed and the episode's: an episode does not depend on which others run beside it.
    """

    def __init__(self, model: ChunkModel, name: str, version: str, seed: int = 0) -> None:
        self.name, self.version = name, version
        self._model, self._seed = model, seed
        self._rows: dict[int, _Row] = {}
        self._resets: dict[int, int] = {}

    def reset(self, rows: Sequence[int], seeds: Sequence[int] | None = None) -> None:
        """Start episodes, history and queue empty; without seeds a row's n-th episode has seed (row, n)."""
        for position, row in enumerate(rows):
            count = self._resets[row] = self._resets.get(row, 0) + 1
            episode = [0, int(seeds[position])] if seeds is not None else [1, row, count]
            noise = np.random.Generator(np.random.Philox(np.random.SeedSequence([self._seed, *episode])))
            self._rows[row] = _Row(noise, deque(maxlen=self._model.n_obs_steps))

    def act(self, observation: Observation, rows: Sequence[int]) -> np.ndarray:
        """Actions (len(rows), 10) for observations (len(rows), ...); rows never reset start here."""
        self.reset([row for row in rows if row not in self._rows])
        for position, row in enumerate(rows):
            frame = {key: values[position] for key, values in observation.items()}
            history = self._rows[row].history
            history.extend([frame] * (1 if history else self._model.n_obs_steps))
        self._refill([self._rows[row] for row in rows if not self._rows[row].queue])
        for row in rows:
            self._rows[row].executed += 1
        return np.stack([self._rows[row].queue.popleft() for row in rows])

    def chunk_index(self, rows: Sequence[int]) -> list[int]:
        """Place of each row's last action in its chunk, from 0; -1 before the first."""
        return [self._rows[row].executed - 1 for row in rows]

    def _refill(self, rows: list[_Row]) -> None:
        """One forward pass for all rows whose queue is empty."""
        if not rows:
            return
        stacked = {
            key: np.stack([np.stack([frame[key] for frame in row.history]) for row in rows])
            for key in rows[0].history[0]
        }
        noise = np.stack([row.noise.standard_normal(self._model.noise_shape, dtype=np.float32) for row in rows])
        chunks = self._model.predict(stacked, noise)
        for row, chunk in zip(rows, chunks, strict=True):
            row.queue.extend(chunk[: self._model.n_action_steps])
            row.executed = 0
