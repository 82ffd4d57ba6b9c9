"""Recorded episodes once more: on the robot's topics, and from ROS through a dataset back into the twin."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from listening import Listener

from steadyhand import ros
from steadyhand.data_collection.convert import ConvertConfig
from steadyhand.data_collection.convert import main as convert
from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo
from steadyhand.data_collection.replay import ReplayConfig, main, task_name
from steadyhand.data_collection.replay_source import load_recording
from steadyhand.data_collection.replay_twin import TwinReplay
from steadyhand.data_collection.schema import ACTION_NAMES, STATE_NAMES
from steadyhand.errors import SteadyhandError
from steadyhand.ros_processes import Processes, private_graph
from steadyhand.sim.env import World
from steadyhand.sim.rotations import rot6d_from_quat

FRAMES = 30
DOWN = 0.001  # m, every decision


def named(names: list[str]) -> dict:
    return {"dtype": "float32", "shape": (len(names),), "names": names}


def begin(twin: Listener) -> tuple[np.ndarray, np.ndarray]:
    """Begin an episode; the tool's pose in it."""
    twin.reset()
    time.sleep(0.1)  # a state from before may have been on its way
    return twin.pose()


@pytest.fixture(scope="module")
def dataset(twin: Listener, tmp_path_factory) -> Path:
    """Straight down from the home pose; and the same 0.1 m above it."""
    position, quaternion = begin(twin)
    path = tmp_path_factory.mktemp("down") / "dataset"
    columns = {"action": named(ACTION_NAMES), "observation.state": named(STATE_NAMES)}
    with DatasetWriter(path, robot="fr3", task="go down", features=columns) as writer:
        for above in (0.0, 0.1):
            for i in range(FRAMES):
                place = position + np.array([0.0, 0.0, above - DOWN * i])
                action = np.concatenate([place, rot6d_from_quat(quaternion), [1.0]]).astype(np.float32)
                writer.add_frame({"action": action, "observation.state": np.append(action, np.zeros(6, np.float32))})
            writer.save_episode(EpisodeInfo(None, ""))
    return path


def replay(dataset: Path, episode: int, *options: str) -> str:
    """What the command says, as a process: beside the listener here it would hear the robot late."""
    command = [sys.executable, "-m", "steadyhand", "data", "replay", str(dataset), str(episode), "--where", "ros"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_robot_follows_the_recorded_requests(twin, dataset):
    start = begin(twin)[0]
    said = replay(dataset, 0)
    assert "going" not in said
    assert "replayed: the tool departed by" in said
    time.sleep(0.3)
    assert twin.pose()[0][2] == pytest.approx(start[2] - DOWN * (FRAMES - 1), abs=0.003)
    assert twin.refused() == {}


def test_a_beginning_elsewhere_needs_consent(twin, dataset, monkeypatch):
    start = begin(twin)[0]
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(SteadyhandError, match=r"will go 100 mm .* Nobody can be asked here; give --yes"):
        main(ReplayConfig(dataset, "1", "ros"))
    assert np.linalg.norm(twin.pose()[0] - start) < 0.002
    assert "going 100 mm" in replay(dataset, 1, "--yes")


def test_refusals_and_a_path_that_is_left(twin, dataset):
    begin(twin)
    with pytest.raises(SteadyhandError, match=r"recorded was a iiwa14, but the robot here has no joint 'lbr_A1'"):
        main(ReplayConfig(dataset, "0", "ros", robot="iiwa14"))
    with pytest.raises(SteadyhandError, match=r"allowed: 0.005 m/s"):
        main(ReplayConfig(dataset, "0", "ros", max_speed=0.005))
    with pytest.raises(
        SteadyhandError, match=r"the arm holds where it is: the tool is . mm away from its path .--tolerance."
    ):
        main(ReplayConfig(dataset, "0", "ros", tolerance=0.001))


def test_ctrl_c_stops_the_arm(twin, dataset):
    start = begin(twin)[0]
    threading.Timer(2.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    assert main(ReplayConfig(dataset, "0", "ros", speed=0.5)) == 130
    time.sleep(0.3)
    stopped = twin.pose()[0]
    time.sleep(0.5)
    assert np.linalg.norm(twin.pose()[0] - stopped) < 0.001
    assert 0.002 < start[2] - stopped[2] < DOWN * (FRAMES - 5)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "seed"), [("peg_insertion", 41_000), ("pick_place", 42_000)])
def test_round_trip(tmp_path, task, seed):
    """Twin node, journal, dataset, twin: within 2 mm of the recorded path."""
    episodes = 3
    with (
        private_graph(),  # beside the twin of the other tests
        Processes(tmp_path / "logs") as processes,
        ros.running("waiting", "", Listener) as listener,
    ):
        processes.start("twin", "--task", task, "--seed", seed - 1, "--cameras", "none")
        options = ("--journal", tmp_path / "raw", "--cameras", "none", "--task", task, "--episodes", episodes)
        processes.start("record", *options)
        log = processes.log("record")
        listener.wait_for(lambda: "ready to record" in log.read_text(), 60, processes.check)
        processes.start("teleop", "--device", "scripted", "--task", task, "--seed", seed, "--episodes", episodes)
        processes.wait("teleop", 60.0 * episodes)
        processes.wait("record", 60.0)
    convert(ConvertConfig(tmp_path / "raw", tmp_path / "dataset"))
    world = World.load("fr3", task)
    replay = TwinReplay(world, "applied")
    for episode in range(episodes):
        recording = load_recording(tmp_path / "dataset", str(episode))
        assert task_name(recording, None) == task
        done = replay.run(recording, recording.seed)
        rms, most, turn = done.by_segment()["all"]
        print(f"{task} seed {recording.seed}: {1e3 * rms:.2f} mm RMS, at most {1e3 * most:.2f} mm, "
              f"{np.degrees(turn):.2f} deg; {1e3 * done.aside.max():.2f} mm aside")  # fmt: skip
        assert (done.aside.max() < 0.002, done.moved) == (True, 0.0)
        assert rms < 0.002
