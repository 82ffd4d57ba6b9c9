"""Messages for journals, and a recorder to be killed: `python journaling.py FOLDER` records until then."""

import sys
import time
from pathlib import Path

import numpy as np
import psutil
from rosbags.typesys import Stores, get_typestore

from steadyhand.data_collection.journal import Channel, Journal

TYPES = get_typestore(Stores.ROS2_JAZZY)
KIND = "std_msgs/msg/ByteMultiArray"
CHANNEL = Channel("/numbers", KIND, TYPES.generate_msgdef(KIND, ros_version=2)[0])


def writers(recorder: psutil.Process) -> list[psutil.Process]:
    """The processes that write for a recorder; what has ended has no command line any more."""
    living = (child for child in recorder.children() if child.status() != psutil.STATUS_ZOMBIE)
    return [child for child in living if "journal_process" in " ".join(child.cmdline())]


def cdr(number: int, size: int = 2000) -> bytes:
    """A message that holds a number and noise, which no compression makes smaller."""
    content = np.random.default_rng(number).integers(0, 256, size, np.uint8)
    content[:4] = np.frombuffer(np.int32(number).tobytes(), np.uint8)
    layout = TYPES.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    return bytes(TYPES.serialize_cdr(TYPES.types[KIND](layout=layout, data=content), KIND))


def number(data: bytes) -> int:
    return int(TYPES.deserialize_cdr(data, KIND).data[:4].view(np.int32)[0])


def write(journal: Journal, seconds: float, rate: float = 200.0, first: int = 0, size: int = 2000) -> list[int]:
    """Write numbers from the first on at a rate; returns their receive stamps (ns)."""
    stamps: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stamps.append(time.time_ns())
        journal.add(CHANNEL, stamps[-1], stamps[-1] - 5_000_000, cdr(first + len(stamps) - 1, size))
        time.sleep(1.0 / rate)
    return stamps


if __name__ == "__main__":
    with Journal(Path(sys.argv[1]), reserve=0) as running:
        running.begin(robot="fr3")
        write(running, 0.3)
        running.end(success=True, end_reason="success")
        running.begin(robot="fr3")
        print("recording", flush=True)
        write(running, 60.0, rate=30.0, size=1_000_000)
