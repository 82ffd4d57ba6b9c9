"""The twin's topics and services, over DDS between two processes."""

import time

import mujoco
import numpy as np
import pytest

from steadyhand import ros, ros_messages
from steadyhand.ros_messages import get_stamp
from steadyhand.sim.camera_model import camera_pose
from steadyhand.sim.env import World
from steadyhand.sim.point_cloud import back_project
from steadyhand.sim.robot import load_robot
from steadyhand.sim.scene import build_spec


def test_states_have_the_time_of_measurement_and_one_stamp_per_tick(twin):
    twin.reset()
    twin.wait_for(lambda: twin.count("task/truth") > 100)
    arrived, message = zip(*twin.heard["current_pose"], strict=True)
    age = np.array(arrived) - [get_stamp(m) for m in message]
    assert -0.001 < np.median(age) < 0.02
    stamps = {name: {get_stamp(m) for _, m in twin.heard[name][5:80]} for name in ("joint_states", "task/truth")}
    assert len(stamps["joint_states"] & stamps["task/truth"]) > 60
    assert message[-1].header.frame_id == "base"
    joints = twin.last("joint_states")
    assert tuple(joints.name) == load_robot("fr3").joints
    assert len(joints.velocity) == len(joints.effort) == 7
    assert len(twin.last("task/environment_state").position) == 14


def test_it_runs_in_real_time(twin):
    begin = twin.wait_for(lambda: twin.count("joint_states"))
    time.sleep(1.0)
    assert twin.count("joint_states") - begin > 80
    assert float(twin.status()["real_time_factor"]) > 0.95


def test_a_target_moves_the_arm_and_a_stale_one_holds_it(twin):
    twin.reset()
    position, quaternion = twin.pose()
    goal = position + np.array([0.0, 0.05, -0.05])
    twin.stream(lambda: twin.ask(goal, quaternion), 1.0)
    assert twin.status()["message"] == "track"
    assert np.linalg.norm(twin.pose()[0] - goal) < 0.005
    time.sleep(0.8)
    assert twin.status()["message"] == "hold"
    assert np.linalg.norm(twin.pose()[0] - goal) < 0.01
    twin.wait_for(lambda: twin.status()["message"] == "damp")


def test_a_dead_policy_behind_a_relay_ages_all_the_same(twin):
    """The relay sends its last message again 50 times a second, with the header as it was."""
    twin.reset()
    message = ros_messages.pose(*twin.pose(), ros.now(), "base")
    for _ in range(120):
        twin.targets["target_pose"].publish(message)
        time.sleep(0.02)
    heard = [(s["message"], float(s["reference_age"])) for s in twin.statuses() if s["accepted"] == "1"]
    assert {mode for mode, _ in heard} == {"track", "hold", "damp"}
    between = {"track": (0.0, 0.5), "hold": (0.5, 2.0), "damp": (2.0, np.inf)}  # as config/controllers/fr3.yaml has it
    for mode, age in heard:
        least, most = between[mode]
        assert least - 5e-4 <= age <= most + 5e-4, (mode, age)  # told in ms
    assert twin.counter("refused_older_than_last") > 50


@pytest.mark.parametrize(
    ("broken", "counter"),
    [
        ({"position": [np.nan, 0.0, 0.3]}, "refused_not_finite"),
        ({"quaternion": [0.0, 0.0, 0.0, 0.5]}, "refused_not_unit_quaternion"),
        ({"position": [0.0, 0.9, 0.3]}, "refused_jump"),
        ({"frame": "camera"}, "refused_frame"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused_and_counted(twin, broken, counter):
    twin.reset()
    position, quaternion = twin.pose()
    before = int(twin.status()[counter])
    twin.ask(**{"position": position, "quaternion": quaternion} | broken)
    twin.wait_for(lambda: int(twin.status()[counter]) == before + 1)
    time.sleep(0.2)
    assert np.linalg.norm(twin.pose()[0] - position) < 0.001


def test_the_gripper_moves_without_a_target(twin):
    twin.reset()
    twin.grip(0.0)
    twin.wait_for(lambda: twin.last("gripper/joint_states").position[0] < 0.05)
    assert twin.status()["message"] == "hold"
    before = int(twin.status()["refused_gripper"])
    twin.grip(7.0)
    twin.grip(float("nan"))
    twin.wait_for(lambda: int(twin.status()["refused_gripper"]) >= before + 1)
    twin.grip(1.0)
    twin.wait_for(lambda: twin.last("gripper/joint_states").position[0] > 0.95)


def test_reset_starts_the_next_seed(twin):
    twin.reset()
    first, peg = int(twin.status()["seed"]), twin.wait_for(lambda: twin.heard["task/truth"])[-1][1].position[:2]
    position, quaternion = twin.pose()
    twin.stream(lambda: twin.ask(position + np.array([0.0, 0.0, -0.05]), quaternion), 0.5)
    twin.reset()
    assert int(twin.status()["seed"]) == first + 1
    assert twin.status()["message"] == "hold"
    assert abs(twin.pose()[0][2] - 0.35) < 0.002
    twin.wait_for(lambda: twin.count("task/truth"))
    assert np.linalg.norm(np.subtract(twin.last("task/truth").position[:2], peg)) > 0.001


def test_pause_stops_the_simulated_time(twin):
    twin.reset()
    assert twin.call("pause", ros.SetBool.Request(data=True)).success
    ticks = [-1]

    def stands_still() -> bool:
        ticks.append(int(twin.status()["ticks"]))
        time.sleep(0.25)  # two messages and more
        return int(twin.status()["ticks"]) == ticks[-1]

    twin.wait_for(stands_still)
    assert twin.call("pause", ros.SetBool.Request(data=False)).success
    twin.wait_for(lambda: int(twin.status()["ticks"]) > ticks[-1] + 100)


def test_images_of_640_by_480_arrive(twin):
    subscription = twin.listen("front/image_raw")
    twin.wait_for(lambda: twin.count("front/image_raw") > 5)
    twin.heard.clear()
    twin.wait_for(lambda: twin.count("front/image_raw") >= 30, 10)
    stamps = [get_stamp(m) for _, m in twin.heard["front/image_raw"]]
    lost = (stamps[-1] - stamps[0]) * 15 - (len(stamps) - 1)
    assert lost < 3
    pixels = ros_messages.image_array(twin.last("front/image_raw"))
    assert pixels.shape == (480, 640, 3)
    assert pixels.std() > 10  # a picture, not one colour
    twin.node.destroy_subscription(subscription)


def test_compressed_images_and_camera_info(twin):
    subscriptions = [twin.listen(f"front/{kind}") for kind in ("compressed", "camera_info")]
    twin.wait_for(lambda: twin.count("front/compressed") and twin.count("front/camera_info"))
    assert bytes(twin.last("front/compressed").data[:2]) == b"\xff\xd8"
    info = twin.last("front/camera_info")
    assert (info.width, info.height) == (640, 480)
    angle = np.deg2rad(build_spec(load_robot("fr3")).camera("front").fovy)
    assert info.k[0] == info.k[4] == pytest.approx(0.5 * 480 / np.tan(angle / 2))
    for subscription in subscriptions:
        twin.node.destroy_subscription(subscription)


def test_depth_is_measured_along_the_optical_axis(twin):
    """The table is the plane z = 0; 16 bits hold whole millimetres (REP 118)."""
    subscriptions = [twin.listen(f"front/depth/{kind}") for kind in ("image_raw", "camera_info")]
    twin.wait_for(lambda: twin.count("front/depth/image_raw") and twin.count("front/depth/camera_info"))
    message, info = twin.last("front/depth/image_raw"), twin.last("front/depth/camera_info")
    assert (message.encoding, message.step) == ("16UC1", 2 * 640)
    assert message.header.frame_id == info.header.frame_id == "front_optical_frame"
    depth = ros_messages.depth_array(message)[..., 0] * np.float32(1e-3)
    world = World.load("fr3", "peg_insertion")
    data = mujoco.MjData(world.model)
    mujoco.mj_forward(world.model, data)
    points, _ = back_project(depth, np.reshape(info.k, (3, 3)), camera_pose(data, "front"))
    height = np.abs(points[(points[:, 0] > 0.0) & (points[:, 0] < 0.95), 2])
    assert (height < 0.0006).sum() > 80_000  # the table
    assert ((height > 0.0006) & (height < 0.003)).sum() < 500  # the feet of what stands on it
    assert (depth == 0.0).any()  # the sky
    for subscription in subscriptions:
        twin.node.destroy_subscription(subscription)


def test_two_who_publish_targets_are_reported(twin):
    second = ros.publisher(twin.node, "target_pose")
    twin.wait_for(lambda: int(twin.status()["several_publishers"]) == 2)
    assert twin.status()["level"] != "0"
    twin.node.destroy_publisher(second)
    twin.wait_for(lambda: int(twin.status()["several_publishers"]) == 0)
