"""`steadyhand teleop`: a device drives the robot over ROS 2 topics."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from steadyhand import ros, ros_messages
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.ros_observation import StateBuffer
from steadyhand.sim.robot import RobotSpec, load_robot
from steadyhand.teleop.clutch import Clutch, Pose
from steadyhand.teleop.device import BUTTONS, Command, Device
from steadyhand.teleop.keyboard import Keyboard
from steadyhand.teleop.scripted import Scripted

DISCOVERY = 5.0
"""s after its start in which a node may still have to find the others (on a busy machine it takes 1 to 3 s)."""
SERVICES = {
    "reset": "reset",
    "start": "session/start",
    "success": "session/stop_success",
    "failure": "session/stop_failure",
    "discard": "session/discard",
}


@dataclass
class TeleopConfig:
    """Drive the robot with a device."""

    device: str = "keyboard"
    """keyboard, or scripted (the task's scripted operator, on the twin)."""
    robot: str = "fr3"
    """As for `steadyhand twin`: a name, or the path of a robot file, of a URDF or of an MJCF."""
    namespace: str = ""
    """Namespace of the robot's topics."""
    task: str = "peg_insertion"
    """What the scripted operator demonstrates."""
    episodes: int = 1
    """How often the scripted operator demonstrates."""
    seed: int = 0
    """Of the scripted operator."""
    relay: bool = False
    """Publish below hand/, for a program that passes it on to the robot (LeRobot's tools: docs/lerobot.md)."""
    sim_time: bool = False
    """Take the time from /clock, as needed with `steadyhand twin --speed`."""


def _keyboard(node: ros.Node, buffer: StateBuffer, config: TeleopConfig) -> Device:
    return Keyboard()


def _scripted(node: ros.Node, buffer: StateBuffer, config: TeleopConfig) -> Device:
    return Scripted(node, buffer, config.task, config.seed, config.episodes)


DEVICES: dict[str, Callable[[ros.Node, StateBuffer, TeleopConfig], Device]] = {
    "keyboard": _keyboard,
    "scripted": _scripted,
}


class TeleopNode:
    """Turns a hand's commands into messages."""

    def __init__(self, node: ros.Node, robot: RobotSpec, config: TeleopConfig) -> None:
        """Connect device and topics."""
        self._frame = robot.base_frame
        self._log = node.get_logger()
        extra = ("task/truth",) if config.device == "scripted" else ()
        self._buffer = StateBuffer(node, robot.joints, extra=extra)
        self._device = DEVICES[config.device](node, self._buffer, config)
        self._clutch = Clutch()
        target, gripper = ("hand/target_pose", "hand/gripper") if config.relay else ("target_pose", ros.GRIPPER_COMMAND)
        self._target, self._gripper_command = ros.publisher(node, target), ros.publisher(node, gripper)
        self._clients = {button: ros.client(node, SERVICES[button]) for button in BUTTONS}

    def run(self) -> None:
        """Ask the device at its rate until it has finished."""
        with self._device as device:
            print(device.help, flush=True)
            self._began = time.monotonic()
            pace = ros.Pace(device.rate)
            while not (command := device.read()).finished:
                self._pass_on(command.buttons)
                self._request(command, pace.period)
                pace.wait()

    def _request(self, command: Command, dt: float) -> None:
        """Publish what the hand wants, with the stamp of its decision."""
        if not command.clutch:
            self._clutch.release()
            return
        stamp = command.stamp if command.stamp is not None else ros.now()
        pose = command.target or self._moved(command, dt, stamp)
        if pose is None:
            return
        if command.gripper is not None:
            self._gripper_command.publish(ros_messages.numbers([command.gripper]))
        position, quaternion = pose
        frame = self._buffer.frame_prefix(self._frame) + self._frame
        self._target.publish(ros_messages.pose(position, quaternion, stamp, frame))

    def _moved(self, command: Command, dt: float, stamp: float) -> Pose | None:
        """The clutch's request; None while the robot is silent."""
        current = self._buffer.recent("current_pose", stamp)
        if current is None:
            self._log.warning("no fresh current_pose: is the robot running?", throttle_duration_sec=2.0)
            self._clutch.release()
            return None
        return self._clutch.move(command.twist, dt, ros_messages.pose_arrays(current))

    def _pass_on(self, buttons: frozenset[str]) -> None:
        for button in (b for b in BUTTONS if b in buttons):
            answer = self._press(button)
            self._log.info(f"{button}: {answer or 'done'}")
            self._device.pressed(button, answer)

    def _press(self, button: str) -> str | None:
        """Call the button's service; the reason if it did not work."""
        patience = max(0.1, self._began + DISCOVERY - time.monotonic())
        if not self._clients[button].wait_for_service(timeout_sec=patience):
            return f"nobody offers {SERVICES[button]}"
        response = ros.call(self._clients[button], timeout=20.0)
        return None if response.success else response.message


def main(config: TeleopConfig) -> int:
    """Run until the device has finished, or Ctrl-C."""
    if config.device not in DEVICES:
        raise unknown("device", config.device, DEVICES)
    if config.episodes < 1:
        raise SteadyhandError(f"--episodes {config.episodes} must be at least 1")
    robot = load_robot(config.robot)
    try:
        setup = partial(TeleopNode, robot=robot, config=config)
        with ros.running("teleop", config.namespace, setup, config.sim_time) as teleop:
            teleop.run()
    except KeyboardInterrupt:
        return ros.interrupted("teleoperation stopped; the arm holds where it is")
    return 0
