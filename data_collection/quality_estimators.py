"""The estimators behind the quality scores: smoothness, neighbours, mutual information, and how to rank."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma
from scipy.stats import mannwhitneyu, rankdata

CUTOFF = 10.0  # Hz beyond which SPARC does not look at the spectrum
THRESHOLD = 0.05  # share of the largest amplitude below which SPARC cuts the spectrum's end off
NEIGHBOURS = (5, 6, 7)  # over which the estimate of mutual information is averaged, as DemInf does


def spectral_arc_length(speed: np.ndarray, fs: float) -> float:
    """Smoothness of a speed profile: 0 is smoothest, a minimum-jerk movement has -1.4, less is rougher.

    SPARC of Balasubramanian, Melendez-Calderon, Roby-Brami and Burdet, "On the analysis of movement smoothness", 2015.

    Args:
        speed: (T,), any unit.
        fs: Samples per second.
    """
    points = 2 ** (int(np.ceil(np.log2(len(speed)))) + 4)
    amplitude = np.abs(np.fft.rfft(speed, points))
    frequency = np.fft.rfftfreq(points, 1.0 / fs)
    if not amplitude.max() > 0:
        return 0.0
    amplitude = amplitude[frequency <= CUTOFF] / amplitude.max()
    end = int(np.flatnonzero(amplitude >= THRESHOLD)[-1]) + 1
    if end < 2:
        return 0.0
    span = frequency[end - 1] - frequency[0]
    return -float(np.hypot(np.diff(frequency[:end]) / span, np.diff(amplitude[:end])).sum())


def log_dimensionless_jerk(position: np.ndarray, fs: float) -> float:
    """Roughness of a movement: ln of the integral of squared jerk times T^3 over the peak speed squared.

    Hogan and Sternad, "Sensitivity of smoothness measures to movement duration, amplitude, and arrests", 2009. More is
    rougher; -inf if nothing moves.

    Args:
        position: (T, D) with T of at least 4.
        fs: Samples per second.
    """
    peak = np.linalg.norm(np.diff(position, axis=0), axis=1).max() * fs
    squared = (np.diff(position, 3, axis=0) ** 2).sum() * fs**5
    duration = (len(position) - 1) / fs
    return float(np.log(squared * duration**3 / peak**2)) if peak > 0 and squared > 0 else -np.inf


def information_terms(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What each sample adds to the mutual information of x and y, (N,) nat; their mean estimates it.

    The first estimator of Kraskov, Stögbauer and Grassberger, "Estimating mutual information", 2004, averaged over
    numbers of neighbours as in Hejna et al., "Robot Data Curation with Mutual Information Estimators" (DemInf), 2025.
    Biased towards zero in many dimensions: for comparing samples.

    Args:
        x: (N, A), continuous; N above the largest of NEIGHBOURS.
        y: (N, B), continuous.
    """
    joint = np.hstack([x, y])
    distances, _ = cKDTree(joint).query(joint, k=[k + 1 for k in NEIGHBOURS], p=np.inf)
    trees = cKDTree(x), cKDTree(y)
    terms = np.zeros(len(x))
    for k, distance in zip(NEIGHBOURS, distances.T, strict=True):
        within = np.nextafter(distance, 0.0)  # strictly less than the k-th neighbour's distance; counts itself
        counts = [
            tree.query_ball_point(data, within, p=np.inf, return_length=True)
            for tree, data in zip(trees, (x, y), strict=True)
        ]
        terms += digamma(k) + digamma(len(x)) - digamma(counts[0]) - digamma(counts[1])
    return terms / len(NEIGHBOURS)


def standardised(values: np.ndarray) -> np.ndarray:
    """(N, D) with mean 0 and variance 1, constant columns left out; (N, 1) zeros if all are."""
    deviation = values.std(axis=0)
    used = deviation > 1e-6
    if not used.any():
        return np.zeros((len(values), 1))
    return (values[:, used] - values[:, used].mean(axis=0)) / deviation[used]


def principal(values: np.ndarray, size: int) -> np.ndarray:
    """(N, D) standardised, as at most `size` principal components."""
    scaled = standardised(values)
    _, axes = np.linalg.eigh(scaled.T @ scaled)
    return scaled @ axes[:, ::-1][:, :size]


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) from 1/N, the smallest, to 1; equal values share the mean of their ranks; NaN stays NaN."""
    known = ~np.isnan(values)
    result = np.full(len(values), np.nan)
    result[known] = rankdata(values[known]) / max(1, known.sum())
    return result


def auroc(bad: Sequence[float], good: Sequence[float]) -> float:
    """How often a bad one has the larger score than a good one, ties counted half."""
    return float(mannwhitneyu(bad, good).statistic) / (len(bad) * len(good))
