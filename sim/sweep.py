"""Robustness sweep: what of a perturbed world makes a policy fail, and where the boundary lies.

Two stages of episodes, each with values of its own on every axis (steadyhand.sim.perturbation):

1. evenly over the box (scrambled Sobol points): from these come success along each axis and its sensitivity;
2. where the first stage left success most in doubt: points drawn with a weight of (p (1 - p))^3, p a logistic model
   of the first stage. They show where the boundary lies; no rate is computed from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import chi2_contingency
from scipy.stats.qmc import Sobol

from steadyhand.errors import SteadyhandError
from steadyhand.sim.perturbation import AXES, EVERYTHING, find_axis
from steadyhand.sim.statistics import Rate, holm

PARTS = 5  # of an axis
CANDIDATES = 1024  # points that the second stage chooses from
SHARPNESS = 3  # power of p (1 - p): the higher, the closer to the boundary
RIDGE = 0.01  # of the logistic model, per episode


@dataclass(frozen=True)
class Extent:
    """How far a sweep goes along one axis."""

    name: str
    low: float
    high: float


def parse_extents(words: Sequence[str]) -> list[Extent]:
    """Axes from the command line: "all", NAME, or NAME=LOW:HIGH."""
    if list(words) == ["all"]:
        words = [name for name, axis in AXES.items() if axis.felt_by == EVERYTHING]
    extents = [_extent(word) for word in words]
    names = [extent.name for extent in extents]
    for name in names:
        if names.count(name) > 1:
            raise SteadyhandError(f"perturbation '{name}' is given twice; give each once")
    return extents


def _extent(word: str) -> Extent:
    name, _, span = word.partition("=")
    axis = find_axis(name)
    if axis.felt_by != EVERYTHING:
        raise SteadyhandError(
            f"perturbation '{name}' changes {axis.felt_by} only, which policies do not get in `steadyhand eval`; "
            "leave it out"
        )
    try:
        low, high = map(float, span.split(":")) if span else (axis.low, axis.high)
    except ValueError:
        raise SteadyhandError(f"perturbation '{word}' is not NAME or NAME=LOW:HIGH, as in latency=0:0.3") from None
    if not axis.low <= low < high <= axis.high:
        raise SteadyhandError(f"perturbation '{word}': allowed are low below high within {axis.low:g}:{axis.high:g}")
    return Extent(name, low, high)


def spread_points(extents: Sequence[Extent], count: int, seed: int) -> list[dict[str, float]]:
    """Points evenly over the box, (count) tables of axis to value; the same seed gives the same points."""
    sampler = Sobol(len(extents), rng=np.random.default_rng(seed))
    return _scaled(sampler.random_base2(int(np.ceil(np.log2(max(count, 1)))))[:count], extents)


def _scaled(unit: np.ndarray, extents: Sequence[Extent]) -> list[dict[str, float]]:
    return [{e.name: e.low + (e.high - e.low) * float(u) for e, u in zip(extents, row, strict=True)} for row in unit]


def _unit(points: Sequence[Mapping[str, float]], extents: Sequence[Extent]) -> np.ndarray:
    """Points (P, A) scaled to -1..1."""
    return np.array([[2 * (point[e.name] - e.low) / (e.high - e.low) - 1 for e in extents] for point in points])


def boundary_points(
    extents: Sequence[Extent],
    points: Sequence[Mapping[str, float]],
    success: Sequence[bool],
    count: int,
    seed: int,
) -> list[dict[str, float]]:
    """Points where the outcome is most in doubt after `points` with their outcomes."""
    model = Logistic.fit(_unit(points, extents), np.asarray(success, dtype=float))
    candidates = spread_points(extents, max(CANDIDATES, 4 * count), seed + 1)
    p = model(_unit(candidates, extents))
    doubt = (p * (1 - p)) ** SHARPNESS
    chosen = np.random.default_rng(seed + 2).choice(len(candidates), count, replace=False, p=doubt / doubt.sum())
    return [candidates[index] for index in sorted(chosen)]


@dataclass(frozen=True)
class Logistic:
    """Probability of success: a logistic model, linear and quadratic in every axis, with a ridge penalty."""

    weights: np.ndarray  # (1 + 2 A,)

    @staticmethod
    def features(unit: np.ndarray) -> np.ndarray:
        """(P, 1 + 2 A) of points (P, A) in -1..1."""
        return np.hstack([np.ones((len(unit), 1)), unit, unit**2 - 1 / 3])

    @classmethod
    def fit(cls, unit: np.ndarray, success: np.ndarray) -> "Logistic":
        """Maximum likelihood under the penalty, which leaves the constant free."""
        x, sign = cls.features(unit), 2 * success - 1

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            margin = sign * (x @ weights)
            penalty = RIDGE * len(x) * weights
            penalty[0] = 1e-3 * weights[0]  # all alike must not push it to infinity
            value = np.logaddexp(0.0, -margin).sum() + 0.5 * weights @ penalty
            return float(value), -(sign * expit(-margin)) @ x + penalty

        return cls(minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x)

    def __call__(self, unit: np.ndarray) -> np.ndarray:
        """Probabilities (P,) at points (P, A) in -1..1."""
        return expit(self.features(unit) @ self.weights)


@dataclass(frozen=True)
class AxisEffect:
    """What the first stage says about one axis.

    sensitivity: share of the variance of success that the axis explains alone (first-order Sobol' index), estimated
    from PARTS parts of the axis without the share that chance explains (epsilon squared), at least 0.
    p_holm: of the chi-squared test that success does not depend on the part, corrected for the number of axes.
    """

    name: str
    edges: tuple[float, ...]  # (PARTS + 1,)
    rates: tuple[Rate, ...]  # (PARTS,)
    sensitivity: float
    p_holm: float

    @property
    def real(self) -> bool:
        """Whether chance is no good explanation."""
        return self.p_holm <= 0.05


def effects(
    extents: Sequence[Extent], points: Sequence[Mapping[str, float]], success: Sequence[bool]
) -> list[AxisEffect]:
    """The effect of every axis, the most sensitive one first; from points of the first stage only."""
    outcome = np.asarray(success, dtype=float)
    found = []
    for extent in extents:
        edges = np.linspace(extent.low, extent.high, PARTS + 1)
        part = np.clip(np.searchsorted(edges, [point[extent.name] for point in points], "right") - 1, 0, PARTS - 1)
        groups = [outcome[part == number] for number in range(PARTS)]
        rates = tuple(Rate.of([bool(value) for value in group]) for group in groups)
        found.append((extent.name, tuple(map(float, edges)), rates, _epsilon_squared(groups), _chi_squared(groups)))
    corrected = holm([entry[-1] for entry in found])
    listed = [AxisEffect(*entry[:-1], p) for entry, p in zip(found, corrected, strict=True)]
    return sorted(listed, key=lambda effect: (-effect.sensitivity, effect.p_holm))


def _epsilon_squared(groups: Sequence[np.ndarray]) -> float:
    values = np.concatenate(groups)
    total = ((values - values.mean()) ** 2).sum()
    within = sum(((group - group.mean()) ** 2).sum() for group in groups if len(group))
    filled = sum(len(group) > 0 for group in groups)
    if total == 0 or len(values) <= filled:
        return 0.0
    return float(max(0.0, (total - within - (filled - 1) * within / (len(values) - filled)) / total))


def _chi_squared(groups: Sequence[np.ndarray]) -> float:
    table = np.array([[group.sum(), len(group) - group.sum()] for group in groups if len(group)])
    return 1.0 if (table.sum(axis=0) == 0).any() else float(chi2_contingency(table).pvalue)
