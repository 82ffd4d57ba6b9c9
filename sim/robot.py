"""Robots: an arm's description, joined with what its robot file says and with what is derived for the rest."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from steadyhand.crisp_control._core import ArmModel
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.paths import config_dir
from steadyhand.sim.derive import (
    check_chain,
    check_names,
    check_tool,
    choose_joints,
    choose_tool,
    find_joint,
    locked_positions,
)
from steadyhand.sim.descriptions import described_names, described_path
from steadyhand.sim.home import choose_home
from steadyhand.sim.locking import lock
from steadyhand.sim.meshes import check_package
from steadyhand.sim.mjcf import Mjcf, MjcfArm, read_mjcf
from steadyhand.sim.robot_file import CameraSpec, GripperSpec, RobotFile, SensorSpec, read_robot_file
from steadyhand.sim.urdf import Joint, Urdf, check_urdf, read_urdf

ROTOR = 0.002  # kg m^2 per Nm of effort limit: a drive's inertia where nobody says; the FR3 has 0.0022 to 0.006
_ROBOT_FILES, _DESCRIPTIONS = (".yaml", ".yml"), (".urdf", ".xml", ".mjcf")
_NO_GAINS = Path(os.devnull)  # the core's careful defaults: of a bare description, whatever it is called


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
    side_camera: CameraSpec  # in the base's frame
    wrist_camera: CameraSpec  # in the tool frame
    gains: Path  # YAML file of the controllers' parameters; where there is none, the core's careful defaults hold
    force_torque_link: str  # "" without a force/torque sensor
    sensors: SensorSpec  # how they err in the twin
    firmware_gravity: bool | None  # the real arm adds gravity torques itself, as Franka's does; None: not said
    mjcf: Mjcf | None = None  # what the twin is made of, where the URDF was made from an MJCF
    notes: tuple[str, ...] = ()  # what was derived because neither description nor robot file says it

    @property
    def urdf_xml(self) -> str:
        """Text of the URDF, as Pinocchio reads it."""
        return self.urdf.xml

    def arm(self) -> ArmModel:
        """The arm's model for the controller core."""
        return ArmModel(self.urdf_xml, list(self.joints), self.tool_frame, list(self.armature))


def robot_names() -> list[str]:
    """The robots that come with Steadyhand."""
    return sorted(file.stem for file in (config_dir() / "robots").glob("*.yaml"))


def load_robot(name_or_path: str | Path, packages: Mapping[str, Path] | None = None) -> RobotSpec:
    """Load a robot.

    Args:
        name_or_path: A name in config/robots or, where it is installed, in the package robot_descriptions; or the path
            of a robot file (.yaml), of a URDF (.urdf) or of an MJCF (.xml).
        packages: Folders of package:// by name; they come before the robot file's.
    """
    path = _find(name_or_path)
    if path.suffix.lower() in _ROBOT_FILES:
        entry = read_robot_file(path)
        gains = _gains(path, entry)
    elif _is_mjcf(path):
        entry, gains = RobotFile(path.stem, mjcf=path.name), _NO_GAINS
    else:
        entry, gains = RobotFile(path.stem, urdf=path.name), _NO_GAINS
    folders = {name: check_package(name, path.parent / folder, str(path)) for name, folder in entry.packages.items()}
    return _Resolver(path, entry, folders | dict(packages or {})).spec(gains)


def _find(name_or_path: str | Path) -> Path:
    """The file of a robot."""
    name, path = str(name_or_path), Path(name_or_path)
    if path.suffix.lower() in (*_ROBOT_FILES, *_DESCRIPTIONS):
        return path
    if path.suffix.lower() == ".xacro":
        raise SteadyhandError(f"{path} is a xacro file; expand it first: xacro {path.name} > {path.stem}.urdf")
    if name in robot_names():
        return config_dir() / "robots" / f"{name}.yaml"
    described = described_path(name)
    if described is not None:
        return described
    hint = "or give the path of a robot file (.yaml), a URDF (.urdf) or an MJCF (.xml)"
    more = "" if described_names() else "; more names with: pip install robot_descriptions"
    raise unknown("robot", name, robot_names() + described_names(), hint + more)


def _is_mjcf(path: Path) -> bool:
    """Whether an XML file is an MJCF, by its outermost element; what cannot be read is refused by its own reader."""
    if path.suffix.lower() == ".urdf":
        return False
    try:
        return not re.search(r"<robot[\s>]", path.read_text())
    except (OSError, UnicodeDecodeError):
        return True


class _Resolver:
    """Joins a robot file, which may be empty, with its description."""

    def __init__(self, path: Path, entry: RobotFile, packages: Mapping[str, Path]) -> None:
        self._path, self._entry = path, entry
        self._notes: list[str] = []
        self._mjcf: MjcfArm | None = None
        self._urdf = self._read(packages)
        self.joints = self._choose_joints()
        self.tool_frame = self._choose_tool()
        self._lock()

    def spec(self, gains: Path) -> RobotSpec:
        """The robot with a file of gains."""
        entry, joints = self._entry, self._checked_joints()
        endless = [joint.type == "continuous" for joint in joints]
        return RobotSpec(
            name=entry.name or self._path.stem,
            urdf=self._urdf,
            base_frame=self._base(),
            tool_frame=self.tool_frame,
            joints=self.joints,
            q_home=self._home(joints),
            armature=self._armature(joints),
            q_lower=tuple(-math.inf if e else joint.lower for e, joint in zip(endless, joints, strict=True)),
            q_upper=tuple(math.inf if e else joint.upper for e, joint in zip(endless, joints, strict=True)),
            dq_limit=tuple(joint.velocity for joint in joints),
            tau_limit=tuple(joint.effort for joint in joints),
            gripper=entry.gripper,
            front_camera=entry.front_camera,
            side_camera=entry.side_camera or entry.front_camera.mirrored(),
            wrist_camera=entry.wrist_camera,
            gains=gains,
            force_torque_link=self._sensor_link(),
            sensors=entry.sensors,
            firmware_gravity=entry.firmware_gravity,
            mjcf=None if self._mjcf is None else replace(self._mjcf.source, locked=self._locked),
            notes=tuple(self._notes),
        )

    def _read(self, packages: Mapping[str, Path]) -> Urdf:
        entry = self._entry
        if entry.urdf:
            return read_urdf(self._path.parent / entry.urdf, packages)
        if entry.gripper is not None:
            raise SteadyhandError(f"{self._path}: gripper: not with an MJCF yet, only with a URDF; leave it out")
        path = self._path.parent / entry.mjcf
        self._mjcf = read_mjcf(path, tuple(filter(None, (entry.tool_frame, *entry.joints))))
        self._notes += self._mjcf.notes
        return check_urdf(path, self._mjcf.urdf_xml, {})

    def _choose_joints(self) -> tuple[str, ...]:
        entry, urdf = self._entry, self._urdf
        if entry.tool_frame:
            check_tool(self._path, entry.tool_frame, urdf)
        joints = entry.joints or choose_joints(urdf, entry.tool_frame)
        check_chain(self._path, joints, entry.tool_frame, urdf)
        check_names(urdf, joints)
        if not entry.joints:
            self._notes.append(f"joints: {', '.join(joints)} (in a row from the base, without the gripper's)")
        return joints

    def _choose_tool(self) -> str:
        tool = self._entry.tool_frame
        if not tool:
            tool = choose_tool(self._urdf, self.joints)
            self._notes.append(f"tool_frame: {tool} (fixed behind the last joint; by its name, or the outermost)")
        check_tool(self._path, tool, self._urdf, self.joints)
        return tool

    def _lock(self) -> None:
        """Lock what nobody drives, and write the robot file's limits over the description's."""
        entry, gripper = self._entry, self._entry.gripper
        if gripper is not None:
            _check_gripper(self._path, gripper, self._urdf)
        driven = (*self.joints, *filter(None, (gripper.joint, gripper.mimic_joint) if gripper else ()))
        self._locked = locked_positions(self._path, self._urdf, driven, entry.locked)
        open_ones = {name: q for name, q in self._locked.items() if name not in entry.locked}
        if open_ones:
            places = ", ".join(f"{name} at {q:g}" for name, q in open_ones.items())
            self._notes.append(f"locked: {places} (no joint of the arm; at 0, or the limit nearest to 0)")
        limits: dict[str, dict[str, float]] = {}
        for key, limit in (("tau_limit", "effort"), ("dq_limit", "velocity")):
            for name, value in zip(self.joints, self._per_joint(key), strict=False):
                limits.setdefault(name, {})[limit] = value
        self._urdf = lock(self._urdf, self._locked, limits)

    def _per_joint(self, key: str) -> tuple[float, ...]:
        """Values of a key of the robot file: one per joint, or none at all."""
        values = getattr(self._entry, key)
        if values and len(values) != len(self.joints):
            raise SteadyhandError(f"{self._path}: {key} has {len(values)} values for {len(self.joints)} joints")
        return values

    def _base(self) -> str:
        base = self._entry.base_frame
        if base and base != self._urdf.root:
            raise SteadyhandError(
                f"{self._path}: base_frame '{base}' must be the root link '{self._urdf.root}' of {self._urdf.path}"
            )
        return self._urdf.root

    def _sensor_link(self) -> str:
        link = self._entry.force_torque_link
        if link and link not in self._urdf.links:
            raise unknown("force_torque_link", link, self._urdf.links, f"in {self._path}")
        return link

    def _checked_joints(self) -> list[Joint]:
        joints = [self._urdf.joints[name] for name in self.joints]
        for joint in joints:
            endless = joint.type == "continuous"
            for key in ("velocity", "effort") if endless else ("lower", "upper", "velocity", "effort"):
                value = getattr(joint, key)
                if not math.isfinite(value) or (key in ("velocity", "effort") and value <= 0.0):
                    raise SteadyhandError(self._no_limit(joint, key))
            if not endless and joint.lower >= joint.upper:
                raise SteadyhandError(
                    f"{self._urdf.path}: joint '{joint.name}' has a lower limit that is not below its upper one"
                )
        return joints

    def _no_limit(self, joint: Joint, key: str) -> str:
        where = "its <limit>" if self._mjcf is None else "its range, or its actuator's forcerange"
        own = {"velocity": "dq_limit", "effort": "tau_limit"}.get(key)
        return f"{self._urdf.path}: joint '{joint.name}' has no {key} limit; add it to {where}" + (
            f", or give '{own}' (one number per joint: {', '.join(self.joints)}) in a robot file" if own else ""
        )

    def _home(self, joints: list[Joint]) -> tuple[float, ...]:
        home = self._per_joint("q_home")
        if not home and self._mjcf is not None and self._mjcf.home:
            home = tuple(self._mjcf.home[name] for name in self.joints)
            self._notes.append(f"q_home: {_numbers(home)} (keyframe of the MJCF)")
        if not home:
            home = choose_home(self._urdf, self.joints, self.tool_frame)
            self._notes.append(f"q_home: {_numbers(home)} (far from singular, tool before the base and down)")
        for q, joint in zip(home, joints, strict=True):
            if joint.type != "continuous" and not joint.lower <= q <= joint.upper:
                raise SteadyhandError(
                    f"{self._path}: q_home gives joint '{joint.name}' {q}, outside its limits "
                    f"{joint.lower} to {joint.upper}"
                )
        return home

    def _armature(self, joints: list[Joint]) -> tuple[float, ...]:
        armature = self._per_joint("armature")
        if armature:
            return armature
        known = self._mjcf.armature if self._mjcf is not None else {}
        # Nothing at all is no rotor inertia either, and light links without rotors would tremble.
        armature = tuple(known.get(joint.name) or ROTOR * joint.effort for joint in joints)
        if any(not known.get(joint.name) for joint in joints):
            self._notes.append(
                f"armature: {_numbers(armature)} (assumed where nothing is said: {ROTOR} kg m^2 per Nm of effort limit)"
            )
        return armature


def _gains(file: Path, entry: RobotFile) -> Path:
    """The file of gains that a robot file asks for."""
    if entry.controllers is None:
        return config_dir() / "controllers" / f"{entry.name or file.stem}.yaml"
    gains = file.parent / entry.controllers
    if not gains.is_file():
        raise SteadyhandError(f"{file}: controllers: there is no file {gains}")
    return gains


def _check_gripper(path: Path, gripper: GripperSpec, urdf: Urdf) -> None:
    for name in filter(None, (gripper.joint, gripper.mimic_joint)):
        joint = find_joint(path, name, urdf)
        if joint.type != "prismatic":
            raise SteadyhandError(f"{path}: gripper joint '{name}' is {joint.type}; a parallel gripper needs prismatic")
    for link in gripper.pad_links:
        if link not in urdf.links:
            raise unknown("pad link", link, urdf.links, f"links of {urdf.path}, asked for by {path}")
    for key in ("max_opening", "max_force", "stiffness"):
        if getattr(gripper, key) <= 0.0:
            raise SteadyhandError(f"{path}: gripper {key} must be positive, is {getattr(gripper, key)}")


def _numbers(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"
