"""Locking joints of a URDF: what nobody drives becomes part of the link it is fixed to."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from steadyhand.sim.urdf import Joint, Urdf, check_urdf


def rest_position(joint: Joint) -> float:
    """Where a joint is locked if nobody says: at 0 (rad or m), or at the limit nearest to 0."""
    if joint.type == "continuous" or not (math.isfinite(joint.lower) and math.isfinite(joint.upper)):
        return 0.0
    return min(max(0.0, joint.lower), joint.upper)


def lock(urdf: Urdf, positions: Mapping[str, float], limits: Mapping[str, Mapping[str, float]]) -> Urdf:
    """The same URDF with joints fixed at positions (rad or m), and with limits written over its own.

    Args:
        urdf: Stays as it is.
        positions: By joint.
        limits: By joint: ``effort`` (Nm) and ``velocity`` (rad/s).
    """
    # Pinocchio finds frames of links and of joints by name alone: a fixed joint must not be called like a link.
    fixed = [joint.name for joint in urdf.joints.values() if joint.type == "fixed" or joint.name in positions]
    clashes = {name for name in fixed if name in urdf.links}
    if not positions and not limits and not clashes:
        return urdf
    root = ElementTree.fromstring(urdf.xml)
    for element in root.findall("joint"):
        name = element.get("name", "")
        if name in positions:
            _fix(element, positions[name])
        if name in limits:
            _child(element, "limit").attrib.update({key: repr(value) for key, value in limits[name].items()})
        if name in clashes:
            element.set("name", f"{name}__fixed")
    return check_urdf(urdf.path, ElementTree.tostring(root, encoding="unicode"), urdf.packages)


def _fix(element: ElementTree.Element, position: float) -> None:
    """Make a joint fixed, its motion moved into its origin."""
    kind, axis = element.get("type"), _numbers(element.find("axis"), "xyz", "1 0 0")
    axis /= np.linalg.norm(axis)
    origin = _child(element, "origin")
    xyz, turn = _numbers(origin, "xyz", "0 0 0"), rotation_from_rpy(_numbers(origin, "rpy", "0 0 0"))
    if kind == "prismatic":
        xyz = xyz + turn @ axis * position
    elif kind != "fixed":
        turn = turn @ Rotation.from_rotvec(axis * position).as_matrix()
    origin.attrib.update(origin_attributes(xyz, turn))
    for tag in ("axis", "limit", "mimic", "dynamics", "safety_controller", "calibration"):
        for old in element.findall(tag):
            element.remove(old)
    element.set("type", "fixed")


def origin_attributes(xyz: np.ndarray, turn: np.ndarray) -> dict[str, str]:
    """Attributes of <origin> from a position (3,) in m and a rotation matrix (3, 3), exact to rounding."""
    yaw = math.atan2(turn[1, 0], turn[0, 0])
    turn = rotation_from_rpy(np.array([0.0, 0.0, -yaw])) @ turn
    pitch = math.atan2(-turn[2, 0], turn[0, 0])
    turn = rotation_from_rpy(np.array([0.0, -pitch, 0.0])) @ turn
    # One angle after the other: near 90 degrees of pitch the others are not unique, but still belong together.
    roll = math.atan2(turn[2, 1], turn[1, 1])
    return {"xyz": _text(xyz), "rpy": _text((roll, pitch, yaw))}


def rotation_from_rpy(rpy: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of roll, pitch, yaw (3,) in rad about fixed axes, as URDF has it."""
    return Rotation.from_euler("xyz", rpy).as_matrix()


def _text(values) -> str:
    return " ".join(repr(float(value)) for value in values)


def _numbers(element: ElementTree.Element | None, key: str, default: str) -> np.ndarray:
    text = element.get(key, default) if element is not None else default
    return np.array([float(word) for word in text.split()])


def _child(element: ElementTree.Element, tag: str) -> ElementTree.Element:
    child = element.find(tag)
    return child if child is not None else ElementTree.SubElement(element, tag)
