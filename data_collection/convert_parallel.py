"""Episodes of a journal made ready by several processes; whoever asked for them writes them in their order.

A worker plays an episode back and encodes its films into a folder beside the dataset. Only the numbers and the names of
the films come back, so no image crosses between processes.
"""

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

from steadyhand.data_collection import durable, stage
from steadyhand.data_collection.convert_episode import Outcome, Replay, Settings
from steadyhand.data_collection.journal_reading import Episode
from steadyhand.data_collection.ros_record import FPS
from steadyhand.data_collection.schema import check_frame
from steadyhand.sim.robot import load_robot


class WorkerDiedError(Exception):
    """A process of the pool was killed: it cannot be used any more."""


@dataclass(frozen=True)
class Prepared:
    """An episode that only has to be written.

    Attributes:
        outcome: What became of it.
        frames: Without the images of the films; depth is packed.
        films: By camera column.
    """

    outcome: Outcome
    frames: list[dict[str, np.ndarray | bytes]]
    films: dict[str, stage.Film]

    def unpacked(self) -> Iterator[dict[str, np.ndarray]]:
        """The frames with their depth."""
        for frame in self.frames:
            yield {
                name: stage.decode_depth(value) if isinstance(value, bytes) else value for name, value in frame.items()
            }


def _pack(value: np.ndarray) -> np.ndarray | bytes:
    """Depth in a third of its size or less: all frames of an episode wait in memory."""
    return stage.encode_depth(value) if value.dtype == np.uint16 else value


def prepare(episode: Episode, settings: Settings, folder: Path) -> Prepared:
    """Make an episode ready; SteadyhandError if it is to be left out."""
    replay = Replay(episode, settings, load_robot(settings.robot))
    filming: stage.Filming | None = None
    frames = []
    try:
        for frame in replay.frames():
            check_frame(frame, replay.columns)
            cameras = [name for name, column in replay.columns.items() if column["dtype"] == "video"]
            if filming is None:
                filming = stage.Filming(cameras, FPS, folder)
            filming.add({name: frame.pop(name) for name in cameras})
            frames.append({name: _pack(value) for name, value in frame.items()})
        films = filming.finish() if filming is not None else {}
    except BaseException:
        if filming is not None:
            filming.cancel()
        raise
    return Prepared(replay.outcome(len(frames)), frames, films)


class Workers:
    """Processes that prepare episodes; they end with the one that started them, however it ends."""

    def __init__(self, count: int, output: Path) -> None:
        """Start `count` processes. output: the dataset; their films lie beside it until they are taken."""
        self._folder = output.parent / f".{output.name}.converting"
        self._lock = durable.lock(self._folder / ".lock", output)
        for left in self._folder.glob("*/"):  # by a conversion that was killed
            shutil.rmtree(left, ignore_errors=True)
        self._pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _end_with_parent)
        self._waiting: dict[Path, Future[Prepared]] = {}

    def submit(self, episode: Episode, settings: Settings) -> None:
        """The next one to be made ready; WorkerDiedError if a process is gone."""
        try:
            self._waiting[episode.file] = self._pool.submit(prepare, episode, settings, self._folder)
        except BrokenProcessPool:
            raise WorkerDiedError from None

    def take(self, episode: Episode) -> Prepared:
        """Wait for an episode; SteadyhandError if it is to be left out, WorkerDiedError if a process is gone."""
        try:
            return self._waiting.pop(episode.file).result()
        except BrokenProcessPool:
            raise WorkerDiedError from None

    def close(self) -> None:
        """End the processes and remove what nobody has taken."""
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _end_with_parent() -> None:
    """The pool's own queues do not tell a worker that nobody listens any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # Ctrl-C comes to all; the parent says what there is to say
