"""The figures of `steadyhand bench twin`, in a run too short to mean anything: their keys, and what never varies."""

import json
import sys
from pathlib import Path

import pytest

from steadyhand.bench import robosuite_peer, twin
from steadyhand.bench.run import BenchConfig

FIGURES = {
    "contact_real_time_factor_1_core", "free_real_time_factor_1_core", "over_bare_contact", "over_bare_free",
    "scaling_2_threads", "scaling_2_threads_bare", "camera_pairs_per_s_224", "episodes_per_minute",
}  # fmt: skip


@pytest.fixture
def short(monkeypatch):
    for name, value in (("REPEATS", 1), ("CHUNKS", 4), ("SCALING_PERIODS", 1), ("EPISODE_SEEDS", range(2))):
        monkeypatch.setattr(twin, name, value)


def test_without_robosuite_the_bench_says_why(short, tmp_path, monkeypatch, capsys):
    """No index to install from: both ratios are null and the reason is in the file, nothing half-made stays usable."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    twin.main(BenchConfig("twin", tmp_path / "twin.json"))
    written = json.loads((tmp_path / "twin.json").read_text())
    assert min(written[name] for name in FIGURES) > 0
    assert (written["robosuite_lift_ratio"], written["robosuite_nut_ratio"]) == (None, None)
    assert "robosuite cannot be installed" in written["robosuite"]["reason"]
    assert "robosuite: not measured" in capsys.readouterr().err
    assert not list(tmp_path.rglob("ready"))


def test_robosuite_is_left_out_on_request(short, tmp_path, monkeypatch):
    monkeypatch.setattr(robosuite_peer, "measure", lambda: pytest.fail("measured all the same"))
    twin.main(BenchConfig("twin", tmp_path / "twin.json", robosuite=False))
    written = json.loads((tmp_path / "twin.json").read_text())
    assert written["robosuite_lift_ratio"] is None
    assert "--no-robosuite" in written["robosuite"]["reason"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """An MJCF as robosuite writes it: motors with names of their own, a drive for each finger, a site as tool."""
    axes = ("0 0 1", "0 1 0", "0 0 1", "0 1 0", "0 0 1", "0 1 0", "0 0 1")
    links = "".join(
        f"""<body pos="0 0 0.15">
        <joint name="robot0_joint{number}" axis="{axis}" range="-2 2" armature="0.1" damping="1"/>
        <geom type="capsule" size="0.03 0.05" mass="1" contype="0"/><geom size="0.06" contype="0" mass="0"/>"""
        for number, axis in enumerate(axes, start=1)
    )
    spans = {"finger1": "0 0.04", "finger2": "-0.04 0"}
    fingers = "".join(
        f"""<body><joint name="{name}" type="slide" axis="0 1 0" range="{span}" damping="10"/>
        <geom size="0.01" mass="0.02" contype="0"/></body>"""
        for name, span in spans.items()
    )
    motors = "".join(f'<motor name="torq{n}" joint="robot0_joint{n}" ctrlrange="-80 80"/>' for n in range(1, 8))
    drives = "".join(f'<position joint="{name}" kp="1000" ctrlrange="{span}"/>' for name, span in spans.items())
    path = tmp_path_factory.mktemp("mjcf") / "Lift.xml"
    path.write_text(
        f"""<mujoco><compiler angle="radian"/><option timestep="0.002"/><default><geom conaffinity="0"/></default>
        <worldbody>{links}{fingers}<site name="{robosuite_peer.TOOL}" pos="0 0 0.1"/>{"</body>" * len(axes)}</worldbody>
        <actuator>{motors}{drives}</actuator></mujoco>"""
    )
    return path


DESCRIBED = {
    "qpos": [0.1, 0.4, 0.2, -1.2, 0.1, 1.0, 0.3, 0.02, -0.02], "timestep": 0.002, "substeps": 25, "kp": 150,
    "scale": [0.05] * 3 + [0.5] * 3, "seed": 21, "reach": 0.2,
}  # fmt: skip


@pytest.mark.parametrize("operational_space", [False, True])
def test_our_side_moves_in_robosuites_scene(scene, operational_space):
    ours = robosuite_peer.Ours.load(scene, DESCRIBED, operational_space=operational_space)
    figures = ours.run(20)  # refuses to measure an arm that does not follow
    assert figures["tool_path_m"] > 0.01
    assert min(figures["loop_us"], figures["bare_us"]) > 0
    assert ours.twin.qpos[7:] == pytest.approx([0.02, -0.02], abs=1e-3)  # held in the middle


def test_what_is_only_seen_does_not_move_anything(scene):
    lean, full = (robosuite_peer.Ours.load(scene, DESCRIBED, visuals=visuals) for visuals in (False, True))
    lean.run(10)
    full.run(10)
    assert lean.model.ngeom < full.model.ngeom
    assert lean.twin.qpos.tobytes() == full.twin.qpos.tobytes()


@pytest.mark.slow
def test_both_sides_run_the_same_scene(monkeypatch):
    """The real robosuite, from the user's cache; installs it there on first use."""
    monkeypatch.setattr(robosuite_peer, "REPEATS", 1)
    monkeypatch.setattr(robosuite_peer, "PERIODS", 10)
    ratios, details = robosuite_peer.measure()
    assert ratios.keys() == {"robosuite_lift_ratio", "robosuite_nut_ratio"}
    for key, ratio in ratios.items():
        row = details[key]
        assert ratio == pytest.approx(row["theirs"]["loop_us"] / row["ours"]["loop_us"])
        assert (row["robosuite"], row["timestep"]) == ("1.5.2", 0.002)
        assert row["ours"]["contacts"] == pytest.approx(row["theirs"]["contacts"], rel=0.2)
        for side in ("theirs", "ours", "ours_without_visuals", "ours_operational_space"):
            assert row[side]["tool_path_m"] > 0.003


def test_a_robosuite_that_breaks_down_is_reported(monkeypatch, capsys):
    """A Python without robosuite: the worker ends with an error instead of its first answer."""
    monkeypatch.setattr(robosuite_peer, "peer_python", lambda: Path(sys.executable))
    ratios, details = robosuite_peer.measure()
    assert set(ratios.values()) == {None}
    assert "does not run here (ModuleNotFoundError: No module named 'robosuite')" in details["reason"]
    assert "not measured" in capsys.readouterr().err
