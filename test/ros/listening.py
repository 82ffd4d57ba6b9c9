"""A node for tests: keeps what it hears, and asks for poses like a policy."""

import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from steadyhand import ros, ros_messages

STATE = (
    "joint_states", "current_pose", "current_twist", "external_wrench", "reference_pose", "gripper/joint_states",
    "controller_status", "task/environment_state", "task/truth", "task/success",
)  # fmt: skip


class Listener:
    """Keeps all messages of the state topics with the time they arrived."""

    def __init__(self, node: ros.Node) -> None:
        self.node = node
        self.heard: dict[str, list[tuple[float, object]]] = defaultdict(list)
        for name in STATE:
            self.listen(name)
        self.target = ros.publisher(node, "target_pose")
        self.gripper = ros.publisher(node, ros.GRIPPER_COMMAND)
        self.clients = {name: ros.client(node, name) for name in ros.SERVICES}

    def listen(self, name: str):
        return ros.subscription(self.node, name, lambda m: self.heard[name].append((ros.now(), m)))

    def count(self, name: str) -> int:
        return len(self.heard[name])

    def last(self, name: str):
        return self.heard[name][-1][1]

    def status(self) -> dict[str, str]:
        return ros_messages.diagnostics_values(self.last("controller_status"))

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        return ros_messages.pose_arrays(self.last("current_pose"))

    def ask(self, position, quaternion, stamp: float | None = None, frame: str = "base") -> None:
        stamp = ros.now() if stamp is None else stamp
        self.target.publish(ros_messages.pose(position, quaternion, stamp, frame))

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
