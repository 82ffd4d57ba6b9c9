"""The figures of `steadyhand bench control`, in a run too short to mean anything: their keys, and what never varies."""

import json
import subprocess
import sys

import numpy as np
import pytest

from steadyhand.bench import control, control_worker
from steadyhand.bench.run import BenchConfig

EFFORT = control.Effort(ticks=300, passes=1, paced_ticks=400, numpy_ticks=200)
KEYS = {
    "controller", "robot", "median_us", "p99_us", "max_us", "paced_median_us", "paced_p999_us",
    "paced_p999_us_with_parameter_sets", "allocations", "locks", "bare_terms_us", "numpy_us",
}  # fmt: skip


def test_every_controller_has_its_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(control, "Effort", lambda: EFFORT)
    monkeypatch.setattr(control, "ROBOTS", ("fr3", "nobody"))
    control.main(BenchConfig("control", tmp_path / "control.json"))
    assert "skipped: nobody" in capsys.readouterr().err
    written = json.loads((tmp_path / "control.json").read_text())
    rows = written["rows"]
    assert [row["controller"] for row in rows] == list(control.CASES)
    for row in rows:
        assert row.keys() >= KEYS
        assert row["robot"] == "fr3"
        assert (row["allocations"], row["locks"]) == (0, 0)
        assert row["parameter_sets"] > 0
        assert row["torque_difference_to_numpy_nm"] <= 1e-9
        times = [value for name, value in row.items() if name.endswith("_us") or "_us_" in name]
        assert np.isfinite(times).all()
        assert min(times) > 0
        assert row["median_us"] <= row["p99_us"] <= row["max_us"]
        assert row["over_bare"] == pytest.approx(row["median_us"] / row["bare_terms_us"])
    assert written["over_bare"] == rows[0]["over_bare"]
    assert written["numpy_over_ours"] == rows[0]["numpy_over_ours"]


def test_zeros_that_nobody_counted_are_refused():
    """Without the preloaded library the worker has nothing to say."""
    command = "import sys; from steadyhand.bench import control_worker as w; sys.argv = ['', '{}']; w.main()"
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=control.child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "are not counted" in done.stderr


def test_messages_that_the_motion_sends_are_accepted():
    """A motion whose references are refused would time a controller that holds still."""
    for case, (name, _) in control.CASES.items():
        robot = control_worker.load_robot("fr3")
        core = control_worker.CONTROLLERS[name][0](robot.arm(), control_worker.parameters(robot, case))
        motion = control_worker.move(case, core, robot, 400)
        counters = core.status.counters
        assert counters["accepted"] == sum(len(messages) for messages in motion.messages.values())
        assert not any(count for key, count in counters.items() if key.startswith("refused"))
        assert np.abs(motion.q[-1] - motion.q[0]).max() > 0.003
