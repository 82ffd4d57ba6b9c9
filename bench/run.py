"""``steadyhand bench NAME``: run one of the measurements in this folder."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from steadyhand.errors import unknown

NAMES = ("control", "twin")  # the modules whose main(json_path) measures; the others help them


@dataclass
class BenchConfig:
    """Measure speed on this machine."""

    name: Positional[str]
    """Which measurement."""
    json: Path
    """Where to write the numbers."""


def main(config: BenchConfig) -> None:
    """Run the module ``bench/NAME.py``: its ``main(json_path)`` prints the numbers and writes them."""
    if config.name not in NAMES:
        raise unknown("measurement", config.name, NAMES)
    config.json.parent.mkdir(parents=True, exist_ok=True)
    importlib.import_module(f"steadyhand.bench.{config.name}").main(config.json)
