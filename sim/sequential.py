"""Comparing two policies while episodes come in: intervals and tests that hold however often one looks.

A test for a fixed number of episodes errs more often with every look at it. What is here errs at most at its stated
rate over all looks together (Ville 1939), so an evaluation may be watched, stopped when it has decided, or made longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ville import BernoulliTest, BettingCS

from steadyhand.sim.statistics import CONFIDENCE

# Beta prior of the share of won pairs; the test is valid with any. This one needs the fewest episodes on average for 15
# points, by the exact calculation in steadyhand.sim.power.
PRIOR = 2.0
GRID = 2001  # differences for which the interval is worked out: steps of 0.001, ends are rounded outwards


@dataclass(frozen=True)
class Anytime:
    """Gain of one policy over another after each pair of episodes, valid at all of them at once.

    test: pairs that agree say nothing. If both policies succeed equally often, one that disagrees is won by either with
        probability 1/2, whatever came before: McNemar's conditional test, one pair after the other. The evidence is the
        Bayes factor of a Beta mixture over the share of won pairs against 1/2, a test martingale (Robbins 1970; Howard
        et al. 2021, propositions 6 and 7), and p = 1 / (the most evidence so far).
    interval: betting confidence sequence for the mean of differences in [-1, 1] (Waudby-Smith and Ramdas 2024,
        Theorem 3). It does not use that there are only three of them, so it may still hold zero when the test has
        decided. It is the one after the last pair, not the part that all so far share: that would be 5 % narrower, but
        now and then not hold the measured gain.

    Policies on different seeds are paired in the order of their episodes (Wald 1947, chapter 6): as valid, less sharp.
    """

    change: np.ndarray  # (n,) +1 the second alone succeeded, -1 the first alone, 0 they agree

    @staticmethod
    def of(before: Sequence[bool], after: Sequence[bool]) -> "Anytime":
        """Gain from `before` to `after`, pairs in an order that does not depend on their outcomes."""
        return Anytime(np.subtract(after, before, dtype=float))

    @cached_property
    def p_values(self) -> np.ndarray:
        """The two-sided p-value after each pair (n,)."""
        split = self.change != 0
        if not split.any():
            return np.ones(len(self.change))
        test = BernoulliTest(0.5, prior=(PRIOR, PRIOR)).fit(self.change[split] > 0)
        return np.concatenate(([1.0], test.p_values_))[np.cumsum(split)]

    @cached_property
    def intervals(self) -> np.ndarray:
        """The interval of the difference after each pair (n, 2), at CONFIDENCE."""
        sequence = BettingCS(bounds=(-1.0, 1.0), alpha=1 - CONFIDENCE, grid=GRID, intersect=False).fit(self.change)
        return np.stack([sequence.lower_, sequence.upper_], axis=1)

    @property
    def p(self) -> float:
        """The p-value after the last pair."""
        return float(self.p_values[-1])

    @property
    def direction(self) -> float:
        """Which policy the strongest evidence so far spoke for: positive for the second, negative for the first."""
        return float(np.cumsum(self.change)[np.argmin(self.p_values)])

    def decided_after(self, alpha: float) -> int | None:
        """After how many pairs the test had decided, if it has."""
        hits = np.flatnonzero(self.p_values <= alpha)
        return int(hits[0]) + 1 if len(hits) else None
