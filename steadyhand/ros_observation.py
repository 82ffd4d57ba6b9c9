"""The robot's topics, gathered into the observation that policies and datasets know.

Every topic keeps a short history by stamp, so that the state *before* a decision can be found although messages of
different topics arrive in any order.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from steadyhand import ros, ros_messages
from steadyhand.camera_topics import ImageTopic, image_topics
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.sim.rotations import rot6d_from_quat

MAX_AGE = 0.2
"""s; an older measurement says nothing about now."""
JUMP = 1.0
"""s that the clock may go back: messages come out of order, but not by more."""
_AHEAD = 0.5  # s; a message from further in the future has been stamped by another clock
_KEPT, _KEPT_IMAGES = 256, 32  # messages: two seconds of state at 100 Hz, of images at 15 Hz
_KEPT_PATIENT, _KEPT_IMAGES_PATIENT = 1500, 64  # for who waits for late messages: a second of 1 kHz, of 60 Hz
_STATE = ("current_pose", "reference_pose", "external_wrench", "joint_states", "gripper/joint_states")
_CLOCKS = "; the robot is silent, clocks differ, or it is a twin with --speed and this node needs --sim-time"
_ENVIRONMENT = "task/environment_state"


ARRAYS = {
    "geometry_msgs/msg/WrenchStamped": ros.WrenchStamped,
    "sensor_msgs/msg/JointState": ros.JointState,
    "std_msgs/msg/Float32MultiArray": ros.Float32MultiArray,
    "std_msgs/msg/Float64MultiArray": ros.Float64MultiArray,
}
"""Types of messages that are lists of numbers; those without a header are stamped when they arrive."""


_TAKEN = [f"observation.{name}" for name in ("state", "joints", "reference", "environment_state", "images")]


def given_arrays(text: str) -> dict[str, type]:
    """Topics with numbers, "NAME:TYPE" separated by commas: name -> class of its messages, one of ``ARRAYS``."""
    found: dict[str, type] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        name, _, kind = entry.partition(":")
        if kind not in ARRAYS:
            raise unknown("type of numbers", kind, ARRAYS, f"give NAME:TYPE, not '{entry}'")
        column = array_column(name)
        if name in ros.TOPICS or column in _TAKEN or column in map(array_column, found):
            raise SteadyhandError(f"--arrays {name}: the column {column} is taken; remap the topic to another name")
        found[name] = ARRAYS[kind]
    return found


def array_column(topic: str) -> str:
    """The dataset's column of a topic with numbers."""
    return f"observation.{topic.strip('/').replace('/', '_')}"


class ObservationNotReadyError(Exception):
    """There is no complete and recent observation; the message says which topic is missing or late."""


class StateBuffer:
    """Subscribes to a robot's topics and answers what was known at a given time.

    Written by the thread that spins the node, read by any other.
    """

    def __init__(
        self,
        node: ros.Node,
        joints: Sequence[str],
        environment: bool = False,
        cameras: Sequence[str] = (),
        extra: Sequence[str] = (),
        state: Sequence[str] = _STATE,
        patient: bool = False,
        arrays: Mapping[str, type] | None = None,
    ) -> None:
        """Subscribe.

        Args:
            node: Node that is going to spin.
            joints: Names of the arm's joints, in the order of ``observation.joints``.
            environment: Also the twin's ``observation.environment_state``.
            cameras: Cameras whose images belong to the observation, as `image_topics` has them.
            extra: Further stamped state topics to wait for and keep.
            state: Fewer of the robot's own, for who needs no whole observation; with ``current_pose``.
            patient: As for ``ros.subscription``.
            arrays: Further topics as `given_arrays` has them, each a column of its own.
        """
        self._patient = patient
        self._joints, self._images = tuple(joints), {topic.name: topic for topic in image_topics(cameras)}
        self._arrays = {name: array_column(name) for name in arrays or {}}
        self._state = [*state, *([_ENVIRONMENT] if environment else []), *extra]
        self._lock = threading.Lock()
        self._history: dict[str, deque[tuple[float, Any]]] = {}
        self._ahead: dict[str, float] = {}  # topics whose newest message came from the future, by so many seconds
        self._now = 0.0
        self.set_back = 0.0  # s by which the clock went back last; for the user to reset
        self._subscriptions = [
            ros.subscription(node, name, self._keeper(name), patient) for name in (*self._state, *self._images)
        ]
        self._subscriptions += [
            ros.given_subscription(node, name, type_, self._keeper(name)) for name, type_ in (arrays or {}).items()
        ]

    def _keeper(self, name: str) -> Callable[[Any], None]:
        """What is to be called with each message of a topic."""
        images = name in self._images
        states, pictures = (_KEPT_PATIENT, _KEPT_IMAGES_PATIENT) if self._patient else (_KEPT, _KEPT_IMAGES)
        history = self._history[name] = deque(maxlen=pictures if images else states)

        def keep(message) -> None:
            now = ros.now()
            stamp = ros_messages.get_stamp(message) if hasattr(message, "header") else now
            with self._lock:
                self._follow_clock(now)
                if stamp > now + _AHEAD:  # later on it would pass for a new one
                    self._ahead[name] = stamp - now
                elif not history or stamp > history[-1][0]:
                    history.append((stamp, message))
                    self._ahead.pop(name, None)

        return keep

    def _follow_clock(self, now: float) -> None:
        """Forget everything if the clock was set back: what came before would pass for new."""
        if now < self._now - JUMP:
            self.set_back = self._now - now
            for history in self._history.values():
                history.clear()
            self._now = now
        self._now = max(self._now, now)

    def message(self, name: str, stamp: float, max_age: float = MAX_AGE):
        """Newest message of a topic that is not younger than ``stamp`` nor older by more than ``max_age``."""
        with self._lock:
            if name in self._ahead:
                raise ObservationNotReadyError(f"{name} is {self._ahead[name]:.2f} s in the future{_CLOCKS}")
            for own, message in reversed(self._history[name]):
                if own <= stamp:
                    if stamp - own > max_age:
                        raise ObservationNotReadyError(f"{name} is {stamp - own:.2f} s old (at most {max_age:g} s)")
                    return message
        raise ObservationNotReadyError(f"no message on {name} yet")

    def recent(self, name: str, stamp: float, max_age: float = MAX_AGE):
        """As ``message``, but None where there is none."""
        try:
            return self.message(name, stamp, max_age)
        except ObservationNotReadyError:
            return None

    def frame_prefix(self, base_frame: str) -> str:
        """What the names of the robot's frames begin with, as heard: one arm of several has its own."""
        with self._lock:
            if not self._history["current_pose"]:
                raise ObservationNotReadyError("no message on current_pose yet")
            heard = self._history["current_pose"][-1][1].header.frame_id
        return heard.removesuffix(base_frame) if heard.endswith(base_frame) else ""

    def newest_stamp(self) -> float:
        """The latest time for which every state topic has been heard."""
        with self._lock:
            for name in self._state:
                if name in self._ahead:
                    raise ObservationNotReadyError(f"{name} is {self._ahead[name]:.2f} s in the future{_CLOCKS}")
                if not self._history[name]:
                    raise ObservationNotReadyError(f"no message on {name} yet")
            return min(self._history[name][-1][0] for name in self._state)

    def heard(self, stamp: float) -> bool:
        """Whether every topic has been heard since a time: what came before it is here."""
        with self._lock:
            return all(history and history[-1][0] >= stamp for history in self._history.values())

    def now(self) -> tuple[float, dict[str, np.ndarray]]:
        """Stamp and content of the newest complete observation.

        Raises:
            ObservationNotReadyError: A topic is silent, or the newest observation is too old to act upon.
        """
        stamp = self.fresh_stamp()
        return stamp, self.at(stamp)

    def fresh_stamp(self) -> float:
        """As ``newest_stamp``, but ObservationNotReadyError also if it is too old to act upon."""
        stamp = self.newest_stamp()
        age = ros.now() - stamp
        if age > MAX_AGE:
            raise ObservationNotReadyError(f"the newest state is {age:.2f} s old (at most {MAX_AGE:g} s){_CLOCKS}")
        if age < -MAX_AGE:
            raise ObservationNotReadyError(f"the newest state is {-age:.2f} s in the future{_CLOCKS}")
        return stamp

    def at(self, stamp: float) -> dict[str, np.ndarray]:
        """What was known at ``stamp``: nothing in it is younger.

        Returns:
            ``observation.state`` (16), ``observation.joints`` (2n), ``observation.reference`` (9), all float32;
            ``observation.environment_state`` if asked for; ``observation.images.<camera>`` (height, width, 3) uint8,
            ``observation.images.<camera>_depth`` (height, width, 1) uint16 in mm.
        """
        position, quaternion = ros_messages.pose_arrays(self.message("current_pose", stamp))
        gripper = self.message("gripper/joint_states", stamp).position[0]
        wrench = ros_messages.wrench_array(self.message("external_wrench", stamp))
        state = np.concatenate([position, rot6d_from_quat(quaternion), [gripper], wrench])
        joints = _ordered(self.message("joint_states", stamp), self._joints)
        tracked, turned = self.reference(stamp)
        observation = {
            "observation.state": state.astype(np.float32),
            "observation.joints": joints,
            "observation.reference": np.concatenate([tracked, rot6d_from_quat(turned)]).astype(np.float32),
        }
        if _ENVIRONMENT in self._state:
            values = self.message(_ENVIRONMENT, stamp).position
            observation["observation.environment_state"] = np.asarray(values, np.float32)
        for topic in self._images.values():
            observation[topic.column] = _pixels(topic, self.message(topic.name, stamp))
        for name, column in self._arrays.items():
            values = ros_messages.array_values(self.message(name, stamp))[1]
            observation[column] = values.astype(np.float32)
        return observation

    def reference(self, stamp: float) -> tuple[np.ndarray, np.ndarray]:
        """Position (3) and quaternion (4) that the controller followed at ``stamp``."""
        return ros_messages.pose_arrays(self.message("reference_pose", stamp))


def _pixels(topic: ImageTopic, message: ros.Image | ros.CompressedImage) -> np.ndarray:
    if isinstance(message, ros.Image):
        return ros_messages.depth_array(message) if topic.depth else ros_messages.image_array(message)
    pixels = ros_messages.decompressed_depth(message) if topic.depth else ros_messages.decompressed(message)
    if pixels is None:
        raise ObservationNotReadyError(f"an image on {topic.name} is no JPEG or PNG that can be decoded")
    return pixels


def _ordered(message: ros.JointState, names: Sequence[str]) -> np.ndarray:
    """Positions and velocities (2n) in the order of ``names``, whatever the order in the message."""
    index = {name: i for i, name in enumerate(message.name)}
    missing = [name for name in names if name not in index]
    if missing:
        raise ObservationNotReadyError(f"joint_states has no joint '{missing[0]}'; it has: {', '.join(message.name)}")
    order = [index[name] for name in names]
    return np.concatenate([np.asarray(message.position)[order], np.asarray(message.velocity)[order]]).astype(np.float32)
