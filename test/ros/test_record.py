"""The recorder, over DDS, as a process beside a twin."""

import json
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from listening import Listener, move
from rclpy.serialization import deserialize_message
from scipy.spatial.transform import Rotation

from steadyhand import ros
from steadyhand.data_collection.collect import configuration_of
from steadyhand.data_collection.configuration import read_documents
from steadyhand.data_collection.convert import ConvertConfig, main
from steadyhand.data_collection.dataset import load_columns, load_sidecar
from steadyhand.data_collection.journal_reading import Messages, episodes
from steadyhand.data_collection.sidecar import read_rows
from steadyhand.ros_messages import depth_array, get_stamp, pose_arrays
from steadyhand.ros_processes import Processes
from steadyhand.sim.camera_model import camera_pose, intrinsics
from steadyhand.sim.env import World
from steadyhand.sim.tasks import make_task

OTHER_WORDS = "put the blue peg into the left hole"


@dataclass
class Recorded:
    """What a recorder was asked, and what it did."""

    folder: Path  # of the dataset; the journal lies beside it
    answers: list[str]
    start: np.ndarray  # (3,) of the tool in the first episode
    stamps: list[float]  # of the decisions of the first episode
    poses: list[tuple[float, np.ndarray]]  # stamp and tool position, all that were heard during the first episode
    status: int
    said: str


@pytest.fixture(scope="module")
def recorded(twin: Listener, tmp_path_factory) -> Recorded:
    """Three saved episodes (steady, with a gap, four times too fast), one discarded, one cut off by Ctrl-C."""
    folder, answers = tmp_path_factory.mktemp("recorded"), []

    def episode(end: str, **motion) -> list[float]:
        answers.append(twin.call("session/start").message)
        stamps = move(twin, **motion)
        answers.append(twin.call(end).message)
        return stamps

    with Processes(folder) as processes:
        places = ("--output", folder / "dataset", "--journal", folder / "journal")
        processes.start("record", *places, "--cameras", "front", "--operator", "test")
        twin.wait_for(lambda: "ready to record" in processes.log("record").read_text(), 40, processes.check)
        twin.reset()
        answers.append(twin.call("session/stop_success").message)
        start = twin.pose()[0]
        stamps = episode("session/stop_success", decisions=20)
        poses = [(get_stamp(m), pose_arrays(m)[0]) for _, m in twin.heard["current_pose"]]
        episode("session/stop_failure", decisions=12, silence=(5, 0.4))
        asked = ros.publisher(twin.node, "task/instruction")  # as the twin after a reset
        twin.wait_for(lambda: asked.get_subscription_count() >= 2)  # this node and the recorder
        asked.publish(ros.String(data=OTHER_WORDS))
        episode("session/stop_success", decisions=40, period=0.025)
        twin.node.destroy_publisher(asked)
        episode("session/discard", decisions=5)
        twin.call("session/start")
        move(twin, 5)
        status = processes.stop("record")
        return Recorded(folder / "dataset", answers, start, stamps, poses, status, processes.log("record").read_text())


def test_the_recorder_answers(recorded):
    assert recorded.answers == [
        "stop_success is not possible while the session is idle; possible now: start, quit",
        "episode 1 of 10 started",
        "episode 0 saved: success, 20 frames",
        "episode 2 of 10 started",
        "episode 1 saved: failure, 12 frames, 4 dropped (no target_pose for 0.5 s)",
        "episode 3 of 10 started",
        recorded.answers[6],
        "episode 4 of 10 started",
        recorded.answers[8],
    ]
    assert "is discarded by the operator" in recorded.answers[8]
    rows = load_sidecar(recorded.folder)
    assert [row["success"] for row in rows] == [True, False, True]
    assert [row["dropped_frames"] for row in rows] == [0, 4, 0]
    assert {row["operator"] for row in rows} == {"test"}
    assert {row["seed"] for row in rows} == {7}
    usual = make_task("peg_insertion").wordings[0]
    assert [row["task"] for row in rows] == [usual, usual, OTHER_WORDS]


def test_every_decision_is_recorded_with_the_state_before_it(recorded):
    frames = load_columns([recorded.folder], ["observation.state", "action"])
    action = frames.columns["action"][: frames.stop[0]]
    np.testing.assert_allclose(action[:, 2], recorded.start[2] - 0.001 * np.arange(20), atol=1e-6)
    positions = frames.columns["observation.state"][: frames.stop[0], :3]
    for stamp, position in zip(recorded.stamps, positions, strict=True):
        before = [p for s, p in recorded.poses if stamp - 0.03 < s <= stamp]
        assert any(np.array_equal(position, p.astype(np.float32)) for p in before)


def test_a_fast_device_gives_one_frame_for_each_period(recorded):
    frames = load_columns([recorded.folder], ["action"])
    assert frames.stop[2] - frames.start[2] == pytest.approx(10, abs=1)


def test_ctrl_c_loses_only_the_running_episode(recorded):
    assert recorded.status == 130, recorded.said
    assert "the running episode is discarded, 3 episodes of this session are safe" in recorded.said
    assert "Traceback" not in recorded.said
    dataset = LeRobotDataset("dataset", root=recorded.folder, video_backend="pyav")
    assert dataset.num_episodes == 3
    assert dataset[7]["observation.images.front"].shape == (3, 480, 640)


def test_the_journal_gives_the_same_dataset(recorded, tmp_path, capsys):
    main(ConvertConfig(recorded.folder.parent / "journal", tmp_path / "dataset"))
    assert "3 episodes added" in capsys.readouterr().out
    assert load_sidecar(tmp_path / "dataset") == load_sidecar(recorded.folder)
    for row in read_rows(recorded.folder):
        assert read_documents(tmp_path / "dataset", row) == read_documents(recorded.folder, row)
    live, converted = (
        LeRobotDataset("dataset", root=folder, video_backend="pyav")
        for folder in (recorded.folder, tmp_path / "dataset")
    )
    assert len(live) == len(converted)
    for one, other in zip(live, converted, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert value == other[name] if isinstance(value, str) else value.equal(other[name]), name


def test_what_really_runs_is_kept_with_the_episodes(recorded):
    world = World.load("fr3", "peg_insertion")
    of_the_twin = configuration_of(world).documents
    camera = intrinsics(float(world.model.camera("front").fovy[0]), 640, 480)
    for row in read_rows(recorded.folder):
        found = read_documents(recorded.folder, row)
        assert found.keys() == {"description", "controller", "calibration"}
        assert all(found[kind] == of_the_twin[kind] for kind in ("description", "controller"))
        told = yaml.safe_load(found["calibration"].text)["cameras"]["front"]
        np.testing.assert_allclose(told["K"], camera.ravel())
        assert json.loads(row["rules"])["safety"]["/twin"]["hold_after"] == 0.5
    assert "not as in the last episode" not in recorded.said


def test_discarded_episodes_stay_in_the_journal(recorded):
    found = episodes(recorded.folder.parent / "journal")
    assert [episode.label.get("discarded", False) for episode in found] == [False, False, False, True, True]
    topics = {message.topic for message in Messages(found[3])}
    assert {"/joint_states", "/current_twist", "/target_pose", "/front/image_raw", "/controller_status"} <= topics


@pytest.mark.slow
def test_depth_is_recorded_as_it_was_sent(twin, processes, tmp_path):
    """Every picture of the dataset is one that was in the air, to the last bit; conversion makes the same of it.

    The cloud, which needs the camera's `camera_info` from the journal, holds the arm above the table.
    """
    places = ("--output", tmp_path / "dataset", "--journal", tmp_path / "journal")
    processes.start("record", *places, "--cameras", "front:depth", "--episodes", 1)
    twin.wait_for(lambda: "ready to record" in processes.log("record").read_text(), 40, processes.check)
    twin.reset()
    assert twin.call("session/start").success
    move(twin, decisions=8)
    assert twin.call("session/stop_success").success
    processes.wait("record", 60)
    data = mujoco.MjData(model := World.load("fr3", "peg_insertion").model)
    mujoco.mj_forward(model, data)
    T_base_camera = camera_pose(data, "front")
    quaternion = Rotation.from_matrix(T_base_camera[:3, :3]).as_quat().tolist()
    poses = {"front": {"position": T_base_camera[:3, 3].tolist(), "quaternion": quaternion}}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"cameras": poses, "lower": [0.1, -0.5, 0.2]}))
    main(ConvertConfig(tmp_path / "journal", tmp_path / "converted", clouds=tmp_path / "clouds.yaml"))
    sent = [
        depth_array(deserialize_message(message.data, ros.Image))
        for message in Messages(episodes(tmp_path / "journal")[0])
        if message.topic == "/front/depth/image_raw"
    ]
    live, converted = (LeRobotDataset("dataset", root=tmp_path / name) for name in ("dataset", "converted"))
    assert len(live) == len(converted) == 8
    for one, other in zip(live, converted, strict=True):
        depth = one["observation.images.front_depth"][0]
        assert depth.equal(other["observation.images.front_depth"][0])
        assert any(np.array_equal(depth, image[..., 0]) for image in sent)
        tool = other["observation.state"][:3]
        assert (
            np.linalg.norm(other["observation.point_cloud"] - tool, axis=1).min() < 0.05
        )  # the open fingers are 0.04 m from it
    assert 700 < depth.median() < 1500  # mm: most of what it sees is the table


def test_a_silent_topic_is_named(twin, processes, tmp_path):
    process = processes.start("record", "--output", tmp_path / "dataset", "--cameras", "left")
    assert process.wait(40) == 2
    assert "no message on left/image_raw" in processes.last_line("record")


def test_an_occupied_folder_is_refused(processes, tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "file").touch()
    process = processes.start("record", "--output", tmp_path / "dataset")
    assert process.wait(20) == 2
    assert "--resume" in processes.last_line("record")
