"""docs/new_arm.md, followed literally: its files are written, its commands are run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from steadyhand.paths import config_dir
from steadyhand.ros_processes import private_graph
from steadyhand.sim.robot import load_robot

PAGE = config_dir().parent / "docs" / "new_arm.md"
PART = (
    '<link name="{name}"><inertial><mass value="{mass}"/><origin xyz="0 0 0.1"/>'
    '<inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>'
    '<collision><origin xyz="0 0 0.1"/><geometry><cylinder radius="0.02" length="0.08"/></geometry></collision></link>'
    '<joint name="{joint}" type="{kind}"><parent link="{parent}"/><child link="{name}"/><origin xyz="0 0 {z}"/>'
    '<axis xyz="{axis}"/><limit lower="{lower}" upper="{upper}" effort="50" velocity="2"/></joint>'
)


def my_arm() -> str:
    """The arm that the page talks about: joint_1 to joint_6, tool0, and a finger."""
    text, parent = '<robot name="my_arm"><link name="base_link"/>', "base_link"
    common = {"mass": 1.5, "kind": "revolute", "z": 0.2, "lower": -2.5, "upper": 2.5}
    for i, axis in enumerate(("0 0 1", "0 1 0", "0 1 0", "0 0 1", "0 1 0", "0 0 1"), 1):
        text += PART.format(name=f"link_{i}", joint=f"joint_{i}", parent=parent, axis=axis, **common)
        parent = f"link_{i}"
    fixed = {"mass": 0.1, "axis": "0 1 0", "lower": 0, "upper": 0.02, "parent": parent}
    text += PART.format(name="tool0", joint="tool_joint", kind="fixed", z=0.15, **fixed)
    return text + PART.format(name="pad", joint="finger", kind="prismatic", z=0.15, **fixed) + "</robot>"


def run(command: str, folder: Path) -> str:
    """A line of the page; a twin ends after a second, and runs without pictures."""
    line = command.replace("steadyhand twin", f"{sys.executable} -m steadyhand twin --cameras none --duration 1")
    line = re.sub(r"^python ", f"{sys.executable} ", line)
    done = subprocess.run(
        line, shell=True, cwd=folder, env=dict(os.environ), text=True, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_the_page_works_as_it_stands(tmp_path):
    (tmp_path / "my_arm.urdf").write_text(my_arm())
    said = []
    with private_graph():
        for kind, block in re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(), re.DOTALL):
            if kind == "yaml":
                name = re.match(r"# (\S+)", block)[1]
                (tmp_path / name).write_text(block)
            else:  # a controller_manager is what only an arm has
                said += [run(line, tmp_path) for line in block.splitlines() if not line.startswith("ros2 ")]
    assert load_robot(tmp_path / "noisy_arm.yaml").force_torque_link == "tool0"
    bare, told, *_ = said
    assert "my_arm: tool_frame: tool0" in bare
    assert "my_arm: locked: finger at 0" in bare
    assert "my_arm:" not in told  # the robot file says all
    assert "runs cartesian_impedance, task none" in told
    parameters = yaml.safe_load((tmp_path / "my_arm_ros.yaml").read_text())["/**/cartesian_impedance"][
        "ros__parameters"
    ]
    assert parameters["end_effector_frame"] == "tool0"
    assert parameters["armature"] == [0.1, 0.1, 0.1, 0.05, 0.05, 0.05]


def test_the_page_names_every_key_or_a_file_that_has_it():
    from dataclasses import fields

    from steadyhand.sim.robot_file import RobotFile

    known = PAGE.read_text() + (config_dir() / "robots" / "fr3.yaml").read_text()
    known += (config_dir() / "robots" / "gen3.yaml").read_text() + (config_dir() / "robots" / "iiwa14.yaml").read_text()
    assert all(f"{key.name}:" in known for key in fields(RobotFile))
