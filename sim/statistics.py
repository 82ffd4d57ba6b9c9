"""How sure an evaluation can be: intervals for success rates and for the difference of two policies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import binomtest, bootstrap, fisher_exact
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """k successes of n, with the Wilson interval (Wilson 1927) at 95 %."""

    k: int
    n: int
    p: float
    lo: float
    hi: float

    @staticmethod
    def of(outcomes: Sequence[bool]) -> "Rate":
        """Rate of one outcome or more."""
        k, n = int(np.sum(outcomes)), len(outcomes)
        lo, hi = proportion_confint(k, n, alpha=1 - CONFIDENCE, method="wilson")
        return Rate(k, n, k / n, float(lo), float(hi))

    def as_dict(self) -> dict[str, float]:
        """For JSON files."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.p:.3f} [{self.lo:.3f}, {self.hi:.3f}] ({self.k}/{self.n})"


@dataclass(frozen=True)
class PairedGain:
    """Difference of two success rates on the same episodes.

    The interval is the BCa bootstrap over pairs (Efron 1987) at 95 %; mcnemar_p is the exact two-sided test on the
    pairs that disagree.
    """

    difference: float
    lo: float
    hi: float
    mcnemar_p: float
    helped: int  # pairs that only the second solved
    hurt: int  # pairs that only the first solved

    @staticmethod
    def of(before: Sequence[bool], after: Sequence[bool]) -> "PairedGain":
        """Gain from `before` to `after`, outcomes of the same seeds in the same order."""
        change = np.subtract(after, before, dtype=float)
        helped, hurt = int(np.sum(change > 0)), int(np.sum(change < 0))
        if np.ptp(change) == 0:  # no spread: the bootstrap has nothing to draw from
            lo = hi = float(change[0])
        else:
            interval = bootstrap(  # in batches, because all resamples at once would take gigabytes
                (change,), np.mean, confidence_level=CONFIDENCE, batch=1000, rng=np.random.default_rng(0)
            ).confidence_interval
            lo, hi = float(interval.low), float(interval.high)
        p = float(binomtest(helped, helped + hurt).pvalue) if helped + hurt else 1.0
        return PairedGain(float(change.mean()), lo, hi, p, helped, hurt)

    def as_dict(self) -> dict[str, float]:
        """For JSON files."""
        return asdict(self)


@dataclass(frozen=True)
class UnpairedGain:
    """Difference of two success rates on different episodes.

    The interval is Newcombe's hybrid of two Wilson intervals (Newcombe 1998, method 10) at 95 %; fisher_p is Fisher's
    exact two-sided test of the table of successes and failures.
    """

    difference: float
    lo: float
    hi: float
    fisher_p: float

    @staticmethod
    def of(before: Sequence[bool], after: Sequence[bool]) -> "UnpairedGain":
        """Gain from `before` to `after`, outcomes of episodes that have nothing to do with each other."""
        first, second = Rate.of(before), Rate.of(after)
        lo, hi = confint_proportions_2indep(
            second.k, second.n, first.k, first.n, compare="diff", method="newcomb", alpha=1 - CONFIDENCE
        )
        table = [[first.k, second.k], [first.n - first.k, second.n - second.k]]
        return UnpairedGain(second.p - first.p, float(lo), float(hi), float(fisher_exact(table).pvalue))

    def as_dict(self) -> dict[str, float]:
        """For JSON files."""
        return asdict(self)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that all of them together err at most at the rate of one (Holm 1979)."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if p_values else []
