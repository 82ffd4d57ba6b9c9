"""Depth from ROS into the dataset: LeRobot's own reader gives back the millimetres that were sent."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image
from speaking import GOOD, START, record, said

from steadyhand import ros, ros_messages
from steadyhand.camera_topics import image_topics
from steadyhand.cli import main as cli
from steadyhand.data_collection.convert import ConvertConfig, main, settings_of
from steadyhand.data_collection.convert_parallel import prepare
from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.journal_reading import episodes
from steadyhand.data_collection.labels import frame_labels
from steadyhand.data_collection.schema import features
from steadyhand.errors import SteadyhandError

CAMERAS = ["front", "front:depth", "wrist:compressedDepth", "side:depth"]
SIZE = (48, 64)
MM = np.linspace(0, 65535, 48 * 64).round().astype(np.uint16).reshape(SIZE)  # all that 16 bits hold


def seen(stamp: float) -> np.ndarray:
    """mm, different in every picture."""
    return np.roll(MM, 37 * round((stamp - START) / 0.02), axis=1)


def image(encoding: str, values: np.ndarray, stamp: float, order: str = "<", padding: int = 0) -> ros.Image:
    """As another driver may send it: with bytes after every row, or the high byte first."""
    rows = values.astype(values.dtype.newbyteorder(order)).view(np.uint8).reshape(len(values), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    message = ros.Image(height=values.shape[0], width=values.shape[1], encoding=encoding, step=rows.shape[1])
    message.is_bigendian = int(order == ">")
    ros_messages.set_stamp(message.header, stamp)
    message.data = rows.tobytes()
    return message


def packed(values: np.ndarray, stamp: float, format_: str = "16UC1; compressedDepth png") -> ros.CompressedImage:
    """As image_transport's compressedDepth sends it."""
    message = ros.CompressedImage(format=format_, data=bytes(12) + cv2.imencode(".png", values)[1].tobytes())
    ros_messages.set_stamp(message.header, stamp)
    return message


def measured(decisions: int) -> Iterator[tuple]:
    """What `said` has, and three cameras that measure the same depth."""
    for topic, message, captured, received in said(decisions):
        yield topic, message, captured, received
        if topic == "front/image_raw":
            mm = seen(captured)
            yield "front/depth/image_raw", image("16UC1", mm, captured), captured, received
            yield "wrist/depth/image_raw/compressedDepth", packed(mm, captured), captured, received
            metres = image("32FC1", mm.astype(np.float32) / 1000, captured)
            yield "side/depth/image_raw", metres, captured, received


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[Path, Path]:
    """A journal of two episodes and the dataset made of it, the second episode in a second run."""
    folder = tmp_path_factory.mktemp("depth")
    for decisions in (6, 4):
        with Journal(folder / "journal", reserve=0) as journal:
            record(journal, measured(decisions), GOOD, cameras=CAMERAS)
        assert main(ConvertConfig(folder / "journal", folder / "dataset")) == 0
    return folder / "journal", folder / "dataset"


def sent(decision: int) -> np.ndarray:
    """What the newest picture before a decision, counted from 0, showed: they come at every second tick of 20 ms."""
    tick = 5 * (decision + 1)
    return seen(START + 0.02 * (tick - tick % 2))


def check(folder: Path, lengths: tuple[int, ...]) -> LeRobotDataset:
    """Every value of every depth column."""
    dataset = LeRobotDataset("local/test", root=folder, video_backend="pyav")
    decisions = [i for length in lengths for i in range(length)]
    assert len(dataset) == len(decisions)
    for row, decision in enumerate(decisions):
        for camera in ("front", "wrist", "side"):
            depth = dataset[row][f"observation.images.{camera}_depth"]
            assert depth.shape == (1, *SIZE)
            np.testing.assert_array_equal(depth[0].numpy(), sent(decision))
    return dataset


def test_lerobot_reads_the_millimetres_that_were_sent(recorded):
    dataset = check(recorded[1], (6, 4))
    assert dataset.meta.depth_keys == [f"observation.images.{camera}_depth" for camera in ("front", "wrist", "side")]
    assert list(dataset.meta.video_keys) == ["observation.images.front"]
    stats = dataset.meta.stats["observation.images.front_depth"]
    assert stats["max"].item() == 65535
    assert stats["mean"].item() == pytest.approx(MM.mean(), rel=1e-3)
    metres = LeRobotDataset("local/test", root=recorded[1], video_backend="pyav", depth_output_unit="m")
    np.testing.assert_allclose(metres[2]["observation.images.front_depth"][0], sent(2) / 1000, rtol=1e-6)


def test_a_worker_passes_depth_on_without_loss(recorded, tmp_path):
    episode = episodes(recorded[0])[0]
    prepared = prepare(episode, settings_of(episode, ConvertConfig(*recorded)), tmp_path)
    assert sum(isinstance(value, bytes) for value in prepared.frames[0].values()) == 3
    for i, frame in enumerate(prepared.unpacked()):
        assert frame["observation.images.wrist_depth"].dtype == np.uint16
        np.testing.assert_array_equal(frame["observation.images.wrist_depth"][..., 0], sent(i))


def test_commands_keep_it(recorded, tmp_path, capsys):
    """Those that take datasets: `repair` here gets one whose data file has lost its footer."""
    _, dataset = map(str, recorded)
    assert cli(["data", "split", dataset, "--episodes", "1", "--output", str(tmp_path / "second")]) == 0
    check(tmp_path / "second", (4,))
    assert cli(["data", "merge", dataset, str(tmp_path / "second"), "--output", str(tmp_path / "all")]) == 0
    merged = check(tmp_path / "all", (6, 4, 4))
    for name, value in merged.meta.stats["observation.images.front_depth"].items():
        assert np.isfinite(value).all(), name
    file = next((tmp_path / "second" / "data").glob("*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-200])
    assert cli(["data", "repair", str(tmp_path / "second"), "--output", str(tmp_path / "whole")]) == 0
    check(tmp_path / "whole", (4,))
    for source in recorded:
        files = tmp_path / f"files of {source.name}"
        assert cli(["data", "export", str(source), "1", "--output", str(files)]) == 0
        stored = [np.array(Image.open(file)) for file in sorted((files / "front_depth").glob("*.png"))]
        np.testing.assert_array_equal(stored, [sent(i) for i in range(4)])
    assert "observation.images.side_depth" not in (files / "frames.csv").read_text().splitlines()[0]


def test_what_was_not_measured_is_zero():
    metres = np.array([[np.nan, np.inf, -np.inf], [-1.0, 0.0, 0.0004], [65.536, 65.535, 1.2346]], np.float32)
    expected = [[0, 0, 0], [0, 0, 0], [0, 65535, 1235]]
    np.testing.assert_array_equal(ros_messages.depth_array(image("32FC1", metres, START))[..., 0], expected)
    np.testing.assert_array_equal(
        ros_messages.depth_array(ros_messages.depth_image(metres, START, "c"))[..., 0], expected
    )


@pytest.mark.parametrize(("order", "padding"), [(">", 0), ("<", 6), (">", 10)])
def test_rows_may_be_padded_and_bytes_swapped(order, padding):
    raw = ros_messages.depth_array(image("16UC1", MM, START, order, padding))
    np.testing.assert_array_equal(raw[..., 0], MM)
    metres = ros_messages.depth_array(image("32FC1", MM / np.float32(1000), START, order, padding))
    np.testing.assert_array_equal(metres[..., 0], MM)


def test_what_is_no_depth_is_refused(tmp_path, capsys):
    with pytest.raises(SteadyhandError, match="depth image with encoding 'rgb8'; allowed: 16UC1, 32FC1"):
        ros_messages.depth_array(ros_messages.image(np.zeros((4, 4, 3), np.uint8), START, "c"))
    short = image("16UC1", MM, START)
    short.data = short.data[:-1]
    with pytest.raises(SteadyhandError, match=r"image of 48x64 pixels 16UC1 with 6143 bytes, 128 a row"):
        ros_messages.depth_array(short)
    for format_ in ("32FC1; compressedDepth png", "16UC1; compressedDepth rvl", "jpeg"):
        with pytest.raises(SteadyhandError, match="allowed: 16UC1 as PNG"):
            ros_messages.decompressed_depth(packed(MM, START, format_))
    broken = packed(MM, START)
    broken.data = broken.data[:40]
    assert ros_messages.decompressed_depth(broken) is None
    with pytest.raises(SteadyhandError, match=r"are both the column observation\.images\.front_depth; leave one out"):
        image_topics(["front:depth", "front:compressedDepth"])
    also = "front/depth/image_raw:sensor_msgs/msg/Image"
    given = ["--cameras", "front:depth", "--also", also]
    assert cli(["record", "--journal", str(tmp_path / "journal"), *given]) == 2
    assert "--also names a topic of the camera front, which is kept anyway" in capsys.readouterr().err


def test_the_writer_refuses_other_depth(tmp_path):
    columns = features(7, depths={"front": SIZE})
    zeros = {name: np.zeros(c["shape"], c["dtype"]) for name, c in columns.items() if c["dtype"] not in ("image",)}
    frame = zeros | frame_labels(0, 0, 0, [0])
    with DatasetWriter(tmp_path / "dataset", robot="fr3", task="x", features=columns) as writer:
        with pytest.raises(SteadyhandError, match=r"needed: numpy uint16 \(48, 64, 1\)"):
            writer.add_frame({**frame, "observation.images.front_depth": np.zeros((*SIZE, 1), np.float32)})
        writer.add_frame({**frame, "observation.images.front_depth": MM[..., None]})
        writer.save_episode(EpisodeInfo(True, "success"))
        dataset = LeRobotDataset("local/test", root=tmp_path / "dataset")
        np.testing.assert_array_equal(dataset[0]["observation.images.front_depth"][0], MM)
