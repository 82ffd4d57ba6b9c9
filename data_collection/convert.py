"""`steadyhand data convert`: from a journal to a LeRobot dataset, by the rules of the live recorder.

The messages of an episode are played back to the recorder's own `FrameSource`, with the stamps of their arrival as the
time: one frame per decision and slot, the observation strictly before the action. Episodes that are in the dataset
already are left alone, so that it can be repeated, and goes on where it was killed.
"""

import contextlib
import functools
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from tyro.conf import Positional

from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo, load_sidecar
from steadyhand.data_collection.journal_reading import Episode, Messages, State, episodes
from steadyhand.data_collection.ros_journal import Playback
from steadyhand.data_collection.ros_record import FPS, SEGMENTS, SETTLE, FrameSource
from steadyhand.data_collection.schema import INFO, differing, read_info
from steadyhand.errors import SteadyhandError
from steadyhand.ros_observation import ObservationNotReadyError
from steadyhand.ros_time import simulated
from steadyhand.sim.robot import RobotSpec, load_robot
from steadyhand.sim.ros_cameras import camera_names

JUMP = 1.0  # s that the clock may not go back


class _OutputError(Exception):
    """The dataset cannot be written: no other episode would fare better."""


@dataclass
class ConvertConfig:
    """Turn the episodes of a journal into a LeRobot dataset. Repeat it at any time: it only adds what is new."""

    journal: Positional[Path]
    """Folder of the journal, or an MCAP file."""
    output: Path
    """Folder of the dataset."""
    max_dropped: int | None = None
    """Leave out episodes that miss more frames than this."""
    robot: str | None = None
    """For MCAP files of others, and if the robot's file has moved since: as for `steadyhand record`."""
    task: str = ""
    """For MCAP files of others: what was done, in words."""
    cameras: str = "none"
    """For MCAP files of others: cameras to take, separated by commas."""
    namespace: str = ""
    """For MCAP files of others: namespace of the robot's topics."""


@dataclass(frozen=True)
class Settings:
    """How an episode was recorded."""

    robot: str
    task: str
    follows: bool  # the instruction that the journal has is the task, if there is one
    namespace: str
    cameras: list[str]
    environment: bool
    segment: str
    begun: int  # ns; 0: from the first message
    ended: int | None  # ns; None: nobody has ended it


def settings_of(episode: Episode, config: ConvertConfig) -> Settings:
    """What the recorder has written down; for files of others, what the options say."""
    noted, label = episode.metadata, episode.label
    robot, task = config.robot or noted.get("robot"), label.get("task") or noted.get("task") or config.task
    if not robot or not task:
        raise SteadyhandError(f"{episode.name} does not say which robot and task it shows; give --robot and --task")
    try:
        return Settings(
            robot=str(robot),
            task=str(task),
            follows=bool(noted.get("follows_instruction", False)) and not label.get("task"),
            namespace=str(noted.get("namespace", config.namespace)),
            cameras=[str(name) for name in noted.get("cameras", camera_names(config.cameras))],
            environment=bool(noted.get("environment", False)),
            segment=str(noted.get("segment", "demo")),
            begun=int(noted.get("begun", 0)),
            ended=int(label["ended"]) if label.get("ended") is not None else None,
        )
    except (TypeError, ValueError) as error:
        raise SteadyhandError(f"{episode.name} has metadata of the wrong type: {error}") from None


def _operator(episode: Episode) -> str:
    return str(episode.label.get("operator") or episode.metadata.get("operator", ""))


class Replay:
    """Plays one episode back and makes its frames."""

    def __init__(self, episode: Episode, settings: Settings, robot: RobotSpec) -> None:
        """Nothing is read yet."""
        self._settings = settings
        self._playback = Playback(settings.namespace)
        if settings.segment not in SEGMENTS:
            raise SteadyhandError(
                f"{episode.name} has the segment '{settings.segment}'; allowed: {', '.join(SEGMENTS)}"
            )
        self.robot = robot
        self.source = FrameSource(
            self._playback,
            robot,
            settings.cameras,
            settings.environment,
            FPS,
            SEGMENTS[settings.segment],
        )
        self._recorder_lost, self._messages = episode.lost, Messages(episode)
        self.columns: dict[str, dict] = {}  # before the first frame

    def frames(self) -> Generator[dict[str, np.ndarray]]:
        """Every frame, as the recorder makes it while the messages arrive."""
        begun, ended, last, why = False, False, 0, "no message"
        with simulated(self._playback):
            for message in self._messages:
                if message.received < last - JUMP * 1e9 and begun:
                    jump = 1e-9 * (last - message.received)
                    raise SteadyhandError(f"the clock went back by {jump:.1f} s while it was recorded")
                last = message.received
                if not begun and message.received >= self._settings.begun:
                    begun = self._at(self._settings.begun or message.received, self.source.begin)
                if not ended and self._settings.ended is not None and message.received > self._settings.ended:
                    ended = self._at(self._settings.ended, self.source.end)
                self._playback.play(message)
                if not self.columns:
                    try:
                        self.columns = self.source.columns()
                    except ObservationNotReadyError as error:
                        why = str(error)
                elif begun:
                    yield from self.source.frames()
            if not self.columns:
                raise SteadyhandError(f"it has no complete observation ({why})")
            if self._settings.ended is not None:  # as long as the recorder waits for what is on its way
                self._at(max(last, self._settings.ended + round((SETTLE + 1.0 / FPS) * 1e9)), lambda: None)
            yield from self.source.frames()

    @property
    def lost(self) -> str:
        """What is missing of the messages, to be appended; "" if nothing is."""
        return "".join(f"; {what}" for what in (self._recorder_lost, self._messages.lost) if what)

    @property
    def reason(self) -> str:
        """Why frames are missing, as far as it is known."""
        return "; ".join(filter(None, (self.source.reason, self._playback.complaint)))

    def _at(self, nanoseconds: int, action: Callable[[], object]) -> bool:
        """Let it be a time, and do something then."""
        self._playback.nanoseconds = nanoseconds
        action()
        return True


class Converter:
    """Adds the episodes of a journal to one dataset."""

    def __init__(self, config: ConvertConfig, bar: tqdm) -> None:
        """Look what the dataset has."""
        self._config, self._bar = config, bar
        self._writer: DatasetWriter | None = None
        self._resume = (config.output / INFO).exists()
        self._columns: dict[str, dict] = read_info(config.output)["features"] if self._resume else {}
        self._rows = {row["source"]: row for row in load_sidecar(config.output)} if self._resume else {}
        self._load_robot = functools.cache(load_robot)
        self.added = self.left_out = 0

    def say(self, text: str) -> None:
        """One line above the progress bar."""
        self._bar.write(text)

    def convert(self, episode: Episode) -> None:
        """Add an episode, or say why not."""
        label = episode.label
        if row := self._rows.get(episode.identity):
            changed = label.get("success") != row["success"] or _operator(episode) != row["operator"]
            changed |= (label.get("task") or row["task"]) != row["task"]
            if changed or label.get("discarded"):
                self.say(
                    f"{episode.name}: labelled anew since it was converted (episode {row['episode_index']}); convert "
                    "into a new folder to have it in the dataset"
                )
        elif episode.state is State.RECORDING:
            self.say(f"{episode.name}: is being recorded; convert again when it is finished")
        elif label.get("discarded"):
            self.say(f"{episode.name}: left out, discarded")
        else:
            try:
                self._add(episode)
            except SteadyhandError as error:
                self.left_out += 1
                if self._writer is not None:
                    self._writer.discard_episode()
                self.say(f"{episode.name}: left out: {error}")

    def _add(self, episode: Episode) -> None:
        settings = settings_of(episode, self._config)
        if not self._columns:  # a dry run: an episode that is left out must not make a dataset or decide its columns
            self._play(episode, settings, dry=True)
        replay, count = self._play(episode, settings, dry=False)
        index = self._save(episode, replay)
        self.added += 1
        dropped = replay.source.dropped
        gaps = f", {dropped} dropped ({replay.reason})" if dropped else ""
        self.say(f"{episode.name}: episode {index}, {count} frames{gaps}{replay.lost}")

    def _play(self, episode: Episode, settings: Settings, dry: bool) -> tuple[Replay, int]:
        """Put the frames into the dataset, or nowhere; SteadyhandError if the episode is to be left out."""
        replay = Replay(episode, settings, self._load_robot(settings.robot))
        count = 0
        with contextlib.closing(replay.frames()) as frames:
            for frame in frames:
                if not dry:
                    writer = self._opened(replay, settings)
                    if not count:
                        writer.task = (settings.follows and replay.source.instruction) or settings.task
                    writer.add_frame(frame)
                count += 1
                self._bar.set_postfix_str(f"{count} frames")
        if not count:
            raise SteadyhandError(f"it has no frame ({replay.reason or 'no target_pose'}){replay.lost}")
        dropped = replay.source.dropped
        if self._config.max_dropped is not None and dropped > self._config.max_dropped:
            raise SteadyhandError(f"{dropped} frames are missing ({replay.reason}){replay.lost}")
        return replay, count

    def _save(self, episode: Episode, replay: Replay) -> int:
        """Finish the episode; returns its index."""
        assert self._writer is not None
        info = EpisodeInfo(
            success=episode.label.get("success"),
            end_reason=str(episode.label.get("end_reason", "")),
            operator=_operator(episode),
            policy_version=replay.source.policy_version,
            seed=replay.source.seed,
            dropped_frames=replay.source.dropped,
            source=episode.identity,
            note=str(episode.label.get("note") or ""),
            subtasks=tuple(replay.source.subtasks),
        )
        try:
            return self._writer.save_episode(info)
        except SteadyhandError as error:
            raise _OutputError(str(error)) from None

    def _opened(self, replay: Replay, settings: Settings) -> DatasetWriter:
        """The writer; the first episode decides about the columns of a new dataset."""
        self._columns = self._columns or replay.columns
        if changes := differing(replay.columns, self._columns):
            raise SteadyhandError(f"its columns differ from those of the dataset: {'; '.join(changes)}")
        if self._writer is None:
            described: dict[str, Any] = {
                "robot": replay.robot.name,
                "task": settings.task,
                "features": replay.columns,
                "fps": FPS,
            }
            try:
                self._writer = DatasetWriter(self._config.output, **described, resume=self._resume, patient=True)
            except SteadyhandError as error:
                raise _OutputError(str(error)) from None
        return self._writer

    def close(self) -> None:
        """Free the dataset."""
        if self._writer is not None:
            self._writer.close()


def main(config: ConvertConfig) -> int:
    """Convert what is not in the dataset yet."""
    found = episodes(config.journal)
    with tqdm(found, unit=" episodes", disable=None) as bar, contextlib.ExitStack() as stack:
        converter = Converter(config, bar)
        stack.callback(converter.close)
        try:
            for episode in bar:
                converter.convert(episode)
        except _OutputError as error:
            raise SteadyhandError(str(error)) from None
    print(f"{converter.added} episodes added to {config.output}, {converter.left_out} left out")
    return 0
