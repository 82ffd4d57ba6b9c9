"""From a journal to a dataset: the frames, and what happens when something is wrong with an episode.

That they equal those of the live recorder is shown in test/ros/test_record.py, over DDS.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from steadyhand import ros_messages
from steadyhand.cli import main as cli
from steadyhand.data_collection import journal as module
from steadyhand.data_collection.convert import ConvertConfig, main
from steadyhand.data_collection.dataset import load_columns, load_sidecar
from steadyhand.data_collection.journal import Channel, Journal, relabel
from steadyhand.data_collection.repair import RepairConfig
from steadyhand.data_collection.repair import main as repair
from steadyhand.data_collection.ros_journal import type_name
from steadyhand.data_collection.schema import INFO, read_info
from steadyhand.errors import SteadyhandError
from steadyhand.ros import GRIPPER_COMMAND, String
from steadyhand.sim.robot import load_robot
from steadyhand.sim.rotations import rot6d_from_quat

TYPES = get_typestore(Stores.ROS2_JAZZY)
JOINTS = load_robot("fr3").joints
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])  # the tool points down
START = 1_800_000_000.0
NOTED = {"robot": "fr3", "task": "go down", "cameras": ["front"], "environment": False, "segment": "demo"}


def height(stamp: float) -> float:
    """Of the tool, m."""
    return 0.5 - 0.01 * (stamp - START)


def said(decisions: int, gap: tuple[int, int] = (0, 0), joints=JOINTS, image=(48, 64)) -> Iterator[tuple]:
    """What a robot and its operator say: (topic, message, capture stamp, receive stamp), in the order it comes.

    States every 20 ms, images every 40 ms, a decision every 100 ms (gap: none from .. to); everything takes 1 ms.
    """
    for tick in range(round((decisions + 5) * 5)):
        stamp = START + 0.02 * tick + 0.003
        place = ros_messages.pose([0.4, 0.0, height(stamp)], LEVEL, stamp, "base")
        messages = [
            ("current_pose", place),
            ("reference_pose", place),
            ("external_wrench", ros_messages.wrench(np.zeros(6), stamp, "base")),
            ("joint_states", ros_messages.joints(joints, np.full(len(joints), stamp - START), stamp, np.zeros(7))),
            ("gripper/joint_states", ros_messages.joints(["finger"], [0.5], stamp)),
        ]
        if tick % 2 == 0:
            messages.append(
                ("front/image_raw", ros_messages.image(np.full((*image, 3), tick % 256, np.uint8), stamp, "c"))
            )
        if tick >= 5 and tick % 5 == 0 and not gap[0] <= tick // 5 - 1 < gap[1] and tick // 5 <= decisions:
            target = ros_messages.pose([0.4, 0.0, 0.1 * (tick // 5)], LEVEL, stamp + 0.01, "base")
            yield from ((topic, message, stamp, stamp + 0.001) for topic, message in messages)
            yield "target_pose", target, stamp + 0.01, stamp + 0.011
            yield GRIPPER_COMMAND, ros_messages.numbers([0.25]), stamp + 0.011, stamp + 0.011
        else:
            yield from ((topic, message, stamp, stamp + 0.001) for topic, message in messages)


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def record(journal: Journal, messages, label: dict, **noted) -> None:
    """An episode of these messages."""
    begun = nanoseconds(START + 0.05) + journal.episodes
    journal.begin(**{**NOTED, "begun": begun, **noted})
    last = 0
    for topic, message, captured, received in messages:
        kind = type_name(type(message))
        channel = Channel(f"/{topic}", kind, TYPES.generate_msgdef(kind, ros_version=2)[0])
        last = nanoseconds(received)
        journal.add(channel, last, nanoseconds(captured), bytes(serialize_message(message)))
    journal.end(**label)


GOOD = {"success": True, "end_reason": "success", "ended": nanoseconds(START + 50.0)}


@pytest.fixture(scope="module")
def journal(tmp_path_factory) -> Path:
    """Good, with a gap, discarded, of another camera, after a jump of the clock, cut off, good."""
    folder = tmp_path_factory.mktemp("journal") / "journal"
    with Journal(folder, reserve=0) as journal:
        record(journal, said(10), GOOD)
        record(journal, said(10, gap=(4, 7)), GOOD)
        record(journal, said(10), GOOD | {"discarded": True})
        record(journal, said(10, image=(32, 32)), GOOD)
        jump = [(t, m, c, r - (20.0 if r > START + 1.0 else 0.0)) for t, m, c, r in said(10)]
        record(journal, jump, GOOD)
        record(journal, said(10), GOOD)
        record(journal, said(10), GOOD | {"success": False, "end_reason": "failure"})
    file = folder / "episode_000005" / "episode_000005_0.mcap"
    os.truncate(file, file.stat().st_size // 2)
    return folder


@pytest.fixture
def own_journal(journal, tmp_path) -> Path:
    """A copy, to judge anew."""
    return shutil.copytree(journal, tmp_path / "own" / "journal")


@pytest.fixture(scope="module")
def converted(journal, tmp_path_factory) -> tuple[Path, str]:
    """The dataset, and what was said."""
    folder = tmp_path_factory.mktemp("converted") / "dataset"
    command = [sys.executable, "-m", "steadyhand", "data", "convert", str(journal), "--output", str(folder)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=120, check=True)
    return folder, done.stdout


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


def test_again_adds_nothing(journal, converted, capsys):
    before = {file: file.read_bytes() for file in converted[0].rglob("*") if file.is_file()}
    assert main(ConvertConfig(journal, converted[0])) == 0
    assert "0 episodes added" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in converted[0].rglob("*") if file.is_file()} == before


def test_what_kill_9_left_is_completed(journal, converted, tmp_path):
    folder = tmp_path / "dataset"
    command = [sys.executable, "-m", "steadyhand", "data", "convert", str(journal), "--output", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60.0
        while not list(folder.glob("data/*/*.parquet")):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert main(ConvertConfig(journal, folder)) == 0
    assert load_sidecar(folder) == load_sidecar(converted[0])
    names = ["observation.state", "observation.reference", "action", "action_applied"]
    one, other = load_columns([folder], names), load_columns([converted[0]], names)
    assert all(np.array_equal(one.columns[name], other.columns[name]) for name in names)


def content(folder: Path) -> dict[str, object]:
    """The files of a dataset by name; tables and JSON as what they say (LeRobot writes keys in any order)."""
    read = {
        ".parquet": lambda file: pq.read_table(file).to_pydict(),
        ".json": lambda file: json.loads(file.read_text()),
    }
    files = filter(Path.is_file, folder.rglob("*.*"))
    return {str(file.relative_to(folder)): read.get(file.suffix, Path.read_bytes)(file) for file in files}


def test_several_workers_make_the_same_dataset(journal, converted, tmp_path, capsys):
    assert main(ConvertConfig(journal, tmp_path / "dataset", workers=2)) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == converted[1].splitlines()[:-1]
    one, other = content(tmp_path / "dataset"), content(converted[0])
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_9_at_50_random_moments(journal, converted, tmp_path):
    """Of the command or of a worker: what is there opens, and repeating completes it."""
    kills, seed = 50, 71_000
    random = np.random.default_rng(seed)
    print(f"seed {seed}")
    folder = tmp_path / "dataset"
    command = [sys.executable, "-m", "steadyhand", "data", "convert", str(journal), "--workers", "2", "--output"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = time.monotonic()
    subprocess.run([*command, str(tmp_path / "timed")], check=True, **quiet)
    longest = time.monotonic() - started
    for kill in range(kills):
        with subprocess.Popen([*command, str(folder)], **quiet) as run:
            time.sleep(random.uniform(0.3, 1.0) * longest)
            workers = children(run.pid)
            victim = int(random.choice(workers)) if kill % 2 and workers else run.pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            status = run.wait(60)
        rows = load_sidecar(folder) if (folder / INFO).exists() else []
        assert rows == load_sidecar(converted[0])[: len(rows)]
        assert not rows or LeRobotDataset("dataset", root=folder, video_backend="pyav").num_episodes == len(rows)
        print(f"kill {kill} of {'a worker' if kill % 2 else 'the command'}: status {status}, {len(rows)} episodes")
        if len(rows) == len(load_sidecar(converted[0])):
            shutil.rmtree(folder)  # a kill has to meet an unfinished dataset
    assert main(ConvertConfig(journal, folder, workers=2)) == 0
    one, other = content(folder), content(converted[0])
    assert {name: data for name, data in one.items() if name in other} == other


def children(pid: int) -> list[str]:
    """Processes that a process has started."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return file.read_text().split() if file.exists() else []


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


def test_a_repaired_journal_is_not_converted_twice(journal, converted, tmp_path, capsys):
    repair(RepairConfig(journal, tmp_path / "repaired"))
    dataset = shutil.copytree(converted[0], tmp_path / "dataset")
    capsys.readouterr()
    main(ConvertConfig(tmp_path / "repaired", dataset))
    assert "0 episodes added" in capsys.readouterr().out
    assert read_info(dataset) == read_info(converted[0])


def test_listing_and_labels(own_journal, converted, capsys):
    journal, place = own_journal, str(own_journal.parent)
    assert cli(["data", "ls", place]) == 0
    assert "journal: 7 episodes (" in capsys.readouterr().out
    assert cli(["data", "ls", str(converted[0].parent)]) == 0
    assert f"{converted[0]}  dataset: 4 episodes, " in capsys.readouterr().out
    assert cli(["data", "label", str(journal), "episode_000006", "--success", "unknown", "--note", "dark"]) == 0
    assert cli(["data", "show", str(journal)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("episode_000001  finished, success, 1.4 s, ")
    assert lines[6].startswith("episode_000006  finished, not judged, dark, 1.4 s, ")
    assert "cut off" in lines[5]
    assert cli(["data", "show", str(converted[0])]) == 0
    assert "tasks:\n- go down\n" in capsys.readouterr().out
    assert cli(["data", "label", str(journal), "episode_000006"]) == 2
    assert "nothing to decide; give --success, " in capsys.readouterr().err


def test_what_is_no_journal_is_refused(tmp_path):
    with pytest.raises(SteadyhandError, match="does not exist; give the folder of a journal"):
        main(ConvertConfig(tmp_path / "none", tmp_path / "dataset"))
    with pytest.raises(SteadyhandError, match="holds no MCAP file"):
        main(ConvertConfig(tmp_path, tmp_path / "dataset"))
    (tmp_path / "text.mcap").write_text("no MCAP")
    with pytest.raises(SteadyhandError, match=r"text.mcap' is no MCAP file"):
        main(ConvertConfig(tmp_path, tmp_path / "dataset"))
