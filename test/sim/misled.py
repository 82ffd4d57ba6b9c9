"""A policy for tests: the task's scripted human, who believes something else."""

from collections.abc import Callable

import numpy as np

from steadyhand.sim.tasks import Task


class MisledPolicy:
    """Does what the scripted human does, but believes something else."""

    name, version = "misled", "1"

    def __init__(self, task: Task, mislead: Callable[[np.ndarray], np.ndarray]) -> None:
        self._task, self._mislead, self._operators = task, mislead, {}
        self.calls: list[tuple[int, ...]] = []

    def reset(self, rows, seeds) -> None:
        for row, seed in zip(rows, seeds, strict=True):
            self._operators[row] = self._task.operator(np.random.default_rng(seed))

    def act(self, observation, rows) -> np.ndarray:
        self.calls.append(tuple(rows))
        states = observation["observation.state"].astype(np.float64)
        believed = [self._mislead(e) for e in observation["observation.environment_state"].astype(np.float64)]
        return np.stack([self._operators[row].act(s, e) for row, s, e in zip(rows, states, believed, strict=True)])
