"""Where failures gather: which values of the drawn conditions make them more frequent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import fisher_exact

from steadyhand.sim.evaluation import EpisodeResult
from steadyhand.sim.statistics import Rate, holm

QUARTERS = (0.25, 0.5, 0.75)
ALPHA = 0.05


@dataclass(frozen=True)
class Cluster:
    """Episodes that share a word, or a quarter of the values, of one condition.

    p is Fisher's exact test of the failures inside against those outside, one-sided: inside there are not more. p_holm
    is corrected for the number of clusters looked at.
    """

    condition: str
    where: str  # the word, or the range of values
    failures: Rate
    lift: float  # failure rate inside over that of all episodes
    p: float
    p_holm: float

    @property
    def real(self) -> bool:
        """Whether chance is no good explanation."""
        return self.p_holm <= ALPHA


def find_clusters(episodes: Sequence[EpisodeResult]) -> list[Cluster]:
    """All clusters, the highest lift first; none if all episodes ended alike."""
    failed = np.array([not episode.success for episode in episodes])
    if failed.all() or not failed.any():
        return []
    found = [
        _cluster(name, where, inside, failed)
        for name in episodes[0].conditions
        for where, inside in _parts([episode.conditions[name] for episode in episodes])
    ]
    corrected = holm([cluster.p for cluster in found])
    found = [replace(cluster, p_holm=p) for cluster, p in zip(found, corrected, strict=True)]
    return sorted(found, key=lambda cluster: (-cluster.lift, cluster.p))


def telling(clusters: Sequence[Cluster], episodes: Sequence[EpisodeResult]) -> list[str]:
    """The conditions that are numbers, those first that say most about failures."""
    best: dict[str, float] = {}
    for cluster in clusters:
        best[cluster.condition] = min(cluster.p, best.get(cluster.condition, 1.0))
    numeric = [name for name in best if not isinstance(episodes[0].conditions[name], str)]
    return sorted(numeric, key=lambda name: best[name])


def _parts(values: Sequence[float | str]) -> list[tuple[str, np.ndarray]]:
    """Disjoint parts of the episodes (E,) bool, with their names: by words, or by quarters of the numbers."""
    words = [str(value) for value in values]
    if isinstance(values[0], str):
        parts = [(word, np.array([other == word for other in words])) for word in sorted(set(words))]
    else:
        numbers = np.array(values, dtype=float)
        edges = np.unique(np.quantile(numbers, QUARTERS))
        part = np.searchsorted(edges, numbers, side="left")
        inside = [part == number for number in np.unique(part)]
        parts = [(f"{numbers[rows].min():.3g} to {numbers[rows].max():.3g}", rows) for rows in inside]
    return parts if len(parts) > 1 else []


def _cluster(name: str, where: str, inside: np.ndarray, failed: np.ndarray) -> Cluster:
    rate = Rate.of(failed[inside].tolist())
    outside = failed[~inside]
    table = [[rate.k, rate.n - rate.k], [int(outside.sum()), int((~outside).sum())]]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    return Cluster(name, where, rate, rate.p / float(failed.mean()), p, p)
