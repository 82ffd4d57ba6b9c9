"""What every ROS 2 process of the stack shares: names, quality of service, start and end of a process.

Standard message types only, with the topic names of CRISP, so that its clients work unchanged. Names are relative to
the robot's namespace.
"""

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from steadyhand.data_collection.session import SERVICES as SESSION_SERVICES
from steadyhand.errors import SteadyhandError, one_line, unknown
from steadyhand.paths import config_dir
from steadyhand.ros_time import Pace as Pace
from steadyhand.ros_time import now as now
from steadyhand.ros_time import simulated, wait_for_clock
from steadyhand.ros_time import sleep as sleep

try:
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
    from geometry_msgs.msg import TransformStamped as TransformStamped
    from nav_msgs.msg import Path
    from rcl_interfaces.msg import ParameterDescriptor, ParameterEvent
    from rcl_interfaces.srv import GetParameters as GetParameters
    from rcl_interfaces.srv import ListParameters as ListParameters
    from rclpy.callback_groups import ReentrantCallbackGroup
    from rclpy.exceptions import InvalidNamespaceException
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from rclpy.parameter import parameter_value_to_python as parameter_value_to_python
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
    from rclpy.task import Future
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
    from std_msgs.msg import Bool, Float64MultiArray, String
    from std_msgs.msg import Float32MultiArray as Float32MultiArray
    from std_srvs.srv import SetBool, Trigger
except ImportError as error:
    raise SteadyhandError(
        f"ROS 2 cannot be imported ({error}); install it with: pip install 'steadyhand[ros]', "
        "or source a ROS 2 Jazzy installation"
    ) from error

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None  # comes with ROS, but not as a wheel

_ENDING = (signal.SIGINT, signal.SIGTERM)

TARGET = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""Targets: every one counts, but only the newest matters."""
SENSOR = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Measurements: a late one is worthless, so it is not sent again. The depth outlasts a reader that stalls for 0.5 s."""
IMAGE = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""As measurements, but a megabyte each."""
QUEUE, QUEUE_IMAGES = 1000, 60
"""Messages that wait for a recorder: a second of 1 kHz, two of a camera's 30 Hz (55 MB of 640x480)."""
STATUS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""States: who joins late gets the present one."""
LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""As states, of several publishers."""
EVENT = QoSProfile(depth=32, reliability=ReliabilityPolicy.RELIABLE)
"""What happens: every one counts."""
CLOCK = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
TF = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
"""Both as the ROS libraries that listen to them have it."""


@dataclass(frozen=True)
class Topic:
    """One row of the table of topics."""

    name: str
    type: type
    qos: QoSProfile


TOPICS = {
    topic.name: topic
    for topic in (
        # what the policy or the operator asks for
        Topic("target_pose", PoseStamped, TARGET),
        Topic("target_path", Path, TARGET),  # poses decided at once, each with the time when it is due
        Topic("target_joint", JointState, TARGET),
        Topic("target_wrench", WrenchStamped, TARGET),
        Topic("target_stiffness", Float64MultiArray, TARGET),
        Topic("gripper/gripper_position_controller/commands", Float64MultiArray, TARGET),
        # what a hand asks for, for a program that passes it on
        Topic("hand/target_pose", PoseStamped, TARGET),
        Topic("hand/gripper", Float64MultiArray, TARGET),
        # who decided: the policy's version, and for every decision its place in a chunk, as a named number
        Topic("policy/version", String, STATUS),
        Topic("policy/decision", JointState, EVENT),
        # what the robot says; reference_pose is what the controller really follows after all its limits
        Topic("joint_states", JointState, SENSOR),
        Topic("current_pose", PoseStamped, SENSOR),
        Topic("current_twist", TwistStamped, SENSOR),
        Topic("external_wrench", WrenchStamped, SENSOR),
        Topic("external_torques", JointState, SENSOR),  # in the field `effort`
        Topic("reference_pose", PoseStamped, SENSOR),
        Topic("gripper/joint_states", JointState, SENSOR),
        Topic("controller_status", DiagnosticArray, STATUS),
        Topic("/diagnostics", DiagnosticArray, TARGET),
        # what only a twin knows, as named numbers with a stamp
        Topic("task/environment_state", JointState, SENSOR),
        Topic("task/truth", JointState, SENSOR),
        Topic("task/success", Bool, STATUS),
        Topic("task/instruction", String, STATUS),  # of the running episode, in words
        Topic("/clock", Clock, CLOCK),
        Topic("/parameter_events", ParameterEvent, EVENT),
        # of the recorder: what is asked of it in words, where it is, and what it has done (JSON with a stamp)
        Topic("session/request", String, EVENT),
        Topic("session/phase", String, STATUS),
        Topic("session/event", String, EVENT),
        # for viewers; relative, so that two arms with the same links do not mix
        Topic("robot_description", String, STATUS),
        Topic("tf", TFMessage, TF),
        Topic("tf_static", TFMessage, STATUS),
    )
}
GRIPPER_COMMAND = "gripper/gripper_position_controller/commands"
SERVICES = {
    "reset": Trigger,
    "pause": SetBool,
    "policy/enable": SetBool,
    **dict.fromkeys(SESSION_SERVICES, Trigger),
}
CAMERA_TOPICS = {
    "image_raw": Image,
    "compressed": CompressedImage,
    "compressedDepth": CompressedImage,
    "camera_info": CameraInfo,
}


def topic(name: str) -> Topic:
    """Row of the table for a name; ``<camera>/image_raw`` and the like are rows too."""
    if name in TOPICS:
        return TOPICS[name]
    if is_camera_topic(name):
        return Topic(name, CAMERA_TOPICS[name.rpartition("/")[2]], IMAGE)
    raise unknown("topic", name, [*TOPICS, *(f"<camera>/{kind}" for kind in CAMERA_TOPICS)])


def is_camera_topic(name: str) -> bool:
    """Whether the name is one of a camera's topics, such as ``front/image_raw``."""
    camera, _, kind = name.rpartition("/")
    return bool(camera) and kind in CAMERA_TOPICS


def publisher(node: Node, name: str) -> Any:
    """Publisher with the type and quality of service of the table."""
    row = topic(name)
    return node.create_publisher(row.type, row.name, row.qos)


def subscription(node: Node, name: str, callback: Callable[[Any], None] | None, patient: bool = False) -> Any:
    """Subscription with the type and quality of service of the table.

    Args:
        node: Node that hears it.
        name: Name in the table.
        callback: What to do with a message.
        patient: Every message counts, also those of the second in which the node was busy: for recorders.
    """
    row = topic(name)
    qos = row.qos
    if patient:
        depth = QUEUE_IMAGES if qos is IMAGE else QUEUE
        qos = QoSProfile(depth=depth, reliability=qos.reliability, durability=qos.durability)
    return node.create_subscription(row.type, row.name, callback, qos)


def given_topics(text: str) -> dict[str, type]:
    """Topics outside the table, "NAME:PACKAGE/msg/TYPE" separated by commas: name -> class of its messages."""
    found: dict[str, type] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        name, _, kind = entry.partition(":")
        try:
            package, folder, type_ = kind.split("/")
            found[name] = getattr(importlib.import_module(f"{package}.{folder}"), type_)
        except (ValueError, ImportError, AttributeError) as error:
            raise SteadyhandError(
                f"topic '{entry}' cannot be heard ({one_line(error)}); give NAME:PACKAGE/msg/TYPE of an installed "
                "package, such as points:sensor_msgs/msg/PointCloud2"
            ) from None
    return found


def given_subscription(node: Node, name: str, type_: type, callback: Callable[[Any], None] | None) -> Any:
    """Subscription to a topic outside the table, reliable or not; what was latched before is not heard."""
    large = type_.__name__ in ("Image", "CompressedImage", "PointCloud2")
    qos = QoSProfile(depth=QUEUE_IMAGES if large else QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)
    return node.create_subscription(type_, name, callback, qos)


def declare_fixed(node: Node, values: Mapping[str, Any]) -> None:
    """Parameters of a node that say what it runs with: everybody may read them, nobody may set them."""
    for name, value in values.items():
        node.declare_parameter(name, value, ParameterDescriptor(read_only=True))


def service(node: Node, name: str, callback: Callable[[Any, Any], Any]) -> Any:
    """Service of the table; the callback fills the response and returns it."""
    return node.create_service(SERVICES[name], name, callback)


def answer_later(node: Node, name: str, request: Callable[[Any], None]) -> Any:
    """Service of type Trigger whose answer another thread gives, without holding up the node.

    Args:
        node: Node that offers it.
        name: Name in the table.
        request: Called with a future; whoever serves it sets ``(success, message)`` as its result.
    """

    async def answer(_request: Any, response: Any) -> Any:
        future = Future()
        future.add_done_callback(lambda _: node.executor.wake())
        request(future)
        response.success, response.message = await future
        return response

    # In the default group an open request would hold up every other callback of the node.
    return node.create_service(SERVICES[name], name, answer, callback_group=ReentrantCallbackGroup())


def client(node: Node, name: str) -> Any:
    """Client for a service of the table."""
    return node.create_client(SERVICES[name], name)


def call(client_: Any, request: Any = None, timeout: float = 5.0) -> Any:
    """Call a service from a thread that does not spin the node, and wait for the answer.

    Raises:
        SteadyhandError: Nobody offers the service, or nobody answers within ``timeout`` seconds.
    """
    if not client_.wait_for_service(timeout_sec=timeout):
        raise SteadyhandError(f"nobody offers the service {client_.srv_name}; is its node running in this ROS domain?")
    future = client_.call_async(request if request is not None else client_.srv_type.Request())
    deadline = time.monotonic() + timeout
    while not future.done():
        if time.monotonic() > deadline:
            raise SteadyhandError(f"no answer from the service {client_.srv_name} within {timeout:g} s")
        time.sleep(0.002)
    return future.result()


def prepare_environment() -> None:
    """Choose Fast DDS with our profile, unless the user has chosen something.

    Must come before the first ``rclpy.init`` of the process, which reads the variables.
    """
    os.environ.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    variables = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # Fast DDS 2 and 3
    if not any(name in os.environ for name in variables):
        profile = str(config_dir() / "ros" / "fastdds.xml")
        os.environ.update(dict.fromkeys(variables, profile))


class _Spinner(threading.Thread):
    """Runs callbacks of a node; an exception in one ends the process instead of leaving a node that does nothing."""

    def __init__(self, node: Node) -> None:
        super().__init__(name=f"spin {node.get_name()}", daemon=True)
        self.executor = SingleThreadedExecutor(context=node.context)
        self.executor.add_node(node)
        self.error: BaseException | None = None
        self._stopping = False  # what a node that ends complains about is nobody's concern

    def run(self) -> None:
        try:
            self.executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as error:  # handed to the main thread, whatever it is
            self.error = error
            if not self._stopping:
                os.kill(os.getpid(), signal.SIGINT)  # also wakes it if it sleeps

    def stop(self) -> None:
        self._stopping = True
        self.executor.shutdown()
        self.join(timeout=2.0)


def below(node: Node, namespace: str) -> Node:
    """A node of the same name in a namespace below the node's; both spin and end together."""
    other = rclpy.create_node(
        node.get_name(), namespace=f"{node.get_namespace().rstrip('/')}/{namespace}", context=node.context
    )
    node.executor.add_node(other)
    return other


@contextmanager
def running(
    name: str, namespace: str = "", setup: Callable[[Node], Any] | None = None, sim_time: bool = False
) -> Iterator[Any]:
    """A node that spins in a background thread for as long as the block runs.

    The main thread stays free for what must not delay callbacks (rendering, inference, the keyboard), and Ctrl-C
    reaches it as ``KeyboardInterrupt``, also when sent as SIGTERM.

    Args:
        name: Node name.
        namespace: The robot's namespace, "" for none.
        setup: Makes the user's object from the node before it spins. Its value is what the block gets. Further nodes
            that it adds (``below``) spin with the node and end with it.
        sim_time: The time of this process is what /clock says, as ROS's parameter ``use_sim_time`` has it.

    Yields:
        What ``setup`` returned, or the node.
    """
    before = [signal.signal(number, signal.default_int_handler) for number in _ENDING]
    try:
        with spinning(name, namespace, setup, sim_time) as thing:
            yield thing
    finally:
        for number, handler in zip(_ENDING, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def spinning(
    name: str, namespace: str = "", setup: Callable[[Node], Any] | None = None, sim_time: bool = False
) -> Iterator[Any]:
    """As ``running``, in a program that handles Ctrl-C in a way of its own."""
    prepare_environment()
    context = rclpy.Context()
    try:
        rclpy.init(context=context, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
        yield from _run(context, name, namespace, setup, sim_time)
    finally:
        context.try_shutdown()


def _run(
    context: rclpy.Context, name: str, namespace: str, setup: Callable[[Node], Any] | None, sim_time: bool
) -> Iterator[Any]:
    overrides = [Parameter("use_sim_time", value=True)] if sim_time else []
    try:
        node = rclpy.create_node(name, namespace=namespace, context=context, parameter_overrides=overrides)
    except InvalidNamespaceException as error:
        reason = str(error).splitlines()[0]
        raise SteadyhandError(f"'{namespace}' is no ROS namespace ({reason}); use letters, digits, _ and /") from error
    spinner = _Spinner(node)
    try:
        with simulated(node) if sim_time else nullcontext():
            thing = setup(node) if setup else node
            spinner.start()
            if sim_time:
                wait_for_clock()
            yield thing
    except KeyboardInterrupt:
        if spinner.error is not None:
            raise spinner.error from None
        raise
    finally:
        with uninterrupted():  # Ctrl-C often comes twice, once from the terminal and once from a launcher
            nodes = spinner.executor.get_nodes()
            if spinner.is_alive():
                spinner.stop()
            for one in nodes:
                one.destroy_node()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off until the block is done: what is being saved gets saved, and no lock is left closed.

    Elsewhere ``KeyboardInterrupt`` may come between any two bytecodes: also just after a ``threading.Condition`` (of a
    ``queue.Queue``) has taken its lock and before ``with`` would give it back. A loop is interrupted where it sleeps.
    """
    hits: list[int] = []
    before = {number: signal.getsignal(number) for number in _ENDING}
    try:
        for number in _ENDING:
            signal.signal(number, lambda n, _: hits.append(n))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if hits:
        raise KeyboardInterrupt


def interrupted(message: str) -> int:
    """What a command returns after Ctrl-C, when all is put away: says one line, gives the exit status."""
    print(f"\nsteadyhand: {message}", file=sys.stderr, flush=True)
    return 130
