import mujoco
import numpy as np
import pinocchio
import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import load_robot
from steadyhand.sim.scene import build_spec, compile, home_qpos

PEG_MASS = 0.15  # kg, of the box that is grasped


@pytest.fixture(scope="module")
def robot():
    return load_robot("fr3")


@pytest.fixture(scope="module")
def model(robot):
    return compile(build_spec(robot))


@pytest.fixture(scope="module")
def reference(robot):
    """Pinocchio's model of the same URDF; both engines order these joints alike."""
    return pinocchio.buildModelFromXML(robot.urdf_xml)


@pytest.fixture(scope="module")
def configurations(model):
    lower, upper = model.jnt_range.T
    return np.random.default_rng(0).uniform(lower, upper, size=(20, model.nq))


def test_joints_come_in_the_same_order(model, reference):
    assert [model.joint(i).name for i in range(model.njnt)] == list(reference.names)[1:]


def test_kinematics_equal_pinocchios(model, reference, configurations):
    data, there = mujoco.MjData(model), reference.createData()
    tool = reference.getFrameId("fr3_hand_tcp")
    for q in configurations:
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        pinocchio.framesForwardKinematics(reference, there, q)
        np.testing.assert_allclose(data.site("tool").xpos, there.oMf[tool].translation, atol=1e-9)
        np.testing.assert_allclose(data.site("tool").xmat.reshape(3, 3), there.oMf[tool].rotation, atol=1e-9)


def test_mass_matrix_equals_pinocchios(model, reference, configurations):
    data, there = mujoco.MjData(model), reference.createData()
    for q in configurations:
        data.qpos[:] = q
        mujoco.mj_forward(model, data)
        mass = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, mass)
        expected = pinocchio.crba(reference, there, q)
        expected = np.triu(expected) + np.triu(expected, 1).T
        np.testing.assert_allclose(mass - np.diag(model.dof_armature), expected, atol=1e-6)


def test_gravity_and_coriolis_torque_equal_pinocchios(model, reference, configurations):
    data, there = mujoco.MjData(model), reference.createData()
    for q, dq in zip(configurations, configurations[::-1], strict=True):
        data.qpos[:], data.qvel[:] = q, 0.0
        mujoco.mj_forward(model, data)
        gravity = pinocchio.computeGeneralizedGravity(reference, there, q)
        np.testing.assert_allclose(data.qfrc_bias, gravity, atol=1e-6)
        data.qvel[:] = dq
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(data.qfrc_bias, pinocchio.nonLinearEffects(reference, there, q, dq), atol=1e-6)


def test_total_mass(model, reference):
    assert model.body_mass.sum() == pytest.approx(sum(inertia.mass for inertia in reference.inertias), abs=1e-9)
    assert model.body_mass.sum() == pytest.approx(18.604, abs=1e-3)


def test_limits_and_drives_come_from_the_urdf(model, robot):
    for i, name in enumerate(robot.joints):
        joint, motor = model.joint(name), model.actuator(name)
        np.testing.assert_array_equal(joint.range, [robot.q_lower[i], robot.q_upper[i]])
        np.testing.assert_array_equal(motor.forcerange, [-robot.tau_limit[i], robot.tau_limit[i]])
        assert joint.armature == robot.armature[i]
        assert joint.frictionloss > 0
        assert joint.damping > 0
    np.testing.assert_array_equal(model.actuator("gripper").ctrlrange, [0.0, robot.gripper.max_opening])


def test_home_points_the_tool_down_at_the_workspace(model, robot):
    data = mujoco.MjData(model)
    data.qpos[:] = home_qpos(model, robot)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.site("tool").xpos, [0.47, 0.0, 0.35], atol=1e-4)
    np.testing.assert_allclose(data.site("tool").xmat.reshape(3, 3), np.diag([1.0, -1.0, -1.0]), atol=1e-4)
    assert data.ncon == 0


def test_cameras_look_where_the_robot_file_says(model, robot):
    data = mujoco.MjData(model)
    data.qpos[:] = home_qpos(model, robot)
    mujoco.mj_forward(model, data)
    tool = data.site("tool")
    for name in ("front", "side", "wrist"):
        camera = getattr(robot, f"{name}_camera")
        pos, target, up = map(np.array, (camera.pos, camera.target, camera.up))
        if name == "wrist":
            turn = tool.xmat.reshape(3, 3)
            pos, target, up = turn @ pos + tool.xpos, turn @ target + tool.xpos, turn @ up
        right, above, backward = data.camera(name).xmat.reshape(3, 3).T
        np.testing.assert_allclose(data.camera(name).xpos, pos, atol=1e-9)
        np.testing.assert_allclose(backward, (pos - target) / np.linalg.norm(pos - target), atol=1e-9)
        assert abs(right @ up) < 1e-9
        assert above @ up > 0.0


def test_neighbouring_links_do_not_collide(model, robot):
    """The arm alone, elbow up and bent as in use, meets no contact anywhere."""
    data, rng = mujoco.MjData(model), np.random.default_rng(1)
    home = home_qpos(model, robot)
    for _ in range(200):
        data.qpos[:] = home
        data.qpos[: len(robot.joints)] += rng.uniform(-0.4, 0.4, len(robot.joints))
        mujoco.mj_forward(model, data)
        if data.site("tool").xpos[2] > 0.25:
            assert data.ncon == 0


def test_gripper_lifts_a_peg_and_keeps_it(robot):
    """Close on a 30 mm peg, take its support away, shake it up and down: the peg stays, upright and symmetric."""
    spec = build_spec(robot)
    peg = spec.worldbody.add_body(name="peg", pos=[0.47, 0.003, 0.34])
    peg.add_freejoint()
    peg.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.015, 0.015, 0.04], mass=PEG_MASS)
    model = compile(spec)
    data = mujoco.MjData(model)
    data.qpos[:] = home = home_qpos(model, robot)
    peg_joint = model.body("peg").jntadr[0]
    address, dof = model.jnt_qposadr[peg_joint], model.jnt_dofadr[peg_joint]
    start = home[address : address + 7].copy()
    for tick in range(3000):
        if tick < 400:  # somebody holds the peg while the fingers close
            data.qpos[address : address + 7], data.qvel[dof : dof + 6] = start, 0.0
        _hold(model, data, robot, home, lift=0.1 * np.sin(2e-3 * np.pi * max(0, tick - 1000)))
        mujoco.mj_step(model, data)
        if tick == 900:
            grasp = _peg_in_hand(data)
    assert not any(warning.number for warning in data.warning)
    np.testing.assert_allclose(_peg_in_hand(data), grasp, atol=5e-4)
    assert data.joint("fr3_finger_joint1").qpos[0] == pytest.approx(0.015, abs=1e-3)
    assert data.joint("fr3_finger_joint1").qpos[0] == pytest.approx(data.joint("fr3_finger_joint2").qpos[0], abs=1e-4)
    assert data.body("peg").xmat[8] == pytest.approx(-data.site("tool").xmat[8], abs=1e-3)


def _hold(model, data, robot, home, lift):
    """Gravity compensation and a stiff joint spring around home with a little motion of the elbow (rad)."""
    n = len(robot.joints)
    wanted = home[:n].copy()
    wanted[3] += lift
    torque = data.qfrc_bias[:n] + 800.0 * (wanted - data.qpos[:n]) - 40.0 * data.qvel[:n]
    for name, value in zip(robot.joints, torque, strict=True):
        data.actuator(name).ctrl[0] = value
    data.actuator("gripper").ctrl[0] = 0.0


def _peg_in_hand(data) -> np.ndarray:
    tool = data.site("tool")
    return tool.xmat.reshape(3, 3).T @ (data.body("peg").xpos - tool.xpos)


def _write_arm(folder, links: int, geometry: str):
    """A bare arm without gripper: N hinges in a row."""
    inertial = (
        '<inertial><mass value="1"/><origin xyz="0 0 0.1"/>'
        '<inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>'
    )
    parts = ['<robot name="bare"><link name="world"/>']
    for i in range(links):
        kind = "continuous" if i == 0 else "revolute"
        parent = "world" if i == 0 else f"l{i - 1}"
        shape = f"<collision><geometry>{geometry}</geometry></collision>"
        parts.append(
            f'<link name="l{i}">{inertial}{shape}</link><joint name="j{i}" type="{kind}"><parent link="{parent}"/>'
            f'<child link="l{i}"/><origin xyz="0 0 0.2"/><axis xyz="0 {i % 2} {1 - i % 2}"/>'
            '<limit lower="-2" upper="2" velocity="2" effort="50"/></joint>'
        )
    (folder / "bare.urdf").write_text("".join(parts) + "</robot>")
    names = [f"j{i}" for i in range(links)]
    (folder / "bare.yaml").write_text(
        f"name: bare\nurdf: bare.urdf\nbase_frame: world\ntool_frame: l{links - 1}\njoints: {names}\n"
        f"q_home: {[0.1] * links}\narmature: {[0.1] * links}\n"
    )
    return folder / "bare.yaml"


@pytest.mark.parametrize("links", [5, 6, 8])
def test_any_arm_gets_a_twin(tmp_path, links):
    robot = load_robot(_write_arm(tmp_path, links, '<cylinder radius="0.04" length="0.2"/>'))
    model = compile(build_spec(robot, timestep=0.002))
    assert model.nu == model.nq == links
    assert model.opt.timestep == 0.002
    data = mujoco.MjData(model)
    data.qpos[:] = home_qpos(model, robot)
    mujoco.mj_step(model, data, 100)
    assert np.isfinite(data.qpos).all()
    assert not model.joint("j0").limited
    assert robot.q_upper[0] == np.inf


@pytest.mark.parametrize("name", ["package://lost/arm.stl", "arm.stl"])
def test_a_missing_mesh_is_named(tmp_path, name):
    robot = load_robot(_write_arm(tmp_path, 6, f'<mesh filename="{name}"/>'))
    with pytest.raises(SteadyhandError, match=f"mesh file '{name}' not found; looked for {tmp_path}"):
        build_spec(robot)


def test_a_mesh_is_found_beside_the_urdf_and_in_its_package(tmp_path):
    tetrahedron = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"
    for file, name in (("arm.obj", "arm.obj"), ("mine/arm.obj", "package://mine/arm.obj")):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(tetrahedron)
        robot = load_robot(_write_arm(tmp_path, 6, f'<mesh filename="{name}"/>'))
        assert compile(build_spec(robot)).nmesh == 1


def test_mujocos_complaints_become_one_line(robot):
    spec = build_spec(robot)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX)
    with pytest.raises(SteadyhandError, match="MuJoCo refuses the scene 'fr3'") as caught:
        compile(spec)
    assert "\n" not in str(caught.value)
