"""``steadyhand bench NAME``: run one of the measurements in this folder."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from steadyhand.errors import unknown

NAMES = ("control", "curation", "record", "twin")  # the modules whose main(config) measures; the others help them


@dataclass
class BenchConfig:
    """Measure speed on this machine."""

    name: Positional[str]
    """Which measurement."""
    json: Path
    """Where to write the numbers."""
    robosuite: bool = True
    """Twin: compare with robosuite 1.5.2, which is installed into a cache of its own on first use (1.3 GB)."""
    seconds: float = 60.0
    """Record: how long to record."""


def main(config: BenchConfig) -> None:
    """Run the module ``bench/NAME.py``: its ``main(config)`` prints the numbers and writes them."""
    if config.name not in NAMES:
        raise unknown("measurement", config.name, NAMES)
    config.json.parent.mkdir(parents=True, exist_ok=True)
    importlib.import_module(f"steadyhand.bench.{config.name}").main(config)
