"""Journals of the twin in one process: what comes of them is what the same run wrote into its dataset."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from scipy.spatial.transform import Rotation

from steadyhand import ros, ros_messages
from steadyhand.cli import main as cli
from steadyhand.collect import CollectConfig, main
from steadyhand.data_collection.collect import demonstration, open_journal, write_episodes
from steadyhand.data_collection.convert import ConvertConfig
from steadyhand.data_collection.convert import main as convert
from steadyhand.data_collection.dataset import load_columns, load_sidecar
from steadyhand.data_collection.journal_reading import Messages, Received, State, episodes
from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.ros_journal import type_name
from steadyhand.data_collection.schema import read_info
from steadyhand.data_collection.sidecar import last_documents
from steadyhand.data_collection.twin_journal import TwinJournal
from steadyhand.improve import supervise
from steadyhand.sim.camera_model import camera_pose
from steadyhand.sim.env import World
from steadyhand.sim.rollout import Rollout, ScriptedDriver
from steadyhand.sim.rotations import quat_from_rot6d


@pytest.fixture(scope="module")
def collected(tmp_path_factory) -> Path:
    """Folder of a run's dataset, its journal and what is converted of that."""
    folder = tmp_path_factory.mktemp("collected")
    cameras = "front:compressed,wrist,front:depth"
    main(CollectConfig(folder / "dataset", folder / "journal", "reach", episodes=2, cameras=cameras))
    convert(ConvertConfig(folder / "journal", folder / "converted"))
    return folder


def rows(folder: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Columns of numbers, by name."""
    return {name: values.astype(np.float64) for name, values in load_columns([folder], names).columns.items()}


def assert_same(dataset: Path, converted: Path, but: str = "") -> None:
    """Rows and sidecar of two datasets, the images and one column aside."""
    names = list(read_info(dataset)["features"])
    stored, made = rows(dataset, names), rows(converted, names)
    np.testing.assert_allclose(made.pop("stamp"), stored.pop("stamp"), atol=1e-6)
    for name in stored.keys() - {but}:
        np.testing.assert_array_equal(made[name], stored[name], err_msg=name)
    assert load_sidecar(converted) == load_sidecar(dataset)


def test_conversion_gives_the_rows_of_the_dataset(collected):
    assert_same(collected / "dataset", collected / "converted")
    sidecar = load_sidecar(collected / "dataset")
    assert [row["seed"] for row in sidecar] == [300_000, 300_001]
    assert [row["subtasks"] for row in sidecar] == [list(World.load("fr3", "reach").task.subtasks)] * 2
    assert [row["source"] for row in sidecar] == [episode.identity for episode in episodes(collected / "journal")]


def test_the_calibration_is_that_of_the_scene(collected):
    world = World.load("fr3", "reach")
    data = mujoco.MjData(world.model)
    data.qpos[:] = world.home
    mujoco.mj_forward(world.model, data)
    told = yaml.safe_load(last_documents(collected / "converted")["calibration"].text)["cameras"]
    for topic, camera in told.items():
        name = topic.partition("/")[0]  # colour and depth of one camera
        pose, T_world_camera = camera["pose"], camera_pose(data, name)
        carrier = data.body(pose["frame"])
        rotation = carrier.xmat.reshape(3, 3)
        position = carrier.xpos + rotation @ pose["position"]
        np.testing.assert_allclose(position, T_world_camera[:3, 3], atol=1e-6)
        turned = rotation @ Rotation.from_quat(pose["quaternion"]).as_matrix()
        np.testing.assert_allclose(turned, T_world_camera[:3, :3], atol=1e-6)
        focal = 240 / np.tan(0.5 * np.deg2rad(world.model.camera(name).fovy[0]))
        np.testing.assert_allclose(camera["K"], [focal, 0, 319.5, 0, focal, 239.5, 0, 0, 1])
    assert [told["front"]["pose"]["frame"], told["wrist"]["pose"]["frame"]] == ["base", "fr3_link7"]


def test_images_are_those_of_the_decisions(collected):
    images = {"/front/compressed": [], "/wrist/image_raw": []}
    for message in Messages(episodes(collected / "journal")[0]):
        if message.topic in images:
            images[message.topic].append(message.data)
    drawn = {
        "front": [ros_messages.decompressed(read(data, ros.CompressedImage)) for data in images["/front/compressed"]],
        "wrist": [ros_messages.image_array(read(data, ros.Image)) for data in images["/wrist/image_raw"]],
    }
    dataset = LeRobotDataset("local/test", root=collected / "converted", video_backend="pyav")
    for name, pictures in drawn.items():
        for i in (0, len(pictures) - 1):
            film = 255.0 * dataset[i][f"observation.images.{name}"].numpy().transpose(1, 2, 0)
            assert np.abs(film - pictures[i]).mean() < 3.0
        assert np.abs(pictures[0].astype(float) - pictures[-1]).mean() > 3.0  # it can tell them apart


def test_depth_is_kept_to_the_millimetre(collected):
    told = [m for m in Messages(episodes(collected / "journal")[0]) if m.topic == "/front/depth/image_raw"]
    dataset = LeRobotDataset("local/test", root=collected / "converted", video_backend="pyav")
    for i in (0, len(told) - 1):
        depth = ros_messages.depth_array(read(told[i].data, ros.Image))[..., 0]
        np.testing.assert_array_equal(dataset[i]["observation.images.front_depth"].numpy().squeeze(), depth)
    assert 500 < np.median(depth) < 5000  # mm


def read(data: bytes, type_: type):
    return deserialize_message(data, type_)


def test_rosbags_finds_the_topics_of_the_table(collected):
    file = episodes(collected / "journal")[0].file
    with AnyReader([file.parent]) as reader:
        types = {name.removeprefix("/"): topic.msgtype for name, topic in reader.topics.items()}
        stamps = []
        for connection, received, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if hasattr(message, "header"):
                stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                stamps.append(received - stamp)
    assert types == {name: type_name(ros.topic(name).type) for name in types}
    assert {"joint_states", "target_pose", "controller_status", "task/truth", "front/camera_info"} <= types.keys()
    assert np.abs(stamps).max() < 1000  # ns: seconds as float


def content(message: Received, begun: int) -> tuple[str, int | None, bytes]:
    """A message, its stamps counted from the beginning of the journal."""
    if message.topic == "/session/event":  # the text has a stamp in it
        return message.topic, None, b""
    stamped = "header" in ros.topic(message.topic.removeprefix("/")).type.get_fields_and_field_types()
    return message.topic, round(1e-6 * (message.received - begun)), message.data[12 if stamped else 0 :]


def test_the_journal_does_not_depend_on_the_workers(tmp_path):
    told = []
    for workers in (1, 2):
        main(CollectConfig(None, tmp_path / str(workers), "reach", episodes=2, workers=workers))
        found = episodes(tmp_path / str(workers))
        begun = found[0].metadata["begun"]
        told.append([content(message, begun) for episode in found for message in Messages(episode)])
    assert told[0] == told[1]


def test_the_commands_take_it(collected, tmp_path, capsys):
    journal = str(collected / "journal")
    for command in (["ls"], ["show"], ["replay", "1"], ["export", "1", "--output", str(tmp_path / "files")]):
        assert cli(["data", command[0], journal, *command[1:]]) == 0
    out = capsys.readouterr().out
    assert "journal: 2 episodes (2 finished)" in out
    assert "the task was done in the replay" in out
    files = {file.name for file in (tmp_path / "files").iterdir()}
    assert files == {"frames.csv", "front.mp4", "wrist.mp4", "front_depth"}


class Asleep:
    """A policy in chunks of four that wants the arm to stay, in words that are no rotation matrix."""

    name, version = "asleep", "7"

    def __init__(self) -> None:
        self._count: dict[int, int] = {}

    def reset(self, rows, seeds) -> None:
        self._count |= dict.fromkeys(rows, -1)

    def act(self, observation, rows) -> np.ndarray:
        for row in rows:
            self._count[row] += 1
        action = observation["observation.state"][:, :10].astype(np.float64)
        action[:, 3:9] *= 1.1
        action[:, 9] = 1.02
        return action

    def chunk_index(self, rows) -> list[int]:
        return [self._count[row] % 4 for row in rows]


def test_interventions_keep_who_decided(tmp_path):
    world = World.load("fr3", "reach")
    with open_journal(tmp_path / "journal", "fr3", world) as journal:
        brought, _ = supervise(world, Asleep(), [11], tmp_path / "dataset", 2, journal)
    assert brought.helped == 1
    convert(ConvertConfig(tmp_path / "journal", tmp_path / "converted"))
    assert_same(tmp_path / "dataset", tmp_path / "converted", but="action")
    asked, made = (rows(tmp_path / name, ["action"])["action"] for name in ("dataset", "converted"))
    np.testing.assert_array_equal(made[:, [0, 1, 2, 9]], asked[:, [0, 1, 2, 9]])
    np.testing.assert_allclose(np.abs(np.sum(quat_from_rot6d(made[:, 3:9]) * quat_from_rot6d(asked[:, 3:9]), 1)), 1.0)
    segments = rows(tmp_path / "converted", ["segment", "chunk_index"])
    assert {Segment.POLICY, Segment.CORRECTION} <= set(segments["segment"])
    assert set(segments["chunk_index"]) == {-1, 0, 1, 2, 3}
    row = load_sidecar(tmp_path / "converted")[0]
    assert (row["operator"], row["policy_version"], row["rules"]["end_after_intervention"]) == ("scripted", "7", True)


def test_ctrl_c_discards_what_is_half_told(tmp_path, monkeypatch):
    world, told, decided = World.load("fr3", "reach"), [], TwinJournal._decided

    def interrupted(self, decision) -> dict:
        told.append(decision)
        if len(told) == 5:
            raise KeyboardInterrupt
        return decided(self, decision)

    monkeypatch.setattr(TwinJournal, "_decided", interrupted)
    logs = Rollout(world, ScriptedDriver(), 1, time_limit=1.0).run([1])
    with open_journal(tmp_path, "fr3", world) as journal, pytest.raises(KeyboardInterrupt):
        write_episodes(None, world, logs, demonstration, journal)
    (episode,) = episodes(tmp_path)
    assert (episode.state, episode.label["discarded"], episode.label["success"]) == (State.FINISHED, True, None)


def test_kill_9_leaves_every_finished_episode(tmp_path):
    command = [sys.executable, "-m", "steadyhand", "collect", "--task", "reach", "--episodes", "5000"]
    with subprocess.Popen([*command, "--journal", str(tmp_path / "journal")], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "journal" / "episode_000003").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    while (found := episodes(tmp_path / "journal"))[-1].state is State.RECORDING:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    *whole, last = found
    assert {(episode.state, episode.label["end_reason"]) for episode in whole} == {(State.FINISHED, "success")}
    assert last.label["end_reason"] in ("success", "recorder_died")
    for episode in found:
        with AnyReader([episode.file.parent]) as reader:
            assert reader.message_count == len(list(Messages(episode)))
    convert(ConvertConfig(tmp_path / "journal", tmp_path / "dataset"))
    assert len(load_sidecar(tmp_path / "dataset")) >= len(whole) >= 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nowhere to record to"),
        (["--output", "data", "--cameras", "front"], "--cameras are for the journal"),
        (["--journal", "data", "--cameras", "back"], "unknown camera 'back'; allowed: front, side, wrist"),
        (["--journal", "data", "--task", "handover"], "moves 2 arms, a journal has the topics of one"),
        (["--journal", "data", "--episodes", "0"], "--episodes is 0"),
    ],
)
def test_refusals(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli(["collect", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
