"""What is asked of a controller and makes no sense: refused under a name of its own, over DDS."""

import time

import numpy as np
import pytest
from listening import JOINTS, joint, path

from steadyhand import ros
from steadyhand import ros_messages as m
from steadyhand.crisp_control._core import MAX_CHUNK, References
from steadyhand.crisp_control.parameters import CONTROLLERS, make_controller
from steadyhand.sim.robot import load_robot
from steadyhand.sim.ros_references import REFUSALS, TAKEN

BAD_MESSAGES = {
    "tool frame": ("target_pose", "refused_frame", lambda p, q: m.pose(p, q, ros.now(), "fr3_hand_tcp")),
    "moving link": ("target_pose", "refused_frame", lambda p, q: m.pose(p, q, ros.now(), "fr3_link3")),
    "unknown frame": ("target_wrench", "refused_frame", lambda p, q: m.wrench(np.zeros(6), ros.now(), "world")),
    "frame of a path": ("target_path", "refused_frame", lambda p, q: path([(0.1, p, q)], "camera")),
    "frame in a path": ("target_path", "refused_frame", lambda p, q: path([(0.1, p, q)], "base", "camera")),
    "empty path": ("target_path", "refused_path_length", lambda p, q: path([])),
    "long path": ("target_path", "refused_path_length", lambda p, q: path([(0.01 * i, p, q) for i in range(65)])),
    "path back in time": (
        "target_path", "refused_not_increasing", lambda p, q: path([(0.2, p, q), (0.1, p, q)]),
    ),
    "some joints": ("target_joint", "refused_joint_missing", lambda p, q: joint(JOINTS[:3], [0.0] * 3)),
    "a strange joint": ("target_joint", "refused_joint_unknown", lambda p, q: joint([*JOINTS, "finger"], [0.0] * 8)),
    "a joint twice": ("target_joint", "refused_joint_repeated", lambda p, q: joint([*JOINTS, JOINTS[0]], [0.0] * 8)),
    "no positions": ("target_joint", "refused_joint_values", lambda p, q: joint(JOINTS, effort=[0.0] * 7)),
    "beyond a joint's limit": ("target_joint", "refused_out_of_range", lambda p, q: joint(JOINTS, [9.0] * 7)),
    "five stiffnesses": ("target_stiffness", "refused_stiffness_size", lambda p, q: m.numbers([100.0] * 5)),
    "negative stiffness": ("target_stiffness", "refused_out_of_range", lambda p, q: m.numbers([-1.0] * 6)),
    "wrench that is no number": (
        "target_wrench", "refused_not_finite", lambda p, q: m.wrench([np.nan] * 6, ros.now(), "workbench"),
    ),
    "quaternion of no length": (
        "target_pose", "refused_not_unit_quaternion", lambda p, q: m.pose(p, 0.0 * q, ros.now(), "workbench"),
    ),
    "old wrench": ("target_wrench", "refused_expired", lambda p, q: m.wrench(np.zeros(6), ros.now() - 3.0, "base")),
    "gripper": (ros.GRIPPER_COMMAND, "refused_gripper", lambda p, q: m.numbers([0.5, 0.5])),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_what_makes_no_sense_is_refused_and_counted(arm, name):
    topic, counter, make = BAD_MESSAGES[name]
    before, accepted = arm.refused(), arm.counter("accepted")
    arm.targets[topic].publish(make(*arm.pose()))
    arm.wait_for(lambda: arm.refused() != before)
    assert arm.refused() == before | {counter: before.get(counter, 0) + 1}
    assert arm.counter("accepted") == accepted


def test_a_path_may_have_64_poses(arm):
    accepted = arm.counter("accepted")
    arm.targets["target_path"].publish(path([(0.01 * i, *arm.pose()) for i in range(MAX_CHUNK)]))
    arm.wait_for(lambda: arm.counter("accepted") == accepted + 1)


def test_while_two_publish_wrenches_none_is_taken(arm):
    topic = arm.targets["target_wrench"]

    def push() -> int:
        topic.publish(m.wrench(np.zeros(6), ros.now(), "base"))
        time.sleep(0.1)
        return arm.counter("refused_several_publishers")

    second = ros.publisher(arm.node, "target_wrench")
    before = arm.counter("refused_several_publishers")
    arm.wait_for(lambda: push() > before + 1)
    accepted = arm.counter("accepted")
    push()
    assert arm.counter("accepted") == accepted
    arm.wait_for(lambda: arm.counter("several_publishers") == 2)
    arm.node.destroy_publisher(second)
    arm.wait_for(lambda: push() and arm.counter("accepted") > accepted)


def test_every_refusal_is_in_the_status(arm):
    assert set(REFUSALS) <= arm.status().keys()


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_what_a_controller_takes_is_what_its_core_accepts(controller):
    robot = load_robot("fr3")
    core, q = make_controller("fr3", robot.arm(), controller), np.array(robot.q_home)
    position, quaternion = core.model.placement(q)
    asked = {name: References() for name in TAKEN["cartesian_impedance"]}
    asked["target_pose"].set_pose(position, quaternion, 1.0)
    asked["target_path"].set_chunk(np.array([1.1]), position[None], quaternion[None], 1.0)
    (asked["target_joint"].set_torque if controller == "torque_feedback" else asked["target_joint"].set_joint)(q, 1.0)
    asked["target_wrench"].set_wrench(np.ones(6), 1.0)
    asked["target_stiffness"].set_stiffness(np.full(6, 100.0), 1.0)
    taken = []
    for name, references in asked.items():
        core.reset(q, 0.0 * q, 0.0 * q, 1.0)
        core.update(q, 0.0 * q, 0.0 * q, 1.0, references, 0.001)
        taken += [name] * core.status.counters["accepted"]
    assert tuple(taken) == TAKEN[controller]
