import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_stub import Hub
from lerobot.configs import RGBEncoderConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image
from plain_lerobot import LENGTHS
from recording import FILMED, PLAIN, frame, length, open_writer, record
from test_repair import assert_same_frames, contents, lerobot

from steadyhand.cli import main
from steadyhand.data_collection import assembling
from steadyhand.data_collection.dataset import describe, features, load_columns, load_sidecar
from steadyhand.data_collection.durable import lock
from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.sidecar import EpisodeInfo
from steadyhand.data_collection.video_cut import copy_frames

STARTS = np.cumsum([0, *LENGTHS])


@pytest.fixture(scope="module")
def finished(plain) -> Path:
    return plain / "finished"


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ours") / "filmed"
    with open_writer(folder, FILMED) as writer:
        record(writer, FILMED, 4)
    return folder


def frames_of(*episodes: int) -> list[int]:
    return [i for episode in episodes for i in range(STARTS[episode], STARTS[episode + 1])]


def pictures(file: Path) -> list[np.ndarray]:
    with av.open(str(file)) as video:
        return [picture.to_ndarray(format="rgb24") for picture in video.decode(video=0)]


def run(*words: object) -> int:
    return main(["data", *map(str, words)])


def test_a_dataset_of_plain_lerobot_is_read(finished, tmp_path, capsys):
    assert run("ls", finished.parent) == 0
    assert f"{finished}  dataset: 4 episodes, 30 frames, 10 Hz" in capsys.readouterr().out
    assert run("show", finished) == 0
    said = capsys.readouterr().out
    assert "robot: toy" in said
    assert "task 1" in said
    assert run("check", finished) == 0
    capsys.readouterr()
    original, before = lerobot(finished), contents(finished)
    assert run("split", finished, "--episodes", "1,3", "--output", tmp_path / "some", "--rest", tmp_path / "rest") == 0
    assert_same_frames(lerobot(tmp_path / "some"), original, frames_of(1, 3))
    assert_same_frames(lerobot(tmp_path / "rest"), original, frames_of(0, 2))
    assert contents(finished) == before
    parts = contents(tmp_path / "some"), contents(tmp_path / "rest")
    assert run("merge", tmp_path / "some", tmp_path / "rest", "--output", tmp_path / "all") == 0
    assert (contents(tmp_path / "some"), contents(tmp_path / "rest")) == parts
    assert_same_frames(lerobot(tmp_path / "all"), original, frames_of(1, 3, 0, 2))
    merged = lerobot(tmp_path / "all").meta.stats
    for column in ("action", "observation.images.top", "observation.images.still"):
        for key in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(merged[column][key], original.meta.stats[column][key], atol=1e-6)


def test_nothing_is_encoded_again(finished, tmp_path):
    run("split", finished, "--episodes", "2", "--output", tmp_path / "one")
    video = "videos/observation.images.top/chunk-000/file-000.mp4"
    cut, whole = pictures(tmp_path / "one" / video), pictures(finished / video)
    np.testing.assert_array_equal(cut, whole[STARTS[2] : STARTS[3]])


def test_split_by_outcome_and_lot(ours, tmp_path, capsys):
    (tmp_path / "list").write_text(
        json.dumps(
            {
                "schema": "steadyhand.exclude/1",
                "lengths": [length(episode) for episode in range(4)],
                "episodes": [{"episode": 3, "by": "me", "why": "bad"}],
            }
        )
    )
    sides = ["--output", tmp_path / "good", "--rest", tmp_path / "bad", "--exclude", tmp_path / "list"]
    assert run("split", ours, "--success", "yes", *sides) == 0
    assert [row["seed"] for row in load_sidecar(tmp_path / "good")] == [0, 2]
    assert [row["seed"] for row in load_sidecar(tmp_path / "bad")] == [1]
    assert run("split", ours, "--fraction", "0.5", "--output", tmp_path / "a", "--rest", tmp_path / "b") == 0
    for side in ("a", "b"):  # both outcomes are in both parts
        assert {row["success"] for row in load_sidecar(tmp_path / side)} == {True, False}
    assert lerobot(tmp_path / "good")[length(0)]["observation.images.front"].shape == (3, 48, 64)
    capsys.readouterr()
    for wrong, said in {
        ("--episodes", "1-9"): "allowed: 0..3",
        ("--episodes", "x"): "e.g. 0-19,25",
        ("--fraction", "1.5"): "between 0 and 1",
        ("--success", "unknown"): "is left for",
    }.items():
        assert run("split", ours, *wrong, "--output", tmp_path / "none") == 2
        assert said in capsys.readouterr().err
    for rest in (tmp_path / "none", tmp_path / "none/rest", tmp_path):
        assert run("split", ours, "--episodes", "1", "--output", tmp_path / "none", "--rest", rest) == 2
        assert "two separate folders" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_merge_adds_the_labels_that_others_lack(tmp_path, capsys):
    columns = {name: column for name, column in PLAIN.items() if name not in ("segment", "intervention")}
    helped = columns | {"intervention": PLAIN["intervention"]}
    for name, kinds in {"demos": columns, "helped": helped}.items():
        dataset = LeRobotDataset.create("local/x", 10, kinds, root=tmp_path / name, robot_type="fr3")
        for i in range(4):
            values = {key: value for key, value in frame(PLAIN, 0, i).items() if key in kinds}
            if name == "helped":
                values["intervention"] = np.array([i > 1])
            dataset.add_frame({**values, "task": "peg_insertion"})
        dataset.save_episode()
        dataset.finalize()
    with open_writer(tmp_path / "ours") as writer:
        record(writer, PLAIN, 1)
    assert run("merge", *(tmp_path / name for name in ("demos", "helped", "ours")), "--output", tmp_path / "all") == 0
    merged = load_columns([tmp_path / "all"], ["segment", "intervention"]).columns
    last = [frame(PLAIN, 0, i)["segment"][0] for i in range(length(0))]
    assert merged["segment"].tolist() == [Segment.DEMO] * 4 + [Segment.POLICY] * 2 + [Segment.CORRECTION] * 2 + last
    assert merged["intervention"].tolist()[:8] == [False] * 6 + [True] * 2
    stats = lerobot(tmp_path / "all").meta.stats["segment"]
    np.testing.assert_allclose(stats["mean"], merged["segment"].mean())
    known = load_sidecar(tmp_path / "all")
    assert [row["success"] for row in known] == [None, None, True]
    assert [row["human_frames"] for row in known][:2] == [4, 2]

    with open_writer(tmp_path / "other", features(6), robot="ur5", fps=5) as writer:
        record(writer, features(6), 1)
    capsys.readouterr()
    assert run("merge", tmp_path / "ours", tmp_path / "other", "--output", tmp_path / "none") == 2
    refused = capsys.readouterr().err
    for difference in ("observation.joints", "environment_state (only", "fps (given 5", "robot (given ur5"):
        assert difference in refused
    assert refused.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_merge_gives_an_older_dataset_of_two_arms_its_labels(tmp_path):
    columns = features({"left_": 7, "right_": 7})
    added = ("subtask", "chunk_index", "controller_status", "stamp")
    older = {name: column for name, column in columns.items() if name not in added}
    for name, kinds in {"new": columns, "old": older}.items():
        with open_writer(tmp_path / name, kinds) as writer:
            for i in range(4):
                values = frame(columns, 0, i) | {"controller_status": np.array([i % 2, 2], np.int8)}
                writer.add_frame({key: values[key] for key in kinds})
            writer.save_episode(EpisodeInfo(True, "success"))
    assert run("merge", tmp_path / "old", tmp_path / "new", "--output", tmp_path / "both") == 0
    merged = load_columns([tmp_path / "both"], [*added, "action"]).columns
    assert merged["controller_status"].tolist() == 4 * [[-1, -1]] + 2 * [[0, 2], [1, 2]]
    assert merged["chunk_index"].tolist() == [-1, -1, -1, -1, 0, 1, 2, 3]
    assert merged["subtask"].tolist() == 4 * [0] + [0, 0, 0, 1]
    np.testing.assert_allclose(merged["stamp"][:4], [0.0, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(merged["action"][:4], merged["action"][4:])
    both = lerobot(tmp_path / "both")
    np.testing.assert_allclose(both.meta.stats["controller_status"]["mean"], [-0.25, 0.5])
    assert both[7]["controller_status"].tolist() == [1, 2]


def test_merge_takes_episodes_of_a_single_frame(tmp_path):
    with open_writer(tmp_path / "short") as writer:
        for count in (3, 1):
            for i in range(count):
                writer.add_frame(frame(PLAIN, 0, i))
            writer.save_episode(EpisodeInfo(True, "success"))
    assert run("merge", tmp_path / "short", "--output", tmp_path / "merged") == 0
    one, other = lerobot(tmp_path / "short").meta.stats, lerobot(tmp_path / "merged").meta.stats
    for column, key in (("intervention", "max"), ("segment", "mean"), ("action", "std")):
        np.testing.assert_allclose(other[column][key], one[column][key], atol=1e-6)


@pytest.mark.slow
def test_a_killed_merge_leaves_nothing_that_looks_whole(tmp_path):
    with open_writer(tmp_path / "ours") as writer:
        record(writer, PLAIN, 1)
    program = (
        "import os, signal, sys\nfrom steadyhand.data_collection.merging import merge\n"
        "merge([sys.argv[1]], sys.argv[2], lambda _: os.kill(os.getpid(), signal.SIGKILL))"
    )
    killed = subprocess.run([sys.executable, "-c", program, tmp_path / "ours", tmp_path / "all"], check=False)
    assert killed.returncode < 0
    left = {path.name for path in tmp_path.iterdir()} - {"ours"}
    assert len(left) == 1
    assert left.pop().startswith(".all.")
    busy = tmp_path / ".all.12345678"
    busy.mkdir()
    with lock(busy / "attempt.lock", busy):
        assert run("merge", tmp_path / "ours", "--output", tmp_path / "all") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "all", busy.name}
    assert describe(tmp_path / "all")["episodes"] == 1


def test_export(ours, finished, tmp_path, capsys):
    before = contents(ours)
    assert run("export", ours, "1", "--output", tmp_path / "ours") == 0
    assert contents(ours) == before
    table = pd.read_csv(tmp_path / "ours" / "frames.csv")
    expected = [frame(FILMED, 1, i) for i in range(length(1))]
    np.testing.assert_allclose(table["action.x [m]"], [values["action"][0] for values in expected], rtol=1e-6)
    np.testing.assert_allclose(table["observation.joints.dq0 [rad/s]"], [v["observation.joints"][7] for v in expected])
    np.testing.assert_allclose(table["timestamp [s]"], np.arange(length(1)) / 10, atol=1e-6)
    for camera, size in (("front", (48, 64, 3)), ("wrist", (32, 32, 3))):
        film = pictures(tmp_path / "ours" / f"{camera}.mp4")
        assert [picture.shape for picture in film] == [size] * length(1)
    assert run("export", finished, "2", "--output", tmp_path / "theirs") == 0
    table = pd.read_csv(tmp_path / "theirs" / "frames.csv")
    assert table["observation.state.a"].tolist() == [2.0] * LENGTHS[2]
    assert table["action.v"].tolist() == [-i for i in range(LENGTHS[2])]
    assert table["grip"].tolist()[:2] == [True, False]
    assert [picture.shape for picture in pictures(tmp_path / "theirs" / "still.mp4")] == [(32, 32, 3)] * LENGTHS[2]
    capsys.readouterr()
    assert run("export", ours, "7", "--output", tmp_path / "none") == 2
    assert "unknown episode '7'; allowed: 0 to 3" in capsys.readouterr().err


def test_export_of_depth_as_png_and_of_cameras_of_two_arms(tmp_path):
    sizes = {"names": ["height", "width", "channels"], "dtype": "video"}
    columns = {f"observation.images.{side}.front": {**sizes, "shape": (32, 48, 3)} for side in ("left", "right")}
    depth = {**sizes, "shape": (64, 96, 1), "info": {"is_depth_map": True}}
    dataset = LeRobotDataset.create(
        "local/x",
        10,
        columns | {"observation.images.depth": depth},
        root=tmp_path / "arms",
        rgb_encoder=RGBEncoderConfig(vcodec="h264"),
    )
    ramp = np.linspace(300, 3000, 64 * 96).reshape(64, 96, 1).astype(np.uint16)
    for i in range(3):
        filmed = {name: np.full((32, 48, 3), 200 * side, np.uint8) for side, name in enumerate(columns)}
        dataset.add_frame({**filmed, "observation.images.depth": ramp + 100 * i, "task": "x"})
    dataset.save_episode()
    dataset.finalize()
    assert run("export", tmp_path / "arms", "0", "--output", tmp_path / "files") == 0
    for side, name in enumerate(("left", "right")):
        film = pictures(tmp_path / "files" / f"{name}.front.mp4")
        np.testing.assert_allclose(film, np.full((3, 32, 48, 3), 200.0 * side), atol=5)
    stored = [np.array(Image.open(file)) for file in sorted((tmp_path / "files/depth").glob("*.png"))]
    assert stored[0].dtype == np.uint16
    for i, image in enumerate(stored):
        np.testing.assert_allclose(image, ramp[..., 0] + 100.0 * i, atol=30)  # mm; the codec is lossy
    assert len(stored) == 3


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    server = Hub()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_push_and_pull(ours, hub, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(ours, tmp_path / "mine")
    (folder / ".recording").mkdir()
    (folder / ".recording/half").write_text("half an episode")
    hub.files["data/chunk-000/file-099.parquet"] = b"of an earlier version"
    assert run("push", folder, "me/pegs", "--private", "--tag", "first") == 0
    assert hub.created["visibility"] == "private"
    assert {"v3.0", "first"} <= set(hub.tags)
    stored = {str(file.relative_to(ours)) for file in ours.rglob("*") if file.is_file() and file.name != "lock"}
    assert set(hub.files) - {".gitattributes"} == stored | {"README.md"}
    page = hub.files["README.md"].decode()
    for fact in ("| robot | fr3 |", "2 successes, 2 others", "at 10 Hz", "`observation.images.front` | video"):
        assert fact in page
    assert run("pull", "me/pegs", "--output", tmp_path / "pulled") == 0
    assert load_sidecar(tmp_path / "pulled") == load_sidecar(ours)
    assert not (tmp_path / "pulled/.cache").exists()
    hub.refused = "meta/info.json"
    assert run("pull", "me/pegs", "--output", tmp_path / "newer") == 2
    hub.commit, hub.refused = "1" * 40, ""  # while it is interrupted
    del hub.files["meta/steadyhand/episodes.parquet"]
    assert run("pull", "me/pegs", "--output", tmp_path / "newer") == 0
    assert set(map(str, contents(tmp_path / "newer"))) == set(hub.files) - {".gitattributes"}
    assert not list(tmp_path.glob(".newer.*"))
    capsys.readouterr()

    assert run("pull", "me/pegs", "--output", tmp_path / "pulled") == 2
    assert "exists" in capsys.readouterr().err
    hub.files = {"README.md": b"something else"}
    assert run("pull", "me/other", "--output", tmp_path / "other") == 2
    assert not (tmp_path / "other").exists()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for command in (["push", folder, "me/pegs"], ["pull", "me/pegs", "--output", tmp_path / "new"]):
        capsys.readouterr()
        assert run(*command) == 2
        refused = capsys.readouterr().err
        assert f"cannot {command[0]}" in refused
        assert refused.count("\n") == 1
    assert run("push", folder, "pegs") == 2
    assert "user/name" in capsys.readouterr().err
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", os.devnull)
    assert run("push", folder, "me/pegs") == 2
    assert "hf auth login" in capsys.readouterr().err


def test_a_dataset_with_wrong_rows_is_refused(ours, tmp_path, capsys):
    broken = shutil.copytree(ours, tmp_path / "broken")
    file = broken / "data/chunk-000/file-002.parquet"
    rows = pq.read_table(file)
    for table in (None, rows.slice(0, 2), pa.concat_tables([rows, rows])):
        file.unlink()
        if table is not None:
            pq.write_table(table, file)
        for command in (["split", broken, "--episodes", "2"], ["export", broken, "2"]):
            assert run(*command, "--output", tmp_path / "out") == 2
            assert "steadyhand data repair" in capsys.readouterr().err
        file.touch()
    assert not (tmp_path / "out").exists()
    assert len(assembling.open_source(ours).rows) == 4


def test_a_damaged_film_is_refused(ours, tmp_path, capsys):
    broken = shutil.copytree(ours, tmp_path / "broken")
    film = broken / "videos/observation.images.front/chunk-000/file-002.mp4"
    content = film.read_bytes()
    copy_frames(film, tmp_path / "short.mp4", [(0, 2)], 10)
    for damaged, said in {
        None: "no file file-002.mp4",
        content[:200]: "file-002.mp4 cannot be read",
        (tmp_path / "short.mp4").read_bytes(): "file-002.mp4 holds 2 images, its rows need",
    }.items():
        film.unlink()
        if damaged is not None:
            film.write_bytes(damaged)
        for command in (["split", broken, "--episodes", "2"], ["export", broken, "2"], ["merge", ours, broken]):
            assert run(*command, "--output", tmp_path / "out") == 2
            refused = capsys.readouterr().err
            assert said in refused
            assert "steadyhand data repair" in refused
        film.touch()
    assert not (tmp_path / "out").exists()
