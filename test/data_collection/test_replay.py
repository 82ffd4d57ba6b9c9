"""Episodes once more in the twin: the same requests give the same path."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from steadyhand.cli import main as cli
from steadyhand.data_collection.collect import open_writer, write_episodes
from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo
from steadyhand.data_collection.replay_ros import Limits, check_speed, schedule
from steadyhand.data_collection.replay_source import load_recording, task_of
from steadyhand.data_collection.replay_twin import TwinReplay, beside
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.rollout import Rollout, ScriptedDriver
from steadyhand.sim.tasks import TASKS, make_task

SEEDS = [51_000, 51_001]


@pytest.fixture(scope="module")
def world():
    return World.load("fr3", "peg_insertion")


@pytest.fixture(scope="module")
def dataset(world, tmp_path_factory):
    """Two demonstrations from the twin."""
    path = tmp_path_factory.mktemp("demos") / "demos"
    with open_writer(path, world) as writer:
        logs = Rollout(world, ScriptedDriver()).run(SEEDS)
        write_episodes(writer, world, logs, lambda log: EpisodeInfo(log.success, log.reason, seed=log.seed))
    return path


@pytest.fixture(scope="module")
def recording(dataset):
    return load_recording(dataset, "1")


def test_requests_of_the_twin_give_the_same_path_again(world, recording):
    done = TwinReplay(world, "requested").run(recording, recording.seed)
    assert done.error.max() < 1e-5  # float32 of the dataset
    assert done.turn.max() < 1e-3
    assert (done.moved, done.success) == (0.0, True)


def test_what_the_controller_tracked_gives_the_same_path(world, recording):
    done = TwinReplay(world, "applied").run(recording, recording.seed)
    print(f"at most {1e3 * done.error.max():.2f} mm, {1e3 * done.aside.max():.2f} mm aside")
    assert done.aside.max() < 0.002
    assert done.success


def test_another_scene_is_another_episode(world, recording):
    assert not TwinReplay(world, "requested").run(recording, recording.seed + 1).success


def test_an_episode_from_the_middle_begins_at_its_first_pose(world, recording):
    late = 20
    part = replace(
        recording,
        times=recording.times[late:] - recording.times[late],
        action=recording.action[late:],
        measured=recording.measured[late:],
        tracked=recording.tracked[late:],
        segments=recording.segments[late:],
    )
    done = TwinReplay(world, "applied").run(part, recording.seed)
    assert done.moved > 0.05
    assert done.error[0].max() < 0.01  # on the way there the reference leads the tool


def test_the_command_says_how_far_and_writes_files(dataset, tmp_path, capsys):
    files = {name: tmp_path / name for name in ("replay.json", "replay.html")}
    given = ["--json", str(files["replay.json"]), "--page", str(files["replay.html"])]
    assert cli(["data", "replay", str(dataset), "0", "--follow", "requested", *given]) == 0
    said = capsys.readouterr().out
    assert f"requested, task peg_insertion, seed {SEEDS[0]}" in said
    assert "at most 0.00 mm and 0.0" in said
    assert "the task was done" in said
    content = json.loads(files["replay.json"].read_text())
    assert content["path_max_mm"] < 0.01
    assert "<svg" in files["replay.html"].read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["7"], "unknown episode '7'; allowed: 0 to 1"),
        (["0", "--speed", "2"], "--speed 2 is not from 0.1 to 1.5"),
        (["0", "--task", "dance"], "unknown task 'dance'"),
        (["0", "--task", "handover"], "has 1 arms, the twin of this task 2"),
    ],
)
def test_what_cannot_be_replayed_is_refused(dataset, capsys, arguments, words):
    assert cli(["data", "replay", str(dataset), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_dataset_of_others_is_refused_with_the_columns_it_lacks(tmp_path, capsys):
    columns = {"action": {"dtype": "float32", "shape": (6,), "names": [f"joint{i}" for i in range(6)]}}
    with DatasetWriter(tmp_path / "theirs", robot="so101", task="pick", features=columns) as writer:
        writer.add_frame({"action": np.zeros(6, np.float32)})
        writer.save_episode(EpisodeInfo(True, ""))
    assert cli(["data", "replay", str(tmp_path / "theirs"), "0"]) == 2
    assert "needed are the columns 'action' with the names x y z r0 r1" in capsys.readouterr().err


def test_actions_that_lead_elsewhere_ask_for_a_look(dataset, world, tmp_path, capsys):
    """The second episode has the seed, and so the scene, of another one; the third actions 3 cm beside its states."""
    assert cli(["data", "check", str(dataset), "--replay"]) == 0
    said = capsys.readouterr().out
    assert said.count("replayed: 0.0 mm beside the path, 0.0 mm and 0.0 deg at the same time, done") == 2
    with open_writer(tmp_path / "spoiled", world) as writer:
        for shift, wrong in ((0.0, 0), (0.0, 1), (0.03, 0)):
            for log in Rollout(world, ScriptedDriver()).run(SEEDS[:1]):
                for decision in log.decisions:
                    decision.action[1] += shift
                write_episodes(
                    writer, world, [log], lambda log, wrong=wrong: EpisodeInfo(True, "", seed=log.seed + wrong)
                )
    assert cli(["data", "check", str(tmp_path / "spoiled"), "--replay", "--json", str(tmp_path / "check.json")]) == 1
    content = json.loads((tmp_path / "check.json").read_text())
    found = {finding["episode"]: finding["what"] for finding in content["findings"] if finding["check"] == "replay"}
    assert found.keys() == {1, 2}
    assert "its actions lead elsewhere" in found[2]
    assert len(content["replays"]) == 3


def test_tasks_are_told_by_their_words():
    assert task_of("put the green block into the tray") == "pick_place"
    assert task_of("fold the laundry") == ""
    for name in TASKS:
        task = make_task(name)
        assert task_of(task.wordings[0].format(**dict.fromkeys(task.ranges, "x"))) == name


def test_slow_motion_has_requests_often_enough(recording):
    requests = schedule(recording, 0.1)
    assert max(b.time - a.time for a, b in pairwise(requests)) <= 0.15 + 1e-9
    decided = [request for request in requests if request.decided]
    assert [request.frame for request in decided] == list(range(len(recording.times)))
    np.testing.assert_allclose([request.time for request in decided], 10 * recording.times)
    np.testing.assert_allclose([request.position for request in decided], recording.action[:, 0, :3])


def test_fast_motion_is_refused(recording):
    check_speed(recording, schedule(recording, 1.0), Limits(0.1, 1.0, 3.0))
    with pytest.raises(SteadyhandError, match=r"asks for 0\.\d+ m/s .* allowed: 0.05 m/s, 3 rad/s; .* --speed"):
        check_speed(recording, schedule(recording, 1.0), Limits(0.1, 0.05, 3.0))


def test_a_first_request_far_from_the_beginning_is_refused(recording):
    moved = replace(recording, action=recording.action + np.eye(10)[2] * 0.2)
    with pytest.raises(SteadyhandError, match=r"asks for .* m/s .* at frame 0; allowed: 1 m/s"):
        check_speed(moved, schedule(moved, 1.0), Limits(0.1, 1.0, 3.0))


def test_distance_from_a_path():
    path = np.array([[[0.0, 0, 0]], [[1.0, 0, 0]], [[1.0, 1, 0]]])
    points = np.array([[[0.5, 0.1, 0]], [[1.2, 0.5, 0]]])
    np.testing.assert_allclose(beside(points, path), [[0.1], [0.2]])
