"""`steadyhand train`: its options, and the command itself, which imports torch only when it is asked to train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class TrainConfig:
    """Train a flow policy on recorded demonstrations and interventions."""

    dataset: tuple[Path, ...]
    """Folders of LeRobot datasets recorded by steadyhand."""
    output: Path
    """New folder for checkpoints, loss.csv and loss.png."""
    steps: int = 3000
    """Optimizer steps."""
    batch_size: int = 256
    """Chunks per step."""
    seed: int = 0
    """Seed of weights, batches and noise."""
    weights: str = "uniform"
    """Visits per frame: uniform, iwr (half interventions) or rac (human frames and unaided successes)."""
    exclude: str | None = None
    """Leave episodes out: a list that `steadyhand data check|score --exclude-list` wrote, or auto for the lists in the
    datasets themselves."""
    resume: bool = False
    """Continue the run in --output."""
    progress: Annotated[bool, tyro.conf.Suppress] = True


def main(config: TrainConfig) -> None:
    """Train and say where the policy is."""
    from steadyhand.policies.train import train  # torch and lerobot take seconds to import

    result = train(config)
    size, took = f"{result.parameters / 1e6:.2f} M parameters", f"{result.seconds:.0f} s"
    print(f"trained {size} on {result.frames} frames in {took}, loss {result.loss:.4f}")
    print(f"policy: {result.checkpoint}")
