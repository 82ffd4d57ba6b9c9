import math
import shutil

import numpy as np
import pytest
import yaml

from steadyhand.errors import SteadyhandError
from steadyhand.paths import config_dir
from steadyhand.sim.robot import load_robot, robot_names
from steadyhand.sim.robot_file import CameraSpec


@pytest.fixture
def files(tmp_path):
    """A copy of the FR3's files that a test may break: edit(yaml changes) or break_urdf(old, new)."""
    robots = config_dir() / "robots"
    shutil.copytree(robots / "fr3", tmp_path / "fr3")
    shutil.copy(robots / "fr3.yaml", tmp_path)

    class Files:
        path = tmp_path / "fr3.yaml"
        urdf = tmp_path / "fr3" / "fr3.urdf"

        def edit(self, **changes):
            data = yaml.safe_load(self.path.read_text()) | changes
            self.path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))

        def break_urdf(self, old, new):
            text = self.urdf.read_text()
            assert old in text
            self.urdf.write_text(text.replace(old, new, 1))

    return Files()


def camera(**changes) -> dict:
    return {"pos": [1, 0, 0], "target": [0, 0, 0], "up": [0, 0, 1], "fovy": 45} | changes


def message(path) -> str:
    with pytest.raises(SteadyhandError) as caught:
        load_robot(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_limits_are_frankas():
    robot = load_robot("fr3")
    assert robot.q_lower == (-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159)
    assert robot.q_upper == (2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159)
    assert robot.dq_limit == (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26)
    assert robot.tau_limit == (87, 87, 87, 87, 12, 12, 12)


def test_the_side_camera_mirrors_the_front_camera_unless_the_file_says_where_it_is(files):
    front = camera(pos=[1, -0.5, 0.6], target=[0.3, 0.1, 0])
    files.edit(front_camera=front)
    assert load_robot(files.path).side_camera == CameraSpec((1, 0.5, 0.6), (0.3, -0.1, 0), (0, 0, 1), 45)
    files.edit(side_camera=front)
    assert load_robot(files.path).side_camera == load_robot(files.path).front_camera


def test_home_is_inside_the_limits_with_room():
    robot = load_robot("fr3")
    assert (np.array(robot.q_home) - robot.q_lower > 0.3).all()
    assert (np.array(robot.q_upper) - robot.q_home > 0.3).all()


def test_loads_by_path(files):
    assert load_robot(files.path).joints == load_robot("fr3").joints
    assert load_robot(str(files.path)).urdf_xml == load_robot("fr3").urdf_xml


def test_unknown_robot_lists_the_known_ones():
    assert "fr3" in robot_names()
    assert message("fr4").startswith("unknown robot 'fr4'; allowed: ")
    assert "cannot read" in message("nowhere/fr3.yaml")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"colour": "red"}, "unknown key 'colour'; allowed: name, urdf"),
        ({"urdf": None}, "needs one of the keys 'urdf' and 'mjcf'"),
        ({"mjcf": "fr3.xml"}, "needs one of the keys 'urdf' and 'mjcf'"),
        ({"joints": "fr3_joint1"}, "needs a list"),
        ({"joints": ["a", "b", "c", "d", "e"]}, "unknown joint 'a'"),
        ({"joints": ["fr3_joint1"]}, "5 to 8 joints"),
        ({"joints": [f"fr3_joint{i}" for i in (2, 1, 3, 4, 5, 6, 7)]}, "in order: fr3_joint1, fr3_joint2"),
        ({"q_home": [0.0]}, "q_home has 1 values for 7 joints"),
        ({"q_home": [9.0, 0, 0, -2, 0, 2, 0]}, "outside its limits"),
        ({"q_home": [math.nan, 0, 0, -2, 0, 2, 0]}, "needs a finite number"),
        ({"tool_frame": "finger"}, "unknown tool_frame 'finger'"),
        ({"base_frame": "fr3_link0"}, "must be the root link 'base'"),
        ({"locked": {"elbow": 0.0}}, "unknown joint 'elbow'; allowed: none"),
        ({"locked": {"fr3_finger_joint1": 0.1}, "gripper": None}, "at 0.1 is outside its limits 0.0 to 0.04"),
        ({"locked": 3}, "needs lines of 'name: value'"),
        ({"packages": {"mine": "nowhere"}}, "package 'mine': there is no folder"),
        ({"tau_limit": [1.0]}, "tau_limit has 1 values for 7 joints"),
        ({"gripper": {"joint": "fr3_finger_joint1"}}, "gripper: key 'pad_links' is missing"),
        ({"urdf": "nowhere.urdf"}, "cannot read the URDF"),
        ({"wrist_camera": {"pos": [0, 0, 0]}}, "wrist_camera: key 'target' is missing"),
        ({"wrist_camera": "above"}, "wrist_camera: 'above' is a str"),
        ({"front_camera": camera(pos=[1, 0])}, "front_camera: pos needs 3 numbers, has 2"),
        ({"side_camera": camera(fovy=0)}, "side_camera: fovy must lie between 0 and 180"),
        ({"front_camera": camera(fovy=180)}, "front_camera: fovy must lie between 0 and 180"),
        ({"front_camera": camera(up=[1, 0, 0])}, "front_camera: 'up' must not point along the view"),
    ],
)
def test_a_wrong_yaml_is_refused(files, changes, expected):
    files.edit(**changes)
    assert expected in message(files.path)


@pytest.mark.parametrize("text", ["joints: [", "just words", ""])
def test_what_is_no_robot_file_is_refused(files, text):
    files.path.write_text(text)
    assert str(files.path) in message(files.path)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("</robot>", "", "not XML"),
        ('<?xml version="1.0"?>', "<!DOCTYPE robot>", "DOCTYPE"),
        ('<robot name="fr3">', '<robot name="fr3"><link name="lost"/>', "exactly one root link, has 2"),
        ('<joint name="fr3_joint3"', '<joint name="elbow"', "unknown joint 'fr3_joint3'"),
        ('<joint name="fr3_joint3" type="revolute"', '<joint name="fr3_joint3" type="ball"', "type 'ball'"),
        ('<parent link="fr3_link2"/>', '<parent link="fr3_link22"/>', "parent link 'fr3_link22'"),
        (' effort="87"', "", "joint 'fr3_joint1' has no effort limit; add it to its <limit>, or give 'tau_limit'"),
        ('effort="87"', 'effort="strong"', "effort='strong', which is not a number"),
        ('<mass value="2.9274653454"/>', "", "lacks a finite mass"),
        ('<mass value="2.9274653454"/>', '<mass value="-1"/>', "mass must be positive"),
        ('<link name="fr3_hand_tcp"/>', "", "child link 'fr3_hand_tcp'"),
    ],
)
def test_a_broken_urdf_is_refused_by_name(files, old, new, expected):
    files.break_urdf(old, new)
    text = message(files.path)
    assert expected in text
    assert str(files.urdf) in text


def test_a_moving_link_without_inertia_is_refused(files):
    text = files.urdf.read_text()
    start = text.index("<inertial>", text.index('<link name="fr3_link4">'))
    files.urdf.write_text(text[:start] + text[text.index("</inertial>", start) + len("</inertial>") :])
    assert "link 'fr3_link4' moves (joint 'fr3_joint4') but has no inertia" in message(files.path)
