"""Compressed images, force sensors and lists of numbers: in the journal as they came, in the dataset as columns."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from speaking import GOOD, START, record, said

from steadyhand import ros, ros_messages
from steadyhand.camera_topics import image_topic
from steadyhand.cli import main as cli
from steadyhand.data_collection.convert import ConvertConfig, main
from steadyhand.data_collection.dataset import load_columns, load_sidecar
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.journal_reading import Messages, episodes
from steadyhand.errors import SteadyhandError
from steadyhand.ros_observation import given_arrays

ARRAYS = "wrist/force:geometry_msgs/msg/WrenchStamped,skin:std_msgs/msg/Float32MultiArray"
DEPTH = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20  # mm


def depth(stamp: float) -> ros.Image:
    message = ros.Image(height=48, width=64, encoding="16UC1", step=128)
    ros_messages.set_stamp(message.header, stamp)
    message.data = DEPTH.tobytes()
    return message


def sensed(decisions: int, broken: bool = False) -> Iterator[tuple]:
    """What `said` has, with JPEG instead of pixels (one is broken if asked for), and three sensors more."""
    for i, (topic, message, captured, received) in enumerate(said(decisions)):
        if topic != "front/image_raw":
            yield topic, message, captured, received
            continue
        jpeg = ros_messages.compressed(ros_messages.image_array(message), captured, "c")
        if broken and captured > START + 0.8:
            jpeg.data = jpeg.data[:20]
        yield "front/compressed", jpeg, captured, received
        yield "wrist/force", ros_messages.wrench(np.arange(6) + i, captured, "tool"), captured, received
        yield "skin", ros.Float32MultiArray(data=[captured - START, 1.0, 2.0]), received, received
        yield "front/depth/image_raw", depth(captured), captured, received


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[Path, Path]:
    """A journal and the dataset made of it."""
    folder = tmp_path_factory.mktemp("sensors")
    with Journal(folder / "journal", reserve=0) as journal:
        noted = {"cameras": ["front:compressed"], "arrays": ARRAYS}
        record(journal, sensed(10), GOOD, **noted)
        record(journal, sensed(10, broken=True), GOOD, **noted)
    assert main(ConvertConfig(folder / "journal", folder / "dataset")) == 0
    return folder / "journal", folder / "dataset"


def test_numbers_are_columns(recorded):
    frames = load_columns([recorded[1]], ["observation.skin", "observation.wrist_force", "observation.joints"])
    skin, force = (frames.columns[name][:10] for name in ("observation.skin", "observation.wrist_force"))
    assert skin.shape == (10, 3)
    decided = 0.1 * np.arange(1, 11) + 0.013
    age = decided - skin[:, 0]  # it comes every 40 ms
    assert (age > 0.0).all()
    assert (age < 0.05).all()
    np.testing.assert_allclose(np.diff(force, axis=1), 1.0)
    info = LeRobotDataset("local/test", root=recorded[1], video_backend="pyav").meta.features
    assert info["observation.wrist_force"]["names"] == ["fx", "fy", "fz", "tx", "ty", "tz"]


def test_compressed_images_are_video(recorded):
    image = LeRobotDataset("local/test", root=recorded[1], video_backend="pyav")[3]["observation.images.front"]
    assert float(image.mean()) * 255 == pytest.approx(20, abs=4)  # decision 3 is at tick 20


def test_a_broken_image_costs_its_frames(recorded):
    first, second = load_sidecar(recorded[1])
    assert first["dropped_frames"] == 0
    assert 1 <= second["dropped_frames"] <= 4


def test_depth_stays_as_it_came(recorded):
    heard = [m for m in Messages(episodes(recorded[0])[0]) if m.topic == "/front/depth/image_raw"]
    assert len(heard) > 10
    assert all(message.data.endswith(DEPTH.tobytes()) for message in heard)


def test_a_png_is_decoded_without_loss():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(ros_messages.decompressed(ros.CompressedImage(format="png", data=data)), pixels)
    assert ros_messages.decompressed(ros.CompressedImage()) is None


def test_what_cannot_be_heard_is_refused(capsys, tmp_path):
    with pytest.raises(SteadyhandError, match="unknown transport 'theora'; allowed: raw, compressed"):
        image_topic("front:theora")
    with pytest.raises(SteadyhandError, match="unknown type of numbers 'Wrench'; allowed: geometry_msgs/msg/Wrench"):
        given_arrays("force:Wrench")
    with pytest.raises(SteadyhandError, match=r"'points:PointCloud2' cannot be heard .*NAME:PACKAGE/msg/TYPE"):
        ros.given_topics("points:PointCloud2")
    assert cli(["record", "--output", str(tmp_path / "new"), "--also", "points:sensor_msgs/msg/PointCloud2"]) == 2
    assert "--also is for the journal" in capsys.readouterr().err
