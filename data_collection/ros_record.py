"""From ROS 2 messages to frames of a dataset: every decision with the state before it."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from steadyhand import ros, ros_messages
from steadyhand.camera_topics import image_topics
from steadyhand.data_collection.labels import MODES, UNKNOWN, Segment, frame_labels
from steadyhand.data_collection.schema import features
from steadyhand.errors import SteadyhandError, one_line
from steadyhand.ros_observation import ObservationNotReadyError, StateBuffer, array_column
from steadyhand.sim.env import DECISION_PERIOD
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.ros_references import Frames, RefusalError
from steadyhand.sim.rotations import rot6d_from_quat

FPS = round(1.0 / DECISION_PERIOD)
SEGMENTS = {"demo": Segment.DEMO, "policy": Segment.POLICY}  # what a whole episode may be
SETTLE = 0.05
"""s after which messages stamped before a moment have arrived, images included."""
LATE = 1.0
"""s that a frame waits for messages that are late because the computer is busy; later they count as missing."""
_ROUNDING = 1e-6  # s; a stamp in seconds is exact to 0.3 us
_GRIPPER_SLACK = 0.02  # s between the two messages of one decision: pose and gripper


@dataclass(frozen=True)
class Decision:
    """A requested pose as it arrived."""

    stamp: float  # when it was decided, s
    arrived: float  # s, by the same clock
    pose: tuple[np.ndarray, np.ndarray]  # position (3), quaternion (4) xyzw


class FrameSource:
    """Hears the robot and whoever moves it, and makes one frame per decision and slot of 1/fps.

    The node may be one that plays a journal back: the same rules make the same frames.
    A device that asks more often than fps gets one frame per slot; a slot without a decision is a dropped frame.
    """

    def __init__(
        self,
        node: ros.Node,
        robot: RobotSpec,
        cameras: list[str],
        environment: bool,
        fps: int,
        segment: Segment,
        arrays: Mapping[str, type] | None = None,
    ) -> None:
        """Subscribe; frames come after ``begin``. cameras, arrays: as for `StateBuffer`."""
        self._robot, self._period, self._segment = robot, 1.0 / fps, segment
        self._images = image_topics(cameras)
        self._environment, self._arrays = environment, list(arrays or ())
        self._buffer = StateBuffer(
            node, robot.joints, environment=environment, cameras=cameras, patient=True, arrays=arrays
        )
        self._decisions: deque[Decision] = deque()
        self._gripper: deque[tuple[float, float]] = deque(maxlen=256)  # arrived, opening
        self._begun = self._ended = float("inf")
        self._first: float | None = None
        self.seed: int | None = None
        self.instruction: str | None = None  # of the running episode, in words; None while nobody has said
        self.dropped, self.reason = 0, ""
        self._modes: deque[tuple[float, int]] = deque(maxlen=256)  # since when the controller does what
        self._chunk_indices: dict[int, int] = {}  # by stamp of the decision, ns
        self._version = ""
        self._marks: list[tuple[float, str]] = []  # when a sub-task was done, and its name
        self._segments: list[tuple[float, Segment]] = []  # since when who decides, where that changes in an episode
        self._frames: Frames | None = None  # until the robot has said what its base frame is called
        self._log = node.get_logger()
        ros.subscription(node, "target_pose", self._on_target, patient=True)
        ros.subscription(node, ros.GRIPPER_COMMAND, self._on_gripper, patient=True)
        ros.subscription(node, "controller_status", self._on_status, patient=True)
        ros.subscription(node, "task/instruction", self._on_instruction)
        ros.subscription(node, "session/event", self._on_event)
        ros.subscription(node, "policy/decision", self._on_decision)
        ros.subscription(node, "policy/version", self._on_version)

    def _on_target(self, message: ros.PoseStamped) -> None:
        stamp = ros_messages.get_stamp(message)
        if self._frames is None or not self._begun <= stamp <= self._ended:
            return
        try:
            pose = self._frames[message.header.frame_id].pose(*ros_messages.pose_arrays(message))
        except RefusalError as refusal:  # the controller refuses it too: nothing was decided
            self._log.warning(f"target_pose not recorded: {refusal}", throttle_duration_sec=1.0)
            return
        self._decisions.append(Decision(stamp, ros.now(), pose))

    def _on_gripper(self, message: ros.Float64MultiArray) -> None:
        if len(message.data) == 1:
            self._gripper.append((ros.now(), message.data[0]))

    def _on_status(self, message: ros.DiagnosticArray) -> None:
        values = ros_messages.diagnostics_values(message)
        seed = values.get("seed")  # a real arm has none
        self.seed = int(seed) if seed is not None else None
        mode = MODES.index(values["message"]) if values["message"] in MODES else UNKNOWN
        self._modes.append((ros_messages.get_stamp(message), mode))

    def _on_decision(self, message: ros.JointState) -> None:
        stamp = ros_messages.get_stamp(message)
        if stamp >= self._begun and list(message.name) == ["chunk_index"]:
            self._chunk_indices[round(stamp * 1e9)] = int(message.position[0])

    def _on_version(self, message: ros.String) -> None:
        self._version = message.data

    @property
    def policy_version(self) -> str:
        """Of the policy that decided in this episode; "" if none did."""
        return self._version if self._chunk_indices else ""

    def _on_instruction(self, message: ros.String) -> None:
        self.instruction = message.data

    def _on_event(self, message: ros.String) -> None:
        try:
            event = json.loads(message.data)
            stamp, request, text = 1e-9 * event["stamp"], event["request"], str(event["text"])
            segment = Segment[text.upper()] if request == "segment" else None
        except (ValueError, TypeError, KeyError) as error:
            self._log.warning(f"session/event is not understood: {one_line(error)}", throttle_duration_sec=1.0)
            return
        if stamp < self._begun:
            return
        if segment is not None:
            self._segments.append((stamp, segment))
        elif request == "mark":
            self._marks.append((stamp, text))

    @property
    def subtasks(self) -> list[str]:
        """Names of the sub-tasks that were done in this episode, in their order."""
        return [name for _, name in self._marks]

    def columns(self) -> dict[str, dict]:
        """Features of the dataset, from what the topics carry.

        Raises:
            ObservationNotReadyError: Not every topic has been heard yet.
        """
        observation = self._buffer.now()[1]
        cameras, depths = (
            {topic.camera: observation[topic.column].shape[:2] for topic in self._images if topic.depth is depth}
            for depth in (False, True)
        )
        prefix = self._buffer.frame_prefix(self._robot.base_frame)
        self._frames = Frames(self._robot, self._robot.arm(), prefix)
        names = ()
        if self._environment:
            names = tuple(self._buffer.message("task/environment_state", ros.now()).name)
        arrays = {
            array_column(topic): ros_messages.array_values(self._buffer.message(topic, ros.now()))[0]
            for topic in self._arrays
        }
        return features(len(self._robot.joints), names, cameras, arrays, depths)

    def begin(self) -> float:
        """Start an episode: decisions from now on count; returns the time."""
        self._decisions.clear()
        self._marks.clear()
        self._segments.clear()
        self._chunk_indices.clear()
        self._first = None
        self._slot = -1
        self.dropped, self.reason = 0, ""
        self._buffer.set_back = 0.0
        self._begun, self._ended = ros.now(), float("inf")
        return self._begun

    def end(self) -> float:
        """Decisions after now count no longer; returns the time."""
        self._ended = ros.now()
        return self._ended

    @property
    def first(self) -> float | None:
        """Stamp of the episode's first decision, s."""
        return self._first

    @property
    def waiting(self) -> bool:
        """Whether the ended episode is not complete: messages from before its end have not come yet."""
        return bool(self._decisions) or not self._buffer.heard(self._ended)

    def frames(self) -> Iterator[dict[str, np.ndarray]]:
        """Frames whose messages have all had time to arrive.

        Raises:
            SteadyhandError: The clock was set back: the episode's order is lost.
        """
        if self._buffer.set_back:
            raise SteadyhandError(
                f"the clock went back by {self._buffer.set_back:.1f} s while it was recorded; set the clocks first"
            )
        now = ros.now() - self._period
        while self._decisions and self._decisions[0].stamp <= now - SETTLE:
            stamp = self._decisions[0].stamp
            if stamp > now - LATE and not self._buffer.heard(stamp + self._period):
                return
            decision = self._decisions.popleft()
            if not self._take_slot(decision.stamp):
                continue
            try:
                yield self._frame(decision)
            except ObservationNotReadyError as error:
                self.dropped, self.reason = self.dropped + 1, str(error)

    def _take_slot(self, stamp: float) -> bool:
        """Whether this decision is the first of its slot; slots passed over are counted as dropped."""
        if self._first is None:
            self._first = stamp
        slot = round((stamp - self._first) / self._period)
        if slot <= self._slot:
            return False
        if slot > self._slot + 1:
            self.dropped += slot - self._slot - 1
            self.reason = f"no target_pose for {(slot - self._slot) * self._period:.1f} s"
        self._slot = slot
        return True

    def _frame(self, decision: Decision) -> dict[str, np.ndarray]:
        frame = self._buffer.at(decision.stamp)
        gripper = self._gripper_at(decision.arrived, frame["observation.state"][9])
        applied = self._buffer.reference(decision.stamp + self._period + _ROUNDING)  # where the decision had led
        for name, (position, quaternion), opening in (
            ("action", decision.pose, gripper),
            ("action_applied", applied, np.clip(gripper, 0.0, 1.0)),
        ):
            frame[name] = np.concatenate([position, rot6d_from_quat(quaternion), [opening]]).astype(np.float32)
        known = decision.stamp + _ROUNDING
        done = sum(stamp <= known for stamp, _ in self._marks)
        segment = next((segment for since, segment in reversed(self._segments) if since <= known), self._segment)
        place = self._chunk_indices.get(round(decision.stamp * 1e9), UNKNOWN)
        modes = [self._mode(decision.stamp)]
        return frame | frame_labels(segment, done, place, modes, decision.stamp - (self._first or 0.0))

    def _mode(self, stamp: float) -> int:
        """What the controller was doing: the newest word of it."""
        return next((mode for own, mode in reversed(tuple(self._modes)) if own <= stamp), UNKNOWN)

    def _gripper_at(self, arrived: float, measured: float) -> float:
        """The opening asked for together with a pose; the measured one while nobody has asked."""
        for own, value in reversed(tuple(self._gripper)):
            if own <= arrived + _GRIPPER_SLACK:
                return value
        return float(measured)
