"""An arm that is told nothing stays where it is: under gravity compensation, and when a controller is switched on."""

import numpy as np
import pytest
from rig import Loop, Rig

POSTURES = 4
MILLIMETRE = 1e-3


def drift(rig: Rig, q: np.ndarray, seconds: float = 10.0, **values) -> float:
    """How far the tool gets from where it was under gravity compensation, m."""
    bench = rig.bench("gravity_compensation", q=q, **values)
    farthest = 0.0
    for _ in range(round(seconds / 0.1)):
        bench.twin.step(100)
        farthest = max(farthest, np.linalg.norm(bench.twin.observe().position - bench.start_position))
    return farthest


@pytest.mark.parametrize("friction", ["as it is", "none", "overcompensated"])
def test_gravity_compensation_does_not_drift(rig, frictionless, friction, measured):
    chosen = frictionless if friction == "none" else rig
    values = {"friction_compensation": 1.0} if friction == "overcompensated" else {}
    worst = max(drift(chosen, q, **values) for q in rig.postures(POSTURES))
    measured("drift_in_10_s", 1e3 * worst, "mm")
    assert worst < MILLIMETRE


def test_a_known_payload_does_not_pull_the_tool_down(rig, measured):
    mass, com = 0.8, np.array([0.02, -0.01, 0.05])

    def hang(spec, robot) -> None:
        held = spec.body(robot.tool_frame).add_body(name="held", pos=com)
        held.explicitinertial, held.mass, held.ipos, held.inertia = True, mass, [0.0] * 3, [1e-4] * 3

    loaded = Rig(rig.name, friction=False, build=hang)
    told = drift(loaded, None, 5.0, payload_mass=mass, payload_com=com)
    measured("drift_in_5_s", 1e3 * told, "mm")
    assert told < MILLIMETRE
    assert drift(loaded, None, 1.0) > 20 * MILLIMETRE  # so the weight was worth compensating


def jolt(loop: Loop, seconds: float = 1.0) -> float:
    """How far the tool gets from where it was after activation, m."""
    start, farthest = loop.pose()[0], 0.0
    for _ in range(round(1000 * seconds)):
        loop.tick()
        farthest = max(farthest, np.linalg.norm(loop.pose()[0] - start))
    return farthest


CONTROLLERS = ("cartesian_impedance", "cartesian_admittance", "joint_impedance", "gravity_compensation")


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("reported", [1.0, 0.95, 1.05])
def test_activation_does_not_move_the_tool(rig, frictionless, controller, reported, measured):
    """reported: the torque sensors show this part of gravity. With and without the friction that would hide a jolt."""
    loops = [
        Loop(r, r.controller(controller), q, reported=reported) for r in (rig, frictionless) for q in rig.postures(3)
    ]
    worst = max(jolt(loop) for loop in loops)
    measured("moved", 1e3 * worst, "mm")
    assert worst < MILLIMETRE


@pytest.mark.parametrize("reported", [1.0, 0.95])
def test_activation_on_a_robot_whose_firmware_adds_gravity(frictionless, reported, measured):
    loops = [
        Loop(frictionless, frictionless.controller(gravity_compensation=False), q, True, reported)
        for q in frictionless.postures(3)
    ]
    worst = max(jolt(loop) for loop in loops)
    measured("moved", 1e3 * worst, "mm")
    assert worst < MILLIMETRE


def test_activation_again_after_a_motion(rig, measured):
    """Whatever the controller was doing: reset starts from rest, where the arm is."""
    bench = rig.bench()
    bench.ask_pose(bench.start_position + np.array([0.0, 0.08, 0.05]))
    bench.run(0.4)
    stopped = rig.bench(q=bench.twin.observe().q)
    bench.twin.reset(stopped.twin.qpos)
    for ticks in range(10):
        bench.twin.step(100)
        stopped.twin.step(100)
        assert bench.twin.qpos.tobytes() == stopped.twin.qpos.tobytes(), f"{ticks} ticks: something was remembered"
    measured("moved", 1e3 * np.linalg.norm(bench.twin.observe().position - stopped.start_position), "mm")
