"""`steadyhand eval --perturb`: both stages on the twin, the files, and the page."""

import json
import re

import numpy as np
import pytest

from steadyhand.cli import main
from steadyhand.sim import evaluate
from steadyhand.sim.evaluate import Job
from steadyhand.sim.perturbation import AXES
from steadyhand.sim.sweep import Extent, parse_extents, spread_points
from steadyhand.sweep import Point, Sweep, run_sweep
from steadyhand.sweep_page import headline, page

SEEDS = range(1_000_000, 1_000_048)


def made(success, extents, count: int = 200) -> Sweep:
    """A sweep whose episodes succeed as they are told to."""
    values = spread_points(extents, count, 0)
    points = [
        Point(seed, 1 + (seed >= count // 2), row, bool(success(row)), "" if success(row) else "late", 2.0)
        for seed, row in enumerate(values)
    ]
    return Sweep("fr3", "reach", "mine", "7", tuple(extents), tuple(points), count)


def test_a_sweep_does_not_depend_on_the_workers_and_stages_are_apart():
    job, extents = Job("fr3", "reach", "scripted"), parse_extents(["latency", "payload"])
    one, two = (run_sweep(job, extents, SEEDS, workers, "local", None) for workers in (1, 2))
    assert one.as_dict() == two.as_dict()
    assert [point.seed for point in one.points] == list(SEEDS)
    assert [point.stage for point in one.points] == [1] * 24 + [2] * 24
    assert [dict(point.values) for point in one.spread] == spread_points(extents, 24, SEEDS[0])
    assert len({point.seconds for point in one.points}) > 3  # the worlds differ


def test_the_command_writes_what_it_says(tmp_path, capsys):
    output = tmp_path / "sweep"
    given = ["eval", "--task", "reach", "--episodes", "40", "--perturb", "latency=0:0.2", "--output", str(output)]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert re.search(r"latency +0 to 0\.2 s", said)
    written = json.loads((output / "sweep.json").read_text())
    assert (written["schema"], len(written["episodes"])) == ("steadyhand.sweep/1", 40)
    assert all(0 <= episode["values"]["latency"] <= 0.2 for episode in written["episodes"])
    assert "<svg" in (output / "sweep.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--episodes", "39", "--perturb", "latency"], "--episodes is 39; a sweep needs at least 40"),
        (["--perturb", "wind"], "unknown perturbation 'wind'"),
        (["--perturb", "light"], "changes pictures only"),
        (["--perturb", "push", "--require", "always (force < 9)"], "leave it out of a sweep"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, options, said):
    assert main(["eval", "--task", "reach", "--output", str(tmp_path / "x"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x" / "sweep.json").exists()


def test_the_page_names_what_decides():
    extents = parse_extents(["latency", "push", "friction"])
    shown = made(lambda row: row["latency"] < 0.2, extents)
    text = page(shown)
    assert "Latency decides whether mine succeeds" in text
    assert all(AXES[name].what.replace("'", "&#39;") in text for name in ("latency", "push", "friction"))
    assert text.count("<svg") == 3
    assert headline(made(lambda row: True, extents)) == "No perturbation stands out"
    both = made(lambda row: row["latency"] < 0.2 and row["push"] < 20, extents, 400)
    assert headline(both) in (
        "Latency and push decide whether mine succeeds",
        "Push and latency decide whether mine succeeds",
    )


def test_one_axis_has_no_heat_map():
    text = page(made(lambda row: row["latency"] < 0.1, [Extent("latency", 0.0, 0.4)]))
    assert text.count("<svg") == 2


def test_rates_come_from_the_spread_episodes_alone():
    extents = [Extent("push", 0.0, 40.0)]
    shown = made(lambda row: True, extents)
    spoiled = tuple(point if point.stage == 1 else Point(**{**vars(point), "success": False}) for point in shown.points)
    again = Sweep(shown.robot, shown.task, shown.policy, shown.version, shown.extents, spoiled, shown.requested)
    assert again.success == shown.success
    np.testing.assert_array_equal([r.p for r in again.effects[0].rates], 1.0)


def test_what_is_stopped_keeps_its_episodes(tmp_path, monkeypatch, capsys):
    def stop_after_ten(*arguments):
        for count, result in enumerate(run_job(*arguments)):
            if count == 10:
                raise KeyboardInterrupt
            yield result

    run_job = evaluate.run_job
    monkeypatch.setattr(evaluate, "run_job", stop_after_ten)
    assert main(["eval", "--task", "reach", "--perturb", "push", "--episodes", "40", "--output", str(tmp_path)]) == 130
    assert "stopped after 10 of 40 episodes" in capsys.readouterr().out
    written = json.loads((tmp_path / "sweep.json").read_text())
    assert [episode["seed"] for episode in written["episodes"]] == list(SEEDS[:10])
    assert (written["requested"], written["axes"]) == (40, [])
    assert not (tmp_path / "sweep.html").exists()
