"""The twin on ROS 2 topics, with whoever moves it and whoever records it.

    ros2 launch steadyhand twin.launch.py
    ros2 launch steadyhand twin.launch.py device:=scripted record:=outputs/demos
    ros2 launch steadyhand twin.launch.py checkpoint:=outputs/demo/improved

A device that reads keys needs a terminal of its own: `steadyhand teleop --device keyboard` beside this.
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessIO
from launch.events.process import ProcessIO
from launch.substitutions import FindExecutable, LaunchConfiguration

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

ARGUMENTS = (
    DeclareLaunchArgument(
        "robot", default_value="fr3", description="a name, or the path of a robot file, URDF or MJCF"
    ),
    DeclareLaunchArgument("task", default_value="peg_insertion", description="what stands on the table, or none"),
    DeclareLaunchArgument("controller", default_value="cartesian_impedance", description="that moves the arm"),
    DeclareLaunchArgument("namespace", default_value="", description="of all topics"),
    DeclareLaunchArgument("cameras", default_value="front,wrist", description="to publish and record, or none"),
    DeclareLaunchArgument("seed", default_value="0", description="of the first episode"),
    DeclareLaunchArgument("speed", default_value="1", description="simulated seconds per second; not 1: on /clock"),
    DeclareLaunchArgument("device", default_value="", description="that drives the arm: scripted, or empty"),
    DeclareLaunchArgument("checkpoint", default_value="", description="of a policy that drives the arm, or empty"),
    DeclareLaunchArgument("record", default_value="", description="folder to record a dataset into, or empty"),
    DeclareLaunchArgument("episodes", default_value="1", description="to demonstrate and to record"),
)


def steadyhand(name: str, values: dict[str, str], *options: str, **settings) -> ExecuteProcess:
    """One `steadyhand` command as a process; ``options`` are passed on from the launch arguments."""
    try:
        executable = str(Path(get_package_prefix("steadyhand")) / "lib" / "steadyhand" / "steadyhand")
    except (LookupError, OSError):  # installed with pip: on the PATH
        executable = FindExecutable(name="steadyhand")
    command = [executable, name]
    for option in ("robot", "namespace", *options):
        command += [f"--{option}", values[option]]
    return ExecuteProcess(cmd=command + settings.pop("extra", []), name=name, output="screen", **settings)


def when_ready(recorder: ExecuteProcess, mover: ExecuteProcess) -> RegisterEventHandler:
    """Start who moves the arm as soon as the recorder listens, so that nothing is missed."""
    started = []

    def check(event: ProcessIO) -> list[ExecuteProcess]:
        if started or b"ready to record" not in event.text:
            return []
        started.append(mover)
        return [mover]

    return RegisterEventHandler(OnProcessIO(target_action=recorder, on_stderr=check))


def compose(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The twin, and what was asked for beside it."""
    values = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    processes = [steadyhand("twin", values, "task", "controller", "cameras", "seed", "speed", on_exit=Shutdown())]
    movers, clock = [], [] if float(values["speed"]) == 1.0 else ["--sim-time"]
    if values["device"]:
        movers.append(steadyhand("teleop", values, "task", "device", "episodes", "seed", extra=clock))
    if values["checkpoint"]:
        movers.append(steadyhand("policy", values, "checkpoint", extra=clock))
    if not values["record"]:
        return processes + movers
    extra = [*clock, "--output", values["record"], "--segment", "policy" if values["checkpoint"] else "demo"]
    recorder = steadyhand("record", values, "task", "cameras", "episodes", extra=extra)
    return [*processes, *(when_ready(recorder, mover) for mover in movers), recorder]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=compose)])
