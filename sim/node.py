"""`steadyhand twin`: serves a robot's ROS 2 topics from a twin in real time.

Three threads: the C++ loop (physics and control, 1 kHz), the spinning thread (topics and services), and the main
thread, which draws camera images. None of them waits for another.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from steadyhand import ros, ros_messages
from steadyhand.crisp_control.parameters import CONTROLLERS
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.sim.env import World
from steadyhand.sim.export import export_twin
from steadyhand.sim.meshes import parse_packages
from steadyhand.sim.realtime import RealtimeArm, RealtimeWorld, check_speed
from steadyhand.sim.robot import load_robot
from steadyhand.sim.ros_arm import ArmTopics
from steadyhand.sim.ros_cameras import Cameras, camera_names
from steadyhand.sim.ros_frames import NO_TF, FrameTopics
from steadyhand.sim.ros_task import TaskTopics
from steadyhand.sim.tasks import task_names
from steadyhand.sim.tasks.own import is_own

STATUS_PERIOD = 0.1  # s
DIAGNOSTICS_PERIOD = 1.0  # s
FRAMES_PERIOD = 0.02  # s


@dataclass
class TwinConfig:
    """Serve a robot's ROS 2 topics from a twin in real time."""

    robot: str = "fr3"
    """A name (`steadyhand robots`; with the package robot_descriptions also its names), or the path of a robot file
    (.yaml), of a URDF (.urdf) or of an MJCF (.xml). What they leave open is derived and printed."""
    package: tuple[str, ...] = ()
    """NAME=PATH of folders that package://NAME in the URDF means, where ROS does not know them."""
    task: str | None = None
    """What stands on the table; "none" for a bare arm. Left out: peg_insertion, or none for a robot without gripper.
    See `steadyhand tasks`, or give one of your own as path/to/my_task.py:MyTask."""
    controller: str = "cartesian_impedance"
    """cartesian_impedance, cartesian_admittance, joint_impedance, gravity_compensation or torque_feedback."""
    namespace: str = ""
    """Namespace of all topics and services, for several robots in one ROS domain. Below it are those of the two arms of
    a task that takes two: left and right."""
    cameras: str | None = None
    """Cameras to publish, separated by commas; "none" for none. Left out: front and every wrist."""
    camera_rate: float = 15.0
    """Images per simulated second of each camera."""
    width: int = 640
    """Of the images, in pixels."""
    height: int = 480
    """Of the images, in pixels."""
    rate: float = 100.0
    """State messages per simulated second."""
    speed: float = 1.0
    """Simulated seconds per second, 0.1 to 10. At 1 stamps are Unix time; otherwise they are simulated time, which all
    who talk to the twin take from /clock (--sim-time, or ROS's use_sim_time)."""
    seed: int = 0
    """Of the first episode; every reset counts it up."""
    export: Path | None = None
    """Folder for scene.mjb and robot.urdf, with which ros2_control's own controller manager drives the twin
    (docs/ros2_control.md); nothing is served then."""
    duration: float | None = None
    """Seconds until the twin ends by itself; without it, it runs until Ctrl-C."""


class TwinNode:
    """Topics and services of one twin; those of two arms on nodes of their own, in namespaces below."""

    def __init__(self, node: ros.Node, world: RealtimeWorld, rate: float) -> None:
        """Advertise everything; works once the node spins."""
        self._node, self._world = node, world
        self._clock = ros.publisher(node, "/clock")
        self._diagnostics = ros.publisher(node, "/diagnostics")
        self._arms = [ArmTopics(_node_of(arm, node), world, arm) for arm in world.arms]
        self._task = TaskTopics(node, world)
        ros.service(node, "reset", self._on_reset)
        ros.service(node, "pause", self._on_pause)
        node.create_timer(1.0 / (rate * world.speed), self._on_state)
        node.create_timer(FRAMES_PERIOD / world.speed, self._on_frames)
        node.create_timer(STATUS_PERIOD, self._on_status)
        node.create_timer(DIAGNOSTICS_PERIOD, self._on_diagnostics)
        self.instant = world.advance()
        self._frames = [arm.frames for arm in self._arms]
        if len(self._arms) > 1:  # a viewer listens to one topic: here is everything together
            self._frames.append(FrameTopics(node, world.world, world.world.arms, self.instant))
        if not self._frames[0].available:
            node.get_logger().info(NO_TF)
        self._framed = 0.0  # stamp of the last frames: listeners complain about one that comes twice

    def _on_reset(self, _request, response):
        try:
            self._world.reset()
            for arm in self._arms:
                arm.references.reset()
            self._task.begin()
            response.success, response.message = True, f"episode of seed {self._world.seed}"
        except SteadyhandError as error:
            response.success, response.message = False, str(error)
        return response

    def _on_pause(self, request, response):
        self._world.pause(request.data)
        response.success, response.message = True, "paused" if request.data else "running"
        return response

    def _on_state(self) -> None:
        instant = self._world.advance()
        if instant is self.instant:
            return
        self.instant = instant
        self._clock.publish(ros_messages.clock(instant.observation.time))
        for arm in self._arms:
            arm.publish(instant)
        self._task.publish(instant)

    def _on_frames(self) -> None:
        if self.instant.observation.time > self._framed:
            self._framed = self.instant.observation.time
            for frames in self._frames:
                frames.publish(self.instant)

    def _on_status(self) -> None:
        for arm in self._arms:
            arm.publish_status(self.instant)

    def _on_diagnostics(self) -> None:
        for arm in self._arms:
            arm.references.guard()
        if self._world.speed != 1.0 and self._node.count_publishers("/clock") > 1:
            self._node.get_logger().warning(
                "another node publishes /clock too: a ROS domain can have one such time only"
            )
        message, *others = [arm.describe(self.instant) for arm in self._arms]
        message.status = [status for one in (message, *others) for status in one.status]
        self._diagnostics.publish(message)


def _node_of(arm: RealtimeArm, node: ros.Node) -> ros.Node:
    """A single arm's topics are on the twin's own node."""
    return ros.below(node, arm.mounted.mount.name) if arm.mounted.mount.name else node


def _camera_names(text: str | None, world: World) -> list[str]:
    if text is None:
        return ["front", *(f"{arm.mount.prefix}wrist" for arm in world.arms)]
    return camera_names(text)


def _check(config: TwinConfig) -> None:
    for name in ("camera_rate", "rate", "width", "height"):
        if getattr(config, name) <= 0:
            option = name.replace("_", "-")
            raise SteadyhandError(f"--{option} {getattr(config, name)} must be positive; leave it out for the default")
    check_speed(config.speed)
    if config.task not in (None, "none") and not is_own(str(config.task)) and config.task not in task_names():
        raise unknown("task", config.task, ["none", *task_names()], "or path/to/my_task.py:MyTask")
    if config.controller not in CONTROLLERS:
        raise unknown("controller", config.controller, CONTROLLERS)


def _load(config: TwinConfig) -> tuple[World, str]:
    """The world and the name of its task; prints what was derived for the robot."""
    robot = load_robot(config.robot, parse_packages(config.package))
    task = config.task
    if task is None:
        task = "peg_insertion" if robot.gripper else "none"
    world = World.build(robot, None if task == "none" else task)
    for note in world.robot.notes:
        print(f"{world.robot.name}: {note}")
    return world, task


def main(config: TwinConfig) -> int:
    """Run until Ctrl-C or for the given duration."""
    _check(config)
    world, task = _load(config)
    if config.export is not None:
        print(f"written: {', '.join(map(str, export_twin(world, config.export)))}")
        return 0
    cameras = Cameras(world.model, _camera_names(config.cameras, world), config.width, config.height)
    realtime = RealtimeWorld(world, config.seed, config.controller, config.speed)
    realtime.start()
    try:
        with ros.running("twin", config.namespace, lambda node: TwinNode(node, realtime, config.rate)) as twin:
            cameras.advertise(twin._node)
            pace = "" if config.speed == 1.0 else f" at {config.speed:g} times real time, stamps as on /clock"
            print(f"twin of {config.robot} runs {config.controller}, task {task}{pace}; Ctrl-C ends it", flush=True)
            _serve(twin, cameras, config)
    except KeyboardInterrupt:
        return ros.interrupted("twin stopped")
    finally:
        realtime.stop()
        cameras.close()
    print("twin ended after its duration")
    return 0


def _serve(twin: TwinNode, cameras: Cameras, config: TwinConfig) -> None:
    """Draw images, or just wait."""
    end = time.monotonic() + (config.duration if config.duration is not None else float("inf"))
    pace = ros.Pace(config.camera_rate * config.speed)
    while time.monotonic() < end:
        with ros.uninterrupted():
            cameras.publish(twin.instant)
        pace.wait()
