import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from recording import ENVIRONMENT, FILMED, PLAIN, frame, length, open_writer, record

from steadyhand.data_collection import publish, schema_page
from steadyhand.data_collection.dataset import (
    EpisodeInfo,
    describe,
    features,
    load_columns,
    load_sidecar,
    merge,
)
from steadyhand.data_collection.labels import human_mask, segment_names
from steadyhand.data_collection.sidecar import ROW
from steadyhand.errors import SteadyhandError

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", refuse)


def plain(path) -> LeRobotDataset:
    return LeRobotDataset("local/test", root=path, video_backend="pyav")


def check(path, columns: dict, episodes: int, order: list[int] | None = None, seen: int = 0) -> None:
    """Compare a dataset with what was recorded: through plain LeRobot, our reader and the sidecar.

    seen: episodes whose images are not looked at again.
    """
    order = order or list(range(episodes))
    dataset, sidecar = plain(path), load_sidecar(path)
    assert dataset.num_episodes == episodes
    assert len(dataset) == sum(length(episode) for episode in order)
    assert [row["episode_index"] for row in sidecar] == list(range(episodes))
    assert [row["seed"] for row in sidecar] == order
    frames = [frame(columns, episode, i) for episode in order for i in range(length(episode))]
    stored = [name for name in columns if columns[name]["dtype"] != "video"]
    loaded = load_columns([path], stored)
    assert (loaded.stop - loaded.start).tolist() == [length(episode) for episode in order]
    rows = dataset.hf_dataset.with_format("numpy")[: len(dataset)]
    for name in stored:
        expected = np.stack([values[name] for values in frames]).reshape(loaded.columns[name].shape)
        assert loaded.columns[name].dtype == expected.dtype
        np.testing.assert_array_equal(loaded.columns[name], expected)
        np.testing.assert_array_equal(rows[name], expected)
    for row, start, stop in zip(sidecar, loaded.start, loaded.stop, strict=True):
        assert row["human_frames"] == human_mask(loaded.columns["segment"][start:stop]).sum()
    for at in {len(dataset) - 1, *loaded.start[seen:].tolist()}:
        item = dataset[at]
        np.testing.assert_array_equal(item["action"], frames[at]["action"])
        for name in set(columns) - set(stored):
            assert item[name].shape == (3, *columns[name]["shape"][:2])
            np.testing.assert_allclose(255 * item[name].mean(), frames[at][name].mean(), atol=4)


@pytest.mark.parametrize("columns", [PLAIN, FILMED], ids=["plain", "filmed"])
def test_what_is_written_is_read(tmp_path, columns):
    path = tmp_path / "data"
    with open_writer(path, columns) as writer:
        record(writer, columns, 3)
        check(path, columns, 3)  # while the writer is still open
    check(path, columns, 3)
    assert sorted(child.name for child in path.iterdir()) == (
        ["data", "meta", "videos"] if columns is FILMED else ["data", "meta"]
    )


def test_videos_hold_one_image_per_row(tmp_path):
    import av

    with open_writer(tmp_path / "data", FILMED) as writer:
        record(writer, FILMED, 2)
    videos = sorted((tmp_path / "data/videos").rglob("*.mp4"))
    counts = [sum(1 for _ in av.open(str(video)).decode(video=0)) for video in videos]
    assert counts == [length(0), length(1)] * 2


def test_metadata(tmp_path):
    with open_writer(tmp_path / "data") as writer:
        record(writer, PLAIN, 2)
    schema = json.loads((tmp_path / "data/meta/steadyhand/schema.json").read_text())
    assert schema["segments"] == segment_names()
    assert (schema["robot"], schema["version"]) == ("fr3", 2)
    assert "base frame" in schema["action"]
    assert load_sidecar(tmp_path / "data")[0]["rules"] == {"rewind": True}
    stored = plain(tmp_path / "data").features
    assert stored["action"]["names"] == ["x", "y", "z", "r0", "r1", "r2", "r3", "r4", "r5", "gripper"]
    assert (stored["segment"]["dtype"], stored["intervention"]["dtype"]) == ("int8", "bool")
    summary = describe(tmp_path / "data")
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["episodes"], summary["successes"], summary["end_reasons"]) == (2, 1, {"success": 2})
    assert sum(summary["segments"].values()) == summary["frames"] == length(0) + length(1)


def test_shapes_of_columns():
    columns = features(6, ["a", "b", "c"], {"front": (480, 640)})
    assert {name: column["shape"] for name, column in columns.items()} == {
        "observation.state": (16,),
        "observation.joints": (12,),
        "observation.reference": (9,),
        "observation.environment_state": (3,),
        "observation.images.front": (480, 640, 3),
        "action": (10,),
        "action_applied": (10,),
        "segment": (1,),
        "intervention": (1,),
        "subtask": (1,),
        "chunk_index": (1,),
        "controller_status": (1,),
        "stamp": (1,),
    }
    assert "observation.environment_state" not in features(6)
    with pytest.raises(SteadyhandError, match="481x640"):
        features(6, (), {"front": (481, 640)})


def test_discarded_and_unfinished_episodes_leave_nothing(tmp_path, caplog):
    with open_writer(tmp_path / "data", FILMED) as writer:
        writer.add_frame(frame(FILMED, 9, 0))
        writer.discard_episode()
        assert writer.frames == 0
        record(writer, FILMED, 1)
        writer.add_frame(frame(FILMED, 9, 0))
    assert "1 frames of an unfinished episode" in caplog.text
    check(tmp_path / "data", FILMED, 1)


@pytest.mark.parametrize("columns", [PLAIN, FILMED], ids=["plain", "filmed"])
def test_resume_and_merge(tmp_path, columns):
    first, second = tmp_path / "first", tmp_path / "second"
    for path, episodes in ((first, 2), (second, 1)):
        with open_writer(path, columns) as writer:
            record(writer, columns, episodes)
    with open_writer(first, columns, resume=True) as writer:
        assert writer.episodes == 2
        record(writer, columns, 1)
    check(first, columns, 3)
    order = [0, 1, 2, 0]
    both = merge([first, second], tmp_path / "both")
    check(both, columns, 4, order)
    assert len(list(both.glob("data/*/*"))) == 1  # packed
    with open_writer(both, columns, resume=True) as writer:  # packed and single files side by side
        record(writer, columns, 1)
    check(merge([both], tmp_path / "again"), columns, 5, [*order, 4])
    check(first, columns, 3)
    frames = load_columns([first, second], ["index"])
    assert frames.source.tolist() == [0, 0, 0, 1]
    assert frames.episode_index.tolist() == [0, 1, 2, 0]


def test_readable_after_a_kill_at_every_step_of_publishing(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    steps = 9  # two videos, data, episode, stats, tasks, sidecar, info and a step that never comes
    replace = os.replace
    for step in range(steps):
        path = tmp_path / str(step)
        writer = open_writer(path, FILMED)
        record(writer, FILMED, 2)
        left = iter(range(step))

        def replace_some(source, target, left=left):
            if next(left, None) is None:
                raise Killed
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(publish.os, "replace", replace_some)
            patch.setattr(type(writer), "_abandon", lambda self: None)  # a killed process cleans up nothing
            if step < steps - 1:
                with pytest.raises(Killed):
                    record(writer, FILMED, 1)
            else:
                record(writer, FILMED, 1)
        writer._lock.close()  # the operating system does this
        check(path, FILMED, 2 if step < steps - 1 else 3)
        with open_writer(path, FILMED, resume=True) as writer:
            record(writer, FILMED, 1)
        check(path, FILMED, 3 if step < steps - 1 else 4)


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen]:
    """The program `recording`, for all tests: it takes seconds to import."""
    root = str(HERE.parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(HERE / "recording.py")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment) as server:
        yield server
        server.stdin.close()


@pytest.mark.parametrize("name", ["plain", "filmed"])
def test_readable_after_kill_9(tmp_path, server, name):
    columns, path = (FILMED if name == "filmed" else PLAIN), tmp_path / name
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    finished = seen = 0
    for kill in range(8):
        episodes = kill % 2 + moments.random()
        server.stdin.write(f"{path} {episodes}\n")
        server.stdin.flush()
        reported = finished + int(server.stdout.readline())
        finished = len(load_sidecar(path))
        print(f"killed after {episodes:.3f} episodes: {reported} episodes reported, {finished} found")
        assert reported <= finished <= reported + 1
        if finished:
            check(path, columns, finished, seen=seen)
            seen = finished
    assert finished >= 4
    check(path, columns, finished)  # once more: later kills have harmed no earlier episode


def test_a_lost_image_is_refused(tmp_path, monkeypatch):
    with open_writer(tmp_path / "data", FILMED) as writer:
        record(writer, FILMED, 1)
        writer.add_frame(frame(FILMED, 1, 0))
        writer._dataset.writer._streaming_encoder._dropped_frames["observation.images.front"] = 1
        with pytest.raises(SteadyhandError, match=r"lost one of observation\.images\.front; the episode is discarded"):
            writer.add_frame(frame(FILMED, 1, 1))
        assert writer.frames == 0
        monkeypatch.setattr("steadyhand.data_collection.stage.count_images", lambda file: 3)
        with pytest.raises(SteadyhandError, match=r"3 images for"):
            record(writer, FILMED, 1)
        monkeypatch.undo()
        record(writer, FILMED, 1)
    check(tmp_path / "data", FILMED, 2)


def test_a_full_disk_loses_only_the_unfinished_episode(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with open_writer(tmp_path / "data") as writer:
        record(writer, PLAIN, 1)
        monkeypatch.setattr(publish, "publish", full)
        with pytest.raises(SteadyhandError, match="No space left on device; the 1 episodes before it are safe"):
            record(writer, PLAIN, 1)
        monkeypatch.undo()
        record(writer, PLAIN, 1)
    check(tmp_path / "data", PLAIN, 2)


BAD_FRAMES = {
    "missing": (lambda f: f.pop("action"), r"missing: action; unknown: none; needed: observation\.state, "),
    "unknown": (lambda f: f.update(reward=1), r"missing: none; unknown: reward"),
    "shape": (
        lambda f: f.update(action=np.zeros(7, np.float32)),
        r"'action' is float32 \(7,\); needed: .*\(10,\)",
    ),
    "dtype": (lambda f: f.update(action=np.zeros(10)), r"'action' is float64 \(10,\); needed: numpy float32"),
    "type": (lambda f: f.update(segment=1), r"'segment' is int"),
    "nan": (lambda f: f["action"].put(2, np.nan), r"'action' holds a value that is not finite at 'z'"),
    "infinite": (lambda f: f["observation.state"].put(9, np.inf), r"not finite at 'gripper'"),
    "segment": (lambda f: f.update(segment=np.array([6], np.int8)), r"segment 6 is not one of 0\.\.5: demo"),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_bad_frames_are_refused(tmp_path, case):
    spoil, message = BAD_FRAMES[case]
    with open_writer(tmp_path / "data") as writer:
        values = frame(PLAIN, 0, 0)
        spoil(values)
        with pytest.raises(SteadyhandError, match=message):
            writer.add_frame(values)
        record(writer, PLAIN, 1)
    check(tmp_path / "data", PLAIN, 1)


def test_mistakes_of_a_session(tmp_path):
    writer = open_writer(tmp_path / "data")
    with pytest.raises(SteadyhandError, match="no frame"):
        writer.save_episode(EpisodeInfo(True, "success"))
    with pytest.raises(SteadyhandError, match="written by another process"):
        open_writer(tmp_path / "data", resume=True)
    writer.close()
    writer.close()
    with pytest.raises(SteadyhandError, match="closed"):
        writer.add_frame(frame(PLAIN, 0, 0))
    with open_writer(tmp_path / "data", resume=True) as writer:  # of a dataset without an episode
        record(writer, PLAIN, 1)
    check(tmp_path / "data", PLAIN, 1)


def test_folders_that_cannot_be_used(tmp_path):
    open_writer(tmp_path / "data").close()
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for path, message in {
        tmp_path / "data": "exists; continue the dataset in it with --resume or choose another folder",
        tmp_path / "file": "exists",
        tmp_path / "file/data": "Not a directory; choose another folder",
        Path("/proc/steadyhand"): "cannot write the dataset '/proc/steadyhand'",
    }.items():
        with pytest.raises(SteadyhandError, match=message):
            open_writer(path)
    (tmp_path / "empty/meta/steadyhand").mkdir(parents=True)  # as after a kill in the first instant
    open_writer(tmp_path / "empty").close()
    with pytest.raises(SteadyhandError, match="is no folder"):
        open_writer(tmp_path / "absent", resume=True)
    with pytest.raises(SteadyhandError, match=r"has no meta/info\.json"):
        open_writer(tmp_path, resume=True)


def test_resume_with_another_schema(tmp_path):
    open_writer(tmp_path / "data").close()
    for changes, message in (
        ({"fps": 20}, r"fps \(given 20, dataset 10\)"),
        ({"robot": "iiwa14"}, r"robot \(given iiwa14, dataset fr3\)"),
        ({"columns": features(6, ENVIRONMENT)}, r"observation\.joints \(given .*12.*, dataset .*14"),
        ({"columns": features(7)}, r"observation\.environment_state \(only in the dataset\)"),
        (
            {"columns": FILMED},
            r"observation\.images\.front \(not in the dataset\); observation\.images\.wrist",
        ),
        ({"columns": features(7, ["a", "b"])}, r"observation\.environment_state \(other names\)"),
    ):
        with pytest.raises(SteadyhandError, match=message):
            open_writer(tmp_path / "data", resume=True, **changes)


def test_reading_what_is_no_dataset(tmp_path):
    data, other, empty = tmp_path / "data", tmp_path / "other", tmp_path / "empty"
    for path, columns in ((data, PLAIN), (other, features(7, ["a", "b", "c"]))):
        with open_writer(path, columns) as writer:
            record(writer, columns, 1)
    open_writer(empty).close()
    (tmp_path / "old/meta").mkdir(parents=True)
    (tmp_path / "old/meta/info.json").write_text('{"codebase_version": "v2.1"}')
    (tmp_path / "torn/meta").mkdir(parents=True)
    (tmp_path / "torn/meta/info.json").write_text('{"codebase_')
    environment = "observation.environment_state"
    for paths, column, message in (
        ([tmp_path / "absent"], "action", "is no folder"),
        ([tmp_path], "action", r"no Steadyhand dataset: it has no meta/info\.json"),
        ([tmp_path / "old"], "action", r"version v2\.1; allowed: v3"),
        ([tmp_path / "torn"], "action", "cannot read"),
        ([empty], "action", "no finished episode"),
        ([], "action", "no dataset given"),
        ([data], "reward", "unknown column 'reward'; allowed: observation.state, .*action"),
        ([data, other], environment, r"shape \(2,\) in .* but \(3,\) in"),
    ):
        with pytest.raises(SteadyhandError, match=message) as refusal:
            load_columns(paths, [column])
        assert "\n" not in str(refusal.value)
    with pytest.raises(SteadyhandError, match=r"differ in: observation\.environment_state"):
        merge([data, other], tmp_path / "merged")
    with pytest.raises(SteadyhandError, match="exists"):
        merge([data], other)
    with pytest.raises(SteadyhandError, match="no finished episode"):
        merge([empty], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    assert describe(empty)["episodes"] == 0
    file = next((data / "data").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-9])
    for read in (lambda: load_columns([data], ["action"]), lambda: open_writer(data, resume=True)):
        with pytest.raises(SteadyhandError, match="restore it from a copy"):
            read()


def test_the_page_of_the_schema_is_up_to_date():
    assert set(schema_page.COLUMNS) == set(features(7, ["x"], {"<camera>": (2, 2)}, depths={"<camera>": (2, 2)}))
    assert list(schema_page.EPISODE) == ROW.names
    made = (Path(__file__).parents[2] / "docs" / "schema.md").read_text() == schema_page.page()
    assert made, "python -m steadyhand.data_collection.schema_page > docs/schema.md"


def test_a_dataset_of_an_older_schema_is_read_but_not_continued(tmp_path):
    old = {
        name: column for name, column in PLAIN.items() if name not in ("subtask", "chunk_index", "controller_status")
    }
    with open_writer(tmp_path / "data", old) as writer:
        writer.add_frame({name: value for name, value in frame(PLAIN, 0, 0).items() if name in old})
        writer.save_episode(EpisodeInfo(True, "success"))
    assert describe(tmp_path / "data")["frames"] == 1
    with pytest.raises(SteadyhandError, match=r"differs in: chunk_index \(not in the dataset\); controller_status .*;"):
        open_writer(tmp_path / "data", resume=True)
