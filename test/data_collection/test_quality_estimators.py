"""The estimators against values that are known otherwise."""

import numpy as np
import pytest
from scipy.integrate import quad

from steadyhand.data_collection.quality_estimators import (
    auroc,
    information_terms,
    log_dimensionless_jerk,
    principal,
    ranks,
    spectral_arc_length,
)


def minimum_jerk_speed(t: np.ndarray) -> np.ndarray:
    """Of a movement of 1 m in 1 s (Flash and Hogan 1985)."""
    return 30 * t**2 * (1 - t) ** 2


def test_spectral_arc_length_of_a_minimum_jerk_movement():
    def amplitude(frequency: float) -> float:
        real = quad(lambda t: minimum_jerk_speed(t) * np.cos(2 * np.pi * frequency * t), 0, 1)[0]
        imaginary = quad(lambda t: minimum_jerk_speed(t) * np.sin(2 * np.pi * frequency * t), 0, 1)[0]
        return float(np.hypot(real, imaginary))

    frequency = np.linspace(0, 10, 2001)
    spectrum = np.array([amplitude(f) for f in frequency])
    spectrum = spectrum / spectrum[0]
    end = np.flatnonzero(spectrum >= 0.05)[-1] + 1
    exact = -np.hypot(np.diff(frequency[:end]) / frequency[end - 1], np.diff(spectrum[:end])).sum()
    assert -1.5 < exact < -1.35  # as published
    assert spectral_arc_length(minimum_jerk_speed(np.arange(0, 1, 0.01)), 100.0) == pytest.approx(exact, abs=0.02)


def test_roughness_orders_movements():
    t = np.arange(0, 2, 0.01)
    smooth = minimum_jerk_speed(t / 2)
    halting = smooth * (1 + np.cos(2 * np.pi * 3 * t))
    assert spectral_arc_length(halting, 100.0) < spectral_arc_length(smooth, 100.0) - 0.5
    assert spectral_arc_length(7 * smooth, 100.0) == pytest.approx(spectral_arc_length(smooth, 100.0))
    assert spectral_arc_length(np.zeros(20), 10.0) == 0.0


def test_jerk_of_a_minimum_jerk_movement():
    t = np.linspace(0, 1, 2001)[:, None]
    position = 10 * t**3 - 15 * t**4 + 6 * t**5
    exact = np.log(720 / 1.875**2)  # integral of (60 - 360 t + 360 t^2)^2; peak speed 15/8
    assert log_dimensionless_jerk(position, 2000.0) == pytest.approx(exact, abs=0.02)
    noisy = position + np.random.default_rng(0).normal(0, 1e-6, position.shape)
    assert log_dimensionless_jerk(noisy, 2000.0) > exact + 1
    assert log_dimensionless_jerk(np.zeros((9, 2)), 10.0) == -np.inf


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_information_of_gaussians(correlation):
    random = np.random.default_rng(1)
    x = random.normal(size=(3000, 1))
    y = correlation * x + np.sqrt(1 - correlation**2) * random.normal(size=(3000, 1))
    exact = -0.5 * np.log(1 - correlation**2)
    assert information_terms(x, y).mean() == pytest.approx(exact, abs=0.04)


def test_information_tells_samples_apart():
    random = np.random.default_rng(2)
    x = random.normal(size=(1000, 2))
    y = x + 0.1 * random.normal(size=(1000, 2))
    y[:100] = random.normal(size=(100, 2))  # these follow nothing
    terms = information_terms(x, y)
    assert auroc(-terms[:100], -terms[100:]) > 0.95


def test_principal_components_keep_what_varies():
    random = np.random.default_rng(3)
    hidden = random.normal(size=(500, 2))
    values = np.hstack([hidden @ random.normal(size=(2, 5)), np.full((500, 1), 7.0)])
    reduced = principal(values, 2)
    assert reduced.shape == (500, 2)
    assert reduced.var(axis=0).sum() == pytest.approx(5.0)  # all of the five standardised columns


def test_ranks_and_auroc_by_hand():
    np.testing.assert_allclose(ranks(np.array([3.0, 1.0, np.nan, 3.0])), [2.5 / 3, 1 / 3, np.nan, 2.5 / 3])
    assert auroc([2.0, 3.0], [1.0, 2.0]) == pytest.approx(3.5 / 4)
    assert auroc([2.0], [0.0, 1.0]) == 1.0
