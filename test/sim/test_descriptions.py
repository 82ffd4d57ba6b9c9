"""What is derived for an arm whose description says little, and what is refused, in one line."""

import os
import subprocess
import sys

import numpy as np
import pytest
from made import FINGERS, MOTORS, TETRAHEDRON, arm, chain, joint, link, message, mjcf

from steadyhand.cli import main
from steadyhand.crisp_control import schema
from steadyhand.sim.env import World
from steadyhand.sim.robot import ROTOR, load_robot
from steadyhand.sim.scene import build_spec, compile


def test_a_bare_urdf_is_enough(write):
    robot = load_robot(write(arm(FINGERS)))
    assert (robot.name, robot.base_frame, robot.tool_frame) == ("arm", "base", "flange")
    assert robot.joints == tuple(f"joint{i}" for i in range(6))
    assert robot.armature == (ROTOR * 50,) * 6
    assert not robot.gains.is_file()
    assert [note.split(":")[0] for note in robot.notes] == ["joints", "tool_frame", "locked", "q_home", "armature"]
    assert "slide_a at 0.01, slide_b at 0" in robot.notes[2]


def test_a_derived_home_is_the_same_every_time_and_free(write):
    path = write(arm())
    world = World.load(str(path), None)
    assert load_robot(path).q_home == world.robot.q_home
    position = world.arm.placement(np.array(world.robot.q_home))[0]
    assert position[0] > 0.2
    assert position[2] > 0.2
    assert np.linalg.svd(world.arm.jacobian(np.array(world.robot.q_home)), compute_uv=False)[-1] > 0.1


def test_locked_joints_stand_where_the_robot_file_says(write):
    write(arm(FINGERS))
    robot = load_robot(write("urdf: arm.urdf\nlocked: {slide_a: 0.03}\n", "arm.yaml"))
    model = compile(build_spec(robot))
    assert model.nq == 6
    assert model.body("thumb").pos[2] == pytest.approx(0.2)
    np.testing.assert_allclose(model.body("thumb").pos, [0.0, 0.03, 0.2], atol=1e-12)  # along the slide's axis, y
    assert not any("slide_a" in note for note in robot.notes)


def test_a_mimic_joint_is_locked_where_the_other_one_takes_it(write):
    write(
        arm(
            FINGERS.replace("</joint>", '<mimic joint="slide_a" multiplier="-0.5" offset="0.01"/></joint>', 2).replace(
                '<mimic joint="slide_a" multiplier="-0.5" offset="0.01"/></joint>', "</joint>", 1
            )
        )
    )
    model = compile(build_spec(load_robot(write("urdf: arm.urdf\nlocked: {slide_a: 0.03}\n", "arm.yaml"))))
    assert model.body("other").pos[1] == pytest.approx(-0.005)


def test_a_locked_hinge_turns_what_hangs_on_it(write):
    """A rail's or a wrist's joint left out of 'joints' is locked too, with the frames behind it."""
    write(arm())
    file = (
        "urdf: arm.urdf\ntool_frame: flange\njoints: [joint0, joint1, joint2, joint3, joint4]\nlocked: {joint5: 0.7}\n"
    )
    robot = load_robot(write(file, "arm.yaml"))
    full, q = load_robot(write("urdf: arm.urdf\n", "full.yaml")), np.linspace(-0.4, 0.5, 5)
    for seen, expected in zip(robot.arm().placement(q), full.arm().placement(np.append(q, 0.7)), strict=True):
        np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_the_robot_file_wins(write):
    write(arm())
    more = "tau_limit: [9, 9, 9, 9, 9, 9]\ndq_limit: [1, 1, 1, 1, 1, 1]\narmature: [0, 0, 0, 0, 0, 0]\n"
    robot = load_robot(write("urdf: arm.urdf\ntool_frame: link5\nq_home: [0, 0.5, 1, 0, 1, 0]\n" + more, "arm.yaml"))
    assert (robot.tool_frame, robot.tau_limit, robot.dq_limit) == ("link5", (9.0,) * 6, (1.0,) * 6)
    assert robot.armature == (0.0,) * 6
    assert robot.q_home == (0.0, 0.5, 1.0, 0.0, 1.0, 0.0)
    assert "velocity" not in "".join(robot.notes)


@pytest.mark.parametrize("where", ["beside", "option", "file", "ROS_PACKAGE_PATH", "AMENT_PREFIX_PATH"])
def test_packages_are_found(write, tmp_path, monkeypatch, where):
    folder = {"beside": "mine", "AMENT_PREFIX_PATH": "ws/share/mine"}.get(where, "ws/mine")
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "part.obj").write_text(TETRAHEDRON)
    path = write(arm(link3=link("link3", '<mesh filename="package://mine/part.obj"/>')))
    packages = {"mine": tmp_path / folder} if where == "option" else None
    if where == "file":
        path = write("urdf: arm.urdf\npackages: {mine: ws/mine}\n", "arm.yaml")
    elif where.isupper():
        monkeypatch.setenv(where, f"/nowhere:{tmp_path / 'ws'}")
    assert World.build(load_robot(path, packages), None).model.nmesh == 1


def test_a_picture_that_mujoco_cannot_read_is_left_out(write, caplog):
    path = write(arm(link3=link("link3", '<mesh filename="package://lost/part.dae"/>')))
    assert World.load(str(path), None).model.nmesh == 0
    assert "1 visual meshes left out (package://lost/part.dae ...)" in caplog.text


URDF_REFUSALS = {
    "no inertia": (arm(link3=link("link3", inertia="")), "link 'link3' moves (joint 'joint3') but has no inertia"),
    "no effort": (
        arm(joint3=joint("joint3", "link2", "link3", limit='lower="-1" upper="1" velocity="1"')),
        "joint 'joint3' has no effort limit; add it to its <limit>, or give 'tau_limit' (one number per joint: joint0,",
    ),
    "no body": (
        arm(link3=link("link3").replace('izz="0.01"', 'izz="0.03"')),
        "inertial of link 'link3' is not physical; its principal moments are 0.01, 0.01 and 0.03",
    ),
    "mesh": (
        arm(link3=link("link3", '<mesh filename="package://lost/part.stl"/>')),
        "mesh file 'package://lost/part.stl' not found; looked for ",
    ),
    "collada": (
        arm(link3=link("link3", '<mesh filename="part.dae"/>').replace("visual", "collision")),
        "collision mesh 'part.dae' is no .stl .obj .msh file; convert it",
    ),
    "short": (arm(joint2=joint("joint2", "link1", "link2", "fixed"), joint3=joint("joint3", "link2", "link3", "fixed")),
              "an arm has 5 to 8 joints in a row, here are 4 (joint0, joint1, joint4, joint5)"),
    "one name twice": (
        arm().replace("joint2", "base"),
        "a link of the base and a joint are both called 'base'; rename one",
    ),
    "tool called like a joint": (
        arm().replace("joint2", "flange"),
        "tool_frame 'flange' is also the name of a joint; take another link: base, link0",
    ),
    "a joint that follows": (
        arm(joint2=joint("joint2", "link1", "link2", more='<mimic joint="joint1"/>')),
        "here are 2 (joint0, joint1)",
    ),
    "two arms": (
        arm(joint3=joint("joint3", "link1", "link3")),
        "the joints branch (joint2, joint3); choose the arm with 'tool_frame' in a robot file, one of: link2, flange",
    ),
    "two tools": (
        arm(flange='<link name="p"/><link name="q"/>' + "".join(joint(f"f{x}", "link5", x, "fixed") for x in "pq")),
        "which link is the tool? Choose with 'tool_frame' in a robot file, one of: p, q",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", URDF_REFUSALS)
def test_a_urdf_that_says_too_little_is_refused(write, case):
    text, expected = URDF_REFUSALS[case]
    path = write(text)
    assert expected in message(path)
    assert str(path) in message(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tool_frame: nozzle", "unknown tool_frame 'nozzle'; allowed: base, link0"),
        ("joints: [a, b, c, d, e]", "unknown joint 'a'; allowed: joint0, joint1"),
        ("joints: [joint1, joint0, joint2, joint3, joint4]", "'joints' must be movable joints from 'base' to 'link4'"),
        ("q_home: [0, 0, 2.4, 0, 2.4, 0]", "arm: at home '"),
    ],
)
def test_a_robot_file_that_does_not_fit_is_refused(write, line, expected):
    shape = '<sphere radius="0.09"/>'
    write(arm(**{f"link{i}": link(f"link{i}", shape).replace("visual", "collision") for i in range(6)}))
    assert expected in message(write(f"urdf: arm.urdf\n{line}\n", "arm.yaml"))


def test_a_urdf_called_xml_is_read_as_urdf(write):
    assert load_robot(write(arm(), "arm.xml")).mjcf is None


def test_descriptions_come_by_name_where_their_package_is_installed(write, tmp_path, monkeypatch):
    """A stand-in of robot_descriptions with its interface: nothing is downloaded."""
    package = tmp_path / "robot_descriptions"
    package.mkdir()
    path = write(mjcf(chain(), MOTORS), "tiny.xml")
    (package / "__init__.py").write_text("")
    (package / "_descriptions.py").write_text(
        "from types import SimpleNamespace as N\n"
        "DESCRIPTIONS = {'tiny_mj_description': N(tags={'arm'}, has_mjcf=True, has_urdf=False),\n"
        " 'dog_description': N(tags={'quadruped'}, has_mjcf=True, has_urdf=False),\n"
        " 'lost_description': N(tags={'arm'}, has_mjcf=False, has_urdf=True)}\n"
    )
    (package / "tiny_mj_description.py").write_text(f"MJCF_PATH = {str(path)!r}\n")
    (package / "lost_description.py").write_text("raise OSError('no network')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("robot_descriptions")]:
        monkeypatch.delitem(sys.modules, name)
    assert load_robot("tiny_mj_description").name == "tiny"
    assert "unknown robot 'dog_description'; allowed: fr3, gen3, iiwa14, tiny_mj_description" in message(
        "dog_description"
    )
    assert "cannot bring 'lost_description' (no network); check the network" in message("lost_description")
    for name in [name for name in sys.modules if name.startswith("robot_descriptions")]:
        del sys.modules[name]


def test_nothing_derived_reaches_an_arm_unseen(write):
    for silent in (write(arm()), write("urdf: arm.urdf\n", "silent.yaml")):
        with pytest.raises(schema.SchemaError, match="'firmware_gravity: true' or 'false'"):
            schema.ros(str(silent), "cartesian_impedance")
    text = schema.ros(str(write("urdf: arm.urdf\nfirmware_gravity: false\n", "arm.yaml")), "cartesian_impedance")
    assert "# derived, check it: armature: [0.1, 0.1" in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--robot", "ur99"), "unknown robot 'ur99'; allowed: fr3, gen3, iiwa14"),
        (("--robot", "ur99.xacro"), "is a xacro file; expand it first: xacro ur99.xacro > ur99.urdf"),
        (("--robot", "nowhere.urdf"), "cannot read the URDF nowhere.urdf"),
        (("--robot", "nowhere.xml"), "cannot read the MJCF nowhere.xml"),
        (("--package", "mine"), "--package 'mine' must be NAME=PATH"),
        (("--package", "mine=/nowhere/at/all"), "package 'mine': there is no folder /nowhere/at/all"),
    ],
)
def test_the_command_refuses_in_one_line(capsys, options, expected):
    assert main(["twin", *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert expected in lines[0]


def test_the_help_says_what_a_robot_may_be():
    done = subprocess.run(
        [sys.executable, "-m", "steadyhand", "twin", "--help"], env=dict(os.environ), text=True, capture_output=True
    )
    words = " ".join(done.stdout.replace("│", " ").split())
    for word in ("(.yaml), of a URDF (.urdf) or of an MJCF (.xml)", "--package", "NAME=PATH"):
        assert word in words
