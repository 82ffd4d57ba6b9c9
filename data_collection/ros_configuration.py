"""What the robot, its controllers and its cameras say about themselves while they are recorded; no file is trusted."""

import contextlib
import copy
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from steadyhand import ros
from steadyhand.data_collection.calibration import calibration, intrinsics_of, placed
from steadyhand.data_collection.configuration import Configuration, Document, differences, parameters_document
from steadyhand.errors import SteadyhandError

STATUS = "controller_status"
CONTROLLED = (STATUS, "reference_pose", "current_pose")
"""Who publishes these moves the arm, or says where its tool is: their parameters count."""
PATIENCE = 2.0  # s for a node to tell its parameters, and for what is latched to arrive
ATTEMPTS = 3
DISCOVERY = 0.5  # s for its publisher to be found, after the robot's state has been heard
TOGETHER = 1.0  # s: changes that follow each other this quickly are one, with the time of the first
NO_TF = " (tf2_msgs is not installed)" if ros.TFMessage is None else ""
_NAMELESS = "_NODE_NAME_UNKNOWN_"  # as rmw calls a node of which only the publishers are known yet
_OF_EVERY_NODE = ("use_sim_time", "start_type_description_service", "qos_overrides.")


class RunningConfiguration:
    """Hears what is latched, asks controllers for their parameters, and keeps track of what changes."""

    def __init__(self, node: ros.Node, hearer: Any, cameras: Sequence[str], before: Mapping[str, Document]) -> None:
        """Subscribe.

        Args:
            node: Looks at the graph and asks.
            hearer: The node, or what stands in for it (a journal's tap).
            cameras: Names of those that are recorded.
            before: What the episode before this session was recorded with; nothing if nobody knows.
        """
        self._node, self._cameras, self._before = node, tuple(dict.fromkeys(cameras)), dict(before)
        self._lock = threading.Lock()
        self._description = ""
        self._infos: dict[str, dict] = {}  # camera -> what its camera_info says
        self._fixed: dict[str, dict] = {}  # child frame -> parent and pose in it
        self._nodes: dict[str, frozenset[bytes]] = {}  # node -> its publishers, which it has anew after a restart
        self._parameters: dict[str, dict[str, object] | None] = {}
        self._asked: dict[str, dict[str, object]] = {}  # nodes that are being asked: what they set meanwhile
        self._controllers: frozenset[str] = frozenset()  # the active one, and others that are ready
        self._active = ""
        self._at_begin: dict[str, Document] = {}
        self._changes: list[tuple[float, str, object]] = []  # time, kind, content
        ros.subscription(node, STATUS, self._on_status)
        ros.subscription(hearer, "robot_description", self._on_description, patient=True)
        ros.subscription(hearer, "/parameter_events", self._on_parameters, patient=True)
        for camera in self._cameras:
            ros.subscription(hearer, f"{camera}/camera_info", self._keeper(camera), patient=True)
        if ros.TFMessage is not None:  # a robot with a namespace may have its own
            for name in dict.fromkeys((node.resolve_topic_name("tf_static"), "/tf_static")):
                hearer.create_subscription(ros.TFMessage, name, self._on_fixed, ros.LATCHED)

    def _on_description(self, message: ros.String) -> None:
        with self._lock:
            if message.data != self._description:
                self._description = message.data
                self._changed("description")

    def _on_status(self, message: ros.DiagnosticArray) -> None:
        active = message.status[0].name.removesuffix(": controller") if message.status else ""
        with self._lock:
            if active != self._active:
                self._active = active
                self._changed("controller")

    def _keeper(self, camera: str) -> Any:
        def keep(message: ros.CameraInfo) -> None:
            told = intrinsics_of(message)
            with self._lock:
                if told != self._infos.get(camera):
                    self._infos[camera] = told
                    self._changed("calibration")

        return keep

    def _on_fixed(self, message: Any) -> None:
        told = {transform.child_frame_id: placed(transform) for transform in message.transforms}
        with self._lock:
            if told != {child: self._fixed.get(child) for child in told}:
                self._fixed |= told
                self._changed("calibration")

    def _on_parameters(self, message: ros.ParameterEvent) -> None:
        told = _plain((one.name, one.value) for one in (*message.new_parameters, *message.changed_parameters))
        with self._lock:
            if message.node in self._asked:
                self._asked[message.node] |= told
            values = self._parameters.get(message.node)
            if values is None:
                return
            gone = {parameter.name for parameter in message.deleted_parameters}
            now = {name: value for name, value in (values | told).items() if name not in gone}
            if now != values:
                self._parameters[message.node] = now
                self._changed("controller")

    def _changed(self, kind: str) -> None:
        """Take note of what holds from now on; not yet as a text, because this may come at a camera's rate."""
        now = ros.now()
        if self._changes and self._changes[-1][1] == kind and now - self._changes[-1][0] < TOGETHER:
            now = self._changes.pop()[0]
        self._changes.append((now, kind, self._content(kind)))

    def _content(self, kind: str) -> object:
        match kind:
            case "description":
                return self._description
            case "controller":
                idle = self._controllers - {self._active} if self._active in self._controllers else frozenset()
                return copy.deepcopy({name: told for name, told in self._parameters.items() if name not in idle})
            case _:
                return copy.deepcopy((self._infos, self._fixed))

    def _document(self, kind: str, content: Any) -> Document | None:
        """The text of a content; None while nobody has said anything."""
        if not content or (kind == "calibration" and not self._cameras):
            return None
        match kind:
            case "description":
                return Document(content, "urdf")
            case "controller":
                return parameters_document(content)
            case _:
                infos, fixed = content
                return calibration({name: infos.get(name) for name in self._cameras}, fixed)

    def wait(self) -> list[str]:
        """Wait for what is latched and for the controllers, and ask these; returns what stays unknown."""
        latched = ["robot_description", *(f"{camera}/camera_info" for camera in self._cameras)]
        begun = time.monotonic()
        for name in (STATUS, *latched):
            while not self._heard(name):
                if time.monotonic() > begun + (PATIENCE if self._node.count_publishers(name) else DISCOVERY):
                    break
                time.sleep(0.01)
        self._look()
        missing = [name for name in latched if not self._heard(name)]
        missing += [f"parameters of {node}" for node, values in self._parameters.items() if values is None]
        if not self._parameters:
            missing.append("parameters of the controllers")
        with self._lock:
            heard_cameras = [(name, info["frame"]) for name, info in self._infos.items()]
            lost = [f"pose of camera {name}" for name, frame in heard_cameras if frame not in self._fixed]
        missing += [f"{name}{NO_TF}" for name in lost]
        return missing

    def _heard(self, name: str) -> bool:
        if name == STATUS:
            return bool(self._active)
        return bool(self._description) if name == "robot_description" else name.rpartition("/")[0] in self._infos

    def begin(self) -> list[str]:
        """An episode begins: what holds now is what it is recorded with. Returns how that differs from the last one."""
        self._look()
        with self._lock:
            self._changes.clear()
            contents = {kind: self._content(kind) for kind in ("description", "controller", "calibration")}
        made = {kind: self._document(kind, content) for kind, content in contents.items()}
        self._at_begin = {kind: document for kind, document in made.items() if document is not None}
        known, self._before = self._before, self._at_begin
        return differences(known, self._at_begin) if known else []

    def configuration(self, first: float | None) -> Configuration:
        """Of the episode that has begun.

        Args:
            first: Stamp of its first decision, s; None if there is none.
        """
        if self._look():
            with self._lock:
                self._changed("controller")
        with self._lock:
            noted = list(self._changes)
        changes, held = [], dict(self._at_begin)
        for stamp, kind, content in noted:
            document = self._document(kind, content)
            if document is not None and document != held.get(kind):
                held[kind] = document
                changes.append((round(stamp - first, 3) if first is not None else 0.0, kind, document))
        return Configuration(self._at_begin, tuple(changes))

    def _look(self) -> bool:
        """Ask nodes that have come for their parameters; whether there were any. Those that went stay as they were."""
        nodes: dict[str, frozenset[bytes]] = {}
        controllers = self._publishers(STATUS)
        for publishers in (controllers, *map(self._publishers, CONTROLLED[1:])):
            for name, ids in publishers.items():
                nodes[name] = nodes.get(name, frozenset()) | ids
        come = [name for name, publishers in nodes.items() if not publishers <= self._nodes.get(name, frozenset())]
        if not come:
            return False
        self._nodes = nodes
        with self._lock:
            self._parameters = {name: values for name, values in self._parameters.items() if name in nodes}
            self._controllers = frozenset(controllers)
        for name in come:
            self._ask(name)
        return True

    def _publishers(self, topic: str) -> dict[str, frozenset[bytes]]:
        """Nodes by their full names, with the identities of what they publish with."""
        found: dict[str, frozenset[bytes]] = {}
        for one in self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(topic)):
            name = f"{one.node_namespace.rstrip('/')}/{one.node_name}"
            if one.node_name == _NAMELESS:  # its name is on the way
                continue
            found[name] = found.get(name, frozenset()) | {bytes(one.endpoint_gid)}
        return found

    def _ask(self, name: str) -> None:
        with self._lock:
            self._asked[name] = {}
        values = None
        with contextlib.suppress(SteadyhandError):
            values = _parameters_of(self._node, name)
        with self._lock:
            heard = self._asked.pop(name)
            self._parameters[name] = values | heard if values is not None else None


def _parameters_of(node: ros.Node, name: str) -> dict[str, object]:
    """All parameters of a node; SteadyhandError if it does not answer."""
    listing = node.create_client(ros.ListParameters, f"{name}/list_parameters")
    getting = node.create_client(ros.GetParameters, f"{name}/get_parameters")
    try:
        names = _answer(listing, ros.ListParameters.Request()).result.names
        answer = _answer(getting, ros.GetParameters.Request(names=names)).values
    finally:
        node.destroy_client(listing)
        node.destroy_client(getting)
    return _plain(zip(names, answer, strict=False))  # one that went in between has no value


def _answer(client: Any, request: Any) -> Any:
    """Of a service that has just been found: DDS may lose the first answer."""
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(SteadyhandError):
            return ros.call(client, request, PATIENCE / ATTEMPTS)
    return ros.call(client, request, PATIENCE / ATTEMPTS)


def _plain(parameters: Iterable[tuple[str, Any]]) -> dict[str, object]:
    """Names and values, without what every node has."""
    values = {name: ros.parameter_value_to_python(value) for name, value in parameters}
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in values.items()
        if not name.startswith(_OF_EVERY_NODE)
    }
