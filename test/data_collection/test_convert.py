"""From a journal to a dataset: the frames, and what happens when something is wrong with an episode.

That they equal those of the live recorder is shown in test/ros/test_record.py, over DDS.
"""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from speaking import GOOD, LEVEL, START, TYPES, height, nanoseconds, record, said

from steadyhand import ros_messages
from steadyhand.cli import main as cli
from steadyhand.data_collection import journal as module
from steadyhand.data_collection.convert import ConvertConfig, main
from steadyhand.data_collection.dataset import load_columns, load_sidecar
from steadyhand.data_collection.journal import Journal, relabel
from steadyhand.data_collection.ros_journal import type_name
from steadyhand.data_collection.schema import read_info
from steadyhand.errors import SteadyhandError
from steadyhand.ros import String
from steadyhand.sim.rotations import rot6d_from_quat


def test_a_frame_is_a_decision_with_the_state_before_it(converted):
    folder, _ = converted
    frames = load_columns([folder], ["observation.state", "observation.joints", "action", "action_applied"])
    assert list(frames.stop - frames.start)[:2] == [10, 7]
    action, state = frames.columns["action"][:10], frames.columns["observation.state"][:10]
    decided = START + 0.1 * np.arange(1, 11) + 0.013
    np.testing.assert_allclose(action[:, 2], 0.1 * np.arange(1, 11), atol=1e-6)
    np.testing.assert_allclose(action[:, 3:9], np.tile(rot6d_from_quat(LEVEL), (10, 1)), atol=1e-6)
    np.testing.assert_allclose(action[:, 9], 0.25, atol=1e-6)
    np.testing.assert_allclose(state[:, 2], [height(stamp - 0.01) for stamp in decided], atol=1e-6)
    np.testing.assert_allclose(frames.columns["observation.joints"][:10, 0], decided - 0.01 - START, atol=1e-5)
    # 90 ms after the state: the newest within the period
    np.testing.assert_allclose(
        frames.columns["action_applied"][:10, 2], [height(stamp + 0.09) for stamp in decided], atol=1e-6
    )
    image = LeRobotDataset("local/test", root=folder, video_backend="pyav")[3]["observation.images.front"]
    assert float(image.mean()) * 255 == pytest.approx(20, abs=4)  # decision 3 is at tick 20


def test_every_episode_is_there_or_named(converted):
    folder, text = converted
    rows = load_sidecar(folder)
    assert [row["source"].partition("@")[0][-1] for row in rows] == ["0", "1", "5", "6"]
    assert [row["dropped_frames"] for row in rows] == [0, 3, 0, 0]
    assert [row["success"] for row in rows] == [True, True, None, False]
    assert rows[2]["end_reason"] == "cut_off"
    assert "episode_000001: episode 1, 7 frames, 3 dropped (no target_pose for 0.4 s)" in text
    assert "episode_000002: left out, discarded" in text
    assert "episode_000003: left out: its columns differ from those of the dataset: " in text
    assert "episode_000004: left out: the clock went back by 20.0 s" in text
    assert "bytes is lost" in next(line for line in text.splitlines() if line.startswith("episode_000005: episode 2"))
    assert "4 episodes added" in text
    assert "2 left out" in text


def labelled(by_policy: bool) -> Iterator[tuple]:
    """As `said`, with what the labels of the frames are made of."""
    hold = ros_messages.diagnostics("controller", 1, "hold", {}, START)
    yield "controller_status", hold, START, START + 0.001
    yield "policy/version", String(data="flow 12ab"), START, START + 0.001
    for topic, message, captured, received in said(10):
        yield topic, message, captured, received
        if topic == "target_pose":
            number = round((captured - START) * 10 - 1.13)  # of the decision
            if by_policy and number != 8:
                yield (
                    "policy/decision",
                    ros_messages.joints(["chunk_index"], [number % 4], captured),
                    captured,
                    received,
                )
            if number in (3, 6):
                mode = {3: "track", 6: "made up"}[number]
                status = ros_messages.diagnostics("controller", 0, mode, {}, captured + 0.02)
                yield "controller_status", status, captured + 0.02, received + 0.02
                event = {"stamp": nanoseconds(captured + 0.03), "request": "mark", "text": f"part {number}"}
                yield "session/event", String(data=json.dumps(event)), received + 0.04, received + 0.04
            elif number == 7:
                yield "session/event", String(data="nonsense"), received, received


def test_labels_of_frames(tmp_path):
    with Journal(tmp_path / "journal", reserve=0) as journal:
        for by_policy in (True, False):
            messages = sorted(labelled(by_policy), key=lambda message: message[3])
            record(journal, messages, GOOD | {"note": "odd"}, segment="policy")
    main(ConvertConfig(tmp_path / "journal", tmp_path / "dataset"))
    columns = load_columns([tmp_path / "dataset"], ["subtask", "chunk_index", "controller_status", "segment"]).columns
    assert list(columns["subtask"]) == 2 * [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert list(columns["chunk_index"]) == [0, 1, 2, 3, 0, 1, 2, 3, -1, 1] + 10 * [-1]
    assert list(columns["controller_status"]) == 2 * ([1] * 4 + [0] * 3 + [-1] * 3)
    assert set(columns["segment"]) == {1}
    rows = load_sidecar(tmp_path / "dataset")
    assert [row["policy_version"] for row in rows] == ["flow 12ab", ""]
    assert [(row["note"], row["subtasks"]) for row in rows] == 2 * [("odd", ["part 3", "part 6"])]


def test_gaps_can_be_refused_and_labels_count(own_journal, tmp_path, capsys):
    relabel(own_journal, "episode_000000", discarded=True)
    relabel(own_journal, "episode_000002", discarded=False)
    main(ConvertConfig(own_journal, tmp_path / "dataset", max_dropped=2))
    said = capsys.readouterr().out
    assert "episode_000001: left out: 3 frames are missing (no target_pose for 0.4 s)" in said
    assert [row["source"].partition("@")[0][-1] for row in load_sidecar(tmp_path / "dataset")] == ["2", "5", "6"]
    relabel(own_journal, "episode_000006", success=None)
    main(ConvertConfig(own_journal, tmp_path / "dataset"))
    said = capsys.readouterr().out
    assert "episode_000006: labelled anew since it was converted (episode 2)" in said
    assert "episode_000001: episode 3" in said
    relabel(own_journal, "episode_000006", success=False)
    for changes in ({"task": "go up"}, {"operator": "Ada"}):
        relabel(own_journal, "episode_000005", **changes)
        main(ConvertConfig(own_journal, tmp_path / "dataset"))
        said = capsys.readouterr().out
        assert "episode_000005: labelled anew" in said
        assert "episode_000006" not in said
        relabel(own_journal, "episode_000005", task="go down")


def test_an_episode_that_is_left_out_makes_no_dataset(tmp_path, capsys):
    folder, dataset = tmp_path / "journal", tmp_path / "dataset"
    with Journal(folder, reserve=0) as journal:
        record(journal, said(10, gap=(4, 7), image=(32, 32)), GOOD)
        main(ConvertConfig(folder, dataset, max_dropped=2))
        assert not dataset.exists()
        record(journal, said(10), GOOD)
        main(ConvertConfig(folder, dataset, max_dropped=2))
    assert "episode_000001: episode 0, 10 frames" in capsys.readouterr().out
    assert read_info(dataset)["features"]["observation.images.front"]["shape"] == [48, 64, 3]


def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys):
    def losing() -> Iterator[tuple]:
        for number, message in enumerate(said(10)):
            monkeypatch.setattr(module, "WAITING", 0 if number in (300, 301) else 1 << 28)
            yield message

    def elsewhere() -> Iterator[tuple]:
        for topic, message, *stamps in said(10):
            if topic == "target_pose":
                message.header.frame_id = "nowhere"
            yield topic, message, *stamps

    with Journal(tmp_path / "journal", reserve=0) as journal:
        record(journal, losing(), GOOD)
        record(journal, elsewhere(), GOOD)
    main(ConvertConfig(tmp_path / "journal", tmp_path / "dataset"))
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("episode_000000: episode 0, ")
    assert first.endswith("; the recorder lost 2 messages")
    assert second.startswith("episode_000001: left out: it has no frame (target_pose not recorded: ")


def test_a_bag_by_rosbags_is_converted(converted, tmp_path, capsys):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict = {}
        for topic, message, _, received in said(10):
            name = f"/left/{topic}"
            if name not in connections:
                connections[name] = writer.add_connection(name, type_name(type(message)), typestore=TYPES)
            writer.write(connections[name], nanoseconds(received), bytes(serialize_message(message)))
    main(ConvertConfig(tmp_path / "bag", tmp_path / "none", namespace="left"))
    assert "does not say which robot and task it shows; give --robot and --task" in capsys.readouterr().out
    config = ConvertConfig(tmp_path / "bag", tmp_path / "dataset", None, "fr3", "go down", "front", "left")
    main(config)
    names = ["observation.state", "observation.joints", "action", "action_applied"]
    one, other = load_columns([tmp_path / "dataset"], names), load_columns([converted[0]], names)
    assert len(one.columns["action"]) == 10
    assert all(np.array_equal(one.columns[name], other.columns[name][:10]) for name in names)
    capsys.readouterr()
    assert cli(["data", "ls", str(tmp_path)]) == 0
    assert f"{tmp_path / 'bag'}  bag: 1 MCAP files (1 finished), " in capsys.readouterr().out
    assert cli(["data", "show", str(tmp_path / "bag")]) == 0
    assert f"messages on {len(connections)} topics" in capsys.readouterr().out
    command = ["data", "export", str(tmp_path / "bag"), "bag", "--output", str(tmp_path / "files"), "--robot", "fr3"]
    assert cli([*command, "--cameras", "front", "--namespace", "left"]) == 0
    table = np.genfromtxt(tmp_path / "files" / "frames.csv", delimiter=",", names=True, deletechars="")
    np.testing.assert_allclose(table["action.z_[m]"], one.columns["action"][:, 2], rtol=1e-6)
    assert (tmp_path / "files" / "front.mp4").is_file()


def test_what_is_no_journal_is_refused(tmp_path):
    with pytest.raises(SteadyhandError, match="does not exist; give the folder of a journal"):
        main(ConvertConfig(tmp_path / "none", tmp_path / "dataset"))
    with pytest.raises(SteadyhandError, match="holds no MCAP file"):
        main(ConvertConfig(tmp_path, tmp_path / "dataset"))
    (tmp_path / "text.mcap").write_text("no MCAP")
    with pytest.raises(SteadyhandError, match=r"text.mcap' is no MCAP file"):
        main(ConvertConfig(tmp_path, tmp_path / "dataset"))
