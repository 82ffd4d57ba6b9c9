"""The journal of episodes that the twin runs in one process: what `steadyhand record` would have kept of them.

The finished episode is told once more in ROS's messages, to the recorder's own `Tap`, at its simulated times. No node
and no ROS graph is needed, only the types of the messages. States come once per decision (10 Hz) and at the end.
"""

import array
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from steadyhand import ros, ros_messages
from steadyhand.camera_topics import image_topics
from steadyhand.data_collection.calibration import calibration, intrinsics_of, placed
from steadyhand.data_collection.configuration import Document
from steadyhand.data_collection.dataset import DatasetWriter
from steadyhand.data_collection.journal import WAITING, Journal
from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.ros_journal import Tap, type_name
from steadyhand.data_collection.ros_record import SEGMENTS
from steadyhand.data_collection.ros_sink import Sink
from steadyhand.data_collection.session import Phase
from steadyhand.data_collection.sidecar import EpisodeInfo
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.ros_time import simulated
from steadyhand.sim._native import Observation
from steadyhand.sim.camera_model import intrinsics
from steadyhand.sim.env import World
from steadyhand.sim.render import Renderer
from steadyhand.sim.rollout import Decision, EpisodeLog
from steadyhand.sim.ros_arm import states, status
from steadyhand.sim.ros_cameras import optical_frame
from steadyhand.sim.ros_frames import FrameTree
from steadyhand.sim.rotations import quat_from_rot6d

_log = logging.getLogger(__name__)

SIZE = (640, 480)  # of the images: width, height
_STEP = 1_000_000  # ns from the beginning of an episode to its first state: a time step of the twin
_BETWEEN = 1_000_000_000  # ns between two episodes
_TYPES = get_typestore(Stores.ROS2_JAZZY)
_CONTROLLER = "cartesian_impedance"  # of `World.twin`


def cdr(message: Any) -> bytes:
    """A message serialized, without the bytes of chance that rclpy's `serialize_message` leaves at the end of some."""
    return bytes(_TYPES.serialize_cdr(_plain(message), type_name(type(message))))


def _plain(value: Any) -> Any:
    """A message of rclpy, or the value of a field, as rosbags has it."""
    if hasattr(value, "get_fields_and_field_types"):
        fields = {name: _plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
        return _TYPES.types[type_name(type(value))](**fields)
    if isinstance(value, array.array):
        return np.asarray(value)
    if isinstance(value, bytes):  # one octet
        return value[0]
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


class _Line:
    """Stands in for a node: what is sent is heard at once, serialized, at the time that it is told."""

    def __init__(self, journal: Journal) -> None:
        self.nanoseconds = 0
        self.tap = Tap(self, journal)
        self._heard: dict[str, Callable[[bytes], None]] = {}

    def create_subscription(
        self, _type: type, name: str, callback: Callable[[bytes], None], _qos: Any, raw: bool
    ) -> None:
        assert raw
        self._heard[name] = callback

    def resolve_topic_name(self, name: str) -> str:
        return f"/{name}"

    def get_clock(self) -> "_Line":
        return self

    def now(self) -> "_Line":
        return self

    def send(self, messages: Mapping[str, Any]) -> None:
        for name, message in messages.items():
            if name not in self._heard:
                self.tap.listen(name)
            self._heard[name](cdr(message))


class TwinJournal:
    """Appends episodes of one world to a journal."""

    def __init__(self, folder: Path, robot: str, world: World, cameras: Sequence[str] = ()) -> None:
        """Open a new or an existing journal.

        Args:
            folder: Of the journal.
            robot: As it was given, for `load_robot`.
            world: Of the episodes.
            cameras: To draw at every decision, as `image_topic` has them; depth raw.
        """
        assert world.task is not None
        if len(world.arms) > 1:
            raise SteadyhandError(
                f"task '{world.task.name}' moves {len(world.arms)} arms, a journal has the topics of one; leave out "
                "--journal, the dataset has both"
            )
        known = [world.model.camera(i).name for i in range(world.model.ncam)]
        self._images = image_topics(cameras)
        for image in self._images:
            if image.camera not in known:
                raise unknown("camera", image.camera, known, 'or "none" for no images')
            if image.name.endswith("/compressedDepth"):
                raise SteadyhandError(f"the twin sends no {image.name}; give {image.camera}:depth")
        self._robot, self._world, self._task, self._cameras = robot, world, world.task, list(cameras)
        self._renderer = Renderer(world.model, *SIZE) if cameras else None
        self._journal = Journal(folder)
        self._begin = time.time_ns()  # of the next episode, by a simulated clock that starts now

    def calibration(self) -> dict[str, Document]:
        """Of the cameras that are drawn, as a recorder on ROS has it; nothing without cameras."""
        transforms = FrameTree(self._world, self._world.arms).static(0.0)
        fixed = {transform.child_frame_id: placed(transform) for transform in transforms}
        infos = {image.info.removesuffix("/camera_info"): self._info(image.camera, 0.0) for image in self._images}
        told = {name: intrinsics_of(info) for name, info in infos.items()}
        return {"calibration": calibration(told, fixed)} if told else {}

    def _info(self, camera: str, stamp: float) -> ros.CameraInfo:
        K = intrinsics(float(self._world.model.camera(camera).fovy[0]), *SIZE)
        return ros_messages.camera_info(*SIZE, K, stamp, optical_frame(camera))

    def play(self, log: EpisodeLog, info: EpisodeInfo, writer: DatasetWriter | None) -> tuple[Sink, float]:
        """Tell an episode to the journal.

        Args:
            log: The episode.
            info: What is known of it.
            writer: Of the dataset, if there is one, for the sink.

        Returns:
            What has to be given the frames, and when the episode ended (s): it is not saved yet.
        """
        line = _Line(self._journal)
        sink = Sink(log.instruction, writer, line.tap, self._metadata(log))
        line.nanoseconds = self._begin
        with simulated(line):
            sink.begin(ros.now(), info.configuration)
            try:
                self._tell(log, info, line)
            except KeyboardInterrupt:  # as the recorder: what is half told is discarded
                sink.discard(replace(info, success=None, end_reason="interrupted"), ros.now(), keep=False)
                raise
            self._begin = line.nanoseconds + _BETWEEN
            return sink, ros.now()

    def _metadata(self, log: EpisodeLog) -> dict:
        """As `steadyhand record` has it."""
        return {
            "robot": self._robot,
            "namespace": "",
            "cameras": self._cameras,
            "arrays": "",
            "environment": bool(self._task.environment_names),
            "segment": _first_segment(log),
            "operator": "",
            "follows_instruction": True,
            "clock": "simulated",
        }

    def _tell(self, log: EpisodeLog, info: EpisodeInfo, line: _Line) -> None:
        line.send(self._opening(log, info))
        start = self._begin + _STEP
        for i, frame in enumerate(log.frames):
            self._wait(line)
            line.nanoseconds = start + round(1e9 * frame.time)
            line.send(self._measured(frame.observation, log.seed) | self._seen(frame.environment, frame.truth))
            line.send(self._pictures(*log.scenes[i]))
            self._note(log, i, line)
            line.send(self._decided(log.decisions[i]))
        assert log.ending is not None
        (observation, *_), truth = log.ending
        line.nanoseconds = start + round(1e9 * observation.time)
        line.send(self._measured(observation, log.seed) | {"task/truth": self._numbers(truth)})
        self._note(log, len(log), line)
        if log.success:
            line.send({"task/success": ros_messages.flag(True)})

    def _wait(self, line: _Line) -> None:
        """Nothing here is in a hurry, so that the writer has to lose nothing."""
        with contextlib.suppress(SteadyhandError):  # saving the episode says it
            while True:
                for warning in line.tap.check():
                    _log.warning(warning)
                if self._journal.backlog < WAITING // 2:
                    return
                time.sleep(0.002)

    def _opening(self, log: EpisodeLog, info: EpisodeInfo) -> dict[str, Any]:
        said = {
            "session/phase": ros.String(data=str(Phase.RECORDING)),
            "task/instruction": ros.String(data=log.instruction),
            "task/success": ros_messages.flag(False),
        }
        return said | ({"policy/version": ros.String(data=info.policy_version)} if info.policy_version else {})

    def _measured(self, o: Observation, seed: int) -> dict[str, Any]:
        stamp = ros.now()
        return {
            **states(self._world.arms[0], o, stamp),
            "controller_status": status("/twin", _CONTROLLER, seed, o, stamp, {}),
        }

    def _numbers(self, values: np.ndarray) -> ros.JointState:
        return ros_messages.joints(self._task.environment_names, values, ros.now())

    def _seen(self, environment: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
        return {"task/environment_state": self._numbers(environment), "task/truth": self._numbers(truth)}

    def _pictures(self, qpos: np.ndarray, mocap: np.ndarray) -> dict[str, Any]:
        messages: dict[str, Any] = {}
        for image in self._images:
            assert self._renderer is not None
            stamp, frame, name = ros.now(), optical_frame(image.camera), image.camera
            messages[image.info] = self._info(name, stamp)
            seen = self._renderer.view(self._renderer.pose(qpos, mocap), name, rgb=not image.depth, depth=image.depth)
            if image.depth:
                messages[image.name] = ros_messages.depth_image(seen.depth, stamp, frame)
            else:
                encode = ros_messages.compressed if image.name.endswith("/compressed") else ros_messages.image
                messages[image.name] = encode(seen.rgb, stamp, frame)
        return messages

    def _note(self, log: EpisodeLog, i: int, line: _Line) -> None:
        """Tell what has changed since the decision before the i-th: sub-tasks done, and who decides."""
        done = [0, *log.done, len(log.completed)]
        events = [("mark", name) for name in log.completed[done[i] : done[i + 1]]]
        segments = [SEGMENTS[_first_segment(log)], *log.segments]
        if i < len(log) and segments[i + 1] != segments[i]:
            events.append(("segment", Segment(segments[i + 1]).name.lower()))
        for request, text in events:
            event = {"stamp": round(ros.now() * 1e9), "request": request, "text": text}
            event |= {"phase": Phase.RECORDING, "said": f"{request}: {text}"}
            line.send({"session/event": ros.String(data=json.dumps(event))})

    def _decided(self, decision: Decision) -> dict[str, Any]:
        action, stamp = decision.action, ros.now()
        frame = self._world.robot.base_frame
        asked = {
            ros.GRIPPER_COMMAND: ros_messages.numbers([float(action[9])]),
            "target_pose": ros_messages.pose(action[:3], quat_from_rot6d(action[3:9]), stamp, frame),
        }
        if decision.segment != Segment.POLICY:
            return asked
        return asked | {"policy/decision": ros_messages.joints(["chunk_index"], [decision.chunk_index], stamp)}

    def close(self) -> None:
        """Let the writer finish."""
        try:
            self._journal.close()
        finally:
            if self._renderer is not None:
                self._renderer.close()

    def __enter__(self) -> "TwinJournal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_segment(log: EpisodeLog) -> str:
    """What the whole episode is, unless an event says something else."""
    return "demo" if log.decisions[0].segment == Segment.DEMO else "policy"
