"""`steadyhand bench record`: what gets lost between real ROS topics and a LeRobot dataset, and how long it takes.

A made-up robot in two processes (two cameras of 640x480 at 30 Hz; 100 states a second on eight topics), the recorder
as users start it, with a journal and a dataset at once; then the conversion of the journal, and images for training.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from mcap.reader import make_reader

from steadyhand import ros
from steadyhand.bench import record_worker
from steadyhand.bench.control import child_environment
from steadyhand.bench.run import BenchConfig
from steadyhand.bench.twin import machine
from steadyhand.data_collection.journal_reading import Episode, episodes
from steadyhand.data_collection.schema import read_info
from steadyhand.errors import SteadyhandError
from steadyhand.ros_processes import Processes, private_graph

READS = 200  # frames that are read for training, in random order
METHOD = {
    "frames_expected": "camera images published between the answer to session/start and the call of "
    "session/stop_success",
    "frames_lost": "those of them whose stamp is not in the journal",
    "messages": "topic -> [published in that time, of these in the journal]",
    "rows_expected": "decisions published while the recorder says the episode ran: one row of the dataset each",
    "rows_lost": "of the live recorder's dataset and of the converted one",
    "stamps_monotonic": "in the journal the stamps of every topic increase, and those of arrival never decrease",
    "writer_p99_ms": "the worst of writing_ms and add_frame_ms, 99th percentile",
    "writing_ms": "an image into the journal's file, compression and system call included: what its process must do in "
    "less than the time between two images",
    "written_after_ms": "an image, from the recorder's hand until its chunk of the journal's file is written, waiting "
    "for earlier messages included",
    "add_frame_ms": "a row with two images into the live dataset (its videos are encoded by threads beside it)",
    "convert_real_time_factor": "recorded time over that of `steadyhand data convert`, start of the process included",
    "decode_ms": "one image of LeRobotDataset[i] with two cameras, frames in random order: median over frames",
}


class Robot:
    """The processes that publish."""

    def __init__(self, folder: Path) -> None:
        self._files = {what: folder / f"{what}.json" for what in ("cameras", "state")}
        command = [sys.executable, "-m", record_worker.__name__]
        self._processes = [
            subprocess.Popen(
                [*command, what, str(file)], env=child_environment(), stdout=subprocess.PIPE, start_new_session=True
            )
            for what, file in self._files.items()
        ]
        for process in self._processes:
            assert process.stdout is not None
            process.stdout.readline()  # "ready"

    def stop(self) -> dict[str, np.ndarray]:
        """End it; topic -> stamps (ns) of all that it has published."""
        for process in self._processes:
            process.send_signal(signal.SIGINT)
        for process in self._processes:
            process.wait(30)
        published: dict[str, np.ndarray] = {}
        for file in self._files.values():
            published |= {f"/{topic}": np.array(stamps) for topic, stamps in json.loads(file.read_text()).items()}
        return published

    def kill(self) -> None:
        """End what still runs, by force."""
        for process in self._processes:
            process.kill()
            process.wait()


def record(folder: Path, seconds: float) -> tuple[dict[str, np.ndarray], float, float]:
    """Record one episode.

    Returns:
        Topic -> stamps (ns) published in all; when the episode had begun and when its end was asked for, s.
    """
    with private_graph(), Processes(folder / "logs") as processes, ros.running("bench") as node:
        robot = Robot(folder)
        try:
            clients = [ros.client(node, f"session/{name}") for name in ("start", "stop_success")]
            places = ("--output", folder / "live", "--journal", folder / "journal")
            cameras = ",".join(record_worker.CAMERAS)
            processes.start("record", *places, "--cameras", cameras, "--task", "bench", "--episodes", 1)
            deadline = time.monotonic() + 60.0
            while "ready to record" not in processes.log("record").read_text():
                processes.check()
                if time.monotonic() > deadline:
                    raise SteadyhandError(f"the recorder does not begin; see {processes.log('record')}")
                time.sleep(0.05)
            _require(ros.call(clients[0]))
            begun = ros.now()
            time.sleep(seconds)
            ended = ros.now()
            print(_require(ros.call(clients[1], timeout=60.0)))
            processes.wait("record", 60.0)
            published = robot.stop()
        finally:
            robot.kill()
    return published, begun, ended


def _require(answer) -> str:
    """What the recorder says, if it did what it was asked."""
    if not answer.success:
        raise SteadyhandError(f"the recorder answers: {answer.message}")
    return answer.message


def compare(published: dict[str, np.ndarray], begun: float, ended: float, episode: Episode) -> dict:
    """What of all that was published between two times is in the journal."""
    captured: defaultdict[str, list[int]] = defaultdict(list)
    arrived = []
    with episode.file.open("rb") as stream:
        for _, channel, message in make_reader(stream).iter_messages(log_time_order=False):
            captured[channel.topic].append(message.publish_time)
            arrived.append(message.log_time)
    messages, missing = {}, {}
    for topic, stamps in published.items():
        expected = stamps[(stamps >= begun * 1e9) & (stamps < ended * 1e9)]
        if topic.endswith("commands"):  # without a header: the journal has the stamps of their arrival
            heard = len([stamp for stamp in captured[topic] if begun * 1e9 <= stamp < ended * 1e9])
            messages[topic] = [len(expected), heard]
        else:
            lost = np.setdiff1d(expected, captured[topic])
            messages[topic] = [len(expected), len(expected) - len(lost)]
            if len(lost):
                missing[topic] = [round(float(stamp) * 1e-9 - begun, 3) for stamp in lost[:20]]
    images = [counts for topic, counts in messages.items() if topic.endswith("image_raw")]
    return {
        "frames_expected": sum(expected for expected, _ in images),
        "frames_lost": sum(expected - heard for expected, heard in images),
        "messages": messages,
        "missing_at_s": missing,
        "stamps_monotonic": bool(np.all(np.diff(arrived) >= 0))
        and all(bool(np.all(np.diff(stamps) > 0)) for topic, stamps in captured.items()),
    }


def convert(folder: Path) -> float:
    """Time (s) of the conversion, as users start it."""
    command = [sys.executable, "-m", "steadyhand", "data", "convert", str(folder / "journal")]
    begun = time.monotonic()
    subprocess.run([*command, "--output", str(folder / "converted")], check=True, env=child_environment())
    return time.monotonic() - begun


def decode(dataset: Path) -> float:
    """Time (ms) to read one image as a training does."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # takes 4 s to import

    data = LeRobotDataset("bench", root=dataset, video_backend="pyav")
    order = np.random.default_rng(0).permutation(len(data))
    times = []
    for index in order[:READS]:
        begun = time.perf_counter()
        data[int(index)]
        times.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(times)) / len(record_worker.CAMERAS)


def main(config: BenchConfig) -> None:
    """Measure, print, write the file."""
    described = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        published, begun, ended = record(folder, config.seconds)
        (episode,) = episodes(folder / "journal")
        numbers = compare(published, begun, ended, episode)
        taken = convert(folder)
        decided = published["/target_pose"]
        expected = int(((decided >= episode.metadata["begun"]) & (decided <= episode.label["ended"])).sum())
        writing, written = (
            {t: ms for t, ms in episode.label[name].items() if t.endswith("image_raw")}
            for name in ("writing_ms", "written_after_ms")
        )
        live = episode.label["add_frame_ms"]
        numbers |= {
            "rows_expected": expected,
            "rows_lost": {name: expected - read_info(folder / name)["total_frames"] for name in ("live", "converted")},
            "writer_p99_ms": max(delay["p99"] for delay in (*writing.values(), live)),
            "writing_ms": writing,
            "written_after_ms": written,
            "add_frame_ms": live,
            "convert_real_time_factor": (ended - begun) / taken,
            "decode_ms": decode(folder / "converted"),
            "journal_mb": episode.file.stat().st_size / 1e6,
        }
    for name in ("frames_expected", "frames_lost", "stamps_monotonic"):
        print(f"  {name:<28}{numbers[name]:>10}")
    for name in ("writer_p99_ms", "convert_real_time_factor", "decode_ms"):
        print(f"  {name:<28}{numbers[name]:>10.2f}")
    after = max(delay["p99"] for delay in numbers["written_after_ms"].values())
    print(f"  images are in the file {after:.0f} ms after they were heard (99 %)")
    for topic, (expected, heard) in numbers["messages"].items():
        if expected != heard:
            print(f"  {topic}: {expected - heard} of {expected} messages are missing")
    print(f"  rows of {numbers['rows_expected']} lost: {numbers['rows_lost']}; journal {numbers['journal_mb']:.0f} MB")
    content = {**numbers, "seconds": config.seconds, "machine": described, "method": METHOD}
    config.json.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {config.json}")
