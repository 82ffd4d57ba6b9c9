"""A recorded episode on a robot over ROS 2 topics, real or twin: slowly to its beginning, then the recorded requests.

Whatever looks wrong ends it: the arm is asked to stay where it is, and no request follows.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from steadyhand import ros, ros_messages
from steadyhand.data_collection.replay_source import Recording
from steadyhand.data_collection.replay_twin import angle
from steadyhand.errors import SteadyhandError
from steadyhand.ros_observation import ObservationNotReadyError, StateBuffer
from steadyhand.ros_requests import PoseRequests
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.rotations import quat_from_rot6d

NEAR = 0.005, 0.05  # m, rad: within this of the first pose nobody is asked
APPROACH = 0.1, 0.3  # m/s, rad/s on the way to the first pose
RATE = 20.0  # requests per second on that way
LONGEST = 0.15  # s between two requests: the controller holds after 0.5 s without one
LATE = 0.02  # s behind schedule (a busy computer) from which everything after it is later, too
GRACE = 0.5  # s after the first request in which the controller may still say that it holds
PATIENCE = 10.0  # s for the robot's first messages
GAP = 0.5  # s of a recording without a decision that are not bridged
TURNED = 0.5  # rad between the tool and the recorded path that end the replay
SILENT = 2.0  # s after which a controller that says nothing about itself is taken to be a silent one


class StoppedError(SteadyhandError):
    """The replay was ended before its time; the message says why."""


@dataclass(frozen=True)
class Limits:
    """What ends a replay, or does not let it begin."""

    tolerance: float  # m between the tool and the recorded path
    max_speed: float  # m/s between two requested positions
    max_turn: float  # rad/s


@dataclass(frozen=True)
class Request:
    """What is asked for at a time."""

    time: float  # s since the replay's beginning
    position: np.ndarray
    quaternion: np.ndarray
    gripper: float
    frame: int  # of the recording, at or before this time
    decided: bool  # recorded; else between two recorded ones


def schedule(recording: Recording, speed: float) -> list[Request]:
    """The requests of a one-armed recording at a speed (1: as recorded), LONGEST apart at most."""
    times, action = recording.times / speed, recording.action[:, 0]
    quaternions = quat_from_rot6d(action[:, 3:9])
    requests = []
    for i, (begin, values) in enumerate(zip(times, action, strict=True)):
        requests.append(Request(begin, values[:3], quaternions[i], float(values[9]), i, decided=True))
        if i + 1 == len(times):
            break
        parts = int(np.ceil((times[i + 1] - begin) / LONGEST - 1e-9))
        turn = Slerp([0.0, 1.0], Rotation.from_quat(quaternions[i : i + 2]))
        for part in np.arange(1, parts) / max(parts, 1):
            position = values[:3] + part * (action[i + 1, :3] - values[:3])
            at = begin + part * (times[i + 1] - begin)
            requests.append(Request(at, position, turn(part).as_quat(), float(values[9]), i, decided=False))
    return requests


def check_gaps(recording: Recording) -> None:
    """Refuse a recording with a hole: which way the tool went in it nobody knows."""
    gap = float(np.diff(recording.times).max(initial=0.0))
    if gap > GAP:
        raise SteadyhandError(
            f"{recording.name} has no frame for {gap:.1f} s in its middle, and a robot must not guess the way; choose "
            "another episode, or replay it in the twin"
        )


def check_speed(recording: Recording, requests: list[Request], limits: Limits, speed: float = 1.0) -> None:
    """Refuse requests that are further apart than the limits allow, or from the pose where the replay begins."""
    first = recording.measured[0, 0]
    start = Request(-recording.period / speed, first[:3], quat_from_rot6d(first[3:9]), float(first[9]), 0, False)
    for before, after in pairwise([start, *requests]):
        period = after.time - before.time
        moved = float(np.linalg.norm(after.position - before.position)) / period
        turned = float(angle(before.quaternion, after.quaternion)) / period
        if moved > limits.max_speed or turned > limits.max_turn:
            raise SteadyhandError(
                f"{recording.name} asks for {moved:.2f} m/s and {turned:.2f} rad/s at frame {before.frame}; allowed: "
                f"{limits.max_speed:g} m/s, {limits.max_turn:g} rad/s; replay it more slowly with --speed"
            )


class ReplayNode:
    """Watches the robot and asks it for the recorded motion."""

    def __init__(self, node: ros.Node, robot: RobotSpec) -> None:
        """Connect."""
        self._robot = robot
        self._buffer = StateBuffer(node, robot.joints, state=("current_pose", "joint_states"))
        self._requests = PoseRequests(node)
        self._mode = ""  # of the controller, as it says
        ros.subscription(node, "controller_status", self._on_status)

    def _on_status(self, message: ros.DiagnosticArray) -> None:
        self._mode = ros_messages.diagnostics_values(message)["message"]

    @property
    def watched(self) -> bool:
        """Whether the controller says how it is."""
        return bool(self._mode)

    def wait(self) -> None:
        """Wait for the robot; SteadyhandError if it is another one, or silent."""
        begun, why = time.monotonic(), ""
        while time.monotonic() < begun + PATIENCE:
            self._check_joints()
            try:
                self._buffer.fresh_stamp()
                self._requests.check_alone()
                if self._requests.heard and (self._mode or time.monotonic() > begun + SILENT):
                    return self._check_joints()
                why = "nobody listens to target_pose"
            except ObservationNotReadyError as error:
                why = str(error)
            time.sleep(0.02)
        raise SteadyhandError(f"the robot cannot be moved: {why}")

    def _check_joints(self) -> None:
        """Refuse another robot than the recorded one, as soon as it says what its joints are called."""
        heard = self._buffer.recent("joint_states", ros.now())
        missing = [name for name in self._robot.joints if heard is not None and name not in heard.name]
        if missing:
            raise SteadyhandError(
                f"recorded was a {self._robot.name}, but the robot here has no joint '{missing[0]}'; it has: "
                f"{', '.join(heard.name)}"
            )

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the tool is now; StoppedError if nobody says."""
        try:
            message = self._buffer.message("current_pose", self._buffer.fresh_stamp())
        except ObservationNotReadyError as error:
            raise StoppedError(str(error)) from None
        return ros_messages.pose_arrays(message)

    def _request(self, position: np.ndarray, quaternion: np.ndarray, gripper: float | None = None) -> None:
        try:
            frame = self._buffer.frame_prefix(self._robot.base_frame) + self._robot.base_frame
            self._requests.send(position, quaternion, frame, gripper)
        except (ObservationNotReadyError, SteadyhandError) as error:
            raise StoppedError(str(error)) from None

    def hold(self) -> None:
        """Ask the arm to stay where it is, unless it does that by itself already or nobody knows where it is."""
        if self._mode in ("reflex", "damp"):
            return
        try:
            self._request(*self.pose())
        except StoppedError:
            return

    def distance(self, recording: Recording) -> tuple[float, float]:
        """From the tool to the first recorded pose, m and rad."""
        first, (position, quaternion) = recording.measured[0, 0], self.pose()
        distance = float(np.linalg.norm(first[:3] - position))
        return distance, float(angle(quat_from_rot6d(first[3:9]), quaternion))

    def check_still(self, position: np.ndarray, quaternion: np.ndarray) -> None:
        """Refuse if the tool has left the pose in which somebody agreed to the way."""
        own, turned = self.pose()
        if np.linalg.norm(own - position) > NEAR[0] or angle(turned, quaternion) > NEAR[1]:
            raise SteadyhandError("the arm has moved since you were asked; nothing was sent, ask anew")

    def approach(self, recording: Recording, limits: Limits) -> None:
        """Go to the first recorded pose in a straight line, slowly; the gripper stays as it is."""
        position, quaternion = self.pose()
        first = recording.measured[0, 0]
        distance, turned = self.distance(recording)
        duration = max(distance / APPROACH[0], turned / APPROACH[1], 1.0 / RATE)
        turn = Slerp([0.0, 1.0], Rotation.from_quat([quaternion, quat_from_rot6d(first[3:9])]))
        began, pace = ros.now(), ros.Pace(RATE)
        while (part := (ros.now() - began) / duration) < 1.0 + 1.0 / duration:  # a second to come to rest
            part = min(part, 1.0)
            goal, turned_goal = position + part * (first[:3] - position), turn(part).as_quat()
            self._check_health(began)
            self._request(goal, turned_goal)
            pace.wait()
            self._check_place(goal, turned_goal, limits)

    def play(self, recording: Recording, requests: list[Request], limits: Limits) -> Iterator[tuple[int, float]]:
        """Ask for everything at its time; yields for every recorded frame how far the tool was from its old path, m."""
        first = began = ros.now()
        for request in requests:
            ros.sleep(began + request.time - ros.now())
            if (late := ros.now() - began - request.time) > LATE:
                began += late  # go on from here and never rush
            self._check_health(first)
            expected = recording.measured[request.frame, 0]
            if request.decided:
                error = self._check_place(expected[:3], quat_from_rot6d(expected[3:9]), limits)
            self._request(request.position, request.quaternion, min(max(request.gripper, 0.0), 1.0))
            if request.decided:
                yield request.frame, error

    def _check_health(self, began: float) -> None:
        """StoppedError if the controller's state is no good, or nobody says where the arm is."""
        if self._mode in ("reflex", "damp") or (self._mode == "hold" and ros.now() - began > GRACE):
            raise StoppedError(f"the controller is in {self._mode}")
        self.pose()

    def _check_place(self, position: np.ndarray, quaternion: np.ndarray, limits: Limits) -> float:
        """Distance (m) from where the tool should be; StoppedError if that or the rotation is too much."""
        own, turned = self.pose()
        distance, rotation = float(np.linalg.norm(own - position)), float(angle(turned, quaternion))
        if distance > limits.tolerance:
            raise StoppedError(f"the tool is {1e3 * distance:.0f} mm away from its path (--tolerance)")
        if rotation > TURNED:
            raise StoppedError(f"the tool is turned {np.degrees(rotation):.0f} deg away from its path")
        return distance


def confirm(question: str) -> None:
    """Go on only if somebody types yes."""
    if not sys.stdin.isatty():
        raise SteadyhandError(f"{question} Nobody can be asked here; give --yes if that is safe")
    try:
        answer = input(f"{question} Type yes to go on: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise SteadyhandError("not confirmed; nothing was moved")
