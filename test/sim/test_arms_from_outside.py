"""Arms that nobody prepared: models of the PyPI wheel example-robot-data, of Gymnasium, and an MJCF written here.

Measured without joint friction, which would hide errors of gravity compensation and stop the tool before its goal.
"""

import importlib.metadata
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters
from steadyhand.sim._native import Twin
from steadyhand.sim.env import World

URDFS = {
    "panda": ("panda_description/urdf/panda.urdf", "panda_hand_tcp", 7),
    "ur5": ("ur_description/urdf/ur5_robot.urdf", "tool0", 6),
    "z1": ("z1_description/urdf/z1.urdf", "gripperStator", 6),
    "xarm7": ("xarm_description/urdf/xarm7.urdf", "link_eef", 7),
}
PUSHER = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "pusher_v5.xml"
# Its motors of 2 Nm cannot carry it (its own gravity is off), and it reaches below the table.
PUSHER_FILE = f"mjcf: {PUSHER}\nq_home: [0.2, 0.2, 0.3, -1.6, 0.3, -0.5, 0.0]\ntau_limit: [60, 60, 30, 30, 10, 10, 5]\n"
# Anchors off the body's origin, tilted bodies and inertias, an axis that is not x, y or z, a reference position, a
# spring, gravity compensation by MuJoCo, degrees, a finger with a coupled one, and things that are no arm.
TWISTED = """
<mujoco model="twisted">
  <compiler angle="degree"/>
  <option gravity="0 0 0" density="1.2"/>
  <worldbody>
    <geom type="plane" size="1 1 0.1"/>
    <body name="ball" pos="0 2 1"><freejoint/><geom size="0.1"/></body>
    <body name="stand" pos="0.1 0 0.2" euler="0 0 20"><geom type="box" size="0.05 0.05 0.05" contype="0"/>
      <body name="a" pos="0 0 0.1"><joint name="a1" axis="0 0 1" pos="0.02 0.01 0" range="-170 170" armature="0.1"/>
        <geom type="capsule" fromto="0 0 0 0.05 0 0.2" size="0.03" contype="0" conaffinity="0"/>
        <body name="b" pos="0.05 0 0.2" euler="0 90 10">
          <joint name="a2" axis="0 1 0" range="-120 120" armature="0.1" stiffness="5" springref="20"/>
          <inertial pos="0.1 0.02 0" mass="2" diaginertia="0.02 0.03 0.04" euler="10 20 30"/>
          <body name="c" pos="-0.05 0 0.3" gravcomp="1">
            <joint name="a3" axis="0 1 0.3" pos="0 0.05 0" ref="15" range="-150 150" armature="0.1"/>
            <geom type="capsule" fromto="0 0 0 0 0 0.25" size="0.03" contype="0" conaffinity="0"/>
            <body name="d" pos="0 0 0.25"><joint name="a4" axis="0 0 1" limited="false" armature="0.05" damping="0.5"/>
              <geom type="capsule" fromto="0 0 0 0.1 0 0" size="0.03" contype="0" conaffinity="0"/>
              <body name="e" pos="0.1 0 0"><joint name="a5" axis="0 1 0" range="-120 120" armature="0.05"/>
                <geom type="capsule" fromto="0 0 0 0 0 0.1" size="0.02" contype="0" conaffinity="0"/>
                <body name="f" pos="0 0 0.1"><joint name="a6" axis="0 0 1" range="-170 170" armature="0.02"/>
                <geom size="0.02" contype="0" conaffinity="0"/>
                <site name="tool_centre" pos="0 0 0.12" euler="0 30 0"/>
                <body name="thumb" pos="0.02 0 0.1" euler="0 0 15">
                  <joint name="thumb" type="slide" axis="1 0 0" range="0.01 0.03"/>
                  <geom size="0.01" contype="0" conaffinity="0"/></body>
                <body name="other" pos="-0.02 0 0.1"><joint name="other" type="slide" axis="-1 0 0" range="0.01 0.03"/>
                  <geom size="0.01" contype="0" conaffinity="0"/></body>
              </body></body></body></body></body></body></body>
  </worldbody>
  <equality><joint joint1="thumb" joint2="other"/></equality>
  <actuator>
    <position joint="a1" kp="100" forcerange="-40 40"/><position joint="a2" kp="100" forcerange="-60 60"/>
    <motor joint="a3" ctrlrange="-2 2" gear="20"/><motor joint="a4" ctrlrange="-15 15"/>
    <motor joint="a5" ctrlrange="-12 12"/><motor joint="a6" ctrlrange="-12 12"/><position joint="thumb" kp="10"/>
  </actuator>
  <sensor><jointpos joint="thumb"/></sensor>
  <keyframe><key name="home" qpos="0 2 1 1 0 0 0 0.2 0.3 1.0 0.4 0.9 0.3 0.02 0.02"/></keyframe>
</mujoco>
"""


def wheel() -> Path:
    """The folder of robots in example-robot-data."""
    place = importlib.metadata.distribution("example-robot-data")  # one of the dev dependencies
    return Path(str(place.locate_file("cmeel.prefix/share/example-robot-data/robots")))


@pytest.fixture(scope="module", params=[*URDFS, "pusher", "twisted"])
def world(request, tmp_path_factory) -> World:
    """A world whose joints have no Coulomb friction."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in URDFS:
        path = wheel() / URDFS[request.param][0]
    elif request.param == "pusher":
        path = folder / "pusher.yaml"
        path.write_text(PUSHER_FILE)
    else:
        path = folder / "twisted.xml"
        path.write_text(TWISTED)
    world = World.load(str(path), None)
    world.model.dof_frictionloss[:] = 0.0
    return world


def twin_of(world: World, controller: str) -> Twin:
    params = load_parameters(world.robot.gains, world.arm, controller)
    params.friction_compensation = 0.0
    twin = Twin(world.model._address, CONTROLLERS[controller][0](world.arm, params))
    twin.reset(world.home)
    return twin


@pytest.mark.parametrize("name", URDFS)
def test_joints_and_tool_are_found(name):
    file, tool, joints = URDFS[name]
    robot = World.load(str(wheel() / file), None).robot
    assert robot.tool_frame == tool
    assert len(robot.joints) == joints
    assert any(note.startswith("q_home") for note in robot.notes)
    assert any(note.startswith("armature") for note in robot.notes)


def test_the_core_knows_the_arm_that_mujoco_moves(world):
    """Tool pose, mass matrix and gravity at random postures: Pinocchio on the URDF, MuJoCo on its own model."""
    model, arm, robot = world.model, world.arm, world.robot
    data = mujoco.MjData(model)
    at = [model.joint(name).qposadr[0] for name in robot.joints]
    dofs = [model.joint(name).dofadr[0] for name in robot.joints]
    assert model.nv == arm.n
    worst = np.zeros(4)
    for q in np.random.default_rng(0).uniform(
        np.maximum(robot.q_lower, -np.pi), np.minimum(robot.q_upper, np.pi), (50, arm.n)
    ):
        data.qpos[at] = q
        mujoco.mj_forward(model, data)
        mass, turn = np.zeros((model.nv, model.nv)), np.zeros(9)
        mujoco.mj_fullM(model, data, mass)
        position, quaternion = arm.placement(q)
        mujoco.mju_quat2Mat(turn, quaternion[[3, 0, 1, 2]])
        site = data.site("tool")
        gaps = (
            site.xpos - position,
            site.xmat - turn,
            mass[np.ix_(dofs, dofs)] - arm.mass_matrix(q),
            data.qfrc_bias[dofs] - data.qfrc_passive[dofs] - arm.gravity(q),
        )
        worst = np.maximum(worst, [np.abs(gap).max() for gap in gaps])
    print(f"{robot.name}: tool {worst[0]:.1e} m, {worst[1]:.1e}; mass {worst[2]:.1e} kg m^2; gravity {worst[3]:.1e} Nm")
    assert worst.max() < 1e-9


def test_it_holds_still_under_gravity_compensation(world):
    twin = twin_of(world, "gravity_compensation")
    start, drift = twin.observe().position, 0.0
    for _ in range(100):
        twin.step(100)
        drift = max(drift, float(np.linalg.norm(twin.observe().position - start)))
    print(f"{world.robot.name}: the tool drifts {1e3 * drift:.1e} mm in 10 s")
    assert drift < 1e-3


@pytest.mark.parametrize("direction", [(0.05, 0, 0), (0, 0.05, 0), (0, 0, 0.05)], ids="xyz")
def test_it_reaches_a_pose_five_centimetres_away(world, direction):
    twin = twin_of(world, "cartesian_impedance")
    start, most = twin.observe(), 0.0
    for part in [*np.linspace(0.025, 1.0, 40), *[1.0] * 120]:
        goal = start.position + (3 - 2 * part) * part**2 * np.array(direction)
        twin.set_reference(goal, start.quaternion, twin.time, 1.0)
        twin.step(50)
        seen = twin.observe()
        most = max(most, float((np.abs(seen.tau) / world.robot.tau_limit).max()))
    error = float(np.linalg.norm(seen.position - goal))
    turned = 2.0 * np.arccos(min(1.0, abs(float(seen.quaternion @ start.quaternion))))
    print(f"{world.robot.name}: {1e3 * error:.4f} mm and {turned:.1e} rad from the goal, {most:.2f} of a torque limit")
    assert error < 2e-3
    assert turned < 0.01
    assert most < 1.0
