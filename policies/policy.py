"""What decides the next tool pose, whether learned or scripted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np


class Policy(Protocol):
    """Decides for a batch of rows; each row is an episode of its own.

    What is decided for a row must not depend on the other rows, to the last bit, nor on which rows there are: sums in
    batches of another shape may differ in theirs, so a network's batches are filled up to one shape.
    """

    name: str
    version: str

    def reset(self, rows: Sequence[int], seeds: Sequence[int] | None = None) -> None:
        """Start episodes in these rows; same seed and observations, same decisions."""

    def act(self, observation: dict[str, np.ndarray], rows: Sequence[int]) -> np.ndarray:
        """Requested tool poses (len(rows), 10) for the observations (len(rows), ...) of these rows."""


def load_policy(path: Path | str, seed: int = 0) -> Policy:
    """Load a checkpoint: a training output, one of its checkpoints, or LeRobot's `pretrained_model` folder.

    Also sets torch to one thread: small networks are fastest that way, and the control loop keeps its core.
    """
    from steadyhand.policies.checkpoint import open_checkpoint  # torch and lerobot take seconds to import
    from steadyhand.policies.chunking import ChunkRunner

    model = open_checkpoint(Path(path))
    return ChunkRunner(model, name=model.name, version=model.version, seed=seed)
