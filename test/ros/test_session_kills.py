"""A recording session is killed at random moments, again and again, and continued."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from listening import Listener
from rosbags.highlevel import AnyReader

from steadyhand.data_collection.journal_reading import Messages, State, episodes
from steadyhand.data_collection.schema import read_info
from steadyhand.ros_processes import Processes

KILLS = 50


@contextmanager
def somebody_decides(twin: Listener) -> Iterator[None]:
    """Keep deciding, 10 times a second: stay."""
    ended, (position, quaternion) = threading.Event(), twin.pose()

    def decide() -> None:
        while not ended.wait(0.1):
            twin.ask(position, quaternion)

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def ask(twin: Listener, request: str, killed: list[float]) -> str:
    """What the recorder answers, "" if it is killed before."""
    client = twin.clients[request]
    future = client.call_async(client.srv_type.Request())
    twin.wait_for(lambda: future.done() or killed, 10)
    return future.result().message if future.done() else ""


def record_and_kill(twin: Listener, folder: Path, rng: random.Random, number: int) -> tuple[int, float]:
    """Record episodes of half a second until the kill; returns how many were answered for, and when it was."""
    saved, logs = 0, folder / f"logs{number}"
    logs.mkdir(parents=True)
    with Processes(logs) as processes:
        places = ("--output", folder / "dataset", "--journal", folder / "journal", *(["--resume"] if number else []))
        recorder = processes.start("record", *places, "--cameras", "front")
        twin.wait_for(lambda: "ready to record" in processes.log("record").read_text(), 60, processes.check)
        killed: list[float] = []

        def kill() -> None:
            killed.append(time.time())
            recorder.kill()

        timer = threading.Timer(rng.uniform(0.0, 4.0), kill)
        timer.start()
        while not killed:
            for request, pause in (("session/start", 0.5), ("session/stop_success", 0.0)):
                saved += " saved: success" in ask(twin, request, killed)
                time.sleep(pause)
        timer.join()
        recorder.wait()
    return saved, killed[0]


def assert_all_there(folder: Path, least: int, killed: float) -> int:
    """Every finished episode opens, and nearly all of the running one; returns how many the dataset has."""
    total = int(read_info(folder / "dataset")["total_episodes"])
    assert total >= least
    if total:  # LeRobot looks for an empty dataset on the network
        dataset = LeRobotDataset("dataset", root=folder / "dataset", video_backend="pyav")
        assert dataset.num_episodes == total
        assert dataset[len(dataset) - 1]["observation.images.front"].shape == (3, 480, 640)
    while (found := episodes(folder / "journal"))[-1].state is State.RECORDING:
        time.sleep(0.05)
    for episode in found[-3:]:
        if episode.state is State.FINISHED:
            with AnyReader([episode.file.parent]) as bag:
                assert bag.message_count == sum(1 for _ in bag.messages())
    running = found[-1]
    if running.label.get("end_reason") != "success":
        assert max(message.received for message in Messages(running)) * 1e-9 > killed - 1.0
    return total


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_50_kills_of_a_session(twin, tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng, total, cut = random.Random(seed), 0, 0
    with somebody_decides(twin):
        for number in range(KILLS):
            saved, killed = record_and_kill(twin, tmp_path, rng, number)
            total = assert_all_there(tmp_path, total + saved, killed)
            cut = sum(episode.label.get("end_reason") != "success" for episode in episodes(tmp_path / "journal"))
    journal = len(episodes(tmp_path / "journal"))
    print(f"{total} episodes in the dataset, {journal} in the journal, {cut} of them cut off")
