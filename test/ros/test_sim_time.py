"""A twin at another speed than real time, and those who talk to it on its time."""

import time

import numpy as np
import pytest
from listening import JOINTS, Listener

from steadyhand import ros, ros_time
from steadyhand.data_collection.sidecar import load_sidecar
from steadyhand.errors import SteadyhandError
from steadyhand.ros_messages import diagnostics_values, get_stamp
from steadyhand.ros_observation import ObservationNotReadyError, StateBuffer
from steadyhand.ros_processes import Processes, private_graph

SPEED = 2.0


@pytest.fixture(scope="module")
def logs(graph, tmp_path_factory):
    return tmp_path_factory.mktemp("sim_time")


@pytest.fixture(scope="module")
def running(logs):
    with Processes(logs / "logs") as running:
        options = ("--seed", 4, "--rate", 50, "--cameras", "front", "--width", 160, "--height", 120)
        running.start("twin", "--speed", SPEED, *options)
        yield running


def test_who_keeps_the_systems_time_is_told(running):
    with ros.running("stranger", "", lambda node: StateBuffer(node, JOINTS)) as buffer:
        assert abs(ros.now() - time.time()) < 0.01

        def told() -> bool:
            try:
                buffer.now()
            except ObservationNotReadyError as error:
                return "--sim-time" in str(error)
            return False  # a twin that has just started is not ahead by enough

        end = time.monotonic() + 10.0
        while not told():
            assert time.monotonic() < end
            time.sleep(0.05)


def test_without_a_clock_nobody_starts(monkeypatch):
    monkeypatch.setattr(ros_time, "CLOCK_WAIT", 0.3)
    refused = pytest.raises(SteadyhandError, match="nobody publishes /clock")
    with private_graph(), refused, ros.running("node", "", sim_time=True):
        pass
    assert abs(ros.now() - time.time()) < 0.01


@pytest.fixture(scope="module")
def twin(running):
    """From here on this process keeps the twin's time."""
    with ros.running("listener", "", Listener, sim_time=True) as listener:
        listener.listen("/clock")
        listener.wait_for(lambda: listener.count("/clock") > 10 and listener.count("joint_states"), 20, running.check)
        yield listener


def clock(twin) -> float:
    message = twin.last("/clock").clock
    return message.sec + 1e-9 * message.nanosec


def test_stamps_are_those_of_the_clock_which_runs_at_its_speed(twin):
    first, began = twin.wait_for(lambda: clock(twin)), time.monotonic()
    time.sleep(1.0)
    passed, elapsed = clock(twin) - first, time.monotonic() - began
    assert 0.8 * SPEED < passed / elapsed < 1.2 * SPEED
    ticks = [m.clock.sec + 1e-9 * m.clock.nanosec for _, m in twin.heard["/clock"]]
    assert (np.diff(ticks) > 0.0).all()
    states = {round(get_stamp(m), 4) for _, m in twin.heard["joint_states"]}
    assert len(states & {round(t, 4) for t in ticks}) > 20
    assert abs(ros.now() - clock(twin)) < 0.1
    assert float(twin.status()["speed"]) == SPEED


def test_a_pace_follows_the_clock(twin):
    pace, began = ros.Pace(20.0), ros.now()
    for _ in range(10):
        pace.wait()
    assert 0.45 < ros.now() - began < 2.0


def test_the_clock_stands_still_in_a_pause_and_goes_on_over_a_reset(twin):
    assert twin.call("pause", ros.SetBool.Request(data=True)).success
    twin.wait_for(lambda: len({m.clock.nanosec for _, m in twin.heard["/clock"][-10:]}) == 1)
    stopped = clock(twin)
    pace = ros.Pace(10.0)
    pace.wait()  # does not wait for ever
    assert clock(twin) == stopped
    assert twin.call("reset").success
    assert twin.call("pause", ros.SetBool.Request(data=False)).success
    twin.wait_for(lambda: clock(twin) > stopped + 0.1)


def test_a_target_ages_by_the_clock(twin):
    twin.reset()
    position, quaternion = twin.pose()
    stamp = ros.now()
    twin.ask(position, quaternion)
    twin.wait_for(lambda: twin.status()["message"] == "damp")
    heard = [(get_stamp(m), diagnostics_values(m)) for _, m in twin.heard["controller_status"]]
    ages = [(now - stamp, float(s["reference_age"])) for now, s in heard if s["accepted"] == "1"]
    assert len(ages) > 5
    assert all(since == pytest.approx(age, abs=0.005) for since, age in ages)


def test_an_operator_works_on_its_time(twin, running):
    running.start("teleop", "--device", "scripted", "--seed", 5, "--sim-time")
    running.wait("teleop", 60)
    assert twin.last("task/success").data


@pytest.mark.slow
def test_operator_and_recorder_work_on_its_time(twin, running, logs):
    running.start(
        "record", "--output", logs / "data", "--episodes", 1, "--cameras", "front", "--operator", "scripted",
        "--sim-time",
    )  # fmt: skip
    twin.wait_for(lambda: "ready" in running.log("record").read_text(), 60, running.check)
    running.start("teleop", "--device", "scripted", "--seed", 6, "--sim-time")
    running.wait("teleop", 60)
    running.wait("record", 20)
    row = load_sidecar(logs / "data")[0]
    assert row["success"]
    assert row["human_frames"] > row["dropped_frames"]
