"""Robots: what an arm is called, which URDF describes it, and what its URDF cannot say."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np
import yaml

from steadyhand.crisp_control._core import ArmModel
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.paths import config_dir
from steadyhand.sim.urdf import MOVABLE, Joint, Urdf, read_urdf


@dataclass(frozen=True)
class GripperSpec:
    """A parallel gripper driven by one joint; an opening is that of one finger."""

    joint: str
    pad_links: tuple[str, ...]  # links whose collision shapes touch what is held
    max_opening: float  # m
    max_force: float  # of one finger, N
    stiffness: float  # of the position loop, N/m
    damping: float  # of the drive, per finger, N s/m
    armature: float  # of the drive, per finger, kg
    mimic_joint: str | None = None  # the other finger


@dataclass(frozen=True)
class CameraSpec:
    """Where a camera stands, what it looks at and which way is up in its picture; of the frame it is fixed to."""

    pos: tuple[float, ...]  # m
    target: tuple[float, ...]  # m
    up: tuple[float, ...]
    fovy: float  # vertical field of view, deg


@dataclass(frozen=True)
class RobotFile:
    """The keys of a robot's YAML file."""

    name: str
    urdf: str
    base_frame: str
    tool_frame: str
    joints: tuple[str, ...]
    q_home: tuple[float, ...]
    armature: tuple[float, ...]
    gripper: GripperSpec | None = None
    controllers: str | None = None  # gains, relative to the file; config/controllers/<name>.yaml if left out
    firmware_gravity: bool = False
    front_camera: CameraSpec = CameraSpec((1.25, -0.66, 0.66), (0.29, 0.0, 0.32), (0.0, 0.0, 1.0), 44.0)
    # Beside the FR3's hand, looking past the fingertips; up in the picture is the tool's x axis.
    wrist_camera: CameraSpec = CameraSpec((0.066, 0.0, -0.058), (0.008, 0.0, 0.02), (1.0, 0.0, 0.0), 70.0)


@dataclass(frozen=True)
class RobotSpec:
    """An arm of 5 to 8 joints with an effort interface. Per-joint figures in the order of ``joints``, SI units."""

    name: str
    urdf: Urdf
    base_frame: str  # root link
    tool_frame: str
    joints: tuple[str, ...]
    q_home: tuple[float, ...]
    armature: tuple[float, ...]
    q_lower: tuple[float, ...]  # -inf for a continuous joint
    q_upper: tuple[float, ...]
    dq_limit: tuple[float, ...]
    tau_limit: tuple[float, ...]
    gripper: GripperSpec | None
    front_camera: CameraSpec  # in the base's frame
    wrist_camera: CameraSpec  # in the tool frame
    gains: Path  # YAML file of the controllers' parameters; where there is none, the core's careful defaults hold
    firmware_gravity: bool  # the real arm adds gravity torques itself, as Franka's does

    @property
    def urdf_xml(self) -> str:
        """Text of the URDF, as Pinocchio reads it."""
        return self.urdf.xml

    def arm(self) -> ArmModel:
        """The arm's model for the controller core."""
        return ArmModel(self.urdf_xml, list(self.joints), self.tool_frame, list(self.armature))


_NESTED = {"gripper": GripperSpec, "front_camera": CameraSpec, "wrist_camera": CameraSpec}


def robot_names() -> list[str]:
    """The robots that come with Steadyhand."""
    return sorted(file.stem for file in (config_dir() / "robots").glob("*.yaml"))


def load_robot(name_or_path: str | Path) -> RobotSpec:
    """Load a robot by its name in config/robots, or by the path of a YAML file."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if str(name_or_path) not in robot_names():
            raise unknown("robot", name_or_path, robot_names(), "or give the path of a robot's YAML file")
        path = config_dir() / "robots" / f"{name_or_path}.yaml"
    entry = _read(path)
    return _resolve(path, entry, read_urdf(path.parent / entry.urdf))


def _read(path: Path) -> RobotFile:
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SteadyhandError(f"cannot read the robot file {path}: {' '.join(str(error).split())}") from error
    if isinstance(data, Mapping):
        nested = {key: cls for key, cls in _NESTED.items() if isinstance(data.get(key), Mapping)}
        data = {**data, **{key: _build(cls, data[key], f"{path}: {key}") for key, cls in nested.items()}}
    return _build(RobotFile, data, str(path))


def _build(cls, data: object, where: str):
    """Fill a dataclass from a YAML mapping, refusing keys and values that do not belong."""
    if not isinstance(data, Mapping):
        raise SteadyhandError(f"{where}: needs keys and values, has {type(data).__name__}")
    types = {field.name: field.type for field in fields(cls)}
    for key in data:
        if key not in types:
            raise unknown("key", key, types, f"in {where}")
    missing = [field.name for field in fields(cls) if field.default is MISSING and field.name not in data]
    if missing:
        raise SteadyhandError(f"{where}: key '{missing[0]}' is missing; needed: {', '.join(types)}")
    return cls(**{key: _value(types[key], value, f"{where}: {key}") for key, value in data.items()})


def _value(kind, value: object, where: str):
    """Check one YAML value against the type of its field."""
    if kind in (tuple[str, ...], tuple[float, ...]):
        item = str if kind == tuple[str, ...] else float
        if not isinstance(value, list):
            raise SteadyhandError(f"{where}: needs a list, has '{value}'")
        return tuple(_value(item, entry, where) for entry in value)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SteadyhandError(f"{where}: needs a finite number, has '{value}'")
        return float(value)
    if not isinstance(value, kind):
        raise SteadyhandError(f"{where}: '{value}' is a {type(value).__name__}, which does not belong here")
    return value


def _resolve(path: Path, entry: RobotFile, urdf: Urdf) -> RobotSpec:
    """Join a robot file with its URDF."""
    if entry.base_frame != urdf.root:
        raise SteadyhandError(
            f"{path}: base_frame '{entry.base_frame}' must be the root link '{urdf.root}' of {urdf.path}"
        )
    if entry.tool_frame not in urdf.links:
        raise unknown("tool_frame", entry.tool_frame, urdf.links, f"links of {urdf.path}, asked for by {path}")
    joints = _arm_joints(path, entry, urdf)
    for key in ("q_home", "armature"):
        if len(getattr(entry, key)) != len(joints):
            raise SteadyhandError(f"{path}: {key} has {len(getattr(entry, key))} values for {len(joints)} joints")
    if entry.gripper is not None:
        _check_gripper(path, entry.gripper, urdf)
    _check_camera(path, "front_camera", entry.front_camera)
    _check_camera(path, "wrist_camera", entry.wrist_camera)
    _check_movable(path, entry, urdf)
    endless = [joint.type == "continuous" for joint in joints]
    return RobotSpec(
        name=entry.name,
        urdf=urdf,
        base_frame=entry.base_frame,
        tool_frame=entry.tool_frame,
        joints=entry.joints,
        q_home=_home(path, entry, joints),
        armature=entry.armature,
        q_lower=tuple(-math.inf if e else joint.lower for e, joint in zip(endless, joints, strict=True)),
        q_upper=tuple(math.inf if e else joint.upper for e, joint in zip(endless, joints, strict=True)),
        dq_limit=tuple(joint.velocity for joint in joints),
        tau_limit=tuple(joint.effort for joint in joints),
        gripper=entry.gripper,
        front_camera=entry.front_camera,
        wrist_camera=entry.wrist_camera,
        gains=_gains(path, entry),
        firmware_gravity=entry.firmware_gravity,
    )


def _gains(path: Path, entry: RobotFile) -> Path:
    if entry.controllers is None:
        return config_dir() / "controllers" / f"{entry.name}.yaml"
    gains = path.parent / entry.controllers
    if not gains.is_file():
        raise SteadyhandError(f"{path}: controllers: there is no file {gains}")
    return gains


def _find_joint(path: Path, name: str, urdf: Urdf) -> Joint:
    if name not in urdf.joints:
        raise unknown("joint", name, urdf.joints, f"joints of {urdf.path}, asked for by {path}")
    return urdf.joints[name]


def _arm_joints(path: Path, entry: RobotFile, urdf: Urdf) -> list[Joint]:
    joints = [_find_joint(path, name, urdf) for name in entry.joints]
    if not 5 <= len(joints) <= 8:
        raise SteadyhandError(f"{path}: an arm has 5 to 8 joints, 'joints' lists {len(joints)}")
    chain = urdf.group(entry.tool_frame)
    if entry.joints != chain:
        raise SteadyhandError(
            f"{path}: 'joints' must be the movable joints from '{entry.base_frame}' to '{entry.tool_frame}', in order: "
            + ", ".join(chain)
        )
    for joint in joints:
        needed = ("velocity", "effort") if joint.type == "continuous" else ("lower", "upper", "velocity", "effort")
        for key in needed:
            value = getattr(joint, key)
            if not math.isfinite(value) or (key in ("velocity", "effort") and value <= 0.0):
                raise SteadyhandError(f"{urdf.path}: joint '{joint.name}' has no {key} limit; add it to its <limit>")
        if joint.lower >= joint.upper:
            raise SteadyhandError(
                f"{urdf.path}: joint '{joint.name}' has a lower limit that is not below its upper one"
            )
    return joints


def _home(path: Path, entry: RobotFile, joints: list[Joint]) -> tuple[float, ...]:
    for q, joint in zip(entry.q_home, joints, strict=True):
        if joint.type != "continuous" and not joint.lower <= q <= joint.upper:
            raise SteadyhandError(
                f"{path}: q_home gives joint '{joint.name}' {q}, outside its limits {joint.lower} to {joint.upper}"
            )
    return entry.q_home


def _check_gripper(path: Path, gripper: GripperSpec, urdf: Urdf) -> None:
    for name in filter(None, (gripper.joint, gripper.mimic_joint)):
        joint = _find_joint(path, name, urdf)
        if joint.type != "prismatic":
            raise SteadyhandError(f"{path}: gripper joint '{name}' is {joint.type}; a parallel gripper needs prismatic")
    for link in gripper.pad_links:
        if link not in urdf.links:
            raise unknown("pad link", link, urdf.links, f"links of {urdf.path}, asked for by {path}")
    for key in ("max_opening", "max_force", "stiffness"):
        if getattr(gripper, key) <= 0.0:
            raise SteadyhandError(f"{path}: gripper {key} must be positive, is {getattr(gripper, key)}")


def _check_camera(path: Path, key: str, camera: CameraSpec) -> None:
    for name in ("pos", "target", "up"):
        if len(getattr(camera, name)) != 3:
            raise SteadyhandError(f"{path}: {key}: {name} needs 3 numbers, has {len(getattr(camera, name))}")
    if not 0.0 < camera.fovy < 180.0:
        raise SteadyhandError(f"{path}: {key}: fovy must lie between 0 and 180 degrees, is {camera.fovy}")
    if np.linalg.norm(np.cross(np.subtract(camera.pos, camera.target), camera.up)) < 1e-9:
        raise SteadyhandError(f"{path}: {key}: 'up' must not point along the view, from 'pos' to 'target'")


def _check_movable(path: Path, entry: RobotFile, urdf: Urdf) -> None:
    """A joint nobody drives would swing freely in the twin; say so instead."""
    gripper = entry.gripper
    driven = {*entry.joints, *((gripper.joint, gripper.mimic_joint) if gripper else ())}
    for joint in urdf.joints.values():
        if joint.type in MOVABLE and joint.name not in driven:
            raise SteadyhandError(
                f"{path}: joint '{joint.name}' of {urdf.path} is movable but neither an arm joint nor of the gripper; "
                "list it or make it fixed"
            )
