"""Numbers of episodes: every exact power against brute force, and the numbers against statsmodels."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest, fisher_exact, multinomial
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from steadyhand.errors import SteadyhandError
from steadyhand.sim.power import (
    Question,
    SequentialDesign,
    boundary,
    decision_times,
    discordance_range,
    fewest,
    independent_discordance,
    paired_power,
    plan,
    unpaired_power,
)

QUESTION = Question(rate=0.5, difference=0.3, discordance=0.4, power=0.8, alpha=0.05)


def test_paired_power_is_the_sum_over_all_tables():
    n, won, lost = 25, 0.35, 0.05
    power = sum(
        multinomial.pmf([i, j, n - i - j], n, [won, lost, 1 - won - lost])
        for i in range(n + 1)
        for j in range(n + 1 - i)
        if i + j and binomtest(i, i + j).pvalue <= 0.05
    )
    assert paired_power(n, QUESTION) == pytest.approx(power, abs=1e-12)


@pytest.mark.parametrize("n", [9, 24])
def test_unpaired_power_is_the_sum_over_all_tables(n):
    power = sum(
        binom.pmf(i, n, 0.5) * binom.pmf(j, n, 0.8)
        for i in range(n + 1)
        for j in range(n + 1)
        if fisher_exact([[i, j], [n - i, n - j]]).pvalue <= 0.05
    )
    assert unpaired_power(n, QUESTION) == pytest.approx(power, abs=1e-12)


def test_numbers_are_near_those_of_the_normal_approximation():
    question = Question(0.6, 0.15, independent_discordance(0.6, 0.15), 0.8, 0.05)
    answer = plan(question)
    approximate = NormalIndPower().solve_power(proportion_effectsize(0.75, 0.6), alpha=0.05, power=0.8)
    # Fisher's test is conservative: Casagrande, Pike and Smith (1978) add about 2 / difference per group.
    assert approximate < answer.unpaired < approximate + 2 / 0.15 + 2
    # McNemar by the normal approximation, Miettinen (1968): z_a sqrt(psi) + z_b sqrt(psi - d^2) = d sqrt(n).
    normal = ((1.95996 * np.sqrt(0.45) + 0.84162 * np.sqrt(0.45 - 0.15**2)) / 0.15) ** 2
    assert normal < answer.paired < normal + 15
    assert answer.sequential_mean < answer.paired < answer.sequential_most


def test_without_a_difference_power_is_the_error_rate():
    null = Question(0.6, 0.0, 0.48, 0.8, 0.05)
    assert paired_power(120, null) <= 0.05
    assert unpaired_power(60, null) <= 0.05
    assert SequentialDesign(null, horizon=2000).power(2000) <= 0.05


def test_decision_times_err_at_most_at_the_rate_however_long_one_looks():
    for alpha in (0.01, 0.05, 0.2):
        error = decision_times(1500, 0.5, alpha).sum()
        assert 0.5 * alpha < error <= alpha


def test_boundary_grows_by_at_most_one_win_per_pair():
    steps = np.diff(boundary(500, 0.05)[20:])
    assert set(steps) == {0, 1}
    assert boundary(3, 0.05).tolist() == [1, 2, 3, 4]  # one more than there can be: too early to decide


def test_expected_episodes_are_those_of_the_decisions_one_by_one():
    design = SequentialDesign(QUESTION, horizon=300)
    still = [1 - design.power(n) for n in range(90)]  # E[min(T, 90)] = sum of P(T > n)
    assert design.expected(90) == pytest.approx(sum(still), abs=1e-9)


def test_more_agreement_and_larger_differences_need_fewer_episodes():
    counts = [plan(Question(0.5, 0.3, psi, 0.8, 0.05)).paired for psi in (0.3, 0.4, 0.5)]
    assert counts == sorted(counts)
    assert plan(QUESTION).unpaired > plan(Question(0.5, 0.4, 0.4, 0.8, 0.05)).unpaired
    assert plan(Question(0.8, -0.3, 0.4, 0.8, 0.05)) == plan(QUESTION)


def test_fewest_sees_through_the_saw_tooth():
    assert fewest(lambda n: 0.9 if n == 12 or n >= 40 else 0.1, 0.8, most=100) == 40
    with pytest.raises(SteadyhandError, match="more than 30 episodes"):
        fewest(lambda n: 0.1, 0.8, most=30)


def test_discordance_of_independent_policies_is_possible():
    for rate, difference in ((0.6, 0.15), (0.9, -0.5), (0.0, 1.0)):
        least, most = discordance_range(rate, difference)
        assert least <= independent_discordance(rate, difference) <= most
