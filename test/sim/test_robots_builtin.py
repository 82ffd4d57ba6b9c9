"""Every robot that comes with Steadyhand: its figures against other sources, and what it does in the twin."""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters, make_controller
from steadyhand.sim._native import Twin
from steadyhand.sim.env import World
from steadyhand.sim.robot import load_robot, robot_names
from steadyhand.sim.scene import VISUAL_GROUP

DEGREE = np.pi / 180
# Tool at home: position and orientation in the base frame.
HOMES = {
    "fr3": ([0.47, 0.0, 0.35], np.diag([1.0, -1.0, -1.0])),
    "gen3": ([0.45, 0.0, 0.40], np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])),
    "iiwa14": ([0.55, 0.0, 0.40], np.diag([-1.0, 1.0, -1.0])),
}
MASSES = {"fr3": 18.604, "gen3": 8.188, "iiwa14": 29.9}  # kg; the last two as their makers' data sheets round them


@pytest.fixture(scope="module", params=robot_names())
def world(request) -> World:
    return World.load(request.param, None)


@pytest.fixture(scope="module")
def configurations(world) -> np.ndarray:
    """Random postures (20, n) within the limits; continuous joints turn more than once."""
    lower = np.maximum(world.robot.q_lower, -10.0)
    upper = np.minimum(world.robot.q_upper, 10.0)
    return np.random.default_rng(0).uniform(lower, upper, (20, world.arm.n))


@pytest.fixture
def twin(world) -> Twin:
    twin = world.twin()
    twin.reset(world.home)
    return twin


def put(world: World, q: np.ndarray, dq: np.ndarray | None = None) -> mujoco.MjData:
    """MuJoCo's state with the arm at q and its derived quantities; the arm's joints come first."""
    data = mujoco.MjData(world.model)
    data.qpos[:] = world.home
    data.qpos[: world.arm.n] = q
    if dq is not None:
        data.qvel[: world.arm.n] = dq
    mujoco.mj_forward(world.model, data)
    return data


def test_the_three_robots_are_there():
    assert robot_names() == sorted(HOMES)


def test_iiwa_limits_are_kukas():
    robot = load_robot("iiwa14")
    np.testing.assert_allclose(robot.q_upper, np.array([170, 120, 170, 120, 170, 120, 175]) * DEGREE, atol=2e-6)
    np.testing.assert_allclose(robot.dq_limit, np.array([85, 85, 100, 75, 130, 135, 135]) * DEGREE, atol=2e-6)
    assert robot.q_lower == tuple(-q for q in robot.q_upper)
    assert robot.tau_limit == (320, 320, 176, 176, 110, 40, 40)


def test_gen3_limits_are_kinovas():
    robot = load_robot("gen3")
    assert robot.q_upper == (np.inf, 2.24, np.inf, 2.57, np.inf, 2.09, np.inf)
    assert robot.q_lower == tuple(-q for q in robot.q_upper)
    np.testing.assert_allclose(robot.dq_limit, np.array([80, 80, 80, 80, 70, 70, 70]) * DEGREE, atol=1e-4)
    assert robot.tau_limit == (39, 39, 39, 39, 9, 9, 9)


def iiwa_kinematics(q: np.ndarray) -> np.ndarray:
    """Base, shoulder, elbow, wrist and flange lie 0.36, 0.42, 0.40 and 0.126 m apart (KUKA's data sheet)."""
    pose = np.eye(4)
    lengths, signs = (0.36, 0.0, 0.42, 0.0, 0.40, 0.0, 0.126), (1, 1, 1, -1, 1, 1, 1)
    for axis, length, sign, angle in zip("zyzyzyz", lengths, signs, q, strict=True):
        pose = pose @ rotation(axis, sign * angle) @ shift(length)
    return pose


def gen3_kinematics(q: np.ndarray) -> np.ndarray:
    """Denavit-Hartenberg chain without lengths a, as in Kinova's user guide; sums of the drawing's lengths, in mm."""
    pose = rotation("x", np.pi)
    lengths = (156.43 + 128.38, 5.375 + 6.375, 2 * 210.38, 2 * 6.375, 208.43 + 105.93, 2 * 0.17505, 105.93 + 61.525)
    for i, (length, angle) in enumerate(zip(lengths, q, strict=True)):
        twist = np.pi if i == 6 else np.pi / 2
        pose = pose @ rotation("z", angle + (np.pi if i else 0.0)) @ shift(-length / 1000) @ rotation("x", twist)
    return pose


def rotation(axis: str, angle: float) -> np.ndarray:
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    matrix = np.eye(4)
    matrix[j, j] = matrix[k, k] = np.cos(angle)
    matrix[k, j] = np.sin(angle)
    matrix[j, k] = -matrix[k, j]
    return matrix


def shift(z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[2, 3] = z
    return matrix


@pytest.mark.parametrize(("name", "kinematics"), [("iiwa14", iiwa_kinematics), ("gen3", gen3_kinematics)])
def test_kinematics_are_those_of_the_data_sheet(name, kinematics: Callable):
    arm = load_robot(name).arm()
    for q in np.random.default_rng(1).uniform(-2.0, 2.0, (20, 7)):
        position, quaternion = arm.placement(q)
        expected = kinematics(q)
        np.testing.assert_allclose(position, expected[:3, 3], atol=1e-9)
        turned = np.zeros(9)
        mujoco.mju_quat2Mat(turned, quaternion[[3, 0, 1, 2]])
        np.testing.assert_allclose(turned.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_mujoco_and_the_core_agree(world, configurations):
    n = world.arm.n
    for q, dq in zip(configurations, configurations[::-1] / 10, strict=True):
        data = put(world, q, dq)
        np.testing.assert_allclose(data.site("tool").xpos, world.arm.placement(q)[0], atol=1e-9)
        mass = np.zeros((world.model.nv, world.model.nv))
        mujoco.mj_fullM(world.model, data, mass)
        np.testing.assert_allclose(mass[:n, :n], world.arm.mass_matrix(q), atol=2e-3)  # the FR3's fingers stand open
        np.testing.assert_allclose(data.qfrc_bias[:n], world.arm.nonlinear_effects(q, dq), atol=0.03)


def test_masses_add_up_to_the_makers(world):
    assert world.model.body_mass.sum() == pytest.approx(MASSES[world.robot.name], abs=2e-3)


def test_every_inertia_is_that_of_a_body(world):
    """Principal moments of anything with mass everywhere: none exceeds the sum of the others."""
    moments = world.model.body_inertia[world.model.body_mass > 0.0]
    assert (2.0 * moments.max(axis=1) <= moments.sum(axis=1) * (1.0 + 1e-6)).all()


def test_home(world):
    position, orientation = HOMES[world.robot.name]
    data = put(world, world.home[: world.arm.n])
    np.testing.assert_allclose(data.site("tool").xpos, position, atol=1e-4)
    np.testing.assert_allclose(data.site("tool").xmat.reshape(3, 3), orientation, atol=1e-4)
    assert data.ncon == 0
    q = np.array(world.robot.q_home)
    assert (np.minimum(q - world.robot.q_lower, np.array(world.robot.q_upper) - q) > 0.3).all()
    assert np.linalg.svd(world.arm.jacobian(q), compute_uv=False)[-1] > 0.15  # far from singular


def test_every_moving_link_is_drawn_and_touches(world):
    geoms = [(world.model.body(geom.bodyid[0]).name, geom) for geom in map(world.model.geom, range(world.model.ngeom))]
    for name in world.robot.joints:
        link = world.robot.urdf.joints[name].child
        own = [geom for body, geom in geoms if body == link]
        assert any(geom.group[0] == VISUAL_GROUP for geom in own)
        assert any(geom.contype[0] for geom in own)


def test_the_arm_seldom_meets_itself(world):
    """In postures at random, as seldom as the real arms do; around home never."""
    rng, n = np.random.default_rng(2), world.arm.n
    lower, upper = np.maximum(world.robot.q_lower, -np.pi), np.minimum(world.robot.q_upper, np.pi)
    table = world.model.geom("table").id
    meetings = 0
    for q in rng.uniform(lower, upper, (500, n)):
        meetings += any(table not in contact.geom for contact in put(world, q).contact)
    assert meetings < 0.06 * 500
    for q in world.home[:n] + rng.uniform(-0.4, 0.4, (200, n)):
        data = put(world, q)
        assert data.ncon == 0 or data.site("tool").xpos[2] < 0.25


def test_it_holds_still(twin):
    before = twin.observe()
    twin.step(5000)
    after = twin.observe()
    assert np.linalg.norm(after.position - before.position) < 1e-4
    assert np.abs(after.q - before.q).max() < 1e-3


@pytest.mark.parametrize("direction", [[0.1, 0, 0], [0, -0.1, 0], [0, 0, 0.1]])
def test_it_follows_a_motion_of_ten_centimetres(world, twin, direction):
    start = twin.observe()
    for part in [*np.linspace(0.05, 1.0, 20), *[1.0] * 20]:
        goal = start.position + (3 - 2 * part) * part**2 * np.array(direction)
        twin.set_reference(goal, start.quaternion, twin.time, 1.0)
        twin.step(66)
        seen = twin.observe()
        assert np.linalg.norm(seen.position - seen.reference_position) < 0.025
        assert abs(seen.quaternion @ start.quaternion) > np.cos(0.05 / 2)
        assert (np.abs(seen.tau) < 0.5 * np.array(world.robot.tau_limit)).all()
    np.testing.assert_allclose(seen.position, goal, atol=0.004)  # joint friction, 80 % of it compensated


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_without_friction_nothing_drifts(world, controller):
    """Friction would hide what gravity compensation leaves over."""
    model = World.load(world.robot.name, None).model
    model.dof_frictionloss[:] = 0.0
    params = load_parameters(world.robot.name, world.arm, controller)
    params.friction_compensation = 0.0
    twin = Twin(model._address, CONTROLLERS[controller][0](world.arm, params))
    twin.reset(world.home)
    before = twin.observe()
    twin.step(3000)
    assert np.linalg.norm(twin.observe().position - before.position) < 1e-4


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_gains_are_written_for_every_controller(world, controller):
    assert make_controller(world.robot.name, world.arm, controller) is not None


@pytest.mark.parametrize("name", ["gen3", "iiwa14"])
@pytest.mark.parametrize("controller", ["cartesian_impedance", "cartesian_admittance", "joint_impedance"])
def test_springs_stretched_to_their_clip_do_not_saturate_a_joint(name, controller):
    robot = load_robot(name)
    arm, q = robot.arm(), np.array(robot.q_home)
    params = load_parameters(name, arm, controller)
    cap = params.stiffness * params.error_clip
    torque = cap if controller == "joint_impedance" else np.abs(arm.jacobian(q).T) @ cap  # all axes at their worst
    assert (torque + np.abs(arm.gravity(q)) < robot.tau_limit).all()


def test_full_turns_of_a_continuous_joint_change_nothing():
    world = World.load("gen3", None)
    turns = np.array([4, 0, -2, 0, 2, 0, -6]) * np.pi
    seen = []
    for offset in (np.zeros(7), turns):
        twin = world.twin()
        twin.reset(world.home + offset)
        start = twin.observe()
        for _ in range(10):
            twin.set_reference(start.position + np.array([0.0, 0.05, 0.0]), start.quaternion, twin.time, 1.0)
            twin.step(100)
        seen.append(twin.observe())
    np.testing.assert_allclose(seen[1].position, seen[0].position, atol=1e-6)
    np.testing.assert_allclose(seen[1].q - turns, seen[0].q, atol=1e-5)


def test_an_arm_without_gripper_ignores_its_command():
    world = World.load("gen3", None)
    twins = [world.twin(), world.twin()]
    for twin, gripper in zip(twins, (0.0, 1.0), strict=True):
        twin.reset(world.home)
        seen = twin.observe()
        twin.set_reference(seen.position, seen.quaternion, twin.time, gripper)
        twin.step(100)
        assert twin.observe().gripper == 0.0
    assert twins[0].qpos.tobytes() == twins[1].qpos.tobytes()
