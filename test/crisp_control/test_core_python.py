"""The controller core seen from Python. That its torques are those of the law: test_reference_law.py."""

import numpy as np
import pinocchio
import pytest
from scipy.spatial.transform import Rotation

from steadyhand.crisp_control import _core
from steadyhand.crisp_control._core import ArmModel, CartesianImpedance, CartesianImpedanceParams, ReferenceMode
from steadyhand.crisp_control._core import References as Messages
from steadyhand.crisp_control.parameters import CONTROLLERS, parameter_names
from steadyhand.sim.robot import load_robot

DT = 1e-3
HOME = np.array([0.1, -0.3, 0.2, -2.2, -0.1, 2.0, 0.7])
ARMATURE = [0.195, 0.195, 0.195, 0.195, 0.074, 0.074, 0.074]
REST = np.zeros(7)


@pytest.fixture(scope="module")
def robot():
    return load_robot("fr3")


@pytest.fixture
def arm(robot) -> ArmModel:
    return ArmModel(robot.urdf_xml, list(robot.joints), robot.tool_frame, ARMATURE)


@pytest.fixture
def params(arm) -> CartesianImpedanceParams:
    return CartesianImpedanceParams(arm)


@pytest.fixture
def messages() -> Messages:
    return Messages()


class Oracle:
    """Pinocchio's Python module on the arm with its fingers locked at zero."""

    def __init__(self, robot) -> None:
        full = pinocchio.buildModelFromXML(robot.urdf_xml)
        locked = [full.getJointId(name) for name in full.names[1:] if name not in robot.joints]
        self.model = pinocchio.buildReducedModel(full, locked, pinocchio.neutral(full))
        self.model.armature = np.array(ARMATURE)
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

    def mass_matrix(self, q: np.ndarray) -> np.ndarray:
        upper = np.triu(pinocchio.crba(self.model, self.data, q))
        return upper + np.triu(upper, 1).T

    def coriolis(self, q: np.ndarray, dq: np.ndarray) -> np.ndarray:
        return pinocchio.computeCoriolisMatrix(self.model, self.data, q, dq).copy()


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
        np.testing.assert_allclose(arm.mass_matrix(q), oracle.mass_matrix(q), atol=1e-10)
        np.testing.assert_allclose(arm.coriolis_transpose_dq(q, dq), oracle.coriolis(q, dq).T @ dq, atol=1e-10)
        np.testing.assert_array_equal(arm.mass_matrix(q), arm.mass_matrix(q).T)


def test_the_limits_of_the_model_are_those_of_the_urdf(arm, robot):
    model = Oracle(robot).model
    assert arm.n == 7
    assert arm.joints == list(robot.joints)
    np.testing.assert_array_equal(arm.q_lower, model.lowerPositionLimit)
    np.testing.assert_array_equal(arm.q_upper, model.upperPositionLimit)
    np.testing.assert_array_equal(arm.dq_limit, model.upperVelocityLimit)
    np.testing.assert_array_equal(arm.tau_limit, model.upperEffortLimit)
    assert (arm.friction > 0).all()
    assert (arm.damping > 0).all()


def test_counters_say_what_was_refused(arm, params, messages):
    controller = CartesianImpedance(arm, params)
    controller.reset(HOME, REST, REST, 0.0)
    position, quaternion = arm.placement(HOME)
    nothing = np.full(3, np.nan)
    for where, turn, stamp in [
        (position, quaternion, 0.0),
        (nothing, quaternion, 0.01),
        (position, 2 * quaternion, 0.01),
        (position, quaternion, 9.0),
        (position, quaternion, -0.1),
        (position + 1.0, quaternion, 0.05),
    ]:
        messages.set_pose(where, turn, stamp)
        controller.update(HOME, REST, REST, 0.0, messages, DT)
    counters = {name: count for name, count in controller.status.counters.items() if count and name != "ticks"}
    assert counters.items() >= {
        "accepted": 1, "refused_not_finite": 1, "refused_not_unit_quaternion": 1, "refused_from_the_future": 1,
        "refused_older_than_last": 1, "refused_jump": 1,
    }.items()  # fmt: skip


def test_every_kind_of_message_is_taken(arm, params, messages):
    controller = CartesianImpedance(arm, params)
    controller.reset(HOME, REST, arm.gravity(HOME), 0.0)
    position, quaternion = arm.placement(HOME)
    messages.set_pose(position, quaternion, 0.0)
    messages.set_chunk(np.array([0.0, 0.5]), np.stack([position] * 2), np.stack([quaternion] * 2), 0.01)
    messages.set_joint(HOME, 0.0)
    messages.set_wrench(np.full(6, 0.5), 0.0)
    messages.set_stiffness(np.full(6, 100.0), 0.0)
    controller.update(HOME, REST, REST, 0.01, messages, DT)
    assert controller.status.counters["accepted"] == 5
    assert controller.status.mode == ReferenceMode.TRACK
    for _ in range(3000):
        controller.update(HOME, REST, REST, 0.02, messages, DT)
    np.testing.assert_allclose(controller.stiffness, 100.0, atol=1e-6)
    assert controller.status.counters["accepted"] == 5, "the same messages again are no new ones"
    messages.set_pose(position, quaternion, 0.02)
    controller.update(HOME, REST, REST, 0.02, messages, DT)
    assert controller.status.counters["accepted"] == 6


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_controller_holds_the_weight_of_an_arm_at_rest(arm, messages, name):
    cls, params_cls = CONTROLLERS[name]
    controller = cls(arm, params_cls(arm))
    controller.reset(HOME, REST, arm.gravity(HOME), 0.0)
    for tick in range(10):
        tau = controller.update(HOME, REST, REST, tick * DT, messages, DT)
        np.testing.assert_allclose(tau, arm.gravity(HOME), atol=1e-9)
    np.testing.assert_allclose(controller.tracked[0], arm.placement(HOME)[0], atol=1e-12)
    np.testing.assert_allclose(controller.wrench, 0.0, atol=1e-6)
    np.testing.assert_allclose(controller.tau_external, 0.0, atol=1e-6)


def test_a_sensors_wrench_is_turned_into_the_axes_of_the_base(arm, params, messages):
    controller = CartesianImpedance(arm, params)
    controller.reset(HOME, REST, arm.gravity(HOME), 0.0)
    wrench = np.array([1.0, -2.0, 3.0, 0.1, 0.2, -0.3])
    controller.update(HOME, REST, REST, 0.0, messages, DT, wrench=wrench)
    R = Rotation.from_quat(arm.placement(HOME)[1])
    np.testing.assert_allclose(controller.wrench, np.concatenate([R.apply(wrench[:3]), R.apply(wrench[3:])]), atol=1e-9)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_parameters_can_be_read_back_and_changed_while_running(arm, messages, name):
    cls, params_cls = CONTROLLERS[name]
    params = params_cls(arm)
    for parameter in parameter_names(params_cls):
        value = getattr(params, parameter)
        setattr(params, parameter, value)
        np.testing.assert_array_equal(getattr(params, parameter), value, err_msg=parameter)
    controller = cls(arm, params)
    params.payload_mass = 1.5
    assert controller.params.payload_mass == 0.0, "a controller has its own copy"
    controller.set_params(params)
    assert controller.params.payload_mass == 1.5
    params.smoothing_time = -1.0
    with pytest.raises(ValueError, match="'smoothing_time' is -1"):
        controller.set_params(params)
    assert controller.params.smoothing_time > 0


def test_mistakes_raise_one_line(arm, robot, params, messages):
    with pytest.raises(ValueError, match=r"q has 6 values, the arm has 7 joints"):
        arm.placement(np.zeros(6))
    with pytest.raises(ValueError, match=r"no joint 'elbow'; it has: .*fr3_joint1"):
        ArmModel(robot.urdf_xml, ["elbow", *robot.joints[1:]], robot.tool_frame)
    with pytest.raises(ValueError, match=r"no frame 'hand'; it has: .*fr3_hand_tcp"):
        ArmModel(robot.urdf_xml, list(robot.joints), "hand")
    with pytest.raises(ValueError, match="armature has 1 values for 7 joints"):
        ArmModel(robot.urdf_xml, list(robot.joints), robot.tool_frame, [0.1])
    with pytest.raises(ValueError, match=r"1 to 64 times"):
        messages.set_chunk(np.zeros(65), np.zeros((65, 3)), np.zeros((65, 4)), 0.0)
    with pytest.raises(ValueError, match=r"'nullspace' is 'null'; it must be one of: none, kinematic, dynamic"):
        params.nullspace = "null"
    params.smoothing_time = -0.5
    with pytest.raises(ValueError, match=r"'smoothing_time' is -0\.5; it must be > 0 seconds"):
        params.validate(arm)
    with pytest.raises(ValueError, match="smoothing_time"):
        CartesianImpedance(arm, params)
    assert _core.MAX_JOINTS == 8
