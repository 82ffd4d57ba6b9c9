"""Sweeps: points where they belong, sensitivities that come out as known, and a second stage at the boundary."""

import numpy as np
import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim.perturbation import AXES
from steadyhand.sim.sweep import Extent, Logistic, boundary_points, effects, parse_extents, spread_points

BOX = [Extent("latency", 0.0, 0.4), Extent("push", 0.0, 40.0), Extent("friction", 0.3, 2.0)]


def column(points, name: str) -> np.ndarray:
    return np.array([point[name] for point in points])


def test_axes_from_the_command_line():
    assert parse_extents(["latency", "friction=0.5:1.5"]) == [Extent("latency", 0, 0.4), Extent("friction", 0.5, 1.5)]
    everything = [extent.name for extent in parse_extents(["all"])]
    assert everything == [name for name, axis in AXES.items() if axis.felt_by == "everything"]
    for word, said in (
        ("wind", "unknown perturbation 'wind'; allowed: .*latency"),
        ("light", "changes pictures only"),
        ("latency=0:9", "within 0:0.4"),
        ("latency=0.3:0.1", "low below high"),
        ("latency=now", "is not NAME or NAME=LOW:HIGH"),
    ):
        with pytest.raises(SteadyhandError, match=said):
            parse_extents([word])
    with pytest.raises(SteadyhandError, match="given twice"):
        parse_extents(["push", "push=0:3"])


def test_points_fill_the_box_evenly_and_repeat():
    points = spread_points(BOX, 200, seed=3)
    assert points == spread_points(BOX, 200, seed=3) != spread_points(BOX, 200, seed=4)
    for extent in BOX:
        values = column(points, extent.name)
        assert extent.low <= values.min()
        assert values.max() <= extent.high
        counts, _ = np.histogram(values, 5, (extent.low, extent.high))
        assert np.abs(counts - 40).max() <= 8


def test_sensitivity_comes_out_as_known():
    """Success if latency < 0.2 but for one in five: latency explains (1 - 2/5)^2 = 0.36 of the variance, the rest 0."""
    points = spread_points(BOX, 4000, seed=1)
    flipped = np.random.default_rng(0).uniform(size=4000) < 0.2
    success = (column(points, "latency") < 0.2) ^ flipped
    first, *others = effects(BOX, points, success)
    assert first.name == "latency"
    assert first.real
    # The middle part of five holds both outcomes, so one fifth of the axis says nothing: 4/5 of 0.36.
    assert first.sensitivity == pytest.approx(0.8 * 0.36, abs=0.03)
    assert [rate.p for rate in first.rates] == pytest.approx([0.8, 0.8, 0.5, 0.2, 0.2], abs=0.06)
    assert all(effect.sensitivity < 0.01 and not effect.real for effect in others)


def test_axes_without_effect_are_seldom_called_real():
    wrong = 0
    for seed in range(30):
        points = spread_points(BOX, 100, seed)
        success = np.random.default_rng(seed).uniform(size=100) < 0.7
        wrong += any(effect.real for effect in effects(BOX, points, success))
    assert wrong <= 6  # 5 % of 30 are 1.5; chance of more than 6 below 0.1 %


def test_the_second_stage_goes_to_the_boundary():
    points = spread_points(BOX, 128, seed=2)
    later = boundary_points(BOX, points, column(points, "latency") < 0.25, 100, seed=2)
    assert np.abs(column(later, "latency") - 0.25).mean() < 0.5 * np.abs(column(points, "latency") - 0.25).mean()
    assert len({tuple(point.values()) for point in later}) == 100
    evenly, _ = np.histogram(column(later, "push"), 4, (0, 40))
    assert evenly.min() > 10  # an axis that does not matter stays covered


@pytest.mark.parametrize("outcome", [True, False])
def test_where_all_end_alike_the_second_stage_spreads(outcome):
    points = spread_points(BOX, 64, seed=5)
    later = boundary_points(BOX, points, [outcome] * 64, 50, seed=5)
    assert len(later) == 50
    for extent in BOX:
        counts, _ = np.histogram(column(later, extent.name), 2, (extent.low, extent.high))
        assert counts.min() >= 15
    assert all(not effect.real and effect.sensitivity == 0.0 for effect in effects(BOX, points, [outcome] * 64))


def test_the_model_learns_a_band():
    unit = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    model = Logistic.fit(unit, (np.abs(unit[:, 0]) < 0.5).astype(float))
    inside, outside = model(np.array([[0.0, 0.3]])), model(np.array([[0.95, 0.3], [-0.95, 0.3]]))
    assert inside > 0.6
    assert (outside < 0.35).all()
