"""Where failures gather: found when there is something, and not when there is nothing."""

import numpy as np
import pytest

from steadyhand.sim.clusters import find_clusters, telling
from steadyhand.sim.evaluation import EpisodeResult
from steadyhand.sim.statistics import Rate


def episodes(fails, count: int = 400, seed: int = 0) -> list[EpisodeResult]:
    """Episodes of which those fail whose conditions, and a coin per episode (0 to 1), say so."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        conditions = {"x": rng.uniform(0, 1), "y": rng.uniform(-1, 1), "object": str(rng.choice(["red", "blue"]))}
        done = not fails(conditions, rng.random())
        reason = "success" if done else "dropped"
        made.append(EpisodeResult(number, done, reason, 9, "", conditions, {}, 1.0, 1.0, 1.0, {}))
    return made


def test_a_range_that_makes_failures_more_frequent_is_found():
    found = find_clusters(episodes(lambda c, coin: coin < (0.7 if c["x"] > 0.75 else 0.2)))
    first = found[0]
    assert (first.condition, first.real) == ("x", True)
    low, high = map(float, first.where.split(" to "))
    assert 0.7 < low < high <= 1.0
    assert first.failures.n == 100
    assert first.lift > 1.5
    assert [cluster.condition for cluster in found if cluster.real] == ["x"]
    assert first.p_holm == pytest.approx(10 * first.p)  # four quarters of two numbers, and two words


def test_a_word_is_found_and_numbers_are_named_first_by_what_they_say():
    made = episodes(lambda c, coin: coin < (0.6 if c["object"] == "red" else 0.1) + 0.3 * (c["y"] > 0.5))
    found = find_clusters(made)
    assert {(c.condition, c.where) for c in found if c.real} >= {("object", "red")}
    assert telling(found, made) == ["y", "x"]


def test_chance_is_rarely_taken_for_a_cluster():
    runs = [find_clusters(episodes(lambda c, coin: coin < 0.4, 120, seed)) for seed in range(40)]
    mistaken = sum(any(cluster.real for cluster in found) for found in runs)
    assert mistaken <= 6  # 5 % would be 2; more than 6 have a probability of 0.3 %


def test_parts_are_disjoint_and_whole():
    made = episodes(lambda c, coin: coin < 0.4, 77)
    failures = Rate.of([not episode.success for episode in made])
    for name in ("x", "y", "object"):
        parts = [cluster.failures for cluster in find_clusters(made) if cluster.condition == name]
        assert sum(part.n for part in parts) == 77
        assert sum(part.k for part in parts) == failures.k


@pytest.mark.parametrize("fails", [True, False])
def test_episodes_that_all_ended_alike_have_no_clusters(fails):
    assert find_clusters(episodes(lambda c, coin: fails)) == []


def test_conditions_that_never_change_say_nothing():
    made = [EpisodeResult(i, i % 2 == 0, "", 9, "", {"x": 1.0, "w": "a"}, {}, 1, 1, 1, {}) for i in range(8)]
    assert find_clusters(made) == []
