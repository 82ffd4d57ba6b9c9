"""Arms described as MJCF: an equivalent URDF for the controller core, and the model itself for the twin."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np

from steadyhand.errors import SteadyhandError, one_line
from steadyhand.sim.mjcf_urdf import HINGE, SLIDE, SPEEDS, WORLD, effort_limit, equivalent_urdf, relative


@dataclass(frozen=True)
class Mjcf:
    """Which part of which MJCF file the twin is made of."""

    path: Path
    root: str  # the body in the world that carries the arm
    locked: Mapping[str, float] = field(default_factory=dict)  # rad or m, by joint


@dataclass(frozen=True)
class MjcfArm:
    """What an MJCF says about an arm. By joint, in SI units."""

    source: Mjcf
    urdf_xml: str
    armature: dict[str, float]
    home: dict[str, float]  # of the keyframe, empty if there is none
    notes: tuple[str, ...]


def read_mjcf(path: Path, wanted: tuple[str, ...]) -> MjcfArm:
    """Read an MJCF; of several arms in it take the one with these joints, bodies or sites."""
    spec = _open(path)
    model = _compile(path, spec)
    root = _choose_root(path, model, wanted)
    bodies = _subtree(model, root)
    _check_joints(path, model, bodies)
    xml = equivalent_urdf(model, bodies, path.stem)
    joints = [model.joint(int(model.body_jntadr[body])) for body in bodies if model.body_jntnum[body]]
    armature = {joint.name: float(model.dof_armature[joint.dofadr[0]]) for joint in joints}
    notes: tuple[str, ...] = (
        f"base_frame: {WORLD} (that of {path.name})",
        f"dq_limit: {SPEEDS[HINGE]} rad/s (assumed, because an MJCF has none)",
    )
    outside = [model.body(i).name for i in range(1, model.nbody) if i not in bodies and model.body_parentid[i] == 0]
    if outside:
        notes += (f"left out, because no part of the arm: {', '.join(outside)}",)
    if model.neq:
        notes += (f"left out: {model.neq} equality constraints of the MJCF",)
    notes += tuple(_sluggish(model, joints))
    return MjcfArm(Mjcf(path, model.body(root).name), xml, armature, _home(model, joints), notes)


def twin_spec(mjcf: Mjcf) -> mujoco.MjSpec:
    """The arm alone, as MuJoCo's own reader makes it: joints locked, without drives, sensors and surroundings."""
    spec = _open(mjcf.path)
    model = _compile(mjcf.path, spec)
    poses = _locked_poses(model, mjcf.locked)
    for elements in (spec.keys, spec.sensors, spec.actuators, spec.tendons, spec.equalities, spec.tuples):
        for element in list(elements):
            spec.delete(element)
    world = spec.worldbody
    strangers = [body for body in world.bodies if body.name != mjcf.root]
    for element in [*strangers, *world.geoms, *world.sites, *world.lights, *world.cameras]:
        spec.delete(element)
    for name, (position, quaternion) in poses.items():
        joint = spec.joint(name)
        body = joint.parent
        if body.frame is not None:
            raise SteadyhandError(f"{mjcf.path}: joint '{name}' lies in a <frame>; put the body outside to lock it")
        body.pos, body.quat = position, quaternion
        body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        spec.delete(joint)
    _make_passive(spec)
    _add_site_bodies(spec, model)
    return spec


def _make_passive(spec: mujoco.MjSpec) -> None:
    """Leave gravity to the controller, and springs, wind and water out."""
    spec.option.gravity = [0.0, 0.0, -9.81]
    spec.option.disableflags = spec.option.enableflags = 0
    spec.option.density = spec.option.viscosity = 0.0
    for joint in spec.joints:
        joint.stiffness = np.zeros_like(joint.stiffness)
    for body in spec.bodies:
        body.gravcomp = 0.0


def _add_site_bodies(spec: mujoco.MjSpec, model: mujoco.MjModel) -> None:
    """A body on every site, of the same name: the URDF has a link there, and it may be the tool."""
    names = {body.name for body in spec.bodies}
    for site in list(spec.sites):
        if site.name and site.name not in names:
            compiled = model.site(site.name)  # a site itself may give its pose in other ways
            site.parent.add_body(name=site.name, pos=compiled.pos, quat=compiled.quat)


def _open(path: Path) -> mujoco.MjSpec:
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except (ValueError, OSError, mujoco.FatalError) as error:
        raise SteadyhandError(f"cannot read the MJCF {path}: {one_line(error)}") from error
    for kind, elements in (("body", spec.bodies), ("joint", spec.joints)):
        for number, element in enumerate(elements):
            element.name = element.name or f"{kind}{number}"
    return spec


def _compile(path: Path, spec: mujoco.MjSpec) -> mujoco.MjModel:
    try:
        return spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        raise SteadyhandError(f"MuJoCo refuses the MJCF {path}: {one_line(error)}") from error


def _subtree(model: mujoco.MjModel, root: int) -> list[int]:
    return [body for body in range(1, model.nbody) if model.body_rootid[body] == root]


def _choose_root(path: Path, model: mujoco.MjModel, wanted: tuple[str, ...]) -> int:
    """The body in the world with the most hinges below it, or that has what is wanted."""
    joints: dict[int, int] = {}
    for joint in range(model.njnt):
        if model.jnt_type[joint] == HINGE:
            root = int(model.body_rootid[model.jnt_bodyid[joint]])
            joints[root] = joints.get(root, 0) + 1
    asked = {int(root) for name in wanted for root in _roots_of(model, name)}
    best = [root for root in joints if root in asked] or [
        root for root, n in joints.items() if n == max(joints.values()) and n >= 5
    ]
    if not best:
        raise SteadyhandError(
            f"{path}: there is no arm in this MJCF: it needs 5 to 8 hinges in a row, has {model.njnt} joints: "
            + (", ".join(model.joint(i).name for i in range(min(model.njnt, 12))) or "none")
        )
    if len(best) > 1:
        names = ", ".join(model.body(root).name for root in best)
        raise SteadyhandError(f"{path}: has several arms ({names}); choose one with 'tool_frame' in a robot file")
    return best[0]


def _roots_of(model: mujoco.MjModel, name: str) -> list[int]:
    found = []
    for kind, body_of in (("joint", model.jnt_bodyid), ("site", model.site_bodyid)):
        number = mujoco.mj_name2id(model, getattr(mujoco.mjtObj, f"mjOBJ_{kind.upper()}"), name)
        found += [model.body_rootid[body_of[number]]] if number >= 0 else []
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
    return found + ([model.body_rootid[body]] if body > 0 else [])


def _check_joints(path: Path, model: mujoco.MjModel, bodies: list[int]) -> None:
    for body in bodies:
        name = model.body(body).name
        if model.body_jntnum[body] > 1:
            raise SteadyhandError(f"{path}: body '{name}' has {model.body_jntnum[body]} joints; give each its own body")
        if model.body_jntnum[body] and model.jnt_type[model.body_jntadr[body]] not in (HINGE, SLIDE):
            raise SteadyhandError(f"{path}: body '{name}' has a free or ball joint; an arm has hinges on a fixed base")


def _sluggish(model: mujoco.MjModel, joints: list) -> list[str]:
    """Joints whose damping takes all their torque: models for position servos write the servo's damping there."""
    found = []
    for joint in joints:
        damping, limit = float(model.dof_damping[joint.dofadr[0]]), effort_limit(model, joint.id)
        if limit is not None and damping * SPEEDS[int(joint.type[0])] > limit:
            found.append(f"{joint.name} {damping:g}")
    return [f"damping in Nm s/rad, kept though it takes all torque: {', '.join(found)}"] if found else []


def _home(model: mujoco.MjModel, joints: list) -> dict[str, float]:
    """Positions of the keyframe "home", or of the first one."""
    if not model.nkey:
        return {}
    names = [model.key(i).name for i in range(model.nkey)]
    key = names.index("home") if "home" in names else 0
    qpos = model.key_qpos[key]
    return {joint.name: float(qpos[joint.qposadr[0]]) for joint in joints}


def _locked_poses(model: mujoco.MjModel, locked: Mapping[str, float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Position (3,) in m and quaternion wxyz (4,) in its parent of the body behind each locked joint."""
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    for name, q in locked.items():
        data.qpos[model.joint(name).qposadr[0]] = q
    mujoco.mj_kinematics(model, data)
    poses = {}
    for name in locked:
        position, turn = relative(model, data, int(model.joint(name).bodyid[0]))
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, turn.ravel())
        poses[name] = position, quaternion
    return poses
