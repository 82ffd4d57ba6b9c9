"""The journal: every message of an episode as it came, in an MCAP file that no crash takes away.

    FOLDER/episode_000000/episode_000000_0.mcap   ROS 2 messages (CDR), zstd chunks; never changed once written
    FOLDER/episode_000000/metadata.yaml           makes the folder a bag of rosbag2; its absence: it was cut off
    FOLDER/labels.jsonl                           what was decided later, one line a decision, only ever appended to

Of every message the journal keeps the capture stamp (of its header; MCAP's publish time) and the stamp of its arrival
at the recorder (MCAP's log time), both by the recorder's clock.
"""

import contextlib
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import NamedTuple

from steadyhand import __version__
from steadyhand.data_collection import durable
from steadyhand.errors import SteadyhandError, unknown

LABELS = "labels.jsonl"
LATER: dict[str, tuple[type, ...]] = {"success": (bool, type(None)), "discarded": (bool,)}
LATER |= dict.fromkeys(("end_reason", "task", "operator", "note"), (str,))
RESERVE = 1_000_000_000  # bytes of the disk that stay free
WAITING = 256 << 20  # bytes that may wait for the writer: 4.9 s of two cameras of 640x480 at 30 Hz
PIPE = 1 << 20  # bytes of the pipe to it: an image is then read at once, for an eighth of the processor time
PATIENCE = 60.0  # s for the writer to finish an episode


class Channel(NamedTuple):
    """A topic by its absolute name, the name of its type and the text of its definition."""

    topic: str
    type: str
    schema: str


def episode_name(index: int) -> str:
    """Name of an episode's folder."""
    return f"episode_{index:06d}"


class Journal:
    """Appends episodes to a journal's folder; one recorder at a time, one episode at a time.

    `begin`, `end` and `close` belong to one thread; `add` may be called from another.
    """

    def __init__(self, folder: Path, reserve: int = RESERVE) -> None:
        """Open a new or an existing journal.

        Args:
            folder: Of the journal; made if it is absent.
            reserve: Bytes of the disk that stay free; an episode ends before they are touched.
        """
        self.folder, self._reserve = folder, reserve
        try:
            self._lock = durable.lock(folder / ".lock", folder)
        except OSError as error:
            raise SteadyhandError(
                f"cannot write the journal '{folder}': {error.strerror}; choose another folder"
            ) from None
        names = [path.name.removeprefix("episode_") for path in folder.glob("episode_*")]
        self.episodes = 1 + max((int(name) for name in names if name.isdigit()), default=-1)
        self.warnings: list[str] = []
        self._name = self._ended = ""  # of the running episode, and of the last one that is finished
        self.lost = 0  # messages of the episode that the writer could not keep up with
        self._failure, self._told = "", False
        self._start_writer()

    def _start_writer(self) -> None:
        """Start the process, and the thread that hands the messages over."""
        messages, self._pipe = Pipe(duplex=False)
        self._answers, answers = Pipe(duplex=False)
        with contextlib.suppress(OSError):  # the system may allow less
            fcntl.fcntl(messages.fileno(), fcntl.F_SETPIPE_SZ, PIPE)
        descriptors = [messages.fileno(), answers.fileno()]
        command = [sys.executable, "-m", "steadyhand.data_collection.journal_process"]
        self._process = subprocess.Popen(
            [*command, *map(str, descriptors), str(self._reserve)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us
        )
        messages.close()
        answers.close()
        self._queue: queue.SimpleQueue[tuple | None] = queue.SimpleQueue()
        self._waiting, self._waiting_lock = 0, threading.Lock()
        self._sender = threading.Thread(target=self._send, args=(self._pipe, self._queue), daemon=True)
        self._sender.start()

    def _send(self, pipe: Connection, waiting: "queue.SimpleQueue[tuple | None]") -> None:
        while (item := waiting.get()) is not None:
            try:
                pipe.send(item)
            except OSError:  # `check` sees that the writer is gone
                return
            with self._waiting_lock:
                self._waiting -= _size(item)

    def _put(self, *item: object) -> None:
        with self._waiting_lock:
            self._waiting += _size(item)
        self._queue.put(item)

    def begin(self, **metadata: object) -> str:
        """Begin an episode; returns its name.

        Args:
            metadata: What is known beforehand (robot, task, namespace, ...), JSON types.
        """
        if self._process.poll() is not None:
            self._end_sender()
            self._start_writer()
        self._name, self.lost, self._failure, self._told = episode_name(self.episodes), 0, "", False
        self.episodes += 1
        self._put("begin", self.folder / self._name, {"version": __version__, **metadata})
        return self._name

    def add(self, channel: Channel, received: int, captured: int, data: bytes) -> None:
        """Hand over a message as it came, at once; stamps in ns. Too many waiting ones are counted as lost."""
        if self._waiting + len(data) > WAITING:
            self.lost += 1
            return
        self._put("message", time.monotonic(), *channel, received, captured, data)

    @property
    def backlog(self) -> int:
        """Bytes that wait for the writer."""
        return self._waiting

    def check(self) -> None:
        """SteadyhandError if the running episode cannot be written any more; gathers `warnings`."""
        try:
            while self._answers.poll():
                self._hear(*self._answers.recv())
        except (EOFError, OSError):
            self._failure = self._failure or (
                f"the process that writes the journal '{self.folder}' has ended (status {self._process.wait()}); the "
                "running episode is kept but for its last second"
            )
        if self._failure:
            raise SteadyhandError(self._failure)
        if self.lost and not self._told:
            self._told = True
            self.warnings.append(
                f"the journal's disk cannot keep up: {WAITING / 1e6:.0f} MB wait for it, and messages are lost; record "
                "fewer or smaller images, or onto a faster disk"
            )

    def _hear(self, kind: str, text: str) -> None:
        match kind:
            case "warning":
                self.warnings.append(text)
            case "failed":
                self._failure = text
            case "ended":
                self._ended = text

    def end(self, **label: object) -> None:
        """Finish the episode; once this returns it is on the disk.

        Args:
            label: How it went: success, end_reason, discarded, dropped_frames, ...; JSON types.
        """
        self._put("end", self._name, {**label, "lost_messages": self.lost})
        deadline = time.monotonic() + PATIENCE
        while self._ended != self._name:
            self.check()
            if time.monotonic() > deadline:
                raise self._late()
            time.sleep(0.005)

    def close(self) -> None:
        """Let the writer finish, an open episode included."""
        self._end_sender()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise self._late() from None
        finally:
            self._lock.close()

    def _end_sender(self) -> None:
        self._queue.put(None)
        self._sender.join(PATIENCE)
        self._pipe.close()
        self._answers.close()

    def _late(self) -> SteadyhandError:
        return SteadyhandError(f"the journal '{self.folder}' is not written after {PATIENCE:g} s; is its disk there?")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _size(item: tuple) -> int:
    return len(item[-1]) if item[0] == "message" else 0


def relabel(folder: Path, episode: str, **changes: object) -> None:
    """Decide something about an episode afterwards; the file of the episode stays as it is.

    Args:
        folder: Of the journal.
        episode: Name, e.g. "episode_000003".
        changes: Any of `LATER`.
    """
    if not (folder / episode).is_dir():
        names = sorted(path.name for path in folder.glob("episode_*"))
        raise unknown("episode", episode, names, f"journal '{folder}'")
    for key, value in changes.items():
        if key not in LATER:
            raise unknown("label", key, LATER)
        if not isinstance(value, LATER[key]):
            allowed = " or ".join(type_.__name__ for type_ in LATER[key])
            raise SteadyhandError(f"label {key}={value!r} is a {type(value).__name__}; allowed: {allowed}")
    file = folder / LABELS
    line = json.dumps({"episode": episode, "time": time.time(), **changes})
    with file.open("a+b") as handle:
        if handle.tell():  # a line that a crash has cut off stays alone
            handle.seek(-1, os.SEEK_END)
            line = line if handle.read() == b"\n" else "\n" + line
        handle.write(f"{line}\n".encode())
        handle.flush()
        os.fsync(handle.fileno())
    durable.sync(folder)
