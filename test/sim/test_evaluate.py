"""Evaluations as a whole: both engines, lost workers, and what is written about every episode."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from steadyhand.cli import main
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.evaluate import run_local
from steadyhand.sim.evaluation import EpisodeResult, Evaluation, keep_scenes
from steadyhand.sim.evaluation_file import read_evaluations
from steadyhand.sim.requirements import make_requirements
from steadyhand.sim.rollout import EpisodeLog, PolicyDriver, Rollout, ScriptedDriver
from steadyhand.sim.statistics import Rate

HERE = Path(__file__).parent
EPISODES = 200
FORMULAS = ("always (force < 3)", "eventually[0:6] (progress.grasp >= 1)", "always (height > 0.1 and speed < 2)")


def start(output: Path, *arguments: object) -> subprocess.Popen:
    """An evaluation in a process of its own, because the policy makes all episodes in its process short."""
    command = [sys.executable, "-m", "steadyhand", "eval", "--policy", "quick_policy:Wander", "--require", FORMULAS[0]]
    command += ["--episodes", str(EPISODES), "--videos", "0", "--output", str(output), *map(str, arguments)]
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    return out


def wait_for_results(process: subprocess.Popen) -> int:
    """Read the progress bar until episodes are there; returns how many."""
    shown = ""
    while letter := process.stderr.read(1):
        shown += letter
        if found := re.search(rf"\b([1-9]\d*)/{EPISODES} ", shown):
            return int(found[1])
    raise AssertionError(shown)


def test_the_table_is_the_same_for_any_workers_and_engine_even_if_one_is_killed(tmp_path):
    by_ray = start(tmp_path / "ray", "--engine", "ray", "--workers", 2)
    one, two = (start(tmp_path / str(workers), "--workers", workers) for workers in (1, 2))
    assert wait_for_results(by_ray) < EPISODES / 2
    family = psutil.Process(by_ray.pid).children(recursive=True)
    victim = next(process for process in family if "ray::run_block" in " ".join(process.cmdline()))
    victim.kill()
    # Ray says on the terminal that it lost a process.
    tables = [re.search(r"^peg_insertion on.*^RMS", finish(process), re.M | re.S) for process in (one, two, by_ray)]
    assert tables[0][0] == tables[1][0] == tables[2][0]
    for name in ("eval.json", "eval.csv", "eval.html"):
        alone = (tmp_path / "1" / name).read_bytes()
        assert (tmp_path / "2" / name).read_bytes() == alone
        assert (tmp_path / "ray" / name).read_bytes() == alone
    table = json.loads((tmp_path / "1" / "eval.json").read_text())
    assert [episode["seed"] for episode in table["episodes"]] == list(range(1_000_000, 1_000_000 + EPISODES))
    assert 0 < table["success"]["k"] < EPISODES
    psutil.wait_procs(family, timeout=20)
    assert not [process for process in family if process.is_running()]


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


@pytest.fixture(scope="module")
def logs(world) -> list[EpisodeLog]:
    return list(Rollout(world, ScriptedDriver(), 1).run([7, 8]))


@pytest.fixture(scope="module")
def results(world, logs) -> list[EpisodeResult]:
    requirements = make_requirements(FORMULAS, world.task)
    return [EpisodeResult.of(log, requirements) for log in logs]


def test_figures_follow_from_the_frames(logs, results):
    for log, result in zip(logs, results, strict=True):
        wrenches = np.array([frame.state[10:16] for frame in log.frames])
        force = np.sqrt(np.sum(wrenches[:, :3] ** 2, axis=1))
        p = np.array([frame.state[:3] for frame in log.frames])
        jerk = (p[3:] - 3 * p[2:-1] + 3 * p[1:-2] - p[:-3]) / 0.001
        assert result.force_max == log.force_peak >= force.max()
        assert result.force_mean == pytest.approx(force.mean())
        assert result.jerk_rms == pytest.approx(np.sqrt(np.sum(jerk**2) / len(jerk)), rel=1e-6)
        assert result.seconds == pytest.approx(log.steps * 0.1)
        assert (result.instruction, result.conditions, result.progress) == (
            log.instruction, log.conditions, log.progress
        )  # fmt: skip


def test_robustness_is_the_distance_to_violation(world, logs, results):
    for log, result in zip(logs, results, strict=True):
        seen = [frame.observation for frame in log.frames]
        force = np.linalg.norm([o.wrench[:3] for o in seen], axis=1)
        speed = np.linalg.norm([o.twist[:3] for o in seen], axis=1)
        height = np.array([o.position[2] for o in seen])
        grasped = [world.task.progress(frame.observations, frame.truth)[0] for frame in log.frames[:61]]
        assert list(result.robustness) == list(FORMULAS)
        assert list(result.robustness.values()) == pytest.approx(
            [3 - force.max(), max(grasped) - 1, min(height.min() - 0.1, 2 - speed.max())]
        )


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("always (force <", "is no formula: 1:15"),
        ("always (strength < 3)", "unknown signal in requirement 'always (strength < 3)': 'strength'"),
        ("always (progress.fly < 3)", "progress.grasp"),
        ("always (force)", "compares nothing"),
        ("force + 1", "compares nothing"),
        ("3 < 4", "compares nothing"),
        ("eventually[0:0.25] (force < 3)", "multiple of the sampling period"),
        ("always[5:1] (force < 3)", "an interval without decisions"),
        ("", "is no formula"),
    ],
)
def test_a_bad_requirement_is_refused_in_one_line(tmp_path, capsys, formula, words):
    assert main(["eval", "--require", formula, "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert words in said
    assert not (tmp_path / "out").exists()


def test_an_interval_beyond_the_end_sees_the_last_values(world, logs, results):
    [late, soon] = make_requirements(["eventually[60:90] (force < 3)", "eventually (force < 3)"], world.task)
    last = np.linalg.norm(logs[0].frames[-1].observation.wrench[:3])
    assert late.robustness(logs[0].frames) == pytest.approx(3 - last)
    assert soon.robustness(logs[0].frames) == pytest.approx(3 - min(
        np.linalg.norm(frame.observation.wrench[:3]) for frame in logs[0].frames
    ))  # fmt: skip


def test_a_requirement_given_twice_is_refused(tmp_path, capsys):
    assert main(["eval", "--require", "force < 3", "force < 3", "--output", str(tmp_path / "out")]) == 2
    assert "given twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "json:JSONDecoder"), "json:JSONDecoder' has no reset and no act and no name and no version"),
        (("--policy", "no_such_module:Policy"), "ModuleNotFoundError"),
        (("--policy", "json:Nothing"), "AttributeError"),
        (("--ray-address", "auto"), "--ray-address is for --engine ray"),
        (("--engine", "ray", "--ray-address", "127.0.0.1:1"), "Ray at '127.0.0.1:1' cannot be reached"),
        (("--videos", "-1"), "--videos is -1"),
        (("--seed", "-1"), "--seed is -1"),
        (("--workers", "0"), "--workers is 0"),
    ],
)
def test_refusals(tmp_path, capsys, arguments, words):
    assert main(["eval", *arguments, "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert words in said


@pytest.mark.parametrize(
    ("module", "arguments"), [("ray", ("--engine", "ray")), ("rtamt", ("--require", "always (force < 3)"))]
)
def test_a_missing_extra_is_named(tmp_path, capsys, monkeypatch, module, arguments):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert main(["eval", *arguments, "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert f"'{module}' is not installed" in said
    assert "pip install 'steadyhand[" in said


def test_scenes_are_kept_of_the_first_of_each_outcome_only(logs):
    outcomes = [True, False, True, True, False, False]
    results = [made(seed, success, scenes=logs[0].scenes) for seed, success in enumerate(outcomes)]
    kept = list(keep_scenes(results, 2))
    assert kept == results  # all else is untouched
    assert [bool(result.scenes) for result in kept] == [True, True, True, False, True, False]


def made(seed: int, success: bool, **changes) -> EpisodeResult:
    reason = "success" if success else "peg_tipped"
    values = {"conditions": {}, "progress": {}, "robustness": {}, "force_max": 1.0, "force_mean": 1.0, "jerk_rms": 1.0}
    return EpisodeResult(seed=seed, success=success, reason=reason, steps=9, instruction="do", **values | changes)


def test_what_is_written_can_be_read_back(tmp_path, world, results):
    evaluation = Evaluation("fr3", "peg_insertion", "scripted", "", 2, results)
    evaluation.write(tmp_path)
    [file] = read_evaluations([tmp_path])
    assert file.success == evaluation.success == Rate.of([result.success for result in results])
    assert [row.seconds for row in file.rows] == pytest.approx([result.seconds for result in results])
    with (tmp_path / "eval.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row, result in zip(rows, results, strict=True):
        assert int(row["seed"]) == result.seed
        assert float(row["force_max"]) == result.force_max
        assert float(row["conditions.peg.x"]) == result.conditions["peg.x"]
        assert float(row["progress.release"]) == result.progress["release"]
        assert float(row[f"robustness.{FORMULAS[0]}"]) == result.robustness[FORMULAS[0]]
    table = json.loads((tmp_path / "eval.json").read_text())
    assert table["requirements"][FORMULAS[0]] == Rate.of([r.robustness[FORMULAS[0]] >= 0 for r in results]).as_dict()
    assert table["subtasks"]["release"] == Rate.of([r.progress["release"] == 1 for r in results]).as_dict()


def test_actions_of_the_wrong_size_are_refused(world):
    class Five:
        name, version = "five", "1"

        def reset(self, rows, seeds) -> None: ...

        def act(self, observation, rows):
            return np.zeros((len(rows), 5))

    with pytest.raises(SteadyhandError, match=r"'five' gave actions of shape \(1, 5\) .* allowed: \(1, 10\)"):
        list(run_local(world, PolicyDriver(Five()), (), [1], 1))
