"""Intervals: against published values and by simulation."""

import numpy as np
import pytest

from steadyhand.sim.statistics import PairedGain, Rate


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
