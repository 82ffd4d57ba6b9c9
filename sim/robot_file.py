"""A robot's YAML file: which description it takes, and what that description cannot say."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path

import numpy as np
import yaml

from steadyhand.errors import SteadyhandError, one_line, unknown


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

    def mirrored(self) -> "CameraSpec":
        """The camera on the other side of the plane y = 0."""
        pos, target, up = ((x, -y, z) for x, y, z in (self.pos, self.target, self.up))
        return CameraSpec(pos, target, up, self.fovy)


@dataclass(frozen=True)
class SensorSpec:
    """How the arm's senses and drives err in the twin: standard deviations at every tick, resolutions, delays."""

    q_step: float = 0.0  # rad
    q_noise: float = 0.0  # rad
    dq_noise: float = 0.0  # rad/s
    tau_step: float = 0.0  # Nm
    tau_noise: float = 0.0  # Nm
    force_noise: float = 0.0  # N, of the force/torque sensor
    torque_noise: float = 0.0  # Nm
    measurement_delay: float = 0.0  # s
    command_delay: float = 0.0  # s


@dataclass(frozen=True)
class RobotFile:
    """The keys of a robot's YAML file. What is left out is taken from the description, or derived (docs/new_arm.md)."""

    name: str = ""  # that of the file
    urdf: str = ""  # path, relative to the file; either this or mjcf
    mjcf: str = ""
    packages: dict[str, str] = field(default_factory=dict)  # folders of package://, relative to the file
    base_frame: str = ""
    tool_frame: str = ""
    joints: tuple[str, ...] = ()
    q_home: tuple[float, ...] = ()  # rad
    armature: tuple[float, ...] = ()  # kg m^2
    tau_limit: tuple[float, ...] = ()  # Nm
    dq_limit: tuple[float, ...] = ()  # rad/s
    locked: dict[str, float] = field(default_factory=dict)  # rad or m: where joints stand that nobody drives
    gripper: GripperSpec | None = None
    controllers: str | None = None  # gains, relative to the file; config/controllers/<name>.yaml if left out
    force_torque_link: str = ""  # first link beyond a force/torque sensor before the tool; without it: no such sensor
    sensors: SensorSpec = SensorSpec()  # of the twin
    firmware_gravity: bool | None = None  # nobody but the arm's maker knows; only parameters for the arm need it
    front_camera: CameraSpec = CameraSpec((1.25, -0.66, 0.66), (0.29, 0.0, 0.32), (0.0, 0.0, 1.0), 44.0)
    side_camera: CameraSpec | None = None  # None: the front camera mirrored at the plane y = 0
    # Beside the FR3's hand, looking past the fingertips; up in the picture is the tool's x axis.
    wrist_camera: CameraSpec = CameraSpec((0.066, 0.0, -0.058), (0.008, 0.0, 0.02), (1.0, 0.0, 0.0), 70.0)


_CAMERAS = "front_camera", "side_camera", "wrist_camera"
_NESTED = {"gripper": GripperSpec, "sensors": SensorSpec, **dict.fromkeys(_CAMERAS, CameraSpec)}


def read_robot_file(path: Path) -> RobotFile:
    """Read and check a robot file by itself; whether it fits its description is seen later."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SteadyhandError(f"cannot read the robot file {path}: {one_line(error)}") from error
    if isinstance(data, Mapping):
        nested = {key: cls for key, cls in _NESTED.items() if isinstance(data.get(key), Mapping)}
        data = {**data, **{key: build_entry(cls, data[key], f"{path}: {key}") for key, cls in nested.items()}}
    entry = build_entry(RobotFile, data, str(path))
    if bool(entry.urdf) == bool(entry.mjcf):
        raise SteadyhandError(f"{path}: needs one of the keys 'urdf' and 'mjcf', the path of the arm's description")
    for key in _CAMERAS:
        if getattr(entry, key) is not None:
            _check_camera(path, key, getattr(entry, key))
    for key, value in vars(entry.sensors).items():
        if value < 0.0:
            raise SteadyhandError(f"{path}: sensors: {key} is {value}; give a number from 0")
    return entry


def build_entry(cls, data: object, where: str):
    """Fill a dataclass from a YAML mapping, refusing keys and values that do not belong."""
    if not isinstance(data, Mapping):
        raise SteadyhandError(f"{where}: needs keys and values, has {type(data).__name__}")
    types = {key.name: key.type for key in fields(cls)}
    for key in data:
        if key not in types:
            raise unknown("key", key, types, f"in {where}")
    required = [key.name for key in fields(cls) if key.default is MISSING and key.default_factory is MISSING]
    missing = [name for name in required if name not in data]
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
    if kind in (dict[str, str], dict[str, float]):
        item = str if kind == dict[str, str] else float
        if not isinstance(value, Mapping):
            raise SteadyhandError(f"{where}: needs lines of 'name: value', has '{value}'")
        return {str(key): _value(item, entry, f"{where}: {key}") for key, entry in value.items()}
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SteadyhandError(f"{where}: needs a finite number, has '{value}'")
        return float(value)
    if not isinstance(value, kind):
        raise SteadyhandError(f"{where}: '{value}' is a {type(value).__name__}, which does not belong here")
    return value


def _check_camera(path: Path, key: str, camera: CameraSpec) -> None:
    for name in ("pos", "target", "up"):
        if len(getattr(camera, name)) != 3:
            raise SteadyhandError(f"{path}: {key}: {name} needs 3 numbers, has {len(getattr(camera, name))}")
    if not 0.0 < camera.fovy < 180.0:
        raise SteadyhandError(f"{path}: {key}: fovy must lie between 0 and 180 degrees, is {camera.fovy}")
    if np.linalg.norm(np.cross(np.subtract(camera.pos, camera.target), camera.up)) < 1e-9:
        raise SteadyhandError(f"{path}: {key}: 'up' must not point along the view, from 'pos' to 'target'")
