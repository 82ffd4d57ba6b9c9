"""The controller core seen from Python, against the law of docs/controller.md written a second time in numpy."""

from dataclasses import dataclass

import numpy as np
import pinocchio
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from steadyhand.crisp_control._core import ArmModel, CartesianImpedance, CartesianImpedanceParams, ReferenceMode
from steadyhand.sim.robot import load_robot

DT = 1e-3
HOME = np.array([0.1, -0.3, 0.2, -2.2, -0.1, 2.0, 0.7])


@pytest.fixture(scope="module")
def robot():
    return load_robot("fr3")


@pytest.fixture
def arm(robot) -> ArmModel:
    return ArmModel(robot.urdf_xml, list(robot.joints), robot.tool_frame)


@pytest.fixture
def params(arm) -> CartesianImpedanceParams:
    params = CartesianImpedanceParams(arm)
    params.stiffness = np.array([900.0, 700.0, 1500.0, 60.0, 40.0, 90.0])
    params.damping_ratio = np.array([1.0, 0.7, 0.9, 1.1, 1.0, 0.8])
    params.friction = np.linspace(0.9, 0.2, 7)
    return params


class Oracle:
    """Pinocchio's Python module on the arm with its fingers locked at zero."""

    def __init__(self, robot) -> None:
        full = pinocchio.buildModelFromXML(robot.urdf_xml)
        locked = [full.getJointId(name) for name in full.names[1:] if name not in robot.joints]
        self.model = pinocchio.buildReducedModel(full, locked, pinocchio.neutral(full))
        self.data = self.model.createData()
        self.tool = self.model.getFrameId(robot.tool_frame)

    def placement(self, q: np.ndarray) -> tuple[np.ndarray, Rotation]:
        pinocchio.framesForwardKinematics(self.model, self.data, q)
        pose = self.data.oMf[self.tool]
        return pose.translation.copy(), Rotation.from_matrix(pose.rotation)

    def jacobian(self, q: np.ndarray) -> np.ndarray:
        frame = pinocchio.ReferenceFrame.LOCAL_WORLD_ALIGNED
        return pinocchio.computeFrameJacobian(self.model, self.data, q, self.tool, frame).copy()

    def nonlinear(self, q: np.ndarray, dq: np.ndarray) -> np.ndarray:
        return pinocchio.rnea(self.model, self.data, q, dq, np.zeros(7)).copy()


@dataclass
class Reference:
    """Interpolated reference: position, rotation, and velocity and acceleration (6,) of both."""

    position: np.ndarray
    rotation: Rotation
    velocity: np.ndarray
    acceleration: np.ndarray

    def step(self, position: np.ndarray, rotation: Rotation, smoothing_time: float) -> None:
        """(d/dt + lambda)^3 error = 0 over one tick, by the matrix exponential of its state-space form."""
        rate = 3.0 / smoothing_time
        system = np.array([[0, 1, 0], [0, 0, 1], [-(rate**3), -3 * rate**2, -3 * rate]])
        error = np.concatenate([self.position - position, (self.rotation * rotation.inv()).as_rotvec()])
        moved = expm(system * DT) @ np.stack([error, self.velocity, self.acceleration])
        self.position = position + moved[0, :3]
        self.rotation = Rotation.from_rotvec(moved[0, 3:]) * rotation
        self.velocity, self.acceleration = moved[1], moved[2]


class NumpyImpedance:
    """docs/controller.md, line by line; references are always good."""

    def __init__(self, oracle: Oracle, params: CartesianImpedanceParams, q: np.ndarray, tau: np.ndarray) -> None:
        self.oracle, self.p = oracle, params
        self.reference = Reference(*oracle.placement(q), np.zeros(6), np.zeros(6))
        self.posture, self.last = q, tau

    def update(self, q: np.ndarray, dq: np.ndarray, position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
        p = self.p
        self.reference.step(position, Rotation.from_quat(quaternion), p.smoothing_time)
        tool_position, tool_rotation = self.oracle.placement(q)
        J = self.oracle.jacobian(q)
        turn = (self.reference.rotation * tool_rotation.inv()).as_rotvec()
        error = np.clip(np.concatenate([self.reference.position - tool_position, turn]), -p.error_clip, p.error_clip)
        force = p.stiffness * error - 2 * p.damping_ratio * np.sqrt(p.stiffness) * (J @ dq)
        damping = 2 * p.nullspace_damping_ratio * np.sqrt(p.nullspace_stiffness)
        posture = p.nullspace_stiffness * (self.posture - q) - damping * dq
        posture = np.clip(posture, -p.nullspace_torque_limit, p.nullspace_torque_limit)
        N = np.eye(7) - J.T @ np.linalg.inv(J @ J.T + 1e-8 * np.eye(6)) @ J
        tau = J.T @ force + N @ posture + p.friction * np.tanh(dq / p.friction_velocity)
        return self._limit(tau + self.oracle.nonlinear(q, dq))

    def _limit(self, tau: np.ndarray) -> np.ndarray:
        tau = np.clip(tau, -self.p.torque_limit, self.p.torque_limit)
        change = self.p.torque_rate_limit * DT
        self.last = self.last + np.clip(tau - self.last, -change, change)
        return self.last


def test_model_terms_equal_pinocchio(arm, robot):
    oracle, rng = Oracle(robot), np.random.default_rng(0)
    for _ in range(20):
        q, dq = rng.uniform(-2, 2, 7), rng.uniform(-1, 1, 7)
        position, quaternion = arm.placement(q)
        expected_position, expected_rotation = oracle.placement(q)
        np.testing.assert_allclose(position, expected_position, atol=1e-12)
        assert (Rotation.from_quat(quaternion) * expected_rotation.inv()).magnitude() < 1e-7
        np.testing.assert_allclose(arm.jacobian(q), oracle.jacobian(q), atol=1e-12)
        np.testing.assert_allclose(arm.nonlinear_effects(q, dq), oracle.nonlinear(q, dq), atol=1e-10)
        np.testing.assert_allclose(arm.gravity(q), oracle.nonlinear(q, np.zeros(7)), atol=1e-10)
        np.testing.assert_array_equal(arm.mass_matrix(q), arm.mass_matrix(q).T)


@pytest.mark.parametrize("rate", [1000.0, 1e9], ids=["rate limited", "free"])
def test_torque_equals_the_numpy_law(arm, robot, params, rate):
    rng = np.random.default_rng(1)
    params.torque_rate_limit = np.full(7, rate)
    tau = arm.gravity(HOME)
    expected = NumpyImpedance(Oracle(robot), params, HOME, tau)
    controller = CartesianImpedance(arm, params)
    controller.reset(HOME, np.zeros(7), tau, 0.0)
    start, start_quaternion = arm.placement(HOME)
    for tick in range(600):
        now = tick * DT
        if tick % 100 == 0:  # a new request at 10 Hz, far enough to reach the error clip
            position = start + rng.uniform(-0.1, 0.1, 3)
            quaternion = (
                Rotation.from_rotvec(rng.uniform(-0.3, 0.3, 3)) * Rotation.from_quat(start_quaternion)
            ).as_quat()
        q = HOME + 0.1 * np.sin(now * np.arange(3.0, 10.0))
        dq = 0.1 * np.arange(3.0, 10.0) * np.cos(now * np.arange(3.0, 10.0))
        tau = controller.update(q, dq, tau, now, position, quaternion, now, tick + 1, DT)
        np.testing.assert_allclose(tau, expected.update(q, dq, position, quaternion), atol=1e-9, rtol=0)
    assert controller.status.mode == ReferenceMode.TRACK
    assert controller.status.counters["accepted"] == 600
    assert controller.status.counters["error_clipped"] > 0


def test_counters_say_what_was_refused(arm, params):
    controller = CartesianImpedance(arm, params)
    controller.reset(HOME, np.zeros(7), np.zeros(7), 0.0)
    position, quaternion = arm.placement(HOME)
    nothing = np.full(3, np.nan)
    for sequence, (where, turn, stamp) in enumerate(
        [
            (position, quaternion, 0.0),
            (nothing, quaternion, 0.0),
            (position, 2 * quaternion, 0.0),
            (position, quaternion, 9.0),
            (position, quaternion, -0.1),
            (position + 1.0, quaternion, 0.05),
        ],
        start=1,
    ):
        controller.update(HOME, np.zeros(7), np.zeros(7), 0.0, where, turn, stamp, sequence, DT)
    counters = {name: count for name, count in controller.status.counters.items() if count and name != "ticks"}
    assert counters.items() >= {
        "accepted": 1, "refused_not_finite": 1, "refused_not_unit_quaternion": 1, "refused_from_the_future": 1,
        "refused_older_than_last": 1, "refused_jump": 1,
    }.items()  # fmt: skip


def test_mistakes_raise_one_line(arm, robot, params):
    with pytest.raises(ValueError, match=r"q has 6 values, the arm has 7 joints"):
        arm.placement(np.zeros(6))
    with pytest.raises(ValueError, match=r"no joint 'elbow'; it has: .*fr3_joint1"):
        ArmModel(robot.urdf_xml, ["elbow", *robot.joints[1:]], robot.tool_frame)
    with pytest.raises(ValueError, match=r"no frame 'hand'; it has: .*fr3_hand_tcp"):
        ArmModel(robot.urdf_xml, list(robot.joints), "hand")
    params.smoothing_time = -0.5
    with pytest.raises(ValueError, match=r"'smoothing_time' is -0\.5; it must be > 0 seconds"):
        params.validate(7)
    with pytest.raises(ValueError, match="smoothing_time"):
        CartesianImpedance(arm, params)
