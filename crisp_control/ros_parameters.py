"""ROS parameter files: the gains that the twin has, for the plug-in on the arm."""

from collections.abc import Iterable

import numpy as np
import yaml

from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters, read_gains
from steadyhand.crisp_control.schema import Parameter, load
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import RobotSpec, load_robot

TYPES = {
    "cartesian_impedance": "steadyhand/CartesianController",
    "cartesian_admittance": "steadyhand/CartesianAdmittanceController",
    "joint_impedance": "steadyhand/JointController",
    "gravity_compensation": "steadyhand/GravityCompensationController",
    "torque_feedback": "steadyhand/TorqueFeedbackController",
    "state_broadcaster": "steadyhand/StateBroadcaster",
}


def parameter_file(robot: str, controller: str, core: Iterable[Parameter]) -> str:
    """The text of the file; whatever is wrong with the robot or its gains is a SteadyhandError.

    Args:
        robot: Name in config/robots, or path of a robot's YAML file.
        controller: As in config/controllers, or state_broadcaster, which has no section there: what all controllers
            share is what it takes. Also the name of the node, in any namespace.
        core: The controller's parameters.
    """
    spec = load_robot(robot)
    if spec.firmware_gravity is None:  # a wrong guess makes the arm fall or jump
        raise SteadyhandError(
            f"{robot}: an arm needs a robot file (.yaml) that says whether it adds gravity torques itself: "
            "'firmware_gravity: true' or 'false'; see docs/new_arm.md"
        )
    # Refuses what is wrong, in `shared` too: any controller would do for the broadcaster.
    load_parameters(spec.gains, spec.arm(), controller if controller in CONTROLLERS else "gravity_compensation")
    sections = read_gains(spec.gains)
    gains = (sections.get("shared") or {}) | (sections.get(controller) or {})
    gains["gravity_compensation"] = not spec.firmware_gravity  # on the arm; the twin has no firmware
    values: dict[str, object] = {"type": TYPES[controller]} | _arm_parameters(spec)  # type: for the spawner
    for parameter in core:
        if parameter.name in gains:
            values |= _by_ros_names(parameter, gains[parameter.name])
    notes = "".join(f"# derived, check it: {note}\n" for note in spec.notes)
    return notes + yaml.safe_dump({f"/**/{controller}": {"ros__parameters": values}}, sort_keys=False, width=110)


def _arm_parameters(robot: RobotSpec) -> dict[str, object]:
    return {
        "joints": list(robot.joints),
        "end_effector_frame": robot.tool_frame,
        "base_frame": robot.base_frame,
        "armature": [float(value) for value in robot.armature],
    }


def _by_ros_names(parameter: Parameter, value) -> dict[str, object]:
    """A value under its names in ROS, whose arrays may not mix whole numbers and others."""
    if len(parameter.ros) > 1:
        return {ros: float(item) for ros, item in zip(parameter.ros, value, strict=True)}
    if parameter.type == "planes":
        value = [item for row in value for item in row]
    if isinstance(value, list):
        value = [float(item) for item in value]
    return {parameter.ros[0]: float(value) if parameter.type == "double" else value}


def twin_parameters(robot: RobotSpec, controller: str) -> dict[str, object]:
    """What a controller of the twin runs with, under the plug-in's names: its gains, and what they are about.

    Args:
        robot: The arm.
        controller: As in config/controllers.
    """
    params = load_parameters(robot.gains, robot.arm(), controller)
    values = {"controller": controller} | _arm_parameters(robot)
    for parameter in load()[controller].values():
        value = getattr(params, parameter.name)
        values |= _by_ros_names(parameter, value.tolist() if isinstance(value, np.ndarray) else value)
    return values
