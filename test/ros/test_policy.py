"""The policy's node, over DDS, beside a twin."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from checkpoints import make_checkpoint

from steadyhand import ros
from steadyhand import ros_messages as m
from steadyhand.policies.node import PolicyNode
from steadyhand.sim.robot import load_robot

INPUTS = ["observation.state", "observation.environment_state"]


class Down:
    """Asks for 5 mm less than where the tool is."""

    name, version = "down", "1"

    def __init__(self, delay: float = 0.0) -> None:
        self.delay, self.resets = delay, 0
        self.seen: list[dict[str, np.ndarray]] = []
        self.times: list[float] = []  # s

    def reset(self, rows, seeds=None) -> None:
        self.resets += 1

    def act(self, observation, rows) -> np.ndarray:
        time.sleep(self.delay)
        self.seen.append(observation)
        self.times.append(time.monotonic())
        action = observation["observation.state"][:, :10].copy()
        action[:, 2] -= 0.005
        return action

    def chunk_index(self, rows) -> list[int]:
        return [len(self.seen) % 4]


def run(policy: Down, seconds: float, meanwhile: Callable[[], None] = lambda: None, namespace: str = "") -> PolicyNode:
    """Let the policy's node run for a while, with something else going on."""
    errors = []

    def guarded() -> None:
        try:
            meanwhile()
        except AssertionError as error:
            errors.append(error)

    with ros.running("policy", namespace, lambda node: PolicyNode(node, policy, load_robot("fr3"), INPUTS)) as node:
        thread = threading.Thread(target=guarded)
        thread.start()
        node.run(seconds)
        thread.join()
    if errors:
        raise errors[0]
    return node


def test_it_decides_at_10_hz_and_moves_the_arm(twin):
    twin.reset()
    height = twin.pose()[0][2]
    policy = Down()
    before = int(twin.status()["targets"])
    node = run(policy, 5.0)  # of which finding each other may take three
    assert node.decisions >= 10
    assert np.median(np.diff(policy.times)) == pytest.approx(0.1, abs=0.01)
    assert twin.pose()[0][2] < height - 0.02
    assert policy.seen[0]["observation.state"].shape == (1, 16)
    assert policy.seen[0]["observation.environment_state"].shape == (1, 14)
    states = {np.float32(m.pose.position.z) for _, m in twin.heard["current_pose"]}
    assert all(observation["observation.state"][0, 2] in states for observation in policy.seen[2:6])
    # The newest target wins (depth 1): a twin that was busy for 0.1 s never sees the one before.
    twin.wait_for(lambda: 0.8 * node.decisions <= int(twin.status()["targets"]) - before <= node.decisions)


class Robot:
    """Publishes made-up states until told to be silent."""

    def __init__(self, node: ros.Node) -> None:
        names = ["joint_states", "current_pose", "reference_pose", "external_wrench"]
        names += ["gripper/joint_states", "task/environment_state"]
        self.out = {name: ros.publisher(node, name) for name in names}
        self.targets: list[ros.PoseStamped] = []
        ros.subscription(node, "target_pose", self.targets.append)
        self.decisions: list[ros.JointState] = []
        ros.subscription(node, "policy/decision", self.decisions.append)
        self.versions: list[ros.String] = []
        ros.subscription(node, "policy/version", self.versions.append)
        self.enable = ros.client(node, "policy/enable")
        self.silent: set[str] = set()
        self.joints = load_robot("fr3").joints
        node.create_timer(0.02, self.publish)

    def publish(self) -> None:
        now = ros.now()
        messages = {
            "joint_states": m.joints(self.joints, np.zeros(7), now, np.zeros(7)),
            "current_pose": m.pose(np.ones(3), [1, 0, 0, 0], now, "base"),
            "reference_pose": m.pose(np.ones(3), [1, 0, 0, 0], now, "base"),
            "external_wrench": m.wrench(np.zeros(6), now, "base"),
            "gripper/joint_states": m.joints(["gripper"], [1.0], now),
            "task/environment_state": m.joints(["x"] * 14, np.zeros(14), now),
        }
        for name in messages.keys() - self.silent:
            self.out[name].publish(messages[name])


@pytest.fixture
def robot():
    with ros.running("robot", "made_up", Robot) as robot:
        yield robot


def wait_for_decisions(policy: Down, count: int) -> None:
    end = time.monotonic() + 4.0
    while len(policy.seen) < count:
        assert time.monotonic() < end, "no decisions"
        time.sleep(0.01)


@pytest.mark.parametrize("topic", ["current_pose", "task/environment_state"])
def test_it_holds_while_a_topic_is_silent_and_plans_anew_after(robot, topic):
    policy = Down()

    def interrupt() -> None:
        wait_for_decisions(policy, 5)
        robot.silent.add(topic)
        time.sleep(0.3)
        seen, resets = len(policy.seen), policy.resets
        time.sleep(0.5)
        assert len(policy.seen) == seen
        robot.silent.clear()
        end = time.monotonic() + 4.0
        while policy.resets == resets:
            assert time.monotonic() < end, "it does not plan anew"
            time.sleep(0.01)

    node = run(policy, 6.0, interrupt, namespace="made_up")
    assert node.holds >= 4


def test_late_decisions_are_counted(robot):
    node = run(Down(delay=0.15), 4.0, namespace="made_up")
    assert node.pace.missed > 3


def test_it_can_be_switched_off_and_on(robot):
    policy = Down()
    counts = []

    def switch() -> None:
        wait_for_decisions(policy, 3)
        for value in (False, True):
            time.sleep(0.4)
            assert ros.call(robot.enable, ros.SetBool.Request(data=value)).success
            time.sleep(0.1)
            counts.append(len(policy.seen))

    run(policy, 5.0, switch, namespace="made_up")
    assert counts[1] - counts[0] <= 2
    assert len(policy.seen) > counts[1]
    assert {message.data for message in robot.versions} == {"1"}
    stamps, of_poses = ({m.get_stamp(message) for message in kind} for kind in (robot.decisions, robot.targets))
    assert len(stamps & of_poses) >= 5
    places = [message.position[0] for message in robot.decisions]
    assert set(np.mod(np.diff(places), 4)) == {1.0}


def test_the_command_runs_a_checkpoint_until_ctrl_c(robot, processes, tmp_path):
    checkpoint = make_checkpoint(tmp_path)
    processes.start("policy", "--checkpoint", checkpoint, "--namespace", "made_up")
    end = time.monotonic() + 40
    while len(robot.targets) < 5:
        processes.check()
        assert time.monotonic() < end
        time.sleep(0.05)
    assert processes.stop("policy") == 130
    said = processes.log("policy").read_text()
    assert "policy stopped; the arm holds where it is" in said
    assert "Traceback" not in said
