"""How sure an evaluation can be: intervals for success rates and for the difference of two policies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import binomtest, bootstrap
from statsmodels.stats.proportion import proportion_confint

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
            interval = bootstrap(
                (change,), np.mean, confidence_level=CONFIDENCE, rng=np.random.default_rng(0)
            ).confidence_interval
            lo, hi = float(interval.low), float(interval.high)
        p = float(binomtest(helped, helped + hurt).pvalue) if helped + hurt else 1.0
        return PairedGain(float(change.mean()), lo, hi, p, helped, hurt)

    def as_dict(self) -> dict[str, float]:
        """For JSON files."""
        return asdict(self)
