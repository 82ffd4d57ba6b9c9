"""References of a policy or a hand: followed smoothly between decisions, by every controller that takes them.

Jerk is the RMS of third finite differences of noise-free simulated positions, sampled at the twin's 1 kHz.
"""

import numpy as np
import pytest
from rig import DT, Bench, Rig, SmoothPath, lag, rms_jerk

RATE = 15.0  # Hz, of the decisions
SECONDS = 8.0
WARM_UP = 1000  # ticks left out: a filter that starts from rest is no judge of ripple
SEED = 3


def decisions(path: SmoothPath) -> np.ndarray:
    """What a policy at 15 Hz requests, held until its next decision: (k, 3), one row per tick."""
    ticks = np.arange(round(SECONDS / DT))
    return path(np.floor(ticks * DT * RATE + 1e-9) / RATE)


def ema(targets: np.ndarray, time_constant: float) -> np.ndarray:
    """x += a (target - x) at every tick."""
    a, x, out = 1.0 - np.exp(-DT / time_constant), targets[0], []
    for target in targets:
        x = x + a * (target - x)
        out.append(x)
    return np.array(out)


def follow(bench: Bench, requests: np.ndarray):
    """Sends every new request and records all ticks."""

    def request(tick: int) -> None:
        if tick == 0 or (requests[tick] != requests[tick - 1]).any():
            bench.ask_pose(requests[tick])

    return bench.record(SECONDS, request)


def compare(rig: Rig, measured) -> dict[str, float]:
    """RMS jerk of reference and tool, ours and with an EMA: its output is sent every tick, hardly filtered (3 ms)."""
    bench, peer = rig.bench(), rig.bench(smoothing_time=0.003)
    path = SmoothPath(bench.start_position, SEED)
    requests = decisions(path)
    filtered = ema(requests, rig.params().smoothing_time)
    ours, theirs = follow(bench, requests), follow(peer, filtered)
    truth = path(np.arange(len(requests)) * DT)
    traces = {"reference_ours": ours.reference, "reference_ema": filtered}
    traces |= {"tool_ours": ours.position, "tool_ema": theirs.position}
    lags = {name: lag(truth, trace) for name, trace in traces.items()}
    jerks = {name: rms_jerk(trace[WARM_UP:]) for name, trace in traces.items()}
    for name in traces:
        measured(f"lag_{name}", 1e3 * lags[name], "ms")
        measured(f"jerk_{name}", jerks[name], "m/s^3")
    for name in ("reference", "tool"):  # so the comparison is fair
        assert lags[f"{name}_ours"] == pytest.approx(lags[f"{name}_ema"], abs=0.01)
    assert bench.twin.observe().status.counters["reflex_trips"] == 0
    return {name: jerks[f"{name}_ema"] / jerks[f"{name}_ours"] for name in ("reference", "tool")}


def test_the_reference_has_less_jerk_than_a_per_tick_ema_of_the_same_lag(rig, measured):
    """With dry friction the tool's own jerk is that of joints that stick and slip, even on a perfect path."""
    less = compare(rig, measured)
    for name, times in less.items():
        measured(f"{name}_times_less", times)
    assert less["reference"] > 5.0


def test_the_tool_has_less_jerk_than_with_a_per_tick_ema_of_the_same_lag(frictionless, measured):
    times = compare(frictionless, measured)["tool"]
    measured("tool_times_less", times)
    assert times > 5.0


def chunks(bench: Bench, path: SmoothPath, seam: float):
    """A policy predicts 16 poses at 15 Hz and again after 8 of them; chunks differ by `seam` m. Returns request()."""
    rng = np.random.default_rng(SEED)

    def request(tick: int) -> None:
        if tick % round(8 / RATE / DT):
            return
        times = bench.time + np.arange(1, 17) / RATE
        positions = path(times) + seam * rng.normal(size=3)
        bench.references.set_chunk(times, positions, np.tile(bench.start_quaternion, (16, 1)), bench.time)
        bench.send()

    return request


def test_chunks_join_without_a_jump_in_velocity(rig, measured):
    """A change of target of d m moves the acceleration at once by nothing, later by at most lambda^2 d / 2."""
    bench, seam = rig.bench(), 0.003
    path = SmoothPath(bench.start_position, SEED)
    trace = bench.record(SECONDS, chunks(bench, path, seam))
    velocity = np.diff(trace.reference, axis=0) / DT
    jump = np.linalg.norm(np.diff(velocity, axis=0), axis=1).max()
    step = 4.0 * seam  # of a normal vector's length few are longer
    allowed = (0.5 * (3.0 / rig.params().smoothing_time) ** 2 * step + 1.0) * DT
    measured("velocity_jump_of_a_tick", 1e3 * jump, "mm/s")
    measured("velocity_jump_unfiltered", 1e3 * seam / DT, "mm/s")
    assert jump < allowed < 0.02 * seam / DT
    counters = bench.twin.observe().status.counters
    assert counters["accepted"] >= SECONDS * RATE / 8
    assert counters["tank_limited"] == counters["refused_jump"] == 0


def test_a_chunk_is_followed_without_the_delay_of_the_filter(rig, measured):
    """It tells the future, so the reference is where the chunk says at the time it says."""
    bench = rig.bench()
    path = SmoothPath(bench.start_position, SEED)
    trace = bench.record(SECONDS, chunks(bench, path, 0.0))
    truth = path(trace.time)
    behind = lag(truth, trace.reference)
    off = np.linalg.norm(trace.reference - truth, axis=1)[WARM_UP:]
    measured("lag", 1e3 * behind, "ms")
    measured("lag_tool", 1e3 * lag(truth, trace.position), "ms")
    measured("off_the_path", 1e3 * off.max(), "mm")
    assert abs(behind) < 0.01
    assert off.max() < 0.002


def test_a_chunk_that_ends_is_held_and_then_given_up(rig):
    bench = rig.bench()
    times = bench.time + np.arange(1, 9) / RATE  # ends at 0.533 s
    positions = bench.start_position + np.linspace(0, 0.04, 8)[:, None] * np.array([0.0, 1.0, 0.0])
    bench.references.set_chunk(times, positions, np.tile(bench.start_quaternion, (8, 1)), bench.time)
    bench.send()
    params = rig.params()
    trace = bench.record(times[-1] + params.damp_after + 0.2)
    modes = np.array([mode.name for mode in trace.modes])
    assert {*modes[trace.time < times[-1] + params.hold_after - 0.002]} == {"TRACK"}
    held = (trace.time > times[-1] + params.hold_after + 0.002) & (trace.time < times[-1] + params.damp_after - 0.002)
    assert {*modes[held]} == {"HOLD"}
    np.testing.assert_allclose(trace.reference[held][-1], positions[-1], atol=1e-3)
    assert modes[-1] == "DAMP"
