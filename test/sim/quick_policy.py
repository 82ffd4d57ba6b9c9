"""A policy for tests of whole evaluations. Importing it, in whichever process, makes episodes short."""

import numpy as np

from steadyhand.sim.tasks.peg_insertion import PegInsertion

PegInsertion.time_limit = 0.5  # s
PegInsertion.success = lambda self, observations, truth: observations[0].position[1] > 0.0  # type: ignore[method-assign]


class Wander:
    """Steers the tool sideways, by an amount that each episode draws."""

    name, version = "wander", "1"

    def __init__(self) -> None:
        self._steps: dict[int, float] = {}

    def reset(self, rows, seeds) -> None:
        for row, seed in zip(rows, seeds, strict=True):
            self._steps[row] = np.random.default_rng(seed).normal(0.0, 0.02)

    def act(self, observation, rows) -> np.ndarray:
        state = observation["observation.state"].astype(np.float64)
        action = state[:, :10].copy()
        action[:, 1] += [self._steps[row] for row in rows]
        return action
