"""How many episodes it takes to tell two success rates apart. Every number is exact, none is simulated."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from scipy.special import betaln, gammaln
from scipy.stats import binom

from steadyhand.errors import SteadyhandError
from steadyhand.sim.sequential import PRIOR

MOST = 5000  # episodes; beyond, a twin or the question should change


@dataclass(frozen=True)
class Question:
    """What an evaluation shall be able to tell.

    Of two policies, the first succeeds at `rate`, the second at `rate + difference`, and on a share `discordance` of
    the seeds only one of them does.
    """

    rate: float
    difference: float
    discordance: float
    power: float
    alpha: float

    @property
    def share(self) -> float:
        """Of the pairs that disagree, how many the better policy wins."""
        return (self.discordance + abs(self.difference)) / (2 * self.discordance)


def independent_discordance(rate: float, difference: float) -> float:
    """On how many seeds two policies disagree that succeed independently of each other."""
    other = rate + difference
    return rate * (1 - other) + other * (1 - rate)


def discordance_range(rate: float, difference: float) -> tuple[float, float]:
    """Between which shares two policies with these rates can disagree."""
    total = 2 * rate + difference
    return abs(difference), min(total, 2 - total)


def _tail(m: np.ndarray, alpha: float) -> np.ndarray:
    """The most wins c of m for which P(Binomial(m, 1/2) <= c) <= alpha / 2, or -1."""
    c = binom.ppf(alpha / 2, m, 0.5)
    return np.where(binom.cdf(c, m, 0.5) <= alpha / 2, c, c - 1)


def paired_power(n: int, question: Question) -> float:
    """Power of the exact McNemar test on n pairs: the number of pairs that disagree is itself binomial."""
    m = np.arange(n + 1)
    c = _tail(m, question.alpha)
    reject = binom.cdf(c, m, question.share) + binom.cdf(c, m, 1 - question.share)
    return float(binom.pmf(m, n, question.discordance) @ reject)


def unpaired_power(n: int, question: Question) -> float:
    """Power of Fisher's exact test with n episodes of each policy, summed over the total number of successes s.

    Given s, the first policy's successes are hypergeometric if both are equal, and the distribution is symmetric about
    s / 2, so the two-sided test rejects in two equal tails.
    """
    logs = gammaln(np.arange(2 * n + 1) + 1)
    k = np.arange(n + 1)
    choose = logs[n] - logs[k] - logs[n - k]
    first, second = (binom.pmf(k, n, rate) for rate in (question.rate, question.rate + question.difference))
    power = 0.0
    for s in range(2 * n + 1):
        lowest = max(0, s - n)
        mine = k[lowest : min(n, s) + 1]
        tail = np.cumsum(np.exp(choose[mine] + choose[s - mine] - (logs[2 * n] - logs[s] - logs[2 * n - s])))
        c = int(np.searchsorted(tail, question.alpha / 2 * (1 + 1e-9), side="right"))
        if 0 < c <= len(mine) // 2:
            ends = np.concatenate((mine[:c], mine[-c:]))
            power += float(first[ends] @ second[s - ends])
    return power


def fewest(power: Callable[[int], float], target: float, most: int) -> int:
    """The smallest n from which ten designs in a row reach the target: the power of a discrete test is a saw-tooth."""
    low, high = 0, min(8, most)
    while power(high) < target:
        if high == most:
            raise SteadyhandError(f"more than {most} episodes; choose a larger --difference or less --power")
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= target else (middle, high)
    run = 0
    while run < 10:
        run = run + 1 if power(high) >= target else 0
        high += 1
    return high - run


def boundary(pairs: int, alpha: float) -> np.ndarray:
    """With how many wins of m pairs that disagree the anytime-valid test decides: (pairs + 1,), over m if never.

    The evidence grows with the wins above m / 2, so the least number is found by bisection.
    """
    m = np.arange(pairs + 1)
    low, high = m // 2, m + 1
    while np.any(high - low > 1):
        k = (low + high) // 2
        log_evidence = betaln(PRIOR + k, PRIOR + m - k) - betaln(PRIOR, PRIOR) + m * np.log(2)
        decided = log_evidence >= -np.log(alpha)
        low[~decided] = k[~decided]
        high[decided] = k[decided]
    return high


def decision_times(pairs: int, share: float, alpha: float) -> np.ndarray:
    """Probability that the anytime-valid test decides at the m-th pair that disagrees: (pairs + 1,).

    Args:
        pairs: How far to follow them.
        share: With which probability the same policy wins such a pair; 1/2 if both are equal.
        alpha: Error rate of the test.
    """
    upper = boundary(pairs, alpha)
    alive = np.zeros(pairs + 2)  # probability of k wins without a decision so far
    alive[0] = 1.0
    decided = np.zeros(pairs + 1)
    for m in range(1, pairs + 1):
        alive[1 : m + 1] = share * alive[:m] + (1 - share) * alive[1 : m + 1]
        alive[0] *= 1 - share
        high, low = upper[m], m - upper[m]
        decided[m] = alive[high : m + 1].sum() + alive[: low + 1].sum()
        alive[high : m + 1] = 0.0
        alive[: low + 1] = 0.0
    return decided


@dataclass(frozen=True)
class SequentialDesign:
    """Looking after every pair of episodes."""

    question: Question
    horizon: int  # episodes up to which decisions are followed

    @cached_property
    def _decided(self) -> np.ndarray:
        spread = 8 * np.sqrt(self.horizon * self.question.discordance)
        pairs = min(self.horizon, int(self.horizon * self.question.discordance + spread) + 1)
        return decision_times(pairs, self.question.share, self.question.alpha)

    def power(self, n: int) -> float:
        """Probability of a decision within n episodes: that as many of them disagree as it takes."""
        m = np.arange(len(self._decided))
        return float(self._decided @ binom.sf(m - 1, n, self.question.discordance))

    def expected(self, n: int) -> float:
        """Episodes on average if one stops at the decision, or after n at the latest.

        The m-th pair that disagrees comes after T episodes, T negative binomial, and
        t P(T_m = t) = (m / psi) P(T_{m+1} = t + 1), so E[T_m; T_m <= n] = (m / psi) P(Binomial(n + 1, psi) > m).
        """
        m, psi = np.arange(len(self._decided)), self.question.discordance
        return float(self._decided @ (m / psi * binom.sf(m, n + 1, psi)) + n * (1 - self.power(n)))


@dataclass(frozen=True)
class Plan:
    """Episodes of each policy that answer a question."""

    paired: int  # same seeds, exact McNemar, one look at the end
    unpaired: int  # different seeds, Fisher's exact test
    sequential_mean: float  # same seeds, anytime-valid, on average
    sequential_most: int  # and at most, for the same power

    def as_dict(self) -> dict[str, float]:
        """For JSON files."""
        return asdict(self)


def plan(question: Question) -> Plan:
    """Answer a question with three designs of the same power and error rate."""
    paired = fewest(lambda n: paired_power(n, question), question.power, MOST)
    unpaired = fewest(lambda n: unpaired_power(n, question), question.power, 4 * MOST)
    sequential = SequentialDesign(question, horizon=4 * paired + 40)
    most = fewest(sequential.power, question.power, sequential.horizon)
    return Plan(paired, unpaired, sequential.expected(most), most)
