"""From episodes on the twin to a LeRobot dataset."""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steadyhand.crisp_control.ros_parameters import twin_parameters
from steadyhand.data_collection.configuration import Configuration, Document, parameters_document, yaml_document
from steadyhand.data_collection.dataset import DatasetWriter
from steadyhand.data_collection.labels import frame_labels
from steadyhand.data_collection.ros_sink import Sink
from steadyhand.data_collection.schema import features
from steadyhand.data_collection.sidecar import EpisodeInfo
from steadyhand.sim.env import CONTROLLER, DECISION_PERIOD, World
from steadyhand.sim.rollout import EpisodeLog

if TYPE_CHECKING:
    from steadyhand.data_collection.twin_journal import TwinJournal

_log = logging.getLogger(__name__)

_ELSEWHERE = ("urdf", "mjcf", "gains")  # of a robot: in documents of their own


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


def configuration_of(world: World) -> Configuration:
    """What the twin is made of: per arm its description and what its robot file says, the scene, the controllers."""
    documents, nodes = {"scene": Document(world.scene_xml(), "xml")}, {}
    for arm in world.arms:
        prefix, robot = arm.mount.prefix, arm.robot
        documents[f"{prefix}description"] = Document(robot.urdf_xml, "urdf")
        told = {key: value for key, value in vars(robot).items() if key not in _ELSEWHERE}
        documents[f"{prefix}robot"] = yaml_document(
            {key: vars(value) if is_dataclass(value) else value for key, value in told.items()}
        )
        # As the node of `steadyhand twin` calls itself: the same parameters then have the same file.
        nodes[f"/{arm.mount.name}/twin".replace("//", "/")] = twin_parameters(robot, CONTROLLER)
    return Configuration(documents | {"controller": parameters_document(nodes)})


def open_journal(
    folder: Path | None, robot: str, world: World, cameras: str = "none"
) -> "AbstractContextManager[TwinJournal | None]":
    """The journal in a folder, or none without a folder.

    Args:
        folder: New, or of a journal that goes on.
        robot: As it was given, for `load_robot`.
        world: Of the episodes.
        cameras: To draw, as for `steadyhand record`.
    """
    if folder is None:
        return nullcontext()
    from steadyhand.data_collection.twin_journal import TwinJournal  # needs ROS's messages
    from steadyhand.sim.ros_cameras import camera_names

    return TwinJournal(folder, robot, world, camera_names(cameras))


def demonstration(log: EpisodeLog) -> EpisodeInfo:
    """What is known of an episode of the scripted operator."""
    return EpisodeInfo(log.success, log.reason, operator="scripted", seed=log.seed)


def write_episodes(
    writer: DatasetWriter | None,
    world: World,
    logs: Iterable[EpisodeLog],
    describe: Callable[[EpisodeLog], EpisodeInfo],
    journal: "TwinJournal | None" = None,
) -> list[EpisodeLog]:
    """Write every episode of a world as soon as it is there, into a dataset, a journal or both; returns them."""
    written, configuration = [], configuration_of(world)
    if journal is not None:
        configuration = Configuration({**configuration.documents, **journal.calibration()})
    for episode in logs:
        info = replace(describe(episode), subtasks=tuple(episode.completed), configuration=configuration)
        if journal is not None:
            sink, ended = journal.play(episode, info, writer)
        else:
            sink, ended = Sink(episode.instruction, writer, None, {}), 0.0
        for i in range(len(episode)):
            sink.add_frame(frame_of(episode, i))
        name, trouble = sink.save(info, ended)
        if trouble:
            _log.warning("%s: the journal does not have all of it: %s", name, trouble)
        written.append(episode)
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
