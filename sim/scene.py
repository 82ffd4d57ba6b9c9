"""The twin's MuJoCo model, generated from a robot's URDF: drives, gripper, contact rules, table, light and cameras."""

from collections.abc import Sequence
from itertools import combinations

import mujoco
import numpy as np

from steadyhand.errors import SteadyhandError, one_line
from steadyhand.sim.mjcf import twin_spec
from steadyhand.sim.mount import SINGLE, Mount
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.robot_file import CameraSpec, GripperSpec
from steadyhand.sim.urdf import Urdf, mujoco_xml

VISUAL_GROUP = 2  # drawn, touches nothing
COLLISION_GROUP = 3  # touches, not drawn
STIFF = [0.004, 1.0], [0.99, 0.999, 0.001, 0.5, 2.0]  # solref and solimp of what must hardly give
FRONT_OF_PAIR = CameraSpec((1.75, 0.0, 1.0), (0.32, 0.0, 0.22), (0.0, 0.0, 1.0), 44.0)
SIDE_OF_PAIR = CameraSpec((1.1, 1.35, 1.1), (0.3, 0.0, 0.2), (0.0, 0.0, 1.0), 44.0)
IMAGE_SIZE = (640, 480)  # largest picture, width and height


def build_spec(
    robot: RobotSpec | Sequence[RobotSpec], timestep: float = 0.001, mounts: Sequence[Mount] = SINGLE
) -> mujoco.MjSpec:
    """Build the scene with a robot, or one on each mount, on the table; tasks add their objects to the result.

    The table's surface is z = 0, the base of a single robot is at the origin. Names, behind the mount's prefix: one
    motor per arm joint called like the joint, the actuator "gripper" (opening of one finger in m), the site "tool", the
    camera "wrist", and with a force/torque sensor the sensors "tool_force" and "tool_torque". Without prefix: the
    cameras "front" and "side", the geom "table".
    """
    robots = [robot] if isinstance(robot, RobotSpec) else list(robot)
    if len(robots) == 1 and not mounts[0].prefix:
        spec = _arm_spec(robots[0])
    else:
        spec = mujoco.MjSpec()
        for arm, mount in zip(robots, mounts, strict=True):
            frame = spec.worldbody.add_frame(pos=[mount.x, mount.y, 0.0], quat=mount.quaternion)
            spec.attach(_arm_spec(arm), prefix=mount.prefix, frame=frame)
    spec.modelname = " and ".join(arm.name for arm in robots)
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # With MuJoCo's pyramidal cones a peg creeps through closed fingers by 0.4 mm/s; with these by 0.002, at equal cost.
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    _add_room(spec)
    alone = len(robots) == 1
    _add_camera(spec.worldbody, "front", robots[0].front_camera if alone else FRONT_OF_PAIR)
    _add_camera(spec.worldbody, "side", robots[0].side_camera if alone else SIDE_OF_PAIR)
    return spec


def _arm_spec(robot: RobotSpec) -> mujoco.MjSpec:
    """One robot with its drives, sensors and wrist camera, on its own."""
    spec = _parse(robot.urdf) if robot.mjcf is None else twin_spec(robot.mjcf)
    _sort_geoms(spec, weightless=robot.mjcf is None)
    _exclude_neighbours(spec, robot.urdf)
    _add_motors(spec, robot)
    if robot.gripper is not None:
        _add_gripper(spec, robot.gripper)
    tool = _body(spec, robot.tool_frame)
    tool.add_site(name="tool", size=[0.005, 0.005, 0.005], group=4)
    if robot.force_torque_link:
        _add_force_torque(spec, robot)
    _add_camera(tool, "wrist", robot.wrist_camera)
    return spec


def compile(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile a scene, turning MuJoCo's complaints into an error for people."""
    try:
        return spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        raise SteadyhandError(f"MuJoCo refuses the scene '{spec.modelname}': {one_line(error)}") from error


def home_qpos(
    model: mujoco.MjModel, robot: RobotSpec | Sequence[RobotSpec], mounts: Sequence[Mount] = SINGLE
) -> np.ndarray:
    """Positions (nq,) with the arms at home and grippers open; whatever a task added stays where it was defined."""
    qpos = model.qpos0.copy()
    for arm, mount in zip([robot] if isinstance(robot, RobotSpec) else robot, mounts, strict=True):
        places = dict(zip(arm.joints, arm.q_home, strict=True))
        if arm.gripper is not None:
            fingers = filter(None, (arm.gripper.joint, arm.gripper.mimic_joint))
            places |= dict.fromkeys(fingers, arm.gripper.max_opening)
        for name, q in places.items():
            qpos[model.joint(mount.prefix + name).qposadr[0]] = q
    return qpos


def check_home(model: mujoco.MjModel, home: np.ndarray, robot: RobotSpec, mount: Mount = SINGLE[0]) -> None:
    """Refuse a home (nq,) in which the arm touches itself or anything else: it would jump away."""
    data = mujoco.MjData(model)
    data.qpos[:] = home
    mujoco.mj_forward(model, data)
    own = {int(model.jnt_bodyid[model.joint(mount.prefix + name).id]) for name in robot.joints}
    for contact in data.contact:
        bodies = [int(model.geom_bodyid[geom]) for geom in contact.geom]
        if any(int(model.body_weldid[body]) in own for body in bodies):
            names = " touches ".join(f"'{model.body(body).name}'" for body in bodies)
            raise SteadyhandError(f"{robot.name}: at home {names}; give a free posture as 'q_home' in a robot file")


def _parse(urdf: Urdf) -> mujoco.MjSpec:
    try:
        return mujoco.MjSpec.from_string(mujoco_xml(urdf))
    except (ValueError, mujoco.FatalError) as error:
        raise SteadyhandError(f"{urdf.path}: MuJoCo cannot read it: {one_line(error)}") from error


def _body(spec: mujoco.MjSpec, link: str) -> mujoco.MjsBody:
    # MuJoCo takes a root link called "world" as the world itself.
    return spec.body(link) or spec.worldbody


def _sort_geoms(spec: mujoco.MjSpec, weightless: bool) -> None:
    """Tell pictures from contact bodies; a link without visuals shows its contact bodies.

    No shape of a URDF weighs anything: its inertias are the whole truth, for Pinocchio as for MuJoCo.
    """
    for body in spec.bodies:
        has_visual = any(_is_visual(geom) for geom in body.geoms)
        for geom in body.geoms:
            if weightless:
                geom.mass = 0.0
            geom.group = VISUAL_GROUP if _is_visual(geom) or not has_visual else COLLISION_GROUP


def _is_visual(geom: mujoco.MjsGeom) -> bool:
    return geom.contype == 0 and geom.conaffinity == 0


def _exclude_neighbours(spec: mujoco.MjSpec, urdf: Urdf) -> None:
    """Let links up to two joints apart pass through each other: their coarse contact bodies overlap at the joints.

    The first moving link passes through the table, on which the arm stands.
    """
    groups = {link: urdf.group(link) for link in urdf.links if spec.body(link) and _touches(spec.body(link))}
    for (first, a), (second, b) in combinations(groups.items(), 2):
        common = sum(x == y for x, y in zip(a, b, strict=False))
        if 0 < len(a) + len(b) - 2 * common <= 2:
            spec.add_exclude(bodyname1=first, bodyname2=second)
    for link, group in groups.items():
        if len(group) == 1:
            spec.add_exclude(bodyname1="world", bodyname2=link)


def _touches(body: mujoco.MjsBody) -> bool:
    return any(not _is_visual(geom) for geom in body.geoms)


def _add_motors(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    for name, armature, effort in zip(robot.joints, robot.armature, robot.tau_limit, strict=True):
        spec.joint(name).armature = armature
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.ctrlrange = motor.forcerange = [-effort, effort]


def _add_gripper(spec: mujoco.MjSpec, gripper: GripperSpec) -> None:
    """One position drive for both fingers; the equality from the URDF's <mimic> passes half of its force on."""
    fingers = [name for name in (gripper.joint, gripper.mimic_joint) if name]
    for name in fingers:
        joint = spec.joint(name)
        joint.damping = [gripper.damping, 0.0, 0.0]
        joint.armature = gripper.armature
        joint.actfrclimited = False  # the drive has its own limit
    force = gripper.max_force * len(fingers)
    drive = spec.add_actuator(name="gripper", target=gripper.joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    drive.set_to_position(kp=gripper.stiffness)
    drive.ctrlrange = [0.0, gripper.max_opening]
    drive.forcerange = [-force, force]
    for equality in spec.equalities:
        equality.solref, equality.solimp = STIFF
    for link in gripper.pad_links:
        for geom in spec.body(link).geoms:
            if not _is_visual(geom):
                _make_pad(geom)


def _make_pad(geom: mujoco.MjsGeom) -> None:
    geom.condim = 4  # resists twisting about the contact's normal too
    geom.friction = [1.5, 0.02, 0.0001]
    geom.priority = 1  # rubber decides, whatever is held
    geom.solref, geom.solimp = STIFF


def _add_room(spec: mujoco.MjSpec) -> None:
    world = spec.worldbody
    spec.visual.global_.offwidth, spec.visual.global_.offheight = IMAGE_SIZE
    # Shadows, multisampling and fine surfaces are most of what a picture costs without a GPU.
    quality = spec.visual.quality
    quality.offsamples, quality.shadowsize, quality.numslices, quality.numstacks, quality.numquads = 0, 0, 16, 8, 2
    spec.visual.headlight.ambient = [0.36, 0.36, 0.37]
    spec.visual.headlight.diffuse = [0.22, 0.22, 0.22]
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    for position, direction, strength in (
        ([1.0, -1.0, 2.5], [-0.4, 0.45, -1.0], 0.46),
        ([0.3, 1.5, 2.0], [0.1, -0.8, -0.6], 0.20),
    ):
        light = world.add_light(pos=position, dir=direction, castshadow=False)
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        light.diffuse = [strength] * 3
        light.specular = [0.15] * 3
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.80, 0.84, 0.88],
        rgb2=[0.52, 0.57, 0.63],
        width=128,
        height=768,
    )
    drawn = {"contype": 0, "conaffinity": 0, "group": VISUAL_GROUP}
    box, plane = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_PLANE
    # A plane touches faster and steadier than the top of a box.
    world.add_geom(name="table", type=plane, size=[0.8, 0.7, 0.01], group=COLLISION_GROUP)
    world.add_geom(type=box, pos=[0.35, 0, -0.02], size=[0.65, 0.7, 0.02], rgba=[0.76, 0.69, 0.59, 1], **drawn)
    for x, y in ((-0.25, -0.65), (-0.25, 0.65), (0.95, -0.65), (0.95, 0.65)):
        world.add_geom(type=box, pos=[x, y, -0.39], size=[0.03, 0.03, 0.35], rgba=[0.24, 0.25, 0.27, 1], **drawn)
    world.add_geom(type=plane, pos=[0, 0, -0.74], size=[4, 4, 0.1], rgba=[0.55, 0.57, 0.60, 1], **drawn)


def _add_force_torque(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    """A sensor before the link: it measures about the tool frame, which must move with the link."""
    model = compile(spec)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    link, tool = model.body(robot.force_torque_link).id, model.body(robot.tool_frame).id
    if model.body_weldid[link] != model.body_weldid[tool]:
        raise SteadyhandError(
            f"{robot.name}: force_torque_link '{robot.force_torque_link}' does not move with the tool frame "
            f"'{robot.tool_frame}'; give the first link beyond the sensor"
        )
    position, quat, inverse = np.zeros(3), np.zeros(4), np.zeros(4)
    mujoco.mju_negQuat(inverse, data.xquat[link])
    mujoco.mju_rotVecQuat(position, data.xpos[tool] - data.xpos[link], inverse)
    mujoco.mju_mulQuat(quat, inverse, data.xquat[tool])
    _body(spec, robot.force_torque_link).add_site(name="tool_sensor", pos=position, quat=quat, group=4)
    for name, kind in (("tool_force", mujoco.mjtSensor.mjSENS_FORCE), ("tool_torque", mujoco.mjtSensor.mjSENS_TORQUE)):
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="tool_sensor")


def _add_camera(body: mujoco.MjsBody, name: str, camera: CameraSpec) -> None:
    body.add_camera(name=name, pos=camera.pos, quat=_look(camera), fovy=camera.fovy)


def _look(camera: CameraSpec) -> np.ndarray:
    """Orientation (w, x, y, z) of a camera (MuJoCo's looks along its -z axis)."""
    backward = np.subtract(camera.pos, camera.target)
    backward /= np.linalg.norm(backward)
    right = np.cross(camera.up, backward)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.column_stack([right, np.cross(backward, right), backward]).ravel())
    return quat
