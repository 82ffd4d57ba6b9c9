"""`steadyhand twin --export`: the twin's scene and description for ros2_control's own controller manager."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import mujoco

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.robot import RobotSpec

PLUGIN = "steadyhand_twin/TwinSystem"


def export_twin(world: World, folder: Path) -> list[Path]:
    """Write ``scene.mjb`` and ``robot.urdf``, whose tag ``<ros2_control>`` loads it.

    The arm starts at home; what a task put on the table is where the task defines it.
    """
    if len(world.arms) > 1:
        raise SteadyhandError("--export is for one arm; give a task of one arm, or --task none")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise SteadyhandError(f"--export {folder}: not a folder") from error
    scene, urdf = folder.resolve() / "scene.mjb", folder.resolve() / "robot.urdf"
    mujoco.mj_saveModel(world.model, str(scene), None)
    urdf.write_text(with_hardware(world.robot, scene))
    return [scene, urdf]


def with_hardware(robot: RobotSpec, scene: Path) -> str:
    """The robot's URDF with the twin as its hardware: efforts for the arm, a position for the gripper's finger."""
    root = ElementTree.fromstring(robot.urdf_xml)
    tag = ElementTree.SubElement(root, "ros2_control", name=f"{robot.name}_twin", type="system")
    hardware = ElementTree.SubElement(tag, "hardware")
    ElementTree.SubElement(hardware, "plugin").text = PLUGIN
    ElementTree.SubElement(hardware, "param", name="scene").text = str(scene)
    for name, q in zip(robot.joints, robot.q_home, strict=True):
        _joint(tag, name, "effort", q)
    if robot.gripper is not None:
        _joint(tag, robot.gripper.joint, "position", robot.gripper.max_opening)
        if robot.gripper.mimic_joint:
            _joint(tag, robot.gripper.mimic_joint, "", robot.gripper.max_opening)
    ElementTree.indent(tag)
    return ElementTree.tostring(root, encoding="unicode")


def _joint(tag: ElementTree.Element, name: str, command: str, position: float) -> None:
    joint = ElementTree.SubElement(tag, "joint", name=name)
    if command:
        ElementTree.SubElement(joint, "command_interface", name=command)
    for state in ("position", "velocity", "effort"):
        interface = ElementTree.SubElement(joint, "state_interface", name=state)
        if state == "position":
            ElementTree.SubElement(interface, "param", name="initial_value").text = repr(float(position))
