"""Reading a URDF with the checks that make a clear refusal out of what Pinocchio and MuJoCo would choke on later."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from steadyhand.errors import SteadyhandError, one_line
from steadyhand.sim.meshes import place_meshes

MOVABLE = ("revolute", "continuous", "prismatic")
_SUPPORTED = (*MOVABLE, "fixed")


@dataclass(frozen=True)
class Joint:
    """One URDF joint; limits in rad, rad/s and Nm, or m, m/s and N. NaN where the URDF gives none."""

    name: str
    type: str
    parent: str
    child: str
    lower: float
    upper: float
    velocity: float
    effort: float
    mimic: str | None = None  # the joint that it follows, at ratio times its position plus offset
    ratio: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Urdf:
    """A checked URDF: one tree of links whose moving parts have mass."""

    path: Path
    xml: str
    root: str
    links: tuple[str, ...]
    joints: dict[str, Joint]
    packages: Mapping[str, Path] = field(default_factory=dict)  # folders of package://, besides where ROS looks

    def chain(self, link: str) -> list[Joint]:
        """The joints from the root to a link, root first."""
        by_child = {joint.child: joint for joint in self.joints.values()}
        joints = []
        while link in by_child:
            joints.append(by_child[link])
            link = by_child[link].parent
        return joints[::-1]

    def group(self, link: str) -> tuple[str, ...]:
        """The movable joints from the root to a link; links with the same ones form one rigid body."""
        return tuple(joint.name for joint in self.chain(link) if joint.type in MOVABLE)


def read_urdf(path: Path, packages: Mapping[str, Path] | None = None) -> Urdf:
    """Read and check a URDF file; every refusal names the file and what is wrong."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SteadyhandError(f"cannot read the URDF {path}: {one_line(error)}") from error
    return check_urdf(path, text, packages or {})


def check_urdf(path: Path, text: str, packages: Mapping[str, Path]) -> Urdf:
    """Check a URDF that stands in a file, or was made from that file."""
    root = _parse(path, text)
    links = _unique(path, root, "link")
    joints = {name: _joint(path, name, element, links) for name, element in _unique(path, root, "joint").items()}
    urdf = Urdf(path, text, _root_link(path, links, joints), tuple(links), joints, packages)
    _check_tree(urdf)
    _check_inertias(urdf, links)
    return urdf


def mujoco_xml(urdf: Urdf) -> str:
    """The URDF as MuJoCo has to see it: mesh files by absolute path, nothing fused, visuals kept."""
    root = ElementTree.fromstring(urdf.xml)
    place_meshes(urdf.path, root, urdf.packages)
    options = {"discardvisual": "false", "fusestatic": "false", "strippath": "false"}
    extension = root.find("mujoco")
    if extension is not None:
        root.remove(extension)
    ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler", options)
    return ElementTree.tostring(root, encoding="unicode")


def prefixed_links(xml: str, prefix: str) -> str:
    """A URDF in which the names of all links begin with a prefix; joints keep theirs."""
    if not prefix:
        return xml
    root = ElementTree.fromstring(xml)
    for tag, attribute in (("link", "name"), ("joint/parent", "link"), ("joint/child", "link")):
        for element in root.findall(tag):
            element.set(attribute, prefix + element.get(attribute, ""))
    return ElementTree.tostring(root, encoding="unicode")


def _parse(path: Path, text: str) -> ElementTree.Element:
    # A DOCTYPE serves no URDF, and refusing it closes the door on entity expansion.
    if "<!DOCTYPE" in text:
        raise SteadyhandError(f"{path}: a URDF must not contain a DOCTYPE; remove it")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise SteadyhandError(
            f"{path}: not XML ({one_line(error)}); expand xacro files first: xacro FILE > FILE.urdf"
        ) from error
    if root.tag != "robot":
        raise SteadyhandError(f"{path}: the outermost element is <{root.tag}>, a URDF needs <robot>")
    return root


def _unique(path: Path, root: ElementTree.Element, tag: str) -> dict[str, ElementTree.Element]:
    elements: dict[str, ElementTree.Element] = {}
    for element in root.findall(tag):
        name = element.get("name")
        if not name:
            raise SteadyhandError(f"{path}: {tag} number {len(elements) + 1} has no name")
        if name in elements:
            raise SteadyhandError(f"{path}: two elements <{tag}> are called '{name}'; names must differ")
        elements[name] = element
    return elements


def _joint(path: Path, name: str, element: ElementTree.Element, links: dict[str, ElementTree.Element]) -> Joint:
    kind = element.get("type", "")
    if kind not in _SUPPORTED:
        raise SteadyhandError(f"{path}: joint '{name}' has type '{kind}'; allowed: {', '.join(_SUPPORTED)}")
    ends = []
    for tag in ("parent", "child"):
        end = element.find(tag)
        link = end.get("link", "") if end is not None else ""
        if link not in links:
            raise SteadyhandError(
                f"{path}: joint '{name}' has the {tag} link '{link}', which is not a link of this file"
            )
        ends.append(link)
    limit = element.find("limit")
    numbers = [
        _number(path, f"limit of joint '{name}'", limit, key) for key in ("lower", "upper", "velocity", "effort")
    ]
    parent, child = ends
    mimic = element.find("mimic")
    lower, upper, velocity, effort = numbers
    joint = Joint(name, kind, parent, child, lower, upper, velocity, effort)
    if mimic is None:
        return joint
    ratio, offset = (_number(path, f"mimic of joint '{name}'", mimic, key) for key in ("multiplier", "offset"))
    return replace(
        joint,
        mimic=mimic.get("joint", ""),
        ratio=1.0 if math.isnan(ratio) else ratio,
        offset=0.0 if math.isnan(offset) else offset,
    )


def _number(path: Path, what: str, element: ElementTree.Element | None, key: str) -> float:
    text = element.get(key) if element is not None else None
    if text is None:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise SteadyhandError(f"{path}: {what} says {key}='{text}', which is not a number") from None


def _root_link(path: Path, links: dict[str, ElementTree.Element], joints: dict[str, Joint]) -> str:
    children = [joint.child for joint in joints.values()]
    roots = [link for link in links if link not in children]
    if len(roots) != 1:
        raise SteadyhandError(f"{path}: needs exactly one root link, has {len(roots)} ({', '.join(roots) or 'a loop'})")
    twice = next((child for child in children if children.count(child) > 1), None)
    if twice:
        raise SteadyhandError(f"{path}: link '{twice}' is the child of two joints; a URDF is a tree")
    return roots[0]


def _check_tree(urdf: Urdf) -> None:
    reached, waiting = set(), [urdf.root]
    while waiting:
        link = waiting.pop()
        reached.add(link)
        waiting += [joint.child for joint in urdf.joints.values() if joint.parent == link]
    lost = [link for link in urdf.links if link not in reached]
    if lost:
        raise SteadyhandError(f"{urdf.path}: link '{lost[0]}' is not connected to the root link '{urdf.root}'")


def _check_inertias(urdf: Urdf, links: dict[str, ElementTree.Element]) -> None:
    """Every given inertia must be physical, and every rigid body that moves must have one."""
    mass: dict[tuple[str, ...], float] = {}
    moving = {joint.child for joint in urdf.joints.values() if joint.type in MOVABLE}
    for name, link in links.items():
        group = urdf.group(name)
        mass[group] = mass.get(group, 0.0) + _mass(urdf.path, name, link.find("inertial"), name in moving)
    for joint in urdf.joints.values():
        if joint.type in MOVABLE and mass[urdf.group(joint.child)] <= 0.0:
            raise SteadyhandError(
                f"{urdf.path}: link '{joint.child}' moves (joint '{joint.name}') but has no inertia; add an <inertial>"
            )


def _mass(path: Path, name: str, inertial: ElementTree.Element | None, moves: bool) -> float:
    """Mass of a link in kg; ``moves`` if it hangs on a movable joint itself."""
    if inertial is None:
        return 0.0
    what = f"inertial of link '{name}'"
    mass = _number(path, what, inertial.find("mass"), "value")
    ixx, ixy, ixz, iyy, iyz, izz = (
        _number(path, what, inertial.find("inertia"), key) for key in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
    )
    matrix = np.array([[ixx, ixy, ixz], [ixy, iyy, iyz], [ixz, iyz, izz]])
    if not (math.isfinite(mass) and np.isfinite(matrix).all()):
        raise SteadyhandError(f"{path}: {what} lacks a finite mass value or one of ixx ixy ixz iyy iyz izz")
    if mass >= 0.0 and not matrix.any() and not moves:
        return mass  # a frame, or a point mass fixed to another link
    small, middle, large = np.linalg.eigvalsh(matrix)
    if mass <= 0.0 or small <= 0.0:
        raise SteadyhandError(f"{path}: {what} is not physical; mass must be positive and inertia positive definite")
    if small + middle < large * (1.0 - 1e-6):  # MuJoCo refuses it too, without a name
        raise SteadyhandError(
            f"{path}: {what} is not physical; its principal moments are {small:.4g}, {middle:.4g} and {large:.4g} "
            "kg m^2, but the largest of a body's never exceeds the sum of the others; correct ixx ... izz"
        )
    return mass
