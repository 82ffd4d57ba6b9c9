"""The anytime-valid comparison: against the formula, and by simulation with a look after every pair."""

import numpy as np
import pytest
from scipy.special import betaln

from steadyhand.sim.power import Question, SequentialDesign, fewest, paired_power
from steadyhand.sim.sequential import PRIOR, Anytime

RATE, DIFFERENCE, DISCORDANCE = 0.6, 0.15, 0.45
COMPARISONS, PAIRS, ALPHA = 1000, 400, 0.05


def simulate(seed: int, difference: float, comparisons: int = COMPARISONS, pairs: int = PAIRS) -> list[Anytime]:
    """Comparisons whose pairs are won by the second, by the first, or by nobody."""
    wins = [(DISCORDANCE - difference) / 2, 1 - DISCORDANCE, (DISCORDANCE + difference) / 2]
    random = np.random.default_rng(seed)
    return [Anytime(change) for change in random.choice([-1.0, 0.0, 1.0], p=wins, size=(comparisons, pairs))]


def test_evidence_is_the_bayes_factor_of_the_pairs_that_disagree():
    comparison = simulate(seed=3, difference=0.2, comparisons=1)[0]
    won, lost = np.cumsum(comparison.change > 0), np.cumsum(comparison.change < 0)
    log_evidence = betaln(PRIOR + won, PRIOR + lost) - betaln(PRIOR, PRIOR) + (won + lost) * np.log(2)
    expected = np.exp(-np.maximum.accumulate(np.maximum(log_evidence, 0.0)))
    assert comparison.p_values == pytest.approx(expected, rel=1e-9)
    decided = int(np.argmax(comparison.p_values <= ALPHA)) + 1
    assert comparison.decided_after(ALPHA) == decided > 1
    assert comparison.decided_after(1e-300) is None


def test_swapping_the_policies_mirrors_everything():
    there = simulate(seed=4, difference=0.3, comparisons=1)[0]
    back = Anytime(-there.change)
    assert back.p_values == pytest.approx(there.p_values)
    assert back.intervals == pytest.approx(-there.intervals[:, ::-1], abs=2e-3)
    assert (there.direction > 0, back.direction < 0) == (True, True)


def test_intervals_narrow_and_policies_that_always_agree_are_never_told_apart():
    comparison = simulate(seed=5, difference=0.15, comparisons=1)[0]
    lo, hi = comparison.intervals.T
    assert lo[0] == -1
    assert hi[0] == 1
    assert 0.1 < hi[-1] - lo[-1] < 0.6 * (hi[99] - lo[99])
    assert lo[-1] < comparison.change.mean() < hi[-1]
    same = Anytime.of([True, False, True], [True, False, True])
    assert same.p_values.tolist() == [1.0, 1.0, 1.0]
    assert same.intervals[-1, 0] < 0 < same.intervals[-1, 1]


def test_under_the_null_it_errs_at_most_at_its_rate_with_a_look_after_every_pair():
    """Two identical policies, 1000 comparisons; a fixed test with the same looks errs several times as often."""
    comparisons = simulate(seed=20260, difference=0.0)
    errors = sum(comparison.decided_after(ALPHA) is not None for comparison in comparisons)
    peeked = 0
    z = 1.959963984540054
    for comparison in comparisons:
        total, pairs = np.cumsum(comparison.change), np.cumsum(comparison.change != 0)
        peeked += bool(np.any(np.abs(total[19:]) > z * np.sqrt(pairs[19:])))
    print(
        f"seed 20260: {errors} errors in {COMPARISONS} comparisons of {PAIRS} looks; fixed test, same looks: {peeked}"
    )
    assert errors / COMPARISONS <= ALPHA
    assert peeked / COMPARISONS > 4 * ALPHA


def test_the_interval_covers_at_all_looks_together():
    """The true gain of .15 ever left the interval in at most 5 % of 80 comparisons."""
    comparisons = simulate(seed=20261, difference=DIFFERENCE, comparisons=80, pairs=150)
    ever_left = sum(
        bool(np.any((c.intervals[:, 0] > DIFFERENCE) | (c.intervals[:, 1] < DIFFERENCE))) for c in comparisons
    )
    print(f"seed 20261: the interval lost the truth in {ever_left} of 80 comparisons")
    assert ever_left / 80 <= ALPHA


@pytest.mark.parametrize("power", [0.8, 0.9])
def test_with_15_points_it_needs_fewer_episodes_than_the_fixed_design(power):
    """Both designs find the difference equally often; the sequential one stops when it has decided."""
    question = Question(RATE, DIFFERENCE, DISCORDANCE, power, ALPHA)
    fixed = fewest(lambda n: paired_power(n, question), power, most=1000)
    design = SequentialDesign(question, horizon=1000)
    most = fewest(design.power, power, most=1000)
    decided = [c.decided_after(ALPHA) or most + 1 for c in simulate(seed=20262, difference=DIFFERENCE, pairs=most)]
    mean, found = np.mean(np.minimum(decided, most)), np.mean(np.array(decided) <= most)
    print(f"seed 20262, power {power}: fixed {fixed}, sequential {mean:.1f} on average, {most} at most, found {found}")
    assert mean < fixed
    assert mean == pytest.approx(design.expected(most), rel=0.05)
    assert found == pytest.approx(power, abs=0.04)
