"""Between ROS topics and the journal: messages on their way in, and out again as if they came just now."""

import struct
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.serialization import deserialize_message
from rosbags.typesys import Stores, get_typestore

from steadyhand import ros
from steadyhand.data_collection.journal import Channel, Journal, relabel
from steadyhand.data_collection.journal_reading import Received
from steadyhand.errors import SteadyhandError, one_line

BEFORE = 0.5
"""s before the start of an episode that belong to its journal: the first decision's state is in there."""
CONTEXT = (
    "current_twist", "external_torques", "target_joint", "target_wrench", "target_stiffness", "target_path",
    "task/truth", "task/success", "session/phase",
)  # fmt: skip
"""Topics that no frame needs but whoever wants to know what happened."""


def type_name(type_: type) -> str:
    """Name of a message's type, e.g. "sensor_msgs/msg/Image"."""
    package, kind = type_.__module__.split(".")[:2]
    return f"{package}/{kind}/{type_.__name__}"


class Tap:
    """Stands in for a node: what its subscriptions hear goes into the journal first, byte for byte."""

    def __init__(self, node: ros.Node, journal: Journal) -> None:
        """Nothing is written before ``begin``."""
        self._node, self._journal = node, journal
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._lock = threading.Lock()
        self._open = False
        self._topics: set[str] = set()
        self._latest: dict[str, tuple] = {}  # the newest message of every topic, older than those of _recent
        self._recent: deque[tuple] = deque()

    def get_logger(self) -> Any:
        """The node's."""
        return self._node.get_logger()

    def create_subscription(
        self, type_: type, name: str, callback: Callable | None, qos: Any, *, raw: bool = False
    ) -> Any:
        """As the node's, with every message in the journal too; without callback only there.

        Raises:
            SteadyhandError: The topic is kept already: it would be written twice.
        """
        try:
            text, _ = self._types.generate_msgdef(type_name(type_), ros_version=2)
        except KeyError:
            raise SteadyhandError(
                f"topic '{name}' has the type {type_name(type_)}, whose definition is not known; allowed: the types of "
                "ROS 2 Jazzy's own packages"
            ) from None
        channel = Channel(self._node.resolve_topic_name(name), type_name(type_), text)
        if channel.topic in self._topics:
            raise SteadyhandError(f"topic {channel.topic} is kept anyway; leave '{name}' out of --also")
        self._topics.add(channel.topic)
        stamped = has_header(type_)

        def hear(data: bytes) -> None:
            received = round(ros.now() * 1e9)
            self._keep((channel, received, header_stamp(data) if stamped else received, data))
            if callback is not None:
                callback(data if raw else deserialize_message(data, type_))

        return self._node.create_subscription(type_, name, hear, qos, raw=True)

    def listen(self, name: str) -> None:
        """Keep a topic of the table that nobody else listens to."""
        ros.subscription(self, name, None, patient=True)

    def _keep(self, message: tuple) -> None:
        with self._lock:
            if self._open:
                self._journal.add(*message)
            back = bool(self._recent) and message[1] < self._recent[-1][1]  # the clock was set
            while self._recent and (back or self._recent[0][1] < message[1] - BEFORE * 1e9):
                old = self._recent.popleft()
                self._latest[old[0].topic] = old
            self._recent.append(message)

    def begin(self, **metadata: object) -> str:
        """Begin an episode, with what came just before it; returns its name.

        The newest message of a topic counts as received then, however old it is, as in rosbag2's
        ``--repeat-transient-local``: else a bag would last from the first word of a silent topic.
        """
        with self._lock:
            name = self._journal.begin(**metadata)
            then = self._recent[0][1] if self._recent else round(ros.now() * 1e9)
            for channel, _, captured, data in self._latest.values():
                self._journal.add(channel, then, captured, data)
            for message in self._recent:
                self._journal.add(*message)
            self._open = True
        return name

    def check(self) -> list[str]:
        """Warnings since the last call; SteadyhandError if the episode cannot be written any more."""
        self._journal.check()
        warnings, self._journal.warnings = self._journal.warnings, []
        return warnings

    def end(self, **label: object) -> None:
        """Finish the episode, durably."""
        with self._lock:
            self._open = False
        self._journal.end(**label)

    def relabel(self, episode: str, **changes: object) -> None:
        """Decide something about an episode afterwards."""
        try:
            relabel(self._journal.folder, episode, **changes)
        except OSError as error:
            raise SteadyhandError(
                f"cannot write the journal '{self._journal.folder}': {error.strerror}; nothing is changed"
            ) from None

    @property
    def backlog(self) -> tuple[int, int]:
        """Bytes that wait for the disk, messages of the newest episode that are lost."""
        return self._journal.backlog, self._journal.lost


def has_header(type_: type) -> bool:
    """Whether messages of a type begin with a header."""
    return next(iter(type_.get_fields_and_field_types())) == "header"  # type: ignore[attr-defined]


def header_stamp(data: bytes) -> int:
    """Stamp (ns) of a serialized message whose first field is a header: 4 bytes of CDR, then seconds, nanoseconds."""
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return seconds * 10**9 + nanoseconds


class Playback:
    """Stands in for a node: its subscriptions hear the messages of a journal, at the times when they came."""

    def __init__(self, namespace: str = "") -> None:
        """`namespace`: of the robot, when it was recorded."""
        self._namespace = namespace.strip("/")
        self._subscriptions: dict[str, list[tuple[type, Callable]]] = {}
        self.nanoseconds = 0
        self.complaint = ""

    def create_subscription(self, type_: type, name: str, callback: Callable, _qos: Any) -> None:
        """As a node's."""
        absolute = name if name.startswith("/") or not self._namespace else f"{self._namespace}/{name}"
        self._subscriptions.setdefault(f"/{absolute.lstrip('/')}", []).append((type_, callback))

    def play(self, message: Received) -> None:
        """Let it be the time at which a message came, and deliver it."""
        self.nanoseconds = message.received
        for type_, callback in self._subscriptions.get(message.topic, []):
            if message.type != type_name(type_):
                raise SteadyhandError(f"topic {message.topic} has type {message.type}; needed: {type_name(type_)}")
            try:
                heard = deserialize_message(message.data, type_)
            except Exception as error:  # rclpy raises RuntimeError, RCLError, UnicodeError, ...: the bytes are wrong
                raise SteadyhandError(f"a message on {message.topic} cannot be read: {one_line(error)}") from None
            callback(heard)

    def get_logger(self) -> "Playback":
        """Itself."""
        return self

    def warning(self, text: str, **_: object) -> None:
        """Keep the first."""
        self.complaint = self.complaint or text

    def get_clock(self) -> "Playback":
        """Itself, as ``ros_time.simulated`` wants it."""
        return self

    def now(self) -> "Playback":
        """Itself: ``nanoseconds`` is the time."""
        return self
