"""The recorder over DDS, when a camera is unplugged, and when somebody else has the folder."""

import threading
import time

import numpy as np
import pytest

from steadyhand import ros, ros_messages
from steadyhand.bench.record_worker import Robot
from steadyhand.data_collection.dataset import load_sidecar
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.ros_journal import Tap
from steadyhand.errors import SteadyhandError

PICTURE = ros_messages.image(np.full((48, 64, 3), 90, np.uint8), 0.0, "front_optical_frame")


class Running(Robot):
    """A robot that says its state and shows its picture until it is stopped."""

    def __init__(self, node: ros.Node) -> None:
        super().__init__(node)
        self.plugged, self._stopped = True, False
        self._clients = {name: ros.client(node, f"session/{name}") for name in ("start", "stop_success")}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        pace, tick = ros.Pace(100), 0
        while not self._stopped:
            self.state(tick)
            if tick % 4 == 0 and self.plugged:
                self.say("front/image_raw", PICTURE, ros.now())
            tick += 1
            pace.wait()

    def ask(self, name: str) -> str:
        return ros.call(self._clients[name]).message

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()


@pytest.fixture
def robot():
    with ros.running("robot", setup=Running) as robot:
        yield robot
        robot.stop()


@pytest.mark.slow
def test_an_unplugged_camera_is_told_at_once(robot, processes, tmp_path):
    log = processes.log("record")

    def wait_for(text: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while text not in log.read_text():
            processes.check()
            assert time.monotonic() < end, f"'{text}' is not said: {log.read_text()}"
            time.sleep(0.02)

    places = ("--output", tmp_path / "dataset", "--journal", tmp_path / "journal")
    also = ("--also", "points:sensor_msgs/msg/PointCloud2")
    processes.start("record", *places, "--cameras", "front", *also, "--task", "look", "--episodes", 1)
    wait_for("ready to record", 60.0)
    robot.ask("start")
    time.sleep(1.0)
    robot.plugged = False
    wait_for("no message on front/image_raw for 0.5 s: frames are dropped until it is back", 2.0)
    wait_for("no message on points yet: the journal lacks it until it is back", 3.0)
    robot.plugged = True
    wait_for("front/image_raw is back", 2.0)
    time.sleep(1.0)
    assert "episode 0 saved: success" in robot.ask("stop_success")
    (row,) = load_sidecar(tmp_path / "dataset")
    assert 5 <= row["dropped_frames"] <= 25


@pytest.mark.slow
def test_a_second_recorder_is_refused(processes, tmp_path):
    with Journal(tmp_path / "journal"):
        process = processes.start("record", "--journal", tmp_path / "journal")
        assert process.wait(30) == 2
        assert "is being written by another process" in processes.last_line("record")


def test_no_topic_is_kept_twice(tmp_path):
    with Journal(tmp_path) as journal, ros.running("hearer") as node:
        tap = Tap(node, journal)
        tap.listen("joint_states")
        ros.given_subscription(tap, "others", ros.JointState, None)
        with pytest.raises(SteadyhandError, match="topic /joint_states is kept anyway; leave '/joint_states' out"):
            ros.given_subscription(tap, "/joint_states", ros.JointState, None)
