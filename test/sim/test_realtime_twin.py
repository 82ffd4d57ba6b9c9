"""The twin against the wall clock, on a thread of its own."""

import time

import numpy as np
import pytest

from steadyhand.crisp_control._core import ReferenceMode
from steadyhand.sim._native import RealtimeTwin
from steadyhand.sim.env import World
from steadyhand.sim.realtime import Instant, RealtimeWorld


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


@pytest.fixture
def loop(world):
    twin = world.twin()
    twin.reset(world.home)
    loop = RealtimeTwin(twin)
    yield loop
    loop.stop()


def newest(loop: RealtimeTwin):
    """A snapshot that is newer than the last one."""
    deadline = time.monotonic() + 2.0
    while (snapshot := loop.snapshot()) is None:
        assert time.monotonic() < deadline, "the loop publishes nothing"
        time.sleep(0.0005)
    return snapshot


def until(condition, seconds: float = 2.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def test_keeps_real_time_and_says_how_well(loop):
    loop.start()
    time.sleep(2.0)
    statistics = loop.statistics()
    assert 0.9 < statistics["real_time_factor"] < 1.1, statistics
    assert 1800 < statistics["ticks"] < 2200
    assert statistics["scheduler"] in ("SCHED_FIFO", "SCHED_OTHER")
    assert statistics["overruns"] <= statistics["ticks"]
    assert statistics["p99_late_us"] > 0.0
    assert statistics["max_late_us"] > 0.0


def test_stop_ends_the_loop_and_gives_the_twin_back(world):
    twin = world.twin()
    twin.reset(world.home)
    loop = RealtimeTwin(twin)
    assert not loop.running
    loop.stop()  # before it ran: nothing to do
    for _ in range(3):
        loop.start()
        loop.start()  # already running: nothing to do
        assert loop.running
        time.sleep(0.05)
        begin = time.monotonic()
        loop.stop()
        assert time.monotonic() - begin < 0.5
        assert not loop.running
    at_stop = twin.time
    time.sleep(0.05)
    assert twin.time == at_stop > 0.05
    twin.step(10)
    assert twin.time == pytest.approx(at_stop + 0.010)


def test_a_snapshot_is_read_once_and_is_the_newest(loop):
    assert loop.snapshot() is None
    loop.start()
    last = 0
    for _ in range(20):
        time.sleep(0.01)
        (observation,), qpos, mocap = newest(loop)
        ticks = observation.status.counters["ticks"]
        assert ticks > last
        assert abs(observation.time - time.time()) < 0.05
        assert qpos.shape == (16,)
        assert mocap.shape == (7,)
        last = ticks
    assert last > 150  # of at least 200 ms
    loop.stop()
    loop.snapshot()
    assert loop.snapshot() is None


def test_takes_a_thousand_commands_and_follows_the_last(loop):
    loop.start()
    (observation,), _, _ = newest(loop)
    start, quaternion = observation.position, observation.quaternion
    for i in range(1000):
        offset = 0.05 * np.array([np.sin(0.01 * i), np.cos(0.01 * i) - 1.0, 0.0])
        loop.send(start + offset, quaternion, time.time(), 1.0)
        time.sleep(0.001)
    goal = start + np.array([0.0, 0.05, 0.02])
    for _ in range(10):
        loop.send(goal, quaternion, time.time(), 0.0)
        time.sleep(0.1)
    (observation,), _, _ = newest(loop)
    counters = observation.status.counters
    assert 300 < counters["accepted"] <= 1010
    assert sum(count for name, count in counters.items() if name.startswith("refused")) == 0, counters
    assert observation.status.mode == ReferenceMode.TRACK
    np.testing.assert_allclose(observation.reference_position, goal, atol=1e-3)
    np.testing.assert_allclose(observation.position, goal, atol=0.005)
    assert observation.gripper < 0.1


def test_stamps_are_wall_clock_time(loop):
    loop.start()
    (observation,), _, _ = newest(loop)
    for stamp in (time.time() - 10.0, time.time() + 10.0, 1.0):
        loop.send(observation.position, observation.quaternion, stamp, 1.0)
        time.sleep(0.02)
    (observation,), _, _ = newest(loop)
    assert observation.status.counters["accepted"] == 0
    assert observation.status.counters["refused_from_the_future"] == 1
    assert observation.status.counters["refused_expired"] == 2


def test_reset_and_pause_are_served_by_the_loop(loop, world):
    loop.start()
    time.sleep(0.1)
    start = world.home.copy()
    start[:7] += 0.1
    place = np.array([0.52, 0.11, 0.03, 1.0, 0.0, 0.0, 0.0])
    assert loop.set_paused(True)
    assert loop.reset(start, place)
    assert until(lambda: newest(loop)[0][0].status.counters["ticks"] == 0)
    time.sleep(0.02)
    _, qpos, mocap = newest(loop)
    np.testing.assert_array_equal(qpos, start)
    np.testing.assert_array_equal(mocap, place)
    assert loop.set_paused(False)
    assert until(lambda: newest(loop)[0][0].status.counters["ticks"] > 20)


def test_a_reset_of_the_wrong_size_raises(loop, world):
    with pytest.raises(ValueError, match="16 positions and 7 mocap values"):
        loop.reset(world.home[:3], np.zeros(7))


def test_requests_are_refused_when_nobody_serves_them(loop):
    answers = [loop.set_paused(False) for _ in range(20)]  # not started: the queue fills
    assert answers[0]
    assert not answers[-1]


def test_at_another_speed_stamps_count_time_steps(world):
    """They go on over a reset, stand still in a pause, and begin at the system's time."""
    twin = world.twin()
    twin.reset(world.home)
    loop, began = RealtimeTwin(twin, 4.0), time.time()
    loop.start()
    assert until(lambda: newest(loop)[0][0].status.counters["ticks"] > 100)
    observation = newest(loop)[0][0]
    origin = observation.time - 1e-3 * (observation.status.counters["ticks"] - 1)
    assert began <= origin < began + 0.5
    time.sleep(0.5)
    observation = newest(loop)[0][0]
    assert observation.time == pytest.approx(origin + 1e-3 * (observation.status.counters["ticks"] - 1), abs=1e-6)
    assert 3.0 < loop.statistics()["real_time_factor"] < 4.2
    assert loop.set_paused(True)
    time.sleep(0.02)
    stopped = newest(loop)[0][0].time
    assert loop.reset(world.home, np.array([0.5, 0.1, 0.03, 1.0, 0.0, 0.0, 0.0]))
    time.sleep(0.02)
    assert newest(loop)[0][0].time == stopped
    assert loop.set_paused(False)
    assert until(lambda: newest(loop)[0][0].time > stopped)
    assert newest(loop)[0][0].time < stopped + 1.0
    loop.stop()


@pytest.mark.parametrize("speed", [0.0, -1.0, 11.0, float("nan")])
def test_a_speed_that_cannot_be_is_refused(world, speed):
    with pytest.raises(ValueError, match=r"not from 0.1 to 10"):
        RealtimeTwin(world.twin(), speed)


def test_success_has_to_last_as_in_an_episode(world, monkeypatch):
    """A moment of it is none; 0.4 s are, as five decisions in an evaluation."""
    realtime = RealtimeWorld(world, 0)
    good: list[bool] = []
    monkeypatch.setattr(type(world.task), "success", lambda *_: good[-1])
    twin, told = world.twin(), []
    twin.reset(world.home)
    for tick in range(80):
        good.append(tick != 30)
        twin.step(10)
        told.append(realtime.look(Instant((twin.observe(),), twin.qpos, twin.mocap)).success)
    assert told.index(True) == 31 + 40
