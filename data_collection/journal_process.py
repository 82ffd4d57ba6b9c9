"""The process that writes a journal's files. `journal.Journal` starts it and tells it what to write through a pipe.

It is a process of its own so that neither a busy recorder nor its death costs data: when the pipe breaks off, the
running episode is closed properly. Whatever kills this process itself, at most `FLUSH` seconds of messages are lost.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import yaml
import zstandard
from mcap.writer import CompressionType, Writer

from steadyhand.data_collection.delays import Delays
from steadyhand.data_collection.durable import sync

FLUSH = 0.25  # s between two chunks: what is in a complete chunk survives kill -9
CHUNK = 768 << 10  # bytes, as rosbag2 has it; larger chunks are closed earlier: one image makes a chunk
WARN = 60.0  # s of recording left on the disk
METADATA, LABEL = "steadyhand", "steadyhand_label"


class EpisodeFile:
    """One episode: a rosbag2 folder with an MCAP file, written from front to back and never again."""

    def __init__(self, folder: Path, metadata: Mapping) -> None:
        """Create the folder and the file; the file stays locked while it is being written."""
        folder.mkdir()
        self._folder, self.path = folder, folder / f"{folder.name}_0.mcap"
        self._file = self.path.open("xb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._writer = Writer(self._file, chunk_size=CHUNK, compression=CompressionType.ZSTD)
        self._writer.start(profile="ros2", library="steadyhand")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._types: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._start, self._end = sys.maxsize, 0  # first and last receive stamp, ns
        if metadata:
            self.note(METADATA, metadata)
        self._file.flush()
        sync(folder)
        sync(folder.parent)

    def note(self, name: str, values: Mapping) -> None:
        """Add a metadata record of MCAP; values of JSON types."""
        self._writer.add_metadata(name, {key: json.dumps(value) for key, value in values.items()})

    def write(self, topic: str, type_: str, schema: str, received: int, captured: int, data: bytes) -> None:
        """Append a message as it came; stamps in ns."""
        if topic not in self._channels:
            if type_ not in self._schemas:
                self._schemas[type_] = self._writer.register_schema(type_, "ros2msg", schema.encode())
            self._channels[topic] = self._writer.register_channel(
                topic, "cdr", self._schemas[type_], {"offered_qos_profiles": ""}
            )
            self._types[topic] = type_
        self._writer.add_message(self._channels[topic], received, data, captured, self._counts[topic])
        self._counts[topic] += 1
        self._start, self._end = min(self._start, received), max(self._end, received)

    def flush(self) -> int:
        """Close the chunk and hand it to the system; returns the size of the file."""
        self._writer.flush()
        return self._file.tell()

    def finish(self, label: Mapping) -> None:
        """Close the file for good, durably."""
        self._writer.flush()
        self.note(LABEL, label)
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        temporary = self._folder / ".metadata.yaml"
        temporary.write_text(yaml.safe_dump(self._bag(), sort_keys=False))
        sync(temporary)
        temporary.rename(self._folder / "metadata.yaml")
        sync(self._folder)
        self._file.close()

    def abandon(self) -> None:
        """Close a file that cannot be written any more."""
        with contextlib.suppress(OSError):  # it tries to write once more; the file gets closed nevertheless
            self._file.close()

    def _bag(self) -> dict:
        """What rosbag2 wants to know beside the MCAP file, in its format 5."""
        start = min(self._start, self._end)  # 0 if there was no message
        span = {
            "starting_time": {"nanoseconds_since_epoch": start},
            "duration": {"nanoseconds": self._end - start},
            "message_count": self._counts.total(),
        }
        topics = [
            {
                "topic_metadata": {
                    "name": topic,
                    "type": self._types[topic],
                    "serialization_format": "cdr",
                    "offered_qos_profiles": "",
                },
                "message_count": count,
            }
            for topic, count in self._counts.items()
        ]
        bag = {
            "version": 5,
            "storage_identifier": "mcap",
            **span,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self.path.name],
            "files": [{"path": self.path.name, **span}],
        }
        return {"rosbag2_bagfile_information": bag}


class Server:
    """Does what comes through the pipe."""

    def __init__(self, pipe: Connection, answers: Connection, reserve: int) -> None:
        """`reserve`: bytes of the disk that stay free."""
        self._pipe, self._answers, self._reserve = pipe, answers, reserve
        self._episode: EpisodeFile | None = None
        self._last = (0.0, 0)  # of the last flush: time in s, size of the file in bytes
        self._delays, self._work = Delays(), Delays()  # from the recorder's hand into the file; the writing alone
        self._warned = False

    def run(self) -> None:
        """Serve until the pipe ends."""
        try:
            while True:
                if self._episode is None or self._pipe.poll(max(0.0, self._last[0] + FLUSH - time.monotonic())):
                    self._serve(*self._pipe.recv())
                if self._episode is not None and time.monotonic() >= self._last[0] + FLUSH:
                    self._attempt(self._flush)
        except (EOFError, OSError):  # the recorder is gone, maybe in the middle of a message
            self._attempt(self._finish, {"success": None, "end_reason": "recorder_died"})

    def _serve(self, what: str, *values) -> None:
        match what:
            case "begin":
                self._attempt(self._begin, *values)
            case "message" if self._episode is not None:
                handed, *message = values
                begun = time.monotonic()
                self._attempt(self._episode.write, *message)
                self._work.add(message[0], time.monotonic() - begun)
                self._delays.add(message[0], time.monotonic() - handed)
            case "end":
                name, label = values
                self._attempt(self._finish, label)
                self._tell("ended", name)

    def _attempt(self, action, *values) -> None:
        """Do something with the file; what the system refuses ends the episode, not the process."""
        try:
            action(*values)
        except OSError as error:
            if self._episode is not None:
                self._episode.abandon()
                self._episode = None
            self._tell(
                "failed", f"cannot write the journal: {error.strerror or error}; what was written before is kept"
            )

    def _tell(self, kind: str, text: str) -> None:
        try:
            self._answers.send((kind, text))
        except OSError:  # nobody listens any more
            return

    def _begin(self, folder: Path, metadata: Mapping) -> None:
        self._episode, self._warned = EpisodeFile(folder, metadata), False
        self._delays, self._work = Delays(), Delays()
        self._last = (time.monotonic(), 0)
        self._watch_disk(0.0)

    def _finish(self, label: Mapping) -> None:
        if self._episode is not None:
            took = {"writing_ms": self._work.summary(), "written_after_ms": self._delays.summary()}
            self._episode.finish({**label, **took})
            self._episode = None

    def _flush(self) -> None:
        assert self._episode is not None
        (before, had), now = self._last, time.monotonic()
        size = self._episode.flush()
        self._last = (time.monotonic(), size)
        self._watch_disk((size - had) / (now - before))

    def _watch_disk(self, rate: float) -> None:
        """Stop before the disk is full, and say so a minute before; rate in bytes/s."""
        assert self._episode is not None
        disk = os.statvfs(self._episode.path)
        left = disk.f_bavail * disk.f_frsize - self._reserve
        if left <= 0:
            path = self._episode.path
            self._finish({"success": None, "end_reason": "disk_full"})
            self._tell(
                "failed",
                f"the disk of '{path}' has less than {self._reserve / 1e6:.0f} MB left; the episode ends here and is "
                "kept; free some space before you go on",
            )
        elif left < WARN * rate and not self._warned:
            self._warned = True
            self._tell("warning", f"the disk is full in {left / rate:.0f} s at {rate / 1e6:.1f} MB/s")


def main() -> None:
    """Arguments: the file descriptors of the pipes (messages, answers), the bytes to keep free."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end of the pipe is the only one
    # mcap offers no level. Of camera images level 1 leaves as much as its own, level 3, in 40 % of the time.
    compressor = zstandard.ZstdCompressor(level=1)
    zstandard.compress = lambda data, level=1: compressor.compress(data)
    messages, answers, reserve = map(int, sys.argv[1:])
    Server(Connection(messages, writable=False), Connection(answers, readable=False), reserve).run()


if __name__ == "__main__":
    main()
