"""What a description leaves open about an arm, decided by rule: which joints, which tool, where the rest is locked."""

import re
from collections.abc import Mapping
from pathlib import Path

from steadyhand.errors import SteadyhandError, unknown
from steadyhand.sim.locking import rest_position
from steadyhand.sim.urdf import MOVABLE, Joint, Urdf

_GRIPPER = re.compile(r"gripper|finger|jaw|knuckle|thumb", re.IGNORECASE)
# Words that name a tool frame, the best first; a name is cut into words at _, -, capitals and before digits.
_TOOLS = ("tcp", "grasp", "pinch", "tool", "attachment", "ee", "eef", "effector", "flange")
_FEWEST, _MOST = 5, 8


def find_joint(source: Path, name: str, urdf: Urdf) -> Joint:
    """A joint by name; source asked for it."""
    if name not in urdf.joints:
        raise unknown("joint", name, urdf.joints, f"joints of {urdf.path}, asked for by {source}")
    return urdf.joints[name]


def check_tool(source: Path, name: str, urdf: Urdf, joints: tuple[str, ...] = ()) -> None:
    """Refuse a tool frame that the description does not have, or that is called like one of the arm's joints."""
    if name not in urdf.links:
        raise unknown("tool_frame", name, urdf.links, f"links of {urdf.path}, asked for by {source}")
    if name in joints:  # Pinocchio could not tell them apart
        others = _list(link for link in urdf.links if link not in joints)
        raise SteadyhandError(f"{source}: tool_frame '{name}' is also the name of a joint; take another link: {others}")


def check_names(urdf: Urdf, joints: tuple[str, ...]) -> None:
    """Refuse a link of the base that is called like one of the arm's joints: Pinocchio could not tell them apart."""
    for link in urdf.links:
        if link in joints and not urdf.group(link):
            raise SteadyhandError(f"{urdf.path}: a link of the base and a joint are both called '{link}'; rename one")


def choose_joints(urdf: Urdf, tool_frame: str) -> tuple[str, ...]:
    """The arm's joints: movable ones in a row from the base, to the tool if it is known, without the gripper's."""
    if tool_frame:
        row = [joint for joint in urdf.chain(tool_frame) if joint.type in MOVABLE and not _of_gripper(joint)]
        following: list[Joint] = []
    else:
        row, following = _row(urdf)
    while row and row[-1].type == "prismatic":
        row.pop()
    if len(row) < _FEWEST and len(following) > 1:
        ends = [link for link in urdf.links if all(joint.parent != link for joint in urdf.joints.values())]
        raise SteadyhandError(
            f"{urdf.path}: the joints branch ({', '.join(joint.name for joint in following)}); choose the arm with "
            f"'tool_frame' in a robot file, one of: {_list(ends)}"
        )
    names = tuple(joint.name for joint in row)
    _check_count(urdf.path, names, urdf)
    return names


def check_chain(source: Path, joints: tuple[str, ...], tool_frame: str, urdf: Urdf) -> None:
    """The joints of a robot file must be ones on the way to the tool, in order; what it leaves out gets locked."""
    found = [find_joint(source, name, urdf) for name in joints]
    _check_count(source, joints, urdf)
    chain = urdf.group(tool_frame or found[-1].child)
    if tuple(name for name in chain if name in joints) != joints:
        raise SteadyhandError(
            f"{source}: 'joints' must be movable joints from '{urdf.root}' to '{tool_frame or found[-1].child}', "
            f"in order: {', '.join(chain)}"
        )
    for joint in found:
        if joint.mimic:
            raise SteadyhandError(
                f"{source}: joint '{joint.name}' follows '{joint.mimic}'; only free joints are driven"
            )


def choose_tool(urdf: Urdf, joints: tuple[str, ...]) -> str:
    """The link fixed to the last joint's and called like a tool, the shorter the better; if none is, the outermost."""
    group = urdf.group(urdf.joints[joints[-1]].child)
    links = [link for link in urdf.links if urdf.group(link) == group]
    depth = {link: len(urdf.chain(link)) for link in links}
    for word in _TOOLS:
        named = [link for link in links if word in _words(link)]
        if named:
            fewest = min(len(_words(link)) for link in named)
            links = [link for link in named if len(_words(link)) == fewest]
            break
    deepest = [link for link in links if depth[link] == max(depth[link] for link in links)]
    if len(deepest) > 1:
        raise SteadyhandError(
            f"{urdf.path}: which link is the tool? Choose with 'tool_frame' in a robot file, one of: {_list(deepest)}"
        )
    return deepest[0]


def locked_positions(source: Path, urdf: Urdf, driven: tuple[str, ...], asked: Mapping[str, float]) -> dict[str, float]:
    """Where joints stand that nobody drives (rad or m, by joint): as asked, else at 0 or the limit nearest to it.

    A joint that follows another one stands where that takes it.
    """
    free = [joint for joint in urdf.joints.values() if joint.type in MOVABLE and joint.name not in driven]
    for name, position in asked.items():
        if name not in [joint.name for joint in free]:
            raise unknown("joint", name, [joint.name for joint in free], f"to be locked, asked for by {source}")
        joint = urdf.joints[name]
        if joint.type != "continuous" and not joint.lower <= position <= joint.upper:
            raise SteadyhandError(
                f"{source}: locked: joint '{name}' at {position} is outside its limits {joint.lower} to {joint.upper}"
            )
    positions = {joint.name: asked.get(joint.name, rest_position(joint)) for joint in free}
    for joint in free:
        if joint.mimic in positions and joint.name not in asked:
            positions[joint.name] = joint.ratio * positions[joint.mimic] + joint.offset
    return positions


def _row(urdf: Urdf) -> tuple[list[Joint], list[Joint]]:
    """Joints in a row from the base while there is no choice, and the ones among which there is one."""
    row: list[Joint] = []
    while True:
        reached = tuple(joint.name for joint in row)
        following = [
            joint
            for joint in urdf.joints.values()
            if joint.type in MOVABLE and urdf.group(joint.parent) == reached and not _of_gripper(joint)
        ]
        if len(following) != 1:
            return row, following
        row += following


def _of_gripper(joint: Joint) -> bool:
    return bool(joint.mimic or _GRIPPER.search(joint.name))


def _check_count(source: Path, joints: tuple[str, ...], urdf: Urdf) -> None:
    if not _FEWEST <= len(joints) <= _MOST:
        movable = [joint.name for joint in urdf.joints.values() if joint.type in MOVABLE]
        raise SteadyhandError(
            f"{source}: an arm has {_FEWEST} to {_MOST} joints in a row, here are {len(joints)} "
            f"({_list(joints)}); movable in {urdf.path}: {_list(movable)}; name the arm's with 'joints' in a robot file"
        )


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def _list(names) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "none"
