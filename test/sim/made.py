"""Arms made for a test, as URDF and as MJCF."""

from pathlib import Path

import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World

TETRAHEDRON = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"


def link(name: str, shape: str = '<cylinder radius="0.03" length="0.1"/>', inertia: str = "0.01") -> str:
    inertial = (
        f'<inertial><mass value="1"/><origin xyz="0 0 0.05"/><inertia ixx="{inertia}" iyy="{inertia}" izz="{inertia}" '
        'ixy="0" ixz="0" iyz="0"/></inertial>'
    )
    visual = f'<visual><origin xyz="0 0 0.1"/><geometry>{shape}</geometry></visual>'
    return f'<link name="{name}">{inertial if inertia else ""}{visual if shape else ""}</link>'


def joint(name: str, parent: str, child: str, kind="revolute", axis="0 1 0", z=0.2, limit=None, more="") -> str:
    limit = 'lower="-2.5" upper="2.5" effort="50" velocity="2"' if limit is None else limit
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><origin xyz="0 0 {z}"/>'
        f'<axis xyz="{axis}"/><limit {limit}/>{more}</joint>'
    )


def arm(*more: str, **changes: str) -> str:
    """A URDF of six joints with a bare flange and whatever else is given; a link or joint may be replaced by name."""
    parts = {"base": link("base")}
    for i, axis in enumerate(("0 0 1", "0 1 0", "0 1 0", "0 0 1", "0 1 0", "0 0 1")):
        parts[f"link{i}"] = link(f"link{i}")
        parts[f"joint{i}"] = joint(f"joint{i}", f"link{i - 1}" if i else "base", f"link{i}", axis=axis)
    parts["flange"] = '<link name="flange"/>' + joint("flange_joint", "link5", "flange", "fixed", z=0.1)
    return "<robot name='made'>" + "".join((parts | changes).values()) + "".join(more) + "</robot>"


FINGERS = (
    link("thumb")
    + joint("slide_a", "flange", "thumb", "prismatic", limit='lower="0.01" upper="0.04" effort="9" velocity="1"')
    + link("other")
    + joint("slide_b", "flange", "other", "prismatic", limit='lower="-0.04" upper="0.04" effort="9" velocity="1"')
)


HINGES = "".join(f'<body name="b{i}" pos="0 0 .2"><joint name="j{i}" axis="{i % 2} 0 {1 - i % 2}"/>' for i in range(6))
MOTORS = "<actuator>" + "".join(f'<motor joint="j{i}" ctrlrange="-9 9"/>' for i in range(6)) + "</actuator>"


def mjcf(body: str, more: str = "") -> str:
    return f"<mujoco><worldbody>{body}</worldbody>{more}</mujoco>"


def chain(end: str = "") -> str:
    return HINGES.replace("/><body", '/><geom size=".03"/><body') + f'<geom size=".03"/>{end}' + "</body>" * 6


def message(path: Path | str) -> str:
    with pytest.raises(SteadyhandError) as caught:
        World.load(str(path), None)
    assert "\n" not in str(caught.value)
    return str(caught.value)
