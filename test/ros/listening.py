"""A node for tests: keeps what it hears, and asks like a policy or an operator."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from steadyhand import ros, ros_messages
from steadyhand.ros_processes import Processes
from steadyhand.sim.robot import load_robot

JOINTS = load_robot("fr3").joints
BENCH = (np.array([0.4, -0.3, 0.1]), Rotation.from_euler("xyz", [0.2, -0.1, 1.2]))
"""Origin and rotation in the base frame of the link `workbench`, which only the robot of the fixture `arm` has."""

STATE = (
    "joint_states", "current_pose", "current_twist", "external_wrench", "external_torques", "reference_pose",
    "gripper/joint_states", "controller_status", "task/environment_state", "task/truth", "task/success",
    "task/instruction",
)  # fmt: skip
TARGETS = ("target_pose", "target_path", "target_joint", "target_wrench", "target_stiffness", ros.GRIPPER_COMMAND)


def path(poses: list[tuple[float, np.ndarray, np.ndarray]], frame: str = "base", inner: str = "") -> ros.Path:
    """A path decided now; poses: time in s from now, position, quaternion; inner: the frame that each pose names."""
    now = ros.now()
    message = ros.Path(poses=[ros_messages.pose(p, q, now + time, inner) for time, p, q in poses])
    ros_messages.set_stamp(message.header, now)
    message.header.frame_id = frame
    return message


def joint(names, position=(), effort=()) -> ros.JointState:
    return ros_messages.joints(names, position, ros.now(), effort=effort)


def in_bench(position, quaternion):
    """A pose given in the base frame, in that of the workbench."""
    origin, rotation = BENCH
    return rotation.inv().apply(position - origin), (rotation.inv() * Rotation.from_quat(quaternion)).as_quat()


class Listener:
    """Keeps all messages of the state topics with the time they arrived."""

    def __init__(self, node: ros.Node) -> None:
        self.node = node
        self.heard: dict[str, list[tuple[float, object]]] = defaultdict(list)
        for name in STATE:
            self.listen(name)
        self.targets = {name: ros.publisher(node, name) for name in TARGETS}
        self.clients = {name: ros.client(node, name) for name in ros.SERVICES}

    def listen(self, name: str):
        return ros.subscription(self.node, name, lambda m: self.heard[name].append((ros.now(), m)))

    def is_heard(self) -> bool:
        """Whether somebody has found each of the targets."""
        return all(target.get_subscription_count() for target in self.targets.values())

    def is_answered(self) -> bool:
        """Whether the controller has taken a reference, or refused one."""
        return self.counter("accepted") + sum(self.refused().values()) > 0

    def count(self, name: str) -> int:
        return len(self.heard[name])

    def last(self, name: str):
        return self.heard[name][-1][1]

    def status(self) -> dict[str, str]:
        return ros_messages.diagnostics_values(self.last("controller_status"))

    def statuses(self) -> list[dict[str, str]]:
        return [ros_messages.diagnostics_values(message) for _, message in self.heard["controller_status"]]

    def refused(self) -> dict[str, int]:
        """Counters of refusals that are not zero."""
        values = {name: int(value) for name, value in self.status().items() if name.startswith("refused")}
        return {name: value for name, value in values.items() if value}

    def counter(self, name: str) -> int:
        return int(self.status()[name])

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        return ros_messages.pose_arrays(self.last("current_pose"))

    def ask(self, position, quaternion, stamp: float | None = None, frame: str = "base") -> None:
        stamp = ros.now() if stamp is None else stamp
        self.targets["target_pose"].publish(ros_messages.pose(position, quaternion, stamp, frame))

    def grip(self, *values: float) -> None:
        self.targets[ros.GRIPPER_COMMAND].publish(ros_messages.numbers(values))

    def stream(self, publish: Callable[[], None], seconds: float) -> None:
        """Ask 20 times a second."""
        for _ in range(round(seconds * 20)):
            publish()
            time.sleep(0.05)

    def stream_until(self, publish: Callable[[], None], condition: Callable[[], object], timeout: float = 8.0) -> None:
        """Ask until it has done something: DDS may lose the first seconds of a new publisher."""
        end = time.monotonic() + timeout
        while not condition() and time.monotonic() < end:
            self.stream(publish, 0.5)

    def call(self, name: str, request=None):
        return ros.call(self.clients[name], request)

    def reset(self) -> None:
        """Begin an episode and see its first states."""
        assert self.call("reset").success
        self.heard.clear()
        self.wait_for(lambda: all(self.count(name) for name in ("current_pose", "controller_status")))

    def wait_for(self, condition: Callable[[], object], timeout: float = 5.0, check: Callable = lambda: None):
        """Wait until the condition holds, and return its value."""
        end = time.monotonic() + timeout
        while not (value := condition()):
            check()
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.01)
        return value


@contextmanager
def serve(logs: Path, *options: object, namespace: str = "") -> Iterator[Listener]:
    """A twin, and a node that hears it."""
    with Processes(logs) as running:
        running.start("twin", "--namespace", namespace, *options)
        with ros.running("listener", namespace, Listener) as listener:
            known = ("joint_states", "current_pose", "controller_status")
            listener.wait_for(lambda: all(map(listener.count, known)) and listener.is_heard(), 20, running.check)
            # That we have found the twin does not mean that it has found us.
            listener.stream_until(lambda: listener.ask(*listener.pose()), listener.is_answered)
            listener.wait_for(listener.is_answered, check=running.check)
            told = listener.count("controller_status")
            listener.wait_for(lambda: listener.count("controller_status") > told + 2)  # of the last of them, too
            yield listener


def move(twin: Listener, decisions: int, period: float = 0.1, silence: tuple[int, float] = (0, 0.0)) -> list[float]:
    """Decide at a fixed rate, each decision 1 mm lower; returns the stamps. silence: (after decision, seconds)."""
    position, quaternion = twin.pose()
    stamps = []
    stamp = ros.now()
    for i in range(decisions):
        stamps.append(stamp)
        twin.ask(position - [0.0, 0.0, 0.001 * i], quaternion, stamp=stamp)
        stamp += period + (silence[1] if i == silence[0] else 0.0)
        time.sleep(max(0.0, stamp - ros.now()))
    return stamps
