"""A policy that dies: its last stamp ages, the arm holds, then damps; a relay that repeats it changes nothing."""

import time

import numpy as np
import pytest
from rig import DT, Bench, Loop, Rig

from steadyhand.crisp_control._core import ReferenceMode
from steadyhand.sim._native import RealtimeTwin

DEATH = 0.5  # s, time of the last decision
MOTION = 0.06  # m
STEP = np.array([0.0, 0.03, 0.02])  # m, from one decision to the next


def changes(modes: list) -> list[tuple[str, int]]:
    """(mode, first tick) of every run of equal modes."""
    return [(mode.name, i) for i, mode in enumerate(modes) if i == 0 or mode != modes[i - 1]]


def live_and_die(bench: Bench, relay: bool) -> tuple:
    """Decisions at 10 Hz until DEATH; then a relay, if any, repeats the last one at 50 Hz."""
    last = bench.start_position + STEP * 5

    def request(tick: int) -> None:
        if tick % 100 == 0 and tick * DT <= DEATH:
            bench.ask_pose(bench.start_position + STEP * (tick // 100))
        elif relay and tick % 20 == 0 and tick * DT > DEATH:
            bench.ask_pose(last, stamp=round(DEATH / 0.1) * 0.1)

    return bench.record(DEATH + bench.rig.params().damp_after + 1.0, request)


@pytest.mark.parametrize("relay", [False, True], ids=["silence", "relay"])
def test_holds_then_damps_within_the_configured_times(rig, relay, measured):
    params = rig.params()
    bench = rig.bench()
    trace = live_and_die(bench, relay)
    (first, _), (second, hold), (third, damp) = changes(trace.modes)
    assert (first, second, third) == ("TRACK", "HOLD", "DAMP")
    measured("held_after", hold * DT - DEATH, "s")
    measured("damped_after", damp * DT - DEATH, "s")
    assert 0.0 <= hold * DT - DEATH - params.hold_after <= 2 * DT
    assert 0.0 <= damp * DT - DEATH - params.damp_after <= 2 * DT
    held = trace.position[hold + 500 : damp]
    wandered = np.linalg.norm(held - held[0], axis=1).max()
    measured("wandered_while_holding", 1e3 * wandered, "mm")
    assert wandered < 1e-3
    fell = np.linalg.norm(trace.position[-1] - trace.position[damp])
    measured("moved_while_damping", 1e3 * fell, "mm")
    assert fell < 0.02
    speed = np.linalg.norm(np.diff(trace.position[-50:], axis=0), axis=1).max() / DT
    assert speed < 0.02


def test_in_the_middle_of_a_motion_it_stops_without_a_jerk(rig, measured):
    """Stale while the reference is still on its way: it comes to rest near, its velocity never jumps."""
    values = {"hold_after": 0.05, "damp_after": 3.0}
    bench = rig.bench(**values)
    bench.ask_pose(bench.start_position + np.array([0.0, MOTION, 0.0]))
    trace = bench.record(1.5)
    hold = dict(changes(trace.modes))["HOLD"]
    velocity = np.diff(trace.reference, axis=0) / DT
    jump = np.linalg.norm(np.diff(velocity, axis=0), axis=1).max()
    on = np.linalg.norm(trace.reference[-1] - trace.reference[hold])
    measured("velocity_jump_of_a_tick", 1e3 * jump, "mm/s")
    measured("went_on", 1e3 * on, "mm")
    assert jump < 0.5 * MOTION * (3.0 / rig.params().smoothing_time) ** 2 * DT
    assert 0.0 < on < 0.2 * MOTION
    assert np.abs(velocity[-1]).max() < 1e-3


def test_the_controller_itself_is_not_fooled_by_a_relay(rig):
    """Without the twin's loop: every tick is a new message with the old stamp."""
    loop, params = Loop(rig, rig.controller()), rig.params()
    position, quaternion = loop.pose()
    modes = []
    for _ in range(3000):
        loop.references.set_pose(position, quaternion, 0.0)
        loop.tick()
        modes.append(loop.controller.status.mode)
    (_, _), (hold_name, hold), (damp_name, damp) = changes(modes)
    assert (hold_name, damp_name) == ("HOLD", "DAMP")
    assert hold * DT == pytest.approx(params.hold_after, abs=2 * DT)
    assert damp * DT == pytest.approx(params.damp_after, abs=2 * DT)
    assert loop.controller.status.counters["accepted"] == 1
    assert loop.controller.status.counters["refused_older_than_last"] == 2999


def test_alive_again_starts_where_the_arm_is(rig, measured):
    bench = rig.bench()
    live_and_die(bench, relay=True)
    before = bench.twin.observe()
    goal = before.position + np.array([0.0, -0.05, 0.0])
    trace = bench.record(2.0, lambda tick: bench.ask_pose(goal, before.quaternion) if tick % 100 == 0 else None)
    assert {mode.name for mode in trace.modes} == {"TRACK"}
    jump = np.linalg.norm(trace.reference[0] - before.position)
    measured("reference_jump", 1e3 * jump, "mm")
    measured("error", 1e3 * np.linalg.norm(trace.position[-1] - goal), "mm")
    assert jump < 1e-3
    assert np.linalg.norm(trace.position[-1] - goal) < 0.01


def test_in_real_time_a_relay_does_not_keep_a_dead_policy_alive():
    """Against the wall clock. Every snapshot is judged by the age it tells, so a busy machine cannot spoil it."""
    times = {"hold_after": 0.4, "damp_after": 0.8}
    bench = Rig("fr3").bench(**times)
    seen, loop, told = bench.twin.observe(), RealtimeTwin(bench.twin), []
    loop.start()
    died = time.time()
    while time.time() < died + 10.0 and not (told and told[-1][1].mode == ReferenceMode.DAMP):
        loop.send(seen.position, seen.quaternion, died, 1.0)  # fresh arrival, old stamp
        snapshot = loop.snapshot()
        if snapshot is not None and snapshot[0][0].status.counters["accepted"]:
            told.append((snapshot[0][0].time - died, snapshot[0][0].status))
        time.sleep(0.002)
    loop.stop()
    assert told[-1][1].mode == ReferenceMode.DAMP
    assert told[-1][1].counters["accepted"] == 1
    for age, status in told:
        if abs(age - times["hold_after"]) < DT or abs(age - times["damp_after"]) < DT:
            continue  # the clocks' last digits
        late = (age > times["hold_after"]) + (age > times["damp_after"])
        assert status.mode == (ReferenceMode.TRACK, ReferenceMode.HOLD, ReferenceMode.DAMP)[late], f"{age} s old"
