"""`steadyhand policy`: lets a policy drive the robot over ROS 2 topics.

The main thread decides ten times a second; the spinning thread only keeps messages, so inference delays none of them.
"""

import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from steadyhand import ros, ros_messages
from steadyhand.policies.policy import Policy, load_policy
from steadyhand.ros_observation import ObservationNotReadyError, StateBuffer
from steadyhand.sim.env import DECISION_PERIOD
from steadyhand.sim.robot import RobotSpec, load_robot
from steadyhand.sim.rollout import Chunked
from steadyhand.sim.rotations import quat_from_rot6d

DIAGNOSTICS_PERIOD = 1.0  # s
IMAGES = "observation.images."


@dataclass
class PolicyConfig:
    """Let a policy drive the robot over ROS 2 topics."""

    checkpoint: Path
    """Output folder of `steadyhand train`, or a LeRobot checkpoint inside it."""
    robot: str = "fr3"
    """As for `steadyhand twin`: a name, or the path of a robot file, of a URDF or of an MJCF."""
    namespace: str = ""
    """Namespace of the robot's topics."""
    seed: int = 0
    """Of the policy's noise."""
    sim_time: bool = False
    """Take the time from /clock, as needed with `steadyhand twin --speed`."""
    duration: float | None = None
    """Seconds until it ends by itself; without it, it runs until Ctrl-C."""


class PolicyNode:
    """Observes, decides, requests."""

    def __init__(self, node: ros.Node, policy: Policy, robot: RobotSpec, inputs: list[str]) -> None:
        """Connect a policy that reads the columns ``inputs``."""
        self._policy, self._frame = policy, robot.base_frame
        self._log = node.get_logger()
        self._name = f"{node.get_fully_qualified_name()}: {policy.name} {policy.version}"
        cameras = [name.removeprefix(IMAGES) for name in inputs if name.startswith(IMAGES)]
        environment = "observation.environment_state" in inputs
        self._buffer = StateBuffer(node, robot.joints, environment=environment, cameras=cameras)
        self._target = ros.publisher(node, "target_pose")
        self._gripper_command = ros.publisher(node, ros.GRIPPER_COMMAND)
        self._decision = ros.publisher(node, "policy/decision")
        self._version = ros.publisher(node, "policy/version")
        self._version.publish(ros.String(data=policy.version))
        self._diagnostics = ros.publisher(node, "/diagnostics")
        node.create_timer(DIAGNOSTICS_PERIOD, self._on_diagnostics)
        ros.service(node, "policy/enable", self._on_enable)
        self._enabled, self._fresh, self._warm = True, True, False
        self._last = 0.0  # stamp of the last observation used
        self._holding = ""
        self.decisions, self.holds = 0, 0
        self.pace = ros.Pace(1.0 / DECISION_PERIOD)

    def _on_enable(self, request, response):
        self._enabled = self._fresh = request.data
        response.success, response.message = True, "decides" if request.data else "holds"
        return response

    def _on_diagnostics(self) -> None:
        values = {"decisions": self.decisions, "holds": self.holds, "deadlines_missed": self.pace.missed}
        text = self._holding or ("decides" if self._enabled else "disabled")
        self._diagnostics.publish(
            ros_messages.diagnostics(self._name, 1 if self._holding else 0, text, values, ros.now())
        )

    def run(self, duration: float | None) -> None:
        """Decide until the time is up."""
        end = time.monotonic() + (duration if duration is not None else float("inf"))
        self.pace.restart()
        while time.monotonic() < end:
            if self._enabled:
                self._decide()
            self.pace.wait()

    def _decide(self) -> None:
        try:
            stamp, observation = self._buffer.now()
            if not self._target.get_subscription_count():
                raise ObservationNotReadyError("nobody listens to target_pose yet")
        except ObservationNotReadyError as reason:
            self._hold(str(reason))
            return
        if self._holding:
            self._log.info("the observation is complete again")
            self._holding = ""
        if stamp <= self._last:
            return  # nothing new: an old observation must not yield a decision that looks fresh
        batch = {name: value[None] for name, value in observation.items()}
        if not self._warm:  # the first inference takes half a second: not while the arm moves
            self._policy.act(batch, [0])
            self._warm = True
            self.pace.restart()
            return
        if self._fresh or stamp - self._last > 3 * DECISION_PERIOD:
            self._policy.reset([0])  # what it planned is about another moment
            self._fresh = False
        action = self._policy.act(batch, [0])[0]
        self._last = stamp
        self._request(action, stamp)

    def _hold(self, reason: str) -> None:
        """Request nothing, so that the controller holds; say so once."""
        self.holds += 1
        if not self._holding:
            self._log.warning(f"holding: {reason}")
        self._holding = f"holding: {reason}"

    def _request(self, action: np.ndarray, stamp: float) -> None:
        """Publish an action (10,) with the stamp of the observation it was decided from."""
        self._gripper_command.publish(ros_messages.numbers([float(np.clip(action[9], 0.0, 1.0))]))
        frame = self._buffer.frame_prefix(self._frame) + self._frame
        pose = ros_messages.pose(action[:3], quat_from_rot6d(action[3:9]), stamp, frame)
        self._target.publish(pose)
        place = self._policy.chunk_index([0])[0] if isinstance(self._policy, Chunked) else -1
        self._decision.publish(ros_messages.joints(["chunk_index"], [place], stamp))
        self.decisions += 1


def _inputs(checkpoint: Path) -> list[str]:
    """The observation columns that a checkpoint's policy reads."""
    from steadyhand.policies.checkpoint import model_folder

    return list(json.loads((model_folder(checkpoint) / "config.json").read_text())["input_features"])


def main(config: PolicyConfig) -> int:
    """Run until Ctrl-C or for the given duration."""
    robot = load_robot(config.robot)
    policy = load_policy(config.checkpoint, seed=config.seed)
    inputs = _inputs(config.checkpoint)
    node = None
    try:
        setup = partial(PolicyNode, policy=policy, robot=robot, inputs=inputs)
        with ros.running("policy", config.namespace, setup, config.sim_time) as node:
            print(f"policy {policy.name} {policy.version} decides at {1 / DECISION_PERIOD:g} Hz; Ctrl-C ends it")
            node.run(config.duration)
    except KeyboardInterrupt:
        return ros.interrupted(f"policy stopped; the arm holds where it is ({_summary(node)})")
    print(f"policy ended after its duration ({_summary(node)})")
    return 0


def _summary(node: PolicyNode | None) -> str:
    if node is None:
        return "no decisions"
    return f"{node.decisions} decisions, {node.holds} holds, {node.pace.missed} deadlines missed"
