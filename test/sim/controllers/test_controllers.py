"""The other controllers do what they are for: each tracks what it takes, and gives way where it should."""

import numpy as np
import pytest
from rig import Bench, Rig
from scipy.spatial.transform import Rotation

from steadyhand.crisp_control._core import References

UNIT_MASS = np.full(6, 600.0)  # 1/s^2, stiffness of operational space control


def repeat(bench: Bench, seconds: float, ask, period: float = 0.1) -> None:
    """Asks again every period, as a policy does."""
    for _ in range(round(seconds / period)):
        ask()
        bench.send()
        bench.run(period)


def test_operational_space_reaches_a_pose(rig, measured):
    bench = rig.bench(operational_space=True, stiffness=UNIT_MASS, stiffness_maximum=UNIT_MASS)
    goal = bench.start_position + np.array([0.04, 0.08, -0.05])
    turned = (Rotation.from_rotvec([0.1, 0.15, -0.2]) * Rotation.from_quat(bench.start_quaternion)).as_quat()
    repeat(bench, 6.0, lambda: bench.references.set_pose(goal, turned, bench.time))
    seen = bench.twin.observe()
    angle = (Rotation.from_quat(seen.quaternion) * Rotation.from_quat(turned).inv()).magnitude()
    measured("error", 1e3 * np.linalg.norm(seen.position - goal), "mm")
    measured("angle", angle, "rad")
    assert np.linalg.norm(seen.position - goal) < 0.01  # joint friction
    assert angle < 0.03


def test_operational_space_without_friction_is_exact_and_straight(frictionless, measured):
    """Decoupled by the tool's inertia: asked to go along y, the tool leaves the line by little."""
    bench = frictionless.bench(operational_space=True, stiffness=UNIT_MASS, stiffness_maximum=UNIT_MASS)
    goal = bench.start_position + np.array([0.0, 0.10, 0.0])
    trace = bench.record(4.0, lambda tick: bench.ask_pose(goal) if tick % 100 == 0 else None)
    off = np.linalg.norm((trace.position - bench.start_position)[:, [0, 2]], axis=1).max()
    measured("off_the_line", 1e3 * off, "mm")
    measured("error", 1e3 * np.linalg.norm(trace.position[-1] - goal), "mm")
    assert off < 0.005
    assert np.linalg.norm(trace.position[-1] - goal) < 0.001


def test_joint_impedance_reaches_its_target(rig, measured):
    """With the joints' friction, which the robot's file compensates in part."""
    bench = rig.bench("joint_impedance")
    target = rig.home[rig.q_index] + np.array([0.3, -0.25, 0.2, 0.25, -0.3, 0.2, -0.4])
    repeat(bench, 4.0, lambda: bench.references.set_joint(target, bench.time))
    error = np.abs(bench.twin.observe().q - target)
    measured("error", error.max(), "rad")
    assert error.max() < 1e-2


def test_joint_impedance_gives_way_by_torque_over_stiffness(frictionless, measured):
    bench = frictionless.bench("joint_impedance")
    params = frictionless.params("joint_impedance")
    before = bench.twin.observe().q
    wrench = np.array([6.0, -8.0, 5.0, 0.3, 0.2, -0.4])
    bench.push_slowly(wrench[:3], wrench[3:])
    bench.settle()
    after = bench.twin.observe().q
    expected = frictionless.arm.jacobian(after).T @ wrench / params.stiffness
    error = np.linalg.norm(after - before - expected) / np.linalg.norm(expected)
    measured("error", 100 * error, "%")
    assert error < 0.02


def test_a_continuous_joint_goes_the_short_way(measured):
    rig = Rig("gen3")
    bench = rig.bench("joint_impedance")
    joint = next(i for i in range(rig.arm.n) if np.isinf(rig.arm.q_upper[i]) and abs(rig.robot.q_home[i]) > 3.0)
    target = rig.home[rig.q_index].copy()
    start = target[joint]
    target[joint] = -np.pi + 0.3  # beyond pi: 0.3 rad ahead, 6 rad back
    repeat(bench, 4.0, lambda: bench.references.set_joint(target, bench.time))
    reached = bench.twin.observe().q[joint]
    measured("went", reached - start, "rad")
    assert reached == pytest.approx(np.pi + 0.3, abs=1e-2)


@pytest.mark.parametrize("axis", range(3))
def test_admittance_gives_way_by_force_over_its_own_stiffness(frictionless, axis, measured):
    """No sensor: the observer feels the hand. The tool gives way like two springs in series."""
    bench = frictionless.bench("cartesian_admittance")
    params = frictionless.params("cartesian_admittance")
    force = np.zeros(3)
    force[axis] = 15.0
    bench.push_slowly(force, seconds=1.0)
    bench.settle()
    outer = (15.0 - params.deadband_force) / params.admittance_stiffness[axis]
    inner = 15.0 / params.stiffness[axis]
    attractor = (bench.twin.observe().reference_position - bench.start_position)[axis]
    moved = bench.moved()
    measured("attractor_over_expected", attractor / outer)
    measured("tool_over_expected", moved[axis] / (outer + inner))
    assert attractor == pytest.approx(outer, rel=0.05)
    assert moved[axis] == pytest.approx(outer + inner, rel=0.05)
    assert np.linalg.norm(np.delete(moved[:3], axis)) < 0.05 * (outer + inner)


def test_admittance_turns_by_torque_over_its_own_stiffness(frictionless, measured):
    bench = frictionless.bench("cartesian_admittance")
    params = frictionless.params("cartesian_admittance")
    torque = np.array([0.0, 0.0, 2.0])
    bench.push_slowly(torque=torque, seconds=1.0)
    bench.settle()
    expected = (2.0 - params.deadband_torque) / params.admittance_stiffness[5] + 2.0 / params.stiffness[5]
    moved = bench.moved()
    measured("turned_over_expected", moved[5] / expected)
    assert moved[5] == pytest.approx(expected, rel=0.05)
    assert np.linalg.norm(moved[:3]) < 0.005  # decoupled


def test_admittance_comes_back_and_still_tracks(rig, measured):
    """As the robot is, friction included: below the dead band nothing moves by itself."""
    bench = rig.bench("cartesian_admittance")
    bench.push_slowly((0.0, 15.0, 0.0))
    bench.run(3.0)
    away = bench.moved()[1]
    bench.push_slowly()
    bench.run(4.0)
    measured("gave_way", 1e3 * away, "mm")
    measured("left", 1e3 * np.linalg.norm(bench.moved()[:3]), "mm")
    assert away > 0.03
    goal = bench.start_position + np.array([0.03, -0.06, 0.04])
    repeat(bench, 4.0, lambda: bench.references.set_pose(goal, bench.start_quaternion, bench.time))
    error = np.linalg.norm(bench.twin.observe().position - goal)
    measured("tracking_error", 1e3 * error, "mm")
    assert error < 0.02


def test_torque_feedback_lets_the_hand_feel_the_follower(rig, measured):
    """The leader's joint carries gain times the follower's torque: a hand must push against it."""
    values = {"friction_compensation": 0.0, "smoothing_time": 0.01}
    bench, params, tau = rig.bench("torque_feedback", **values), rig.params("torque_feedback"), np.zeros(rig.arm.n)
    tau[0] = 0.3 * params.feedback_limit[0] / params.feedback_gain
    repeat(bench, 0.1, lambda: bench.references.set_torque(tau, bench.time), period=0.05)
    felt = bench.twin.observe()
    driven = (felt.tau - rig.arm.gravity(felt.q) + params.damping * felt.dq)[0]
    measured("felt_over_sent", driven / (params.feedback_gain * tau[0]))
    assert driven == pytest.approx(params.feedback_gain * tau[0], rel=0.05)
    bench.references = References()  # the follower falls silent
    bench.send()
    bench.run(2.0)
    left = bench.twin.observe()
    measured("left_over_sent", (left.tau - rig.arm.gravity(left.q))[0] / (params.feedback_gain * tau[0]))
    assert abs((left.tau - rig.arm.gravity(left.q))[0]) < 0.1 * params.feedback_gain * tau[0]
