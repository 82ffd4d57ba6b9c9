"""The robot and the teleoperator for LeRobot's tools, beside a twin."""

import time

import numpy as np
import pytest
from lerobot.utils.errors import DeviceNotConnectedError
from listening import serve

from steadyhand import ros, ros_messages
from steadyhand.data_collection.lerobot_plugins import (
    SteadyhandRobot,
    SteadyhandRobotConfig,
    SteadyhandTeleoperator,
    SteadyhandTeleoperatorConfig,
)
from steadyhand.data_collection.schema import ACTION_NAMES, STATE_NAMES
from steadyhand.errors import SteadyhandError
from steadyhand.sim.rotations import rot6d_from_quat
from steadyhand.sim.tasks import make_task

OBJECTS = make_task("peg_insertion").environment_names


@pytest.fixture(scope="module")
def twin(graph, tmp_path_factory):
    size = ("--cameras", "front", "--width", 64, "--height", 48)
    with serve(tmp_path_factory.mktemp("twin"), *size) as listener:
        yield listener


@pytest.fixture(scope="module")
def robot(twin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    config = SteadyhandRobotConfig(
        cameras=["front"], image_width=64, image_height=48, environment="peg_insertion", calibration_dir=folder
    )
    robot = SteadyhandRobot(config)
    with pytest.raises(DeviceNotConnectedError):
        robot.get_observation()
    with robot:
        yield robot
    assert not robot.is_connected


def pose_of(action: dict[str, float]) -> np.ndarray:
    return np.array([action[f"{name}.pos"] for name in ACTION_NAMES])


def test_observations_have_our_order_and_meaning(twin, robot):
    observation = robot.get_observation()
    assert list(observation) == list(robot.observation_features)
    assert list(observation) == [*(f"{name}.pos" for name in [*STATE_NAMES, *OBJECTS]), "front"]
    position, quaternion = twin.pose()
    measured = [*position, *rot6d_from_quat(quaternion), twin.last("gripper/joint_states").position[0]]
    np.testing.assert_allclose(list(observation.values())[:10], measured, atol=2e-3)
    seen = twin.last("task/environment_state").position
    np.testing.assert_allclose([observation[f"{name}.pos"] for name in OBJECTS], seen, atol=1e-2)
    assert observation["front"].shape == robot.observation_features["front"] == (48, 64, 3)
    assert observation["front"].std() > 5


def test_the_hand_moves_the_arm_through_lerobots_loop(twin, robot, tmp_path):
    """Observe, ask the teleoperator, send: as `lerobot-record` does it."""
    hand = ros.publisher(twin.node, "hand/target_pose")
    gripper = ros.publisher(twin.node, "hand/gripper")
    start, quaternion = twin.pose()
    goal = start + np.array([0.03, 0.0, -0.04])
    asked, sent = [], []
    with SteadyhandTeleoperator(SteadyhandTeleoperatorConfig(calibration_dir=tmp_path)) as teleoperator:
        assert teleoperator.action_features == robot.action_features
        for turn in range(25):
            if turn < 15:
                gripper.publish(ros_messages.numbers([0.3]))
                hand.publish(ros_messages.pose(goal, quaternion, ros.now(), "base"))
            time.sleep(0.05)
            robot.get_observation()
            asked.append(teleoperator.get_action())
            sent.append(robot.send_action(asked[-1]))
            time.sleep(0.05)
        assert twin.status()["message"] == "track"
    np.testing.assert_allclose(pose_of(asked[10]), [*goal, *rot6d_from_quat(quaternion), 0.3], atol=1e-6)
    np.testing.assert_allclose(pose_of(sent[10]), pose_of(asked[10]), atol=1e-6)
    np.testing.assert_allclose(twin.pose()[0], goal, atol=3e-3)
    # The hand has let go: the arm is held where it was, by one and the same request.
    np.testing.assert_array_equal(pose_of(asked[-1]), pose_of(asked[-3]))
    np.testing.assert_allclose(pose_of(asked[-1])[:3], goal, atol=2e-3)
    assert twin.refused() == {}
    twin.wait_for(lambda: twin.status()["message"] == "hold")  # nobody asks any more


def test_our_names_are_understood_and_what_is_no_pose_is_not_sent(twin, robot):
    observation = robot.get_observation()
    ours = {name: observation[f"{name}.pos"] for name in ACTION_NAMES} | {"gripper": 1.4}
    assert robot.send_action(ours)["gripper.pos"] == 1.0
    targets = twin.counter("targets")
    for broken in ({"x": float("nan")}, dict.fromkeys(ACTION_NAMES[3:6], 0.0)):
        with pytest.raises(SteadyhandError, match="it is no pose"):
            robot.send_action(ours | broken)
    with pytest.raises(SteadyhandError, match="the action has no number 'gripper'"):
        robot.send_action({name: 0.0 for name in ACTION_NAMES[:9]})
    time.sleep(0.3)
    assert twin.counter("targets") <= targets + 1


def test_it_yields_to_another_node(twin, robot):
    observation = robot.get_observation()
    action = {name: observation[name] for name in robot.action_features}
    twin.ask(*twin.pose())
    time.sleep(0.1)
    with pytest.raises(SteadyhandError, match="another node publishes target_pose, so nothing is sent"):
        robot.send_action(action)
    time.sleep(0.5)
    robot.send_action(action)
