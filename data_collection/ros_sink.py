"""Where the recorder puts an episode: into a dataset, into a journal, or both."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo
from steadyhand.data_collection.delays import Delays
from steadyhand.data_collection.journal_reading import identity
from steadyhand.data_collection.ros_journal import Tap
from steadyhand.errors import SteadyhandError


class Sink:
    """One episode at a time, in all places at once."""

    def __init__(self, task: str, writer: DatasetWriter | None, tap: Tap | None, metadata: Mapping) -> None:
        """Begin idle.

        Args:
            task: What is to be done, in words; ``task`` may be set anew before the end of an episode.
            writer: Of the dataset, if there is one.
            tap: Of the journal, if there is one.
            metadata: What the journal keeps of every episode (JSON types).
        """
        self.task, self._writer, self._tap, self._metadata = task, writer, tap, dict(metadata)
        self._source = ""
        self.frames, self._delays = 0, Delays()

    def begin(self, begun: float) -> None:
        """Begin an episode at a time, s."""
        self.frames, self._delays = 0, Delays()
        if self._tap is not None:
            stamp = round(begun * 1e9)
            name = self._tap.begin(**self._metadata, task=self.task, begun=stamp)
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

    def save(self, info: EpisodeInfo, ended: float) -> tuple[str, str]:
        """Finish the episode, ended at a time (s), durably.

        Returns:
            What it is called; and what went wrong with the journal while the dataset has the episode, "" if nothing.
        """
        trouble = ""
        if self._tap is not None:
            try:
                self._tap.end(
                    success=info.success,
                    end_reason=info.end_reason,
                    task=self.task,
                    operator=info.operator,
                    seed=info.seed,
                    dropped_frames=info.dropped_frames,
                    ended=round(ended * 1e9),
                    add_frame_ms=self._delays.summary().get("frame"),
                )
            except SteadyhandError as error:
                if self._writer is None:
                    raise
                trouble = str(error)
        if self._writer is None:
            return self._source.partition("@")[0], ""
        return f"episode {self._writer.save_episode(replace(info, source=self._source))}", trouble

    def discard(self, why: str, ended: float, by_human: bool) -> None:
        """Forget the episode; the journal keeps it, as discarded only if a human has decided that."""
        if self._writer is not None:
            self._writer.discard_episode()
        if self._tap is not None:
            with contextlib.suppress(SteadyhandError):  # it could not be written: that is why, and has been said
                self._tap.end(
                    success=None, end_reason=why, task=self.task, discarded=by_human, ended=round(ended * 1e9)
                )
        self.frames = 0
