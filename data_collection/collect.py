"""From episodes on the twin to a LeRobot dataset."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from steadyhand.data_collection.dataset import DatasetWriter
from steadyhand.data_collection.labels import frame_labels
from steadyhand.data_collection.schema import features
from steadyhand.data_collection.sidecar import EpisodeInfo
from steadyhand.sim.env import DECISION_PERIOD, World
from steadyhand.sim.rollout import EpisodeLog


def open_writer(path: Path, world: World) -> DatasetWriter:
    """A writer of a new dataset for state-only episodes of this world."""
    assert world.task is not None
    return DatasetWriter(
        path,
        robot=world.robot.name,
        task=world.task.name,
        features=features({arm.mount.prefix: arm.model.n for arm in world.arms}, world.task.environment_names),
        fps=round(1.0 / DECISION_PERIOD),
    )


def write_episodes(
    writer: DatasetWriter, logs: Iterable[EpisodeLog], describe: Callable[[EpisodeLog], EpisodeInfo]
) -> list[EpisodeLog]:
    """Write every episode as soon as it is there; returns them."""
    written = []
    for log in logs:
        writer.task = log.instruction
        for i in range(len(log)):
            writer.add_frame(frame_of(log, i))
        writer.save_episode(describe(log))
        written.append(log)
    return written


def frame_of(log: EpisodeLog, i: int) -> dict[str, np.ndarray]:
    """Every column of the i-th decision."""
    decision = log.decisions[i]
    return {
        **log.frames[i].policy_input(),
        "action": np.asarray(decision.action, dtype=np.float32),
        "action_applied": log.applied[i].astype(np.float32),
        **frame_labels(
            decision.segment,
            subtask=log.done[i],
            chunk_index=decision.chunk_index,
            modes=[arm.status.mode.value for arm in log.frames[i].observations],
            stamp=log.frames[i].time - log.frames[0].time,
        ),
    }
