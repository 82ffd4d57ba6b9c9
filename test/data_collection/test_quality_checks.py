"""`steadyhand data check`: clean datasets pass, every injected fault is found in its episode and nowhere else."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from motions import EPISODES, FILMED, record_plain, record_smooth

from steadyhand.cli import main
from steadyhand.data_collection.quality_checks import CHECKS, Verdict, check, verdicts
from steadyhand.data_collection.quality_data import load_recorded
from steadyhand.data_collection.quality_robot import reach_bound
from steadyhand.data_collection.sidecar import SIDECAR, read_rows, write_rows
from steadyhand.sim.robot import load_robot

BAD = 3  # the episode with the fault


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return record_smooth(tmp_path_factory.mktemp("clean") / "data")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Path:
    return record_smooth(tmp_path_factory.mktemp("filmed") / "data", FILMED, episodes=3)


@pytest.fixture
def spoiled(clean, tmp_path) -> Path:
    return shutil.copytree(clean, tmp_path / "data")


def edit(path: Path, change) -> None:
    """Change the columns of the bad episode: `change` gets a dict of name -> array, in which it may write."""
    file = sorted((path / "data").glob("*/*.parquet"))[BAD]
    table = pq.read_table(file)
    columns = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    change(columns)
    arrays = [pa.array(list(columns[name])).cast(table.schema.field(name).type) for name in table.column_names]
    pq.write_table(pa.Table.from_arrays(arrays, schema=table.schema), file)


def edit_sidecar(path: Path, **values) -> None:
    rows = read_rows(path)
    rows[BAD].update(values)
    write_rows(rows, path / SIDECAR)


def put(name: str, at, value):
    return lambda columns: columns[name].__setitem__(at, value)


def shift(columns: dict, frame: int, seconds: float) -> None:
    columns["timestamp"][frame:] += seconds


def stand(columns: dict) -> None:
    columns["observation.state"][2:35] = columns["observation.state"][2]


FAULTS = {
    "nan": (
        put("observation.state", (4, 2), np.nan),
        "finite",
        Verdict.EXCLUDE,
        "not finite in 1 frames, first at 'z'",
    ),
    "infinite": (put("action", (4, 0), np.inf), "finite", Verdict.EXCLUDE, "action is not finite"),
    "backwards": (put("timestamp", 5, 0.0), "stamps", Verdict.EXCLUDE, "do not increase"),
    "gap": (lambda c: shift(c, 9, 0.3), "stamps", Verdict.EXCLUDE, "3 frames missing: a gap of 0.40 s"),
    "jitter": (lambda c: shift(c, 9, 0.02), "stamps", Verdict.REVIEW, "jitter by 20 ms"),
    "numbered": (put("frame_index", 5, 77), "counts", Verdict.EXCLUDE, "frame_index"),
    "still": (stand, "still", Verdict.REVIEW, "nothing moves for 3.4 s"),
    "jump": (put("action", (20, 1), 0.4), "jumps", Verdict.REVIEW, "y jumps by"),
    "reach": (put("action", (slice(None), 2), 3.0), "reach", Verdict.REVIEW, "out of reach"),
    "limit": (put("observation.joints", (7, 3), 1.0), "reach", Verdict.REVIEW, "q3 is 1.15 rad beyond"),
    "dead": (put("action", slice(None), 0.1), "constant", Verdict.EXCLUDE, "action never changes"),
    "labels": (put("intervention", 6, True), "labels", Verdict.EXCLUDE, "contradicts segment in 1 frames"),
    "segment": (put("segment", 6, 17), "labels", Verdict.EXCLUDE, "segment 17 is unknown"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_where_it_is(spoiled, fault):
    change, name, verdict, what = FAULTS[fault]
    edit(spoiled, change)
    findings, _ = check(load_recorded(spoiled))
    assert {finding.episode for finding in findings} == {BAD}
    found = [finding for finding in findings if finding.check == name]
    assert [finding.verdict for finding in found] == [verdict]
    assert what in found[0].what


def test_a_clean_dataset_passes(clean, filmed, capsys):
    for path in (clean, filmed):
        assert main(["data", "check", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"{EPISODES} episodes, {len(CHECKS) - 1} checks: {EPISODES} PASS, 0 REVIEW, 0 EXCLUDE" in said
    assert f"3 episodes, {len(CHECKS)} checks: 3 PASS" in said


def test_what_the_sidecar_knows(spoiled):
    edit_sidecar(spoiled, dropped_frames=1, human_frames=3)
    findings, _ = check(load_recorded(spoiled))
    assert [(f.episode, f.check, f.verdict) for f in findings] == [
        (BAD, "dropped", Verdict.REVIEW),
        (BAD, "labels", Verdict.EXCLUDE),
    ]
    edit_sidecar(spoiled, dropped_frames=20)
    assert verdicts(check(load_recorded(spoiled))[0], EPISODES)[BAD] == Verdict.EXCLUDE


def test_copies_and_near_copies(spoiled):
    files = sorted((spoiled / "data").glob("*/*.parquet"))
    other = pq.read_table(files[0])

    def copy(noise: float):
        def change(columns):
            random = np.random.default_rng(0)
            for name in ("observation.state", "action"):
                values = np.array(other[name].to_pylist())
                columns[name][:] = values + random.normal(0, noise, values.shape)

        return change

    edit(spoiled, copy(0.0))
    found = [f for f in check(load_recorded(spoiled))[0] if f.check == "duplicates"]
    assert [(f.episode, f.verdict, f.what) for f in found] == [(BAD, Verdict.EXCLUDE, "a copy of episode 0")]
    edit(spoiled, copy(1e-6))
    found = [f for f in check(load_recorded(spoiled))[0] if f.check == "duplicates"]
    assert [(f.episode, f.verdict, f.what) for f in found] == [(BAD, Verdict.REVIEW, "almost the same as episode 0")]


def test_rows_that_the_metadata_does_not_know(spoiled):
    file = sorted((spoiled / "data").glob("*/*.parquet"))[BAD]
    pq.write_table(pq.read_table(file).slice(0, 30), file)
    findings, _ = check(load_recorded(spoiled))
    assert [(f.episode, f.check) for f in findings] == [(BAD, "counts"), (BAD, "labels")]  # human frames are fewer
    assert findings[0].what.startswith("30 rows, the metadata says")


def test_videos_without_all_their_images(filmed, tmp_path):
    path = shutil.copytree(filmed, tmp_path / "data")
    first, second, third = sorted((path / "videos").rglob("*.mp4"))[:3]
    shutil.copyfile(first, second)  # of an episode of another length
    third.write_bytes(b"no video")
    findings, _ = check(load_recorded(path))
    assert [(f.episode, f.check, f.verdict) for f in findings] == [
        (1, "video", Verdict.EXCLUDE),
        (2, "video", Verdict.EXCLUDE),
    ]
    third.unlink()
    assert "no file" in check(load_recorded(path))[0][-1].what


def test_a_dataset_of_plain_lerobot(tmp_path, capsys):
    path = record_plain(tmp_path / "plain", tasks=["push", " "])
    findings, skipped = check(load_recorded(path))
    assert [(f.episode, f.check, f.verdict) for f in findings] == [(1, "task", Verdict.REVIEW)]
    assert set(skipped) == {"video", "dropped", "reach", "labels"}
    assert main(["data", "check", str(path)]) == 1
    assert "not applicable: labels (no column 'segment')" in capsys.readouterr().out


def test_images_that_lerobot_lost(tmp_path):
    path = record_plain(tmp_path / "plain", tasks=["push"] * 3, lost=range(70, 74))
    assert len(list((path / "videos").rglob("*.mp4"))) == 1
    found = [(f.episode, f.check, f.verdict, f.what) for f in check(load_recorded(path))[0]]
    assert found == [(1, "video", Verdict.EXCLUDE, "observation.images.top: 56 images for 60 frames")]


def test_files_and_mistakes(spoiled, tmp_path, capsys):
    edit(spoiled, FAULTS["nan"][0])
    options = ["--json", str(tmp_path / "check.json"), "--exclude-list", "auto"]
    assert main(["data", "check", str(spoiled), *options]) == 1
    written = json.loads((tmp_path / "check.json").read_text())
    assert written["verdicts"] == ["EXCLUDE" if i == BAD else "PASS" for i in range(EPISODES)]
    listed = json.loads((spoiled / "meta/steadyhand/exclude.json").read_text())
    assert [(entry["episode"], entry["by"]) for entry in listed["episodes"]] == [(BAD, "check")]
    assert main(["data", "check", str(tmp_path / "nothing")]) == 2
    assert "is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fr3", "iiwa14"])
def test_the_reach_bound_holds(name):
    robot = load_robot(name)
    shoulder, reach = reach_bound(robot)
    arm, random = robot.arm(), np.random.default_rng(0)
    lower, upper = np.maximum(robot.q_lower, -3), np.minimum(robot.q_upper, 3)
    far = max(np.linalg.norm(arm.placement(random.uniform(lower, upper))[0] - shoulder) for _ in range(2000))
    assert 0.6 * reach < far <= reach
