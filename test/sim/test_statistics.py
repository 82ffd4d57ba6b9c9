"""Intervals: against published values and by simulation."""

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact
from statsmodels.stats.contingency_tables import mcnemar

from steadyhand.sim.statistics import PairedGain, Rate, UnpairedGain, holm


def test_wilson_matches_the_formula():
    k, n, z = 128, 150, 1.959963984540054
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    rate = Rate.of([True] * k + [False] * (n - k))
    assert (rate.k, rate.n, rate.p) == (k, n, p)
    assert (rate.lo, rate.hi) == pytest.approx((centre - half, centre + half), abs=1e-12)


def test_wilson_stays_within_zero_and_one():
    assert Rate.of([False] * 20).lo == pytest.approx(0.0, abs=1e-12)
    assert 0.8 < Rate.of([True] * 20).lo < Rate.of([True] * 20).hi <= 1.0 + 1e-12


def test_paired_gain_counts_the_pairs_that_disagree():
    before = [True] * 60 + [False] * 40
    after = [True] * 55 + [False] * 5 + [True] * 30 + [False] * 10
    gain = PairedGain.of(before, after)
    assert (gain.helped, gain.hurt) == (30, 5)
    assert gain.difference == pytest.approx(0.25)
    assert 0.0 < gain.lo < 0.25 < gain.hi
    assert gain.mcnemar_p < 1e-4


def test_no_difference_has_no_width():
    gain = PairedGain.of([True, False], [True, False])
    assert (gain.difference, gain.lo, gain.hi, gain.mcnemar_p) == (0.0, 0.0, 0.0, 1.0)


def test_the_interval_covers_at_its_rate():
    """Of 300 simulated comparisons with a true gain of .2, the 95 % interval holds it in about 95 %."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        before = random.random(100) < 0.5
        after = np.where(before, random.random(100) < 0.9, random.random(100) < 0.5)
        gain = PairedGain.of(before, after)
        covered += gain.lo <= 0.2 <= gain.hi
    assert 0.91 <= covered / 300 <= 0.985


@pytest.mark.parametrize(("helped", "hurt"), [(30, 5), (7, 9), (1, 0), (0, 6)])
def test_mcnemar_is_the_exact_one_of_statsmodels(helped, hurt):
    before = [True] * hurt + [False] * helped + [True, False]
    after = [False] * hurt + [True] * helped + [True, False]
    assert PairedGain.of(before, after).mcnemar_p == pytest.approx(mcnemar([[1, hurt], [helped, 1]]).pvalue, rel=1e-12)
    assert PairedGain.of(after, before).mcnemar_p == PairedGain.of(before, after).mcnemar_p


def test_unpaired_gain_matches_newcombe_and_fisher():
    """Newcombe (1998), table II, column (a): 56/70 against 48/80, method 10 gives .0524 to .3339."""
    gain = UnpairedGain.of([True] * 48 + [False] * 32, [True] * 56 + [False] * 14)
    assert gain.difference == pytest.approx(0.2)
    assert (gain.lo, gain.hi) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert gain.fisher_p == pytest.approx(fisher_exact([[48, 56], [32, 14]]).pvalue)
    back = UnpairedGain.of([True] * 56 + [False] * 14, [True] * 48 + [False] * 32)
    assert (back.lo, back.hi, back.fisher_p) == pytest.approx((-gain.hi, -gain.lo, gain.fisher_p))


def test_fisher_errs_at_most_at_its_rate():
    """Two policies with the same rate, every outcome of 15 episodes each weighted with its probability."""
    weights = binom.pmf(np.arange(16), 15, 0.7)
    error = 0.0
    for i in range(16):
        for j in range(16):
            p = UnpairedGain.of([True] * i + [False] * (15 - i), [True] * j + [False] * (15 - j)).fisher_p
            error += weights[i] * weights[j] * (p <= 0.05)
    assert error <= 0.05


def test_holm():
    """The example of Holm's step-down procedure by hand: 3 p1, 2 p2, p3, made monotone."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
