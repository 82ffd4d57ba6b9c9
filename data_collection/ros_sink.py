"""Where the recorder puts an episode: into a dataset, into a journal, or both."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from steadyhand.data_collection.configuration import Configuration, changes_to_label, to_metadata
from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo
from steadyhand.data_collection.delays import Delays
from steadyhand.data_collection.journal_reading import identity
from steadyhand.errors import SteadyhandError

if TYPE_CHECKING:  # without ROS a dataset can be written all the same
    from steadyhand.data_collection.ros_journal import Tap

_UNKNOWN = Configuration()


class Sink:
    """One episode at a time, in all places at once."""

    def __init__(self, task: str, writer: DatasetWriter | None, tap: "Tap | None", metadata: Mapping) -> None:
        """Begin idle.

        Args:
            task: What is to be done, in words; ``task`` may be set anew before the end of an episode.
            writer: Of the dataset, if there is one.
            tap: Of the journal, if there is one.
            metadata: What the journal keeps of every episode (JSON types).
        """
        self.task, self._writer, self._tap, self._metadata = task, writer, tap, dict(metadata)
        self._source = self._note = ""
        self.frames, self._delays = 0, Delays()

    def begin(self, begun: float, configuration: Configuration = _UNKNOWN) -> None:
        """Begin an episode at a time, s, with what it is recorded with."""
        self.frames, self._note, self._delays = 0, "", Delays()
        if self._tap is not None:
            stamp = round(begun * 1e9)
            noted = {"configuration": to_metadata(configuration)}
            name = self._tap.begin(**self._metadata, **noted, task=self.task, begun=stamp)
            self._source = identity(name, stamp)

    def add_frame(self, frame: Mapping[str, np.ndarray]) -> None:
        """Append a frame; the journal has its messages already."""
        if self._writer is not None:
            begun = time.monotonic()
            self._writer.task = self.task
            self._writer.add_frame(frame)
            self._delays.add("frame", time.monotonic() - begun)
        self.frames += 1

    def check(self) -> list[str]:
        """Warnings since the last call; SteadyhandError if the episode cannot be kept any more."""
        return self._tap.check() if self._tap is not None else []

    @property
    def backlog(self) -> tuple[int, int]:
        """Bytes that wait for the journal's disk, messages of this episode that it has lost."""
        return self._tap.backlog if self._tap is not None else (0, 0)

    def save(self, info: EpisodeInfo, ended: float) -> tuple[str, str]:
        """Finish the episode, ended at a time (s), durably.

        Returns:
            What it is called; and what went wrong with the journal while the dataset has the episode, "" if nothing.
        """
        trouble = ""
        try:
            self._end_journal(info, ended, discarded=False)
        except SteadyhandError as error:
            if self._writer is None:
                raise
            trouble = str(error)
        if self._writer is None:
            return self._name, ""
        return f"episode {self._writer.save_episode(self._described(info))}", trouble

    def discard(self, info: EpisodeInfo, ended: float, keep: bool) -> None:
        """Finish the episode, and leave it out: a human has decided that.

        Args:
            info: What is known of it.
            ended: When, s.
            keep: It may be brought back until the next one begins.
        """
        with contextlib.suppress(SteadyhandError):  # what could not be written cannot be brought back, that is all
            self._end_journal(info, ended, discarded=True)
        if self._writer is not None and keep and self.frames:
            with contextlib.suppress(SteadyhandError):
                self._writer.hold_back(self._described(info))
        elif self._writer is not None:
            self._writer.discard_episode()

    def abandon(self, info: EpisodeInfo, ended: float) -> None:
        """Forget the episode in the dataset; the journal keeps it, not as discarded: no human has decided that."""
        if self._writer is not None:
            self._writer.discard_episode()
        with contextlib.suppress(SteadyhandError):  # it could not be written: that is why, and has been said
            self._end_journal(info, ended, discarded=False)
        self.frames = 0

    def take_back(self) -> None:
        """Leave out the episode that was saved last."""
        self._relabel(discarded=True)
        if self._writer is not None:
            try:
                self._writer.take_back()
            except SteadyhandError:
                self._relabel(discarded=False)
                raise

    def bring_back(self) -> str:
        """Keep the episode that was discarded last; returns what it is called."""
        if not self.frames:
            raise SteadyhandError("the discarded episode has no frame; there is nothing to keep")
        name = f"episode {self._writer.bring_back()}" if self._writer is not None else self._name
        self._relabel(discarded=False)
        return name

    def amend(self, success: bool, end_reason: str) -> None:
        """Judge the last episode anew."""
        if self._writer is not None:
            self._writer.amend(success=success, end_reason=end_reason)
        self._relabel(success=success, end_reason=end_reason)

    def note(self, text: str, running: bool) -> None:
        """Add a remark about the running episode, or the last one."""
        self._note = "; ".join(filter(None, (self._note, text)))
        if not running:
            if self._writer is not None and self.frames:  # the dataset has never had one without frames
                self._writer.amend(note=self._note)
            self._relabel(note=self._note)

    @property
    def _name(self) -> str:
        """Of the episode in the journal."""
        return self._source.partition("@")[0]

    def _described(self, info: EpisodeInfo) -> EpisodeInfo:
        return replace(info, source=self._source, note=self._note)

    def _relabel(self, **changes: object) -> None:
        if self._tap is not None:
            self._tap.relabel(self._name, **changes)

    def _end_journal(self, info: EpisodeInfo, ended: float, discarded: bool) -> None:
        if self._tap is not None:
            self._tap.end(
                success=info.success,
                end_reason=info.end_reason,
                task=self.task,
                operator=info.operator,
                seed=info.seed,
                dropped_frames=info.dropped_frames,
                note=self._note,
                rules=info.rules,
                discarded=discarded,
                ended=round(ended * 1e9),
                configuration_changes=changes_to_label(info.configuration),
                add_frame_ms=self._delays.summary().get("frame"),
            )
