"""What breaks while data is recorded: a stalled encoder, a full disk, a camera that is unplugged, clocks that jump."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rclpy.serialization import serialize_message
from recording import FILMED, frame, open_writer, record
from speaking import START, said

from steadyhand import ros, ros_messages
from steadyhand.data_collection import stage
from steadyhand.data_collection.dataset import EpisodeInfo
from steadyhand.data_collection.journal_reading import Received
from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.live_quality import Heard, LiveQuality, Meter
from steadyhand.data_collection.ros_journal import Playback, type_name
from steadyhand.data_collection.ros_record import FPS, FrameSource
from steadyhand.errors import SteadyhandError
from steadyhand.ros_time import simulated
from steadyhand.sim.robot import load_robot

HERE = Path(__file__).parent
BEFORE = 4  # rows of the first episode of `recording`


@pytest.fixture
def stall(monkeypatch):
    """Holds up LeRobot's encoder threads from the moment it is called until its answer is set."""
    convert = PIL.Image.fromarray
    free = threading.Event()
    free.set()

    def wait(*arguments, **named):
        free.wait()
        return convert(*arguments, **named)

    def begin() -> threading.Event:
        free.clear()
        return free

    monkeypatch.setattr(PIL.Image, "fromarray", wait)
    yield begin
    free.set()


def fill(writer, rows: int) -> None:
    for i in range(rows):
        writer.add_frame(frame(FILMED, 0, i % 12))


def test_after_a_stall_of_3_s_every_row_has_its_frame(tmp_path, stall):
    rows = 3 * FPS
    with open_writer(tmp_path / "data", FILMED) as writer:
        record(writer, FILMED, 1)
        free = stall()
        fill(writer, rows)
        free.set()
        writer.save_episode(EpisodeInfo(True, "success"))
    dataset = LeRobotDataset("local/test", root=tmp_path / "data", video_backend="pyav")
    assert len(dataset) == BEFORE + rows
    for i in range(rows):
        for camera in ("front", "wrist"):
            seen = 255 * float(dataset[BEFORE + i][f"observation.images.{camera}"].mean())
            assert seen == pytest.approx(20 * (i % 12), abs=5), (camera, i)


def test_a_stall_that_costs_images_refuses_the_episode(tmp_path, stall, monkeypatch):
    monkeypatch.setattr(stage, "QUEUED_IMAGES", 4)
    with open_writer(tmp_path / "data", FILMED) as writer:
        record(writer, FILMED, 1)
        free = stall()
        threading.Timer(0.5, free.set).start()
        with pytest.raises(SteadyhandError, match=r"fell 4 images behind and lost one of .*the episode is discarded"):
            fill(writer, 20)
        record(writer, FILMED, 1)
    assert LeRobotDataset("local/test", root=tmp_path / "data", video_backend="pyav").num_episodes == 2


def test_a_full_disk_costs_the_running_episode_only(tmp_path):
    """The program `filling` gets a disk of 6 MB of its own, in a mount namespace."""
    place = tmp_path / "disk"
    place.mkdir()
    script = 'mount -t tmpfs -o size=6m none "$1" && exec "$2" "$3" "$1"'
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", script, "sh", str(place)]
    if subprocess.run([*command[:-1], str(place), "true"], capture_output=True).returncode:
        pytest.skip("a full disk is not tested: this system lets nobody mount a tmpfs in a user namespace (unshare)")
    done = subprocess.run([*command, sys.executable, str(HERE / "filling.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "No space left on device" in found["journal"]
    assert "what was written before is kept" in found["journal"]
    assert found["journal_messages"] == list(range(len(found["journal_messages"])))
    assert len(found["journal_messages"]) > 20
    assert found["journal_states"] == ["finished", "cut off"]
    assert "No space left on device" in found["dataset"]
    assert "the 1 episodes before it are safe" in found["dataset"]
    assert found["dataset_rows"] == [BEFORE, BEFORE + 30]


class Live:
    """What the recorder makes of an episode while its messages come; the time is that of their arrival."""

    def __init__(self, messages) -> None:
        """messages: (topic, message, capture stamp, receive stamp)."""
        self.playback = Playback()
        self.meter = Meter(self.playback)
        self.source = FrameSource(self.meter, load_robot("fr3"), ["front"], False, FPS, Segment.DEMO)
        self.quality = LiveQuality("recorder", self.meter, [])
        self.frames: list[dict] = []
        self.news: list[tuple[float, str]] = []  # s since START
        with simulated(self.playback):
            self._play(messages)

    def _play(self, messages) -> None:
        began = False
        for topic, message, _, received in messages:
            if not began and received > START + 0.1:
                self.source.columns()
                self.source.begin()
                self.quality.begin()
                began = True
            kind = type_name(type(message))
            data = bytes(serialize_message(message))
            self.playback.play(Received(f"/{topic}", kind, round(received * 1e9), data))
            if began:
                self.frames += self.source.frames()
                self.news += [(received - START, text) for text in self.quality.news()]


def test_an_unplugged_camera_is_told_and_its_frames_are_dropped():
    unplugged = (START + 1.0, START + 3.0)
    live = Live(m for m in said(50) if m[0] != "front/image_raw" or not unplugged[0] < m[3] < unplugged[1])
    (gone, first), (back, second) = live.news
    assert 1.0 < gone < 2.0
    assert first.startswith("no message on front/image_raw for 0.5 s: frames are dropped until it is back")
    assert 3.0 < back < 3.2
    assert second == "front/image_raw is back"
    stamps = np.array([frame["observation.joints"][0] for frame in live.frames])
    assert not ((stamps > 1.25) & (stamps < 2.95)).any()
    assert (stamps < 1.25).sum() >= 10
    assert (stamps > 3.05).sum() >= 17
    assert len(stamps) + live.source.dropped == round((stamps[-1] - stamps[0]) * FPS) + 1
    assert "front/image_raw is " in live.source.reason


def test_of_topics_that_no_frame_needs_silence_is_told():
    """One every 0.4 s, which stops; one that never speaks; one that spoke once; all quite unlike the robot's own."""
    clock, meter = Playback(), Meter(Playback())
    meter.topics = {name: Heard(needed=False) for name in ("points", "never", "once")}
    quality, told = LiveQuality("recorder", meter, [Path.cwd()]), {}
    with simulated(clock):
        for tick in range(100):
            clock.nanoseconds = round((START + 0.1 * tick) * 1e9)
            if tick == 5:
                quality.begin()
            if tick % 4 == 0 and not 40 < tick < 80:
                meter.topics["points"].add(ros.now() - 0.05)
            if tick == 10:
                meter.topics["once"].add(None)
            told |= {text: tick for text in quality.news()} if tick >= 5 else {}
            if tick == 60:
                message, _ = quality.report({}, 0, 0, 0)
    loss = "the journal lacks it until it is back"
    assert told == {
        f"no message on never yet: {loss}": 26,
        f"no message on points for 1.3 s: {loss}": 53,
        "points is back": 80,
    }
    values = ros_messages.diagnostics_values(message)
    assert values["message"] == "no message on points for 2.0 s; no message on never yet"
    assert float(values["points lag (s)"]) == pytest.approx(0.05, abs=1e-3)


def test_late_messages_are_waited_for():
    """A computer that is busy for 0.6 s hears everything late, and all at once."""
    busy = (START + 1.0, START + 1.6)
    late = [(t, m, c, busy[1] if busy[0] < r < busy[1] else r) for t, m, c, r in said(30)]
    live = Live(late)
    assert live.source.dropped == 0
    stamps = np.array([frame["observation.joints"][0] for frame in live.frames])
    np.testing.assert_allclose(np.diff(stamps), 0.1, atol=1e-4)


@pytest.mark.parametrize("jump", [-5.0, -1.5])
def test_a_clock_that_goes_back_refuses_the_episode(jump):
    def heard():
        for topic, message, captured, received in said(30):
            shift = jump if received > START + 2.0 else 0.0
            if hasattr(message, "header"):
                ros_messages.set_stamp(message.header, captured + shift)
            yield topic, message, captured, received + shift

    with pytest.raises(SteadyhandError, match=f"the clock went back by {-jump - 0.02:.1f} s"):
        Live(heard())


def test_a_clock_that_jumps_ahead_leaves_a_gap():
    def heard():
        for topic, message, captured, received in said(30):
            shift = 5.0 if received > START + 2.0 else 0.0
            if hasattr(message, "header"):
                ros_messages.set_stamp(message.header, captured + shift)
            yield topic, message, captured, received + shift

    live = Live(heard())
    assert live.source.dropped >= 50
    stamps = np.array([frame["observation.state"][2] for frame in live.frames])
    assert len(stamps) >= 25
    assert (np.diff(stamps) < 0).all()


@pytest.mark.parametrize(("ahead", "reason"), [(5.0, "5.00 s in the future"), (-5.0, "s old (at most 0.2 s)")])
def test_a_camera_with_another_clock_gives_no_frames(ahead, reason):
    def heard():
        for topic, message, captured, received in said(30):
            if topic == "front/image_raw" and received > START + 1.0:
                ros_messages.set_stamp(message.header, captured + ahead)
            yield topic, message, captured, received

    live = Live(heard())
    assert len(live.frames) <= 11
    assert live.source.dropped >= 5
    assert reason in live.source.reason


def test_a_camera_of_another_size_is_refused_on_resume(tmp_path):
    with open_writer(tmp_path / "data", FILMED) as writer:
        record(writer, FILMED, 1)
    other = FILMED | {"observation.images.front": FILMED["observation.images.wrist"]}
    with pytest.raises(
        SteadyhandError, match=r"images\.front \(given .*32, 32, 3.*, dataset .*48, 64, 3.*another folder"
    ):
        open_writer(tmp_path / "data", other, resume=True)
    assert LeRobotDataset("local/test", root=tmp_path / "data", video_backend="pyav").num_episodes == 1
