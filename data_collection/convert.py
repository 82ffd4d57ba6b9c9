"""`steadyhand data convert`: from a journal to a LeRobot dataset, by the rules of the live recorder.

The messages of an episode are played back to the recorder's own `FrameSource`, with the stamps of their arrival as the
time: one frame per decision and slot, the observation strictly before the action. Episodes that are in the dataset
already are left alone, so that it can be repeated, and goes on where it was killed.
"""

import contextlib
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from tyro.conf import Positional

from steadyhand.data_collection.clouds import read_clouds
from steadyhand.data_collection.convert_episode import Outcome, Replay, Settings
from steadyhand.data_collection.convert_parallel import WorkerDiedError, Workers, cores
from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo, load_sidecar
from steadyhand.data_collection.journal_reading import Episode, State, episodes
from steadyhand.data_collection.ros_record import FPS
from steadyhand.data_collection.schema import INFO, differing, read_info
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import load_robot
from steadyhand.sim.ros_cameras import camera_names


class _OutputError(Exception):
    """The dataset cannot be written: no other episode would fare better."""


_KILLED = "a worker process was killed; repeat the command to go on: what was added is safe"


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
    """For MCAP files of others: cameras to take, as for `steadyhand record`."""
    namespace: str = ""
    """For MCAP files of others: namespace of the robot's topics."""
    arrays: str = ""
    """For MCAP files of others: further sensors to take, as for `steadyhand record`."""
    clouds: Path | None = None
    """File with the poses of cameras that stand still (docs/datasets.md#point-clouds): a column observation.point_cloud
    of a fixed number of points in the base frame is made of their depth."""
    workers: int = 1
    """Processes that play episodes back and encode their films; 0: as many as there are processors."""


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
            arrays=str(noted.get("arrays", config.arrays)),
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


class Converter:
    """Adds the episodes of a journal to one dataset."""

    def __init__(self, config: ConvertConfig, bar: tqdm) -> None:
        """Look what the dataset has."""
        self._config, self._bar = config, bar
        self._writer: DatasetWriter | None = None
        self._resume = (config.output / INFO).exists()
        self._columns: dict[str, dict] = read_info(config.output)["features"] if self._resume else {}
        self._rows = {row["source"]: row for row in load_sidecar(config.output)} if self._resume else {}
        self._clouds = read_clouds(config.clouds) if config.clouds else None
        self._load_robot = functools.cache(load_robot)
        count = config.workers or cores()
        self._workers = Workers(count, config.output) if count > 1 else None
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

    def needs(self, episode: Episode) -> bool:
        """Whether an episode is to be played back."""
        known = episode.identity in self._rows or episode.state is State.RECORDING
        return not known and not episode.label.get("discarded")

    def begin(self, found: list[Episode]) -> None:
        """Let the worker processes make everything ready that is needed."""
        if self._workers is None:
            return
        for episode in filter(self.needs, found):
            with contextlib.suppress(SteadyhandError):  # said when it is its turn
                self._submit(episode, self._settings(episode))

    def _settings(self, episode: Episode) -> Settings:
        return replace(settings_of(episode, self._config), clouds=self._clouds)

    def _submit(self, episode: Episode, settings: Settings) -> None:
        assert self._workers is not None
        try:
            self._workers.submit(episode, settings)
        except WorkerDiedError:
            raise _OutputError(_KILLED) from None

    def _add(self, episode: Episode) -> None:
        settings = self._settings(episode)
        if self._workers is not None:
            outcome = self._take(episode, self._workers)
        else:
            if not self._columns:  # a dry run: an episode that is left out must not make a dataset
                self._play(episode, settings, dry=True)
            outcome = self._play(episode, settings, dry=False)
        index = self._save(episode, outcome)
        self.added += 1
        gaps = f", {outcome.dropped} dropped ({outcome.reason})" if outcome.dropped else ""
        self.say(f"{episode.name}: episode {index}, {outcome.count} frames{gaps}{outcome.lost}")

    def _play(self, episode: Episode, settings: Settings, dry: bool) -> Outcome:
        """Put the frames into the dataset, or nowhere; SteadyhandError if the episode is to be left out."""
        replay = Replay(episode, settings, self._load_robot(settings.robot))
        count = 0
        with contextlib.closing(replay.frames()) as frames:
            for frame in frames:
                if not dry:
                    if not count:
                        writer = self._opened(replay.outcome(count))
                        writer.task = replay.outcome(count).task
                    writer.add_frame(frame)
                count += 1
                self._bar.set_postfix_str(f"{count} frames")
        outcome = replay.outcome(count)
        self._check(outcome)
        return outcome

    def _take(self, episode: Episode, workers: Workers) -> Outcome:
        """Put the frames into the dataset that a worker has made ready; SteadyhandError as above."""
        try:
            prepared = workers.take(episode)
        except WorkerDiedError:
            raise _OutputError(_KILLED) from None
        self._check(prepared.outcome)
        writer = self._opened(prepared.outcome)
        writer.task = prepared.outcome.task
        writer.take_films(prepared.films)
        shapes = {name: column["shape"] for name, column in prepared.outcome.columns.items() if name in prepared.films}
        blank = {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}  # the films have the images
        for frame in prepared.unpacked():
            writer.add_frame({**frame, **blank})
        return prepared.outcome

    def _check(self, outcome: Outcome) -> None:
        """Whether there is enough of it."""
        if not outcome.count:
            raise SteadyhandError(f"it has no frame ({outcome.reason or 'no target_pose'}){outcome.lost}")
        if self._config.max_dropped is not None and outcome.dropped > self._config.max_dropped:
            raise SteadyhandError(f"{outcome.dropped} frames are missing ({outcome.reason}){outcome.lost}")

    def _save(self, episode: Episode, outcome: Outcome) -> int:
        """Finish the episode; returns its index."""
        assert self._writer is not None
        info = EpisodeInfo(
            success=episode.label.get("success"),
            end_reason=str(episode.label.get("end_reason", "")),
            operator=_operator(episode),
            policy_version=outcome.policy_version,
            seed=outcome.seed,
            rules=dict(episode.label.get("rules") or {}),
            dropped_frames=outcome.dropped,
            source=episode.identity,
            note=str(episode.label.get("note") or ""),
            subtasks=outcome.subtasks,
            configuration=outcome.configuration,
        )
        try:
            index = self._writer.save_episode(info)
        except SteadyhandError as error:
            raise _OutputError(str(error)) from None
        self._rows[episode.identity] = {
            "episode_index": index, "success": info.success, "operator": info.operator, "task": outcome.task
        }  # fmt: skip
        return index

    def _opened(self, outcome: Outcome) -> DatasetWriter:
        """The writer; the first episode decides about the columns of a new dataset."""
        self._columns = self._columns or outcome.columns
        if changes := differing(outcome.columns, self._columns):
            raise SteadyhandError(f"its columns differ from those of the dataset: {'; '.join(changes)}")
        if self._writer is None:
            described: dict[str, Any] = {
                "robot": outcome.robot,
                "task": outcome.task,
                "features": outcome.columns,
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
        if self._workers is not None:
            self._workers.close()


def run(config: ConvertConfig) -> tuple[int, int]:
    """Convert what is not in the dataset yet; returns how many episodes were added, and left out."""
    if config.workers < 0:
        raise SteadyhandError(f"--workers is {config.workers}; allowed: 1 or more, or 0 for one per processor")
    found = episodes(config.journal)
    with tqdm(found, unit=" episodes", disable=None) as bar, contextlib.ExitStack() as stack:
        converter = Converter(config, bar)
        stack.callback(converter.close)
        try:
            converter.begin(found)
            for episode in bar:
                converter.convert(episode)
        except _OutputError as error:
            raise SteadyhandError(str(error)) from None
    return converter.added, converter.left_out


def main(config: ConvertConfig) -> int:
    """Convert, and say how much."""
    added, left_out = run(config)
    print(f"{added} episodes added to {config.output}, {left_out} left out")
    return 0
