"""A controller and the state broadcaster in a running controller manager, with the gains of config/controllers.

    ros2 launch steadyhand controllers.launch.py
    ros2 launch steadyhand controllers.launch.py robot:=iiwa14 controller:=joint_impedance

The robot's own launch file starts the controller manager and publishes the URDF.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_prefix
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

ARGUMENTS = (
    DeclareLaunchArgument("robot", default_value="fr3", description="a robot of config/robots, or its YAML file"),
    DeclareLaunchArgument("controller", default_value="cartesian_impedance", description="a section of its gains"),
    DeclareLaunchArgument("manager", default_value="/controller_manager", description="of the robot"),
)
# What controller and broadcaster must agree on.
ARM = ("joints", "end_effector_frame", "base_frame", "armature", "payload_mass", "payload_com")
ARM += ("friction", "viscous_friction", "friction_velocity", "observer_time_constant")


def parameters(robot: str, controller: str) -> dict[str, dict]:
    """Parameters of both plug-ins, by the name of their node."""
    command = [sys.executable, "-m", "steadyhand.crisp_control.schema", "ros", robot, controller]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    (node,) = yaml.safe_load(done.stdout).values()
    values = node["ros__parameters"]
    broadcaster = {"type": "steadyhand/StateBroadcaster"} | {name: values[name] for name in ARM if name in values}
    return {"state_broadcaster": broadcaster, controller: values}


def compose(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """A spawner for each of the two plug-ins."""
    values = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    spawner = str(Path(get_package_prefix("controller_manager")) / "lib" / "controller_manager" / "spawner")
    folder = Path(tempfile.mkdtemp(prefix="steadyhand-"))
    spawners = []
    for node, settings in parameters(values["robot"], values["controller"]).items():
        file = folder / f"{node}.yaml"
        file.write_text(yaml.safe_dump({f"/**/{node}": {"ros__parameters": settings}}))
        command = [spawner, node, "--controller-manager", values["manager"], "--param-file", str(file)]
        spawners.append(ExecuteProcess(cmd=command, name=f"spawn_{node}", output="screen"))
    return spawners


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=compose)])
