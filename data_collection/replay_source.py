"""What is replayed: one episode of a dataset or of a journal, as arrays."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from steadyhand.data_collection.quality_data import ACTION, STATE, Recorded, load_recorded
from steadyhand.data_collection.reading import episode_number
from steadyhand.data_collection.schema import ACTION_NAMES, INFO, STAMP, STATE_NAMES
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import load_robot
from steadyhand.sim.rotations import quat_from_rot6d
from steadyhand.sim.tasks import TASKS

ARM_ACTION, ARM_STATE, ARM_REFERENCE = len(ACTION_NAMES), len(STATE_NAMES), 9
REFERENCE, APPLIED = "observation.reference", "action_applied"


@dataclass(frozen=True)
class Recording:
    """One recorded episode of one or two arms (A): N decisions.

    Attributes:
        name: What it is called.
        robot: As the recording names it; "" where it does not.
        text: What was to be done, in words.
        seed: Of the twin's reset; None on a real arm, and where nothing says it.
        times: (N,) s since the first decision.
        action: (N, A, 10) requested pose and gripper.
        measured: (N, A, 10) pose and gripper before each decision.
        tracked: (N + 1, A, 9) pose that the controller followed at each decision and a period after the last; None
            where it was not recorded.
        segments: (N,) segment numbers.
        period: s, the decisions' nominal period.
    """

    name: str
    robot: str
    text: str
    seed: int | None
    times: np.ndarray
    action: np.ndarray
    measured: np.ndarray
    tracked: np.ndarray | None
    segments: np.ndarray
    period: float

    @property
    def arms(self) -> int:
        """How many arms it has."""
        return self.action.shape[1]

    @property
    def ends(self) -> np.ndarray:
        """(N + 1,) s: the times of all decisions, and a period after the last."""
        return np.append(self.times, self.times[-1] + self.period)


def load_recording(path: Path, episode: str, robot: str | None = None, task: str = "") -> Recording:
    """Read one episode.

    Args:
        path: Folder of a LeRobot dataset or of a journal, or an MCAP file.
        episode: Number of the episode in a dataset; in a journal its number or name.
        robot: Of a journal, where it does not say it or the robot's file has moved.
        task: The same for what was done.
    """
    if (path / INFO).exists():
        number = episode_number(path, episode)
        return of_dataset(load_recorded(path), number)
    return _of_journal(path, episode, robot, task)


def of_dataset(recorded: Recorded, episode: int) -> Recording:
    """One episode of a dataset that is in memory; SteadyhandError if it lacks columns."""
    if not recorded.arms:
        raise SteadyhandError(
            f"dataset '{recorded.path}' cannot be replayed: needed are the columns '{ACTION}' with the names "
            f"{' '.join(ACTION_NAMES)} and '{STATE}' with {' '.join(STATE_NAMES)} (poses of the tool in the base frame)"
        )
    rows = recorded.frames[episode]
    if not len(rows):
        raise SteadyhandError(f"episode {episode} of '{recorded.path}' has no frames; choose another one")
    columns = {name: recorded.values(name)[rows] for name in recorded.observed}
    tracked = None
    if REFERENCE in columns and APPLIED in columns:
        tracked = _tracked(columns[REFERENCE], columns[APPLIED])
    times = recorded.columns.get(STAMP, recorded.columns["timestamp"])[rows].astype(np.float64)
    sidecar = recorded.sidecar[episode] if recorded.sidecar else {}
    return _checked(
        Recording(
            name=f"{recorded.path.resolve().name}, episode {episode}",
            robot=recorded.robot or str(recorded.info.get("robot_type") or ""),
            text=next(iter(recorded.rows[episode].get("tasks") or []), ""),
            seed=sidecar.get("seed"),
            times=times - times[0],
            action=columns[ACTION].reshape(len(rows), -1, ARM_ACTION),
            measured=columns[STATE].reshape(len(rows), -1, ARM_STATE)[:, :, :ARM_ACTION],
            tracked=tracked,
            segments=recorded.segments[rows],
            period=1.0 / recorded.fps,
        )
    )


def _of_journal(path: Path, given: str, robot: str | None, task: str) -> Recording:
    """The frames that a conversion would make of it."""
    from steadyhand.data_collection.convert import ConvertConfig, settings_of
    from steadyhand.data_collection.convert_episode import Replay
    from steadyhand.data_collection.journal_reading import find
    from steadyhand.data_collection.ros_record import FPS

    episode = find(path, given)
    name = episode.name
    settings = settings_of(episode, ConvertConfig(path, Path(), robot=robot, task=task))
    played = Replay(episode, replace(settings, cameras=[]), load_robot(settings.robot))
    try:
        frames = list(played.frames())
    except SteadyhandError as error:
        raise SteadyhandError(f"{name} cannot be replayed: {error}") from None
    if not frames:
        raise SteadyhandError(f"{name} has no frame ({played.source.reason or 'no target_pose'}); choose another one")
    outcome = played.outcome(len(frames))
    columns = {key: np.stack([frame[key] for frame in frames]).astype(np.float64) for key in frames[0]}
    count = len(frames)
    return _checked(
        Recording(
            name=name,
            robot=settings.robot,
            text=outcome.task,
            seed=outcome.seed,
            times=columns[STAMP][:, 0],
            action=columns[ACTION].reshape(count, -1, ARM_ACTION),
            measured=columns[STATE].reshape(count, -1, ARM_STATE)[:, :, :ARM_ACTION],
            tracked=_tracked(columns[REFERENCE], columns[APPLIED]),
            segments=columns["segment"][:, 0].astype(int),
            period=1.0 / FPS,
        )
    )


def _tracked(reference: np.ndarray, applied: np.ndarray) -> np.ndarray:
    """(N + 1, A, 9): the reference before each decision, and what the last one had led to."""
    last = applied[-1].reshape(-1, ARM_ACTION)[:, :ARM_REFERENCE]
    return np.concatenate([reference.reshape(len(reference), -1, ARM_REFERENCE), last[None]])


def _checked(recording: Recording) -> Recording:
    """The same, if it can be replayed at all."""
    arrays = {"action": recording.action, "observation.state": recording.measured, "stamp": recording.times}
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise SteadyhandError(
                f"{recording.name} has values in '{name}' that are not finite; choose another episode"
            )
    if not np.isfinite(quat_from_rot6d(recording.action[:, :, 3:9])).all():
        raise SteadyhandError(f"{recording.name} has actions whose r0..r5 are no rotation; choose another episode")
    if (np.diff(recording.times) <= 0).any():
        raise SteadyhandError(f"{recording.name} has decision times that do not increase; choose another episode")
    return recording


def task_of(text: str) -> str:
    """Name of the twin's task that is asked for in these words; "" if none is."""
    for name, task in TASKS.items():
        patterns = (re.sub(r"\\\{.*?\\\}", ".+", re.escape(wording)) for wording in task.wordings)  # type: ignore[attr-defined]
        if text == name or any(re.fullmatch(pattern, text) for pattern in patterns):
            return name
    return ""
