"""How long things took: quantiles that need no more room the longer it goes on."""

from collections import Counter


class Delays:
    """Counts delays by name, in steps of 0.1 ms."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._counts: dict[str, Counter[int]] = {}

    def add(self, name: str, seconds: float) -> None:
        """Something took that long."""
        self._counts.setdefault(name, Counter())[round(seconds * 1e4)] += 1

    def summary(self) -> dict[str, dict[str, float]]:
        """Name -> {"p50", "p99", "max"} in ms: the smallest delay that so many did not exceed."""
        return {name: _quantiles(counts) for name, counts in self._counts.items()}


def _quantiles(counts: Counter[int]) -> dict[str, float]:
    shares, found, reached = {"p50": 0.50, "p99": 0.99, "max": 1.0}, {}, 0
    for step in sorted(counts):
        reached += counts[step]
        for name, share in shares.items():
            if name not in found and reached >= share * counts.total():
                found[name] = step / 10
    return found
