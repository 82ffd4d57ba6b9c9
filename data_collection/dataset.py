"""Writing LeRobot v3 datasets that survive `kill -9`, and (from the modules beside this one) reading them.

    with DatasetWriter("outputs/demos", robot="fr3", task="peg_insertion", features=features(7)) as writer:
        writer.add_frame({...})                                  # 10 times a second, or as fast as it goes
        writer.save_episode(EpisodeInfo(success=True, end_reason="success"))

Every episode whose `save_episode` has returned opens with plain `LeRobotDataset`, whatever happens later.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from steadyhand.data_collection import publish, stage
from steadyhand.data_collection.configuration import write_documents
from steadyhand.data_collection.labels import human_mask
from steadyhand.data_collection.merging import merge
from steadyhand.data_collection.reading import Frames, describe, load_columns
from steadyhand.data_collection.schema import (
    INFO,
    SCHEMA,
    check_frame,
    differing,
    features,
    read_info,
    read_schema,
    schema_text,
)
from steadyhand.data_collection.sidecar import (
    SIDECAR,
    EpisodeInfo,
    load_sidecar,
    read_rows,
    sidecar_row,
    write_rows,
)
from steadyhand.errors import SteadyhandError, one_line

__all__ = [
    "DatasetWriter",
    "EpisodeInfo",
    "Frames",
    "describe",
    "features",
    "load_columns",
    "load_sidecar",
    "merge",
]

log = logging.getLogger(__name__)


class DatasetWriter:
    """Appends episodes to one dataset folder; one writer at a time, one episode at a time."""

    def __init__(
        self,
        path: Path | str,
        *,
        robot: str,
        task: str,
        features: Mapping[str, dict],
        fps: int = 10,
        resume: bool = False,
        patient: bool = False,
    ):
        """Create a dataset, or continue one.

        Args:
            path: Folder of the dataset. Without `resume` it must be absent or empty.
            robot: Name of the robot.
            task: What is to be done, in words; LeRobot's task text. ``task`` may be set anew before an episode.
            features: Columns, from `features(...)`.
            fps: Frames per second, the decision rate.
            resume: Continue an existing dataset with the same robot, rate and columns.
            patient: `add_frame` waits for the video encoder: nothing is live.
        """
        self.path = Path(path)
        self._robot, self.task, self._fps = robot, task, fps
        self._features = dict(features)
        self._dataset: Any = None  # LeRobot's, in a stage; opened again after a failure
        self._patient, self._human_frames = patient, 0
        self._held: tuple[dict, set[Path]] | None = None  # row and files of a finished episode that is not committed
        self._last: set[Path] | None = None  # files of the episode that was committed last
        try:
            self._lock = self._open(resume)
        except OSError as error:
            raise SteadyhandError(
                f"cannot write the dataset '{path}': {error.strerror}; choose another folder"
            ) from None

    def _open(self, resume: bool):
        if not resume and not publish.is_free(self.path):
            raise SteadyhandError(
                f"output folder '{self.path}' exists; continue the dataset in it with --resume or choose another folder"
            )
        if resume:
            self._check_same()
        handle = publish.lock(self.path)
        with contextlib.ExitStack() as undo:
            undo.callback(handle.close)
            if resume:
                publish.remove_uncommitted(self.path)
            self._start()
            undo.pop_all()
        return handle

    def _check_same(self) -> None:
        """Refuse to resume a dataset of another robot, rate or schema."""
        info, schema = read_info(self.path), read_schema(self.path)
        changes = [f"fps (given {self._fps}, dataset {info['fps']})"] if info["fps"] != self._fps else []
        if schema["robot"] != self._robot:
            changes.append(f"robot (given {self._robot}, dataset {schema['robot']})")
        changes += differing(self._features, info["features"])
        if changes:
            raise SteadyhandError(
                f"cannot resume '{self.path}', it differs in: {'; '.join(changes)}; record into another folder"
            )

    def _start(self) -> None:
        """Give LeRobot a stage: empty for a new dataset, else with what it needs to continue."""
        (self.path / publish.STAGE).mkdir(exist_ok=True)
        self._stage = Path(tempfile.mkdtemp(dir=self.path / publish.STAGE)) / "dataset"
        committed = publish.latest_meta_files(self.path)
        self._rows = read_rows(self.path) if committed else []
        new = {"fps": self._fps, "features": self._features, "robot_type": self._robot}
        self._dataset = stage.open_stage(self._stage, self.path, committed, **new)
        if not committed:
            self._publish_schema()
        self._published = {*committed, SCHEMA}

    def _publish_schema(self) -> None:
        (self._stage / SCHEMA).parent.mkdir(parents=True, exist_ok=True)
        (self._stage / SCHEMA).write_text(schema_text(self._robot))
        publish.publish(self._stage, [SCHEMA, INFO], self.path)

    @property
    def episodes(self) -> int:
        """Episodes finished so far, those of earlier sessions included."""
        return len(self._rows)

    @property
    def frames(self) -> int:
        """Frames of the episode being written."""
        return stage.count_frames(self._dataset) if self._dataset is not None else 0

    def add_frame(self, frame: Mapping[str, np.ndarray]) -> None:
        """Append one decision: the observation before it, the action, the labels.

        Args:
            frame: Every column of the dataset with exactly its shape and dtype; images are (H, W, 3) uint8,
                depth is (H, W, 1) uint16 in mm.
        """
        self._require_open()
        check_frame(frame, self._features)
        if self._held is not None:
            self._abandon()
        if self._dataset is None:
            try:
                self._start()
            except OSError as error:
                self._abandon()
                raise SteadyhandError(f"cannot write the dataset '{self.path}': {error.strerror}") from None
        self._last = None
        if self._patient:
            stage.wait_for_encoder(self._dataset)
        try:
            self._dataset.add_frame({**frame, "task": self.task})
        except OSError as error:  # depth is written at once
            self._abandon()
            raise SteadyhandError(
                f"cannot write depth in '{self.path}': {error.strerror or error}; the episode is discarded, "
                f"the {self.episodes} episodes before it are safe"
            ) from None
        except RuntimeError as error:  # the encoder's thread died
            self._abandon()
            raise SteadyhandError(
                f"video encoder failed: {one_line(error)}; the episode is discarded, "
                f"the {self.episodes} episodes before it are safe"
            ) from None
        self._refuse_lost_images()
        if "segment" in frame:
            self._human_frames += int(human_mask(frame["segment"]).sum())

    def take_films(self, films: Mapping[str, stage.Film]) -> None:
        """Use films that were made elsewhere (``stage.Filming``) for the episode that begins, by camera column.

        Every frame still has an image of every camera, which is not looked at.
        """
        self._require_open()
        if self._dataset is None:
            self._start()
        stage.take_films(self._dataset, films)

    def _refuse_lost_images(self) -> None:
        """Every image after a lost one would sit one frame too early."""
        if cameras := stage.lost_images(self._dataset):
            self._abandon()
            raise SteadyhandError(
                f"the video encoder fell {stage.QUEUED_IMAGES} images behind and lost one of "
                f"{', '.join(cameras)}; the episode is discarded; use smaller images or fewer cameras"
            )

    def save_episode(self, info: EpisodeInfo) -> int:
        """Finish the episode; once this returns, nothing can lose it.

        Returns:
            Its episode_index.
        """
        self.hold_back(info)
        return self.bring_back()

    def hold_back(self, info: EpisodeInfo) -> None:
        """Finish the episode without making it part of the dataset; ``bring_back`` does, the next frame forgets it."""
        self._require_open()
        if not self.frames:
            raise SteadyhandError("the episode has no frame; add frames before saving it")
        row = sidecar_row(info, self.episodes, self._robot, self.task, self._human_frames)
        with self._saving(row):
            write_documents(info.configuration, self._stage, self.path)
            self._held = row, self._finish()
        self._human_frames = 0

    def bring_back(self) -> int:
        """Make the episode that is held back part of the dataset; returns its episode_index."""
        self._require_open()
        if self._held is None:
            raise SteadyhandError("no episode is held back; one that was discarded before the last start is gone")
        row, files = self._held
        with self._saving(row):
            write_rows([*self._rows, row], self._stage / SIDECAR)
            publish.remember(self.path, self._stage.parent / "before")
            publish.publish(self._stage, files, self.path)
            for file in self._published - publish.REWRITTEN - files:  # LeRobot looks back one episode only
                (self._stage / file).unlink(missing_ok=True)
        self._rows.append(row)
        self._held, self._last, self._published = None, files, files
        return row["episode_index"]

    def take_back(self) -> None:
        """Take the episode that was saved last out of the dataset and hold it back: see ``bring_back``."""
        self._require_open()
        if self._last is None:
            raise SteadyhandError("no episode has been saved since the dataset was opened; nothing is taken back")
        with self._saving(self._rows[-1]):
            publish.revert(self._stage.parent / "before", self._last - publish.REWRITTEN, self.path)
        self._held, self._last = (self._rows.pop(), self._last), None

    def amend(self, **changes: object) -> None:
        """Change columns of the sidecar for the episode that was finished last, held back or not."""
        self._require_open()
        if self._held is not None:
            self._held[0].update(changes)
        elif self._last is not None:
            rows = [*self._rows[:-1], self._rows[-1] | changes]
            try:
                write_rows(rows, self._stage / SIDECAR)
                publish.publish(self._stage, [SIDECAR], self.path)
            except OSError as error:
                raise SteadyhandError(f"cannot change '{self.path / SIDECAR}': {error.strerror}") from None
            self._rows = rows
        else:
            raise SteadyhandError("no episode has been finished since the dataset was opened; nothing is changed")

    @contextlib.contextmanager
    def _saving(self, row: Mapping) -> Iterator[None]:
        """Leave the dataset as it was if the episode cannot be saved."""
        try:
            yield
        except OSError as error:
            self._abandon()
            raise SteadyhandError(
                f"cannot write episode {row['episode_index']} in '{self.path}': {error.strerror or error}; "
                f"the {self.episodes} episodes before it are safe"
            ) from None
        except BaseException:
            self._abandon()
            raise

    def _finish(self) -> set[Path]:
        """Let LeRobot write the episode into the stage; returns its files."""
        count = self.frames
        stage.save(self._dataset)
        files = {file.relative_to(self._stage) for file in self._stage.rglob("*.*") if file.is_file()}
        new = (files | {SIDECAR}) - (self._published - publish.REWRITTEN)
        for file in new:
            if file.suffix == ".mp4" and (images := stage.count_images(self._stage / file)) != count:
                raise SteadyhandError(
                    f"video {file} holds {images} images for {count} frames; the episode is discarded"
                )
        return new

    def discard_episode(self) -> None:
        """Forget the frames of the unfinished episode."""
        self._require_open()
        self._human_frames = 0
        if self._dataset is not None:
            self._dataset.clear_episode_buffer()

    def _abandon(self) -> None:
        """Leave a stage in an unknown state behind; the next frame opens a new one from what is committed."""
        self._human_frames, self._held, self._last = 0, None, None
        if self._dataset is not None:
            stage.drop(self._dataset)
            self._dataset = None
        with contextlib.suppress(OSError, SteadyhandError):
            publish.remove_uncommitted(self.path)

    def _require_open(self) -> None:
        if self._lock.closed:
            raise SteadyhandError(f"the writer of '{self.path}' is closed; open it again with resume=True")

    def close(self) -> None:
        """Discard an unfinished episode, remove the stage and free the dataset; closing twice is fine."""
        if self._lock.closed:
            return
        if self.frames:
            log.warning("%d frames of an unfinished episode are discarded", self.frames)
        self._abandon()
        self._lock.close()

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
