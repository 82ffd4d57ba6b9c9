"""Whole commands on the twin, in processes of their own: their files, their refusals, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steadyhand.data_collection.sidecar import load_sidecar
from steadyhand.sim.env import DECISION_PERIOD
from steadyhand.sim.evaluation_file import read_evaluations
from steadyhand.sim.statistics import PairedGain, Rate

STEADYHAND = [sys.executable, "-m", "steadyhand"]


def steadyhand(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    command = [*STEADYHAND, *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, text=True, capture_output=True, timeout=240, check=False
    )


def test_evaluation_is_the_same_for_any_number_of_workers(tmp_path):
    tables = []
    for workers in (1, 2):
        done = steadyhand("eval", "--episodes", 4, "--workers", workers, "--output", tmp_path / str(workers))
        assert done.returncode == 0, done.stderr
        tables.append(json.loads((tmp_path / str(workers) / "eval.json").read_text()))
    assert tables[0] == tables[1]
    assert [row["seed"] for row in tables[0]["episodes"]] == list(range(1_000_000, 1_000_004))
    assert tables[0]["success"]["n"] == tables[0]["requested"] == 4
    read = read_evaluations([tmp_path / "1", tmp_path / "2"])
    assert [file.success.as_dict() for file in read] == [tables[0]["success"]] * 2
    assert read[0].rows[0].seconds == pytest.approx(tables[0]["episodes"][0]["steps"] * DECISION_PERIOD)
    films = list((tmp_path / "1" / "videos").glob("success_*.mp4"))
    assert films
    assert all(film.stat().st_size > 10_000 for film in films)


def test_ctrl_c_keeps_the_finished_episodes_of_an_evaluation(tmp_path):
    output = tmp_path / "eval"
    command = [*STEADYHAND, "eval", "--episodes", "2000", "--output", str(output)]
    process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    shown = ""
    deadline = time.monotonic() + 120
    while "2/2000" not in shown and time.monotonic() < deadline:
        shown += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped after" in out
    assert "Traceback" not in err
    table = json.loads((output / "eval.json").read_text())
    assert 2 <= len(table["episodes"]) < table["requested"] == 2000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("eval", "--task", "nope"), ("unknown task 'nope'", "peg_insertion")),
        (("eval", "--robot", "ur99"), ("unknown robot 'ur99'", "fr3")),
        (("eval", "--policy", "nope"), ("unknown policy 'nope'", "scripted")),
        (("eval", "--episodes", "0"), ("--episodes is 0", "at least 1")),
        (("train", "--dataset", "nope"), ("'nope' is no folder",)),
    ],
)
def test_refusals_are_one_line(tmp_path, arguments, words):
    done = steadyhand(*arguments, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("value", "word"), [("nonsense", "allowed: egl, osmesa"), ("glfw", "allowed: egl, osmesa")])
def test_a_wrong_mujoco_gl_is_one_line(value, word):
    done = steadyhand("tasks", MUJOCO_GL=value)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert word in done.stderr


@pytest.mark.parametrize("command", ["eval", "demo"])
def test_occupied_output_is_left_alone(tmp_path, command):
    (tmp_path / "precious").write_text("mine")
    done = steadyhand(command, "--output", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_the_demo_goes_on_where_it_stopped(tmp_path):
    """A toy demo without ROS: interrupted in its first training, continued, and complete at the end."""
    output = tmp_path / "demo"
    options = ["--demos", "4", "--interventions", "8", "--episodes", "6", "--steps", "200", "--no-ros"]
    command = [*STEADYHAND, "demo", "--output", str(output), *options]
    process = subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
    first = output / "stages" / "demonstrate.json"
    deadline = time.monotonic() + 120
    while not first.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in out

    done = subprocess.run(command, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "demonstrate: done before" in done.stdout
    _check_demo(output)
    other = steadyhand("demo", "--output", output, "--demos", 5)
    assert other.returncode == 2
    assert "other settings" in other.stderr


def _check_demo(output: Path) -> None:
    summary = json.loads((output / "summary.json").read_text())
    assert summary["episodes_demo"] == 4
    before, after = (json.loads((output / f"eval_{name}" / "eval.json").read_text()) for name in ("base", "improved"))
    assert [row["seed"] for row in before["episodes"]] == [row["seed"] for row in after["episodes"]]
    outcomes = [[row["success"] for row in table["episodes"]] for table in (before, after)]
    assert summary["success_base"] == Rate.of(outcomes[0]).as_dict()
    assert summary["success_improved"] == Rate.of(outcomes[1]).as_dict()
    assert summary["gain"] == PairedGain.of(*outcomes).as_dict()
    rows = load_sidecar(output / "interventions")
    assert summary["human_frames"] == sum(row["human_frames"] for row in rows) > 0
    helped = [str(row["seed"]) for row in rows if row["operator"]]
    assert helped == list(summary["interventions"]["takeovers"])
    page = (output / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "video/mp4;base64" in page
