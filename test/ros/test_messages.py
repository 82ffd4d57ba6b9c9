"""Between messages and arrays, and what the processes share."""

import array
import os
import signal
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from steadyhand import ros
from steadyhand import ros_messages as m
from steadyhand.data_collection.node import run
from steadyhand.errors import SteadyhandError
from steadyhand.ros_processes import Processes


@pytest.mark.parametrize("stamp", [1795262857.534768804, 1.9999999999, 0.0, 1e9])
def test_stamps_survive(stamp):
    message = m.pose(np.zeros(3), [0, 0, 0, 1], stamp, "base")
    assert m.get_stamp(message) == pytest.approx(stamp, abs=3e-7)
    assert 0 <= message.header.stamp.nanosec < 10**9
    again = m.pose(np.zeros(3), [0, 0, 0, 1], m.get_stamp(message), "base")
    assert m.get_stamp(again) == m.get_stamp(message)  # a relay does not move it


def test_poses_and_wrenches_survive():
    position, quaternion = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3, 0.9])
    assert all(map(np.array_equal, m.pose_arrays(m.pose(position, quaternion, 1.0, "base")), (position, quaternion)))
    assert np.array_equal(m.wrench_array(m.wrench(np.arange(6), 1.0, "base")), np.arange(6))


def test_images_are_handed_over_whole(monkeypatch):
    """Of anything but an array the setter of the message looks at every element, which takes 50 to 140 ms."""
    handed = []

    class Spy(m.Image):
        @property
        def data(self):
            return image_type.data.fget(self)

        @data.setter
        def data(self, value):
            handed.append(type(value))
            image_type.data.fset(self, value)

    image_type = m.Image
    monkeypatch.setattr(m, "Image", Spy)
    m.image(np.zeros((480, 640, 3), np.uint8), 1.0, "front")
    assert handed[-1] is array.array


def test_images_survive():
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    message = m.image(pixels, 1.0, "front")
    assert np.array_equal(m.image_array(message), pixels)
    message.encoding = "bgr8"
    assert np.array_equal(m.image_array(message), pixels[..., ::-1])
    message.encoding = "16UC1"
    with pytest.raises(SteadyhandError, match="16UC1"):
        m.image_array(message)
    assert bytes(m.compressed(pixels, 1.0, "front").data[:2]) == b"\xff\xd8"


def test_diagnostics_are_read_back():
    message = m.diagnostics("controller", 1, "hold", {"refused": 3}, 1.0)
    assert m.diagnostics_values(message) == {"refused": "3", "level": "1", "message": "hold"}


def test_the_profile_is_ours_unless_the_user_has_one(monkeypatch):
    variables = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    ros.prepare_environment()
    profiles = {os.environ[name] for name in variables}
    assert len(profiles) == 1
    sizes = [e.text for e in ElementTree.parse(profiles.pop()).iter() if e.tag.endswith("}segment_size")]
    assert sizes == [str(16 * 1024 * 1024)]
    monkeypatch.delenv(variables[1])
    monkeypatch.setenv(variables[0], "mine.xml")
    ros.prepare_environment()
    assert os.environ[variables[0]] == "mine.xml"
    assert variables[1] not in os.environ


def test_the_table_of_topics():
    assert ros.topic("target_pose").qos.depth == 1
    assert ros.topic("wrist/image_raw").type is ros.Image
    with pytest.raises(SteadyhandError, match="unknown topic 'image_raw'"):
        ros.topic("image_raw")


def test_a_namespace_must_be_one():
    with pytest.raises(SteadyhandError, match="is no ROS namespace"), ros.running("node", "arm 1"):
        pass


def test_an_error_in_a_callback_ends_the_process_not_only_its_thread():
    def fail() -> None:
        raise ValueError("broken callback")

    def wait() -> None:
        with ros.running("node", "", lambda node: node.create_timer(0.01, fail)):
            time.sleep(5.0)

    begin = time.monotonic()
    with pytest.raises(ValueError, match="broken callback"):
        wait()
    assert time.monotonic() - begin < 3.0


def test_ctrl_c_waits_for_what_is_being_saved():
    saved = []

    def save() -> None:
        with ros.uninterrupted():
            signal.raise_signal(signal.SIGINT)
            saved.append(True)

    with pytest.raises(KeyboardInterrupt):
        save()
    assert saved


def test_ctrl_c_waits_for_the_recorders_turn():
    class Busy:
        complete, turns = False, 0

        def advance(self) -> None:
            signal.raise_signal(signal.SIGINT)
            self.turns += 1

    recorder = Busy()
    with pytest.raises(KeyboardInterrupt):
        run(recorder, [], {})
    assert recorder.turns == 1


def test_a_command_that_ctrl_c_does_not_end_says_where_it_hangs(tmp_path, monkeypatch):
    (tmp_path / "steadyhand").mkdir()  # found before the real one
    (tmp_path / "steadyhand" / "__init__.py").touch()
    (tmp_path / "steadyhand" / "__main__.py").write_text(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n\n"
        "def hang():\n    print('hangs', flush=True)\n    time.sleep(60)\n\nhang()\n"
    )
    monkeypatch.chdir(tmp_path)
    with Processes(tmp_path) as processes:
        processes.start("record")
        while not processes.log("record").read_text():
            time.sleep(0.01)
        assert processes.stop("record", 0.1) == -signal.SIGABRT
        assert "in hang" in processes.log("record").read_text()


def test_a_service_that_nobody_offers_is_named():
    def ask() -> None:
        with ros.running("node", "", lambda node: ros.client(node, "reset")) as client:
            ros.call(client, timeout=0.2)

    with pytest.raises(SteadyhandError, match="nobody offers the service reset"):
        ask()


def test_pace_counts_what_it_missed():
    pace = ros.Pace(100.0)
    time.sleep(0.035)
    pace.wait()
    assert pace.missed == 3
    begin = time.monotonic()
    for _ in range(5):
        pace.wait()
    assert pace.missed == 3
    assert time.monotonic() - begin == pytest.approx(0.05, abs=0.02)
