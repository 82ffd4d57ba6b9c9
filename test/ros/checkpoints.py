"""A policy for tests that has learned nothing."""

from pathlib import Path

import numpy as np

from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo, features
from steadyhand.data_collection.labels import Segment, frame_labels
from steadyhand.sim.tasks import make_task


def make_checkpoint(folder: Path) -> Path:
    """Train two steps on one made-up episode."""
    from steadyhand.policies.train import TrainConfig, train  # torch takes seconds to import

    random = np.random.default_rng(0)
    columns = features(7, make_task("peg_insertion").environment_names)
    with DatasetWriter(folder / "dataset", robot="fr3", task="none", features=columns) as writer:
        for _ in range(20):
            frame = {name: random.normal(size=c["shape"]).astype(np.float32) for name, c in columns.items()}
            frame |= frame_labels(Segment.DEMO)
            writer.add_frame(frame)
        writer.save_episode(EpisodeInfo(success=True, end_reason="success"))
    train(TrainConfig((folder / "dataset",), folder / "out", steps=2, batch_size=8, progress=False))
    return folder / "out"
