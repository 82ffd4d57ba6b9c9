"""Everything a controller can be asked, over DDS: what each topic does."""

import time

import numpy as np
import pytest
from listening import BENCH, JOINTS, in_bench, joint, path
from scipy.spatial.transform import Rotation

from steadyhand import ros
from steadyhand import ros_messages as m
from steadyhand.crisp_control._core import ReferenceMode
from steadyhand.sim.robot import load_robot
from steadyhand.sim.ros_arm import LEVELS


def angle(a, b) -> float:
    return (Rotation.from_quat(a) * Rotation.from_quat(b).inv()).magnitude()


def test_a_pose_in_the_frame_of_a_fixed_link(arm):
    arm.reset()
    position, quaternion = arm.pose()
    before = arm.refused()
    goal = position + np.array([0.03, -0.04, -0.05])
    turned = (Rotation.from_euler("z", 0.2) * Rotation.from_quat(quaternion)).as_quat()
    arm.stream(lambda: arm.ask(*in_bench(goal, turned), frame="workbench"), 1.0)
    assert np.linalg.norm(arm.pose()[0] - goal) < 0.005
    assert angle(arm.pose()[1], turned) < 0.03
    reference = m.pose_arrays(arm.last("reference_pose"))
    np.testing.assert_allclose(reference[0], goal, atol=1e-4)
    assert angle(reference[1], turned) < 1e-3
    assert arm.refused() == before


@pytest.mark.parametrize(("frame", "inner"), [("base", ""), ("workbench", ""), ("base", "workbench")])
def test_a_path_is_followed_to_its_end_without_further_messages(arm, frame, inner):
    arm.reset()
    position, quaternion = arm.pose()
    poses = [(0.1 * (i + 1), position + np.array([0.0, 0.01 * (i + 1), 0.0]), quaternion) for i in range(10)]
    if "workbench" in (frame, inner):
        poses = [(time, *in_bench(p, q)) for time, p, q in poses]
    arm.targets["target_path"].publish(path(poses, frame, inner))
    arm.wait_for(lambda: arm.pose()[0][1] > position[1] + 0.09)
    modes = [(s["message"], float(s["reference_age"])) for s in arm.statuses() if s["accepted"] == "1"]
    assert {mode for mode, age in modes if age < 0.9} == {"track"}
    assert max(age for _, age in modes) > 0.7  # a single pose would be stale by now
    arm.wait_for(lambda: arm.status()["message"] == "hold")
    np.testing.assert_allclose(arm.pose()[0], position + np.array([0.0, 0.1, 0.0]), atol=0.005)


def test_a_wrench_pushes_in_base_axes_and_a_stiffness_decides_how_far(arm):
    arm.reset()
    position = arm.pose()[0]
    push = np.array([0.0, 10.0, 0.0])  # N, base axes
    wrench = np.concatenate([BENCH[1].inv().apply(push), np.zeros(3)])

    def publish() -> None:
        arm.targets["target_wrench"].publish(m.wrench(wrench, ros.now(), "workbench"))

    arm.stream(publish, 1.0)
    stiff = arm.pose()[0] - position
    arm.targets["target_stiffness"].publish(m.numbers([500.0] * 3 + [100.0] * 3))
    arm.stream(publish, 1.0)
    soft = arm.pose()[0] - position
    np.testing.assert_allclose(stiff, push / 1500, atol=0.003)
    np.testing.assert_allclose(soft, push / 500, atol=0.005)
    arm.wait_for(lambda: np.linalg.norm(arm.pose()[0] - position) < 0.005)  # too old: it pushes no longer


def test_joint_targets_of_a_cartesian_controller_are_its_posture(arm):
    arm.reset()
    q, position = np.array(arm.last("joint_states").position), arm.pose()[0]
    null = np.linalg.svd(load_robot("fr3").arm().jacobian(q))[2][-1]
    null *= np.sign(null[0])
    posture = dict(zip(JOINTS, q + 0.6 * null, strict=True))
    names = list(reversed(JOINTS))
    arm.targets["target_joint"].publish(joint(names, [posture[name] for name in names]))
    arm.wait_for(lambda: null @ (np.array(arm.last("joint_states").position) - q) > 0.2)
    assert np.linalg.norm(arm.pose()[0] - position) < 0.01


def test_a_gripper_command_repeats_no_target(arm):
    arm.reset()
    position, quaternion = arm.pose()
    arm.stream(lambda: arm.ask(position, quaternion), 0.3)
    arm.wait_for(lambda: arm.status()["message"] == "track")
    before = arm.refused()
    accepted = arm.counter("accepted")
    arm.grip(0.0)
    arm.wait_for(lambda: arm.last("gripper/joint_states").position[0] < 0.05)
    arm.reset()  # nor does the target outlive the episode
    arm.grip(0.0)
    arm.wait_for(lambda: arm.last("gripper/joint_states").position[0] < 0.05)
    time.sleep(0.2)
    assert accepted > 0
    assert arm.counter("accepted") == 0
    assert arm.refused() == before


def test_external_torques_are_those_of_the_wrench(arm):
    arm.reset()
    position, quaternion = arm.pose()
    arm.stream(lambda: arm.ask(position + np.array([0.0, 0.1, 0.0]), quaternion), 0.5)
    topics = ("external_torques", "external_wrench", "joint_states")
    torques, wrenches, joints = ({m.get_stamp(x): x for _, x in arm.heard[name]} for name in topics)
    common = sorted(torques.keys() & wrenches.keys() & joints.keys())
    assert len(common) > 20
    model = load_robot("fr3").arm()
    for stamp in common:
        assert tuple(torques[stamp].name) == JOINTS
        J = model.jacobian(np.array(joints[stamp].position))
        expected = np.linalg.solve(J @ J.T + 1e-6 * np.eye(6), J @ np.array(torques[stamp].effort))
        np.testing.assert_allclose(m.wrench_array(wrenches[stamp]), expected, atol=1e-6)
    assert max(np.abs(torques[stamp].effort).max() for stamp in common) > 0.1


def test_a_hard_contact_is_an_error_in_the_status(arm):
    """Stiff enough to press 150 N on the table, more than the reflex allows."""
    arm.reset()
    position, quaternion = arm.pose()
    arm.targets["target_stiffness"].publish(m.numbers([5000.0] * 3 + [100.0] * 3))
    steps = iter(np.linspace(position[2], -0.1, 40))
    arm.stream(lambda: arm.ask([*position[:2], next(steps)], quaternion), 2.0)
    arm.wait_for(lambda: any(s["message"] == "reflex" for s in arm.statuses()))
    reflex = next(s for s in arm.statuses() if s["message"] == "reflex")
    assert reflex["level"] == "2"
    assert int(reflex["reflex_trips"]) >= 1
    assert float(reflex["tank_energy"]) >= 0.0


def test_every_mode_has_a_level():
    assert LEVELS.keys() == ReferenceMode.__members__.keys()
    assert LEVELS["REFLEX"] == 2


def test_joint_impedance_moves_joints_by_name_and_takes_nothing_else(bare_twin):
    twin = bare_twin("joint_impedance")
    twin.wait_for(lambda: twin.count("controller_status"))
    assert twin.status()["controller"] == "joint_impedance"
    q = np.array(twin.last("joint_states").position)
    goal = dict(zip(JOINTS, q + np.array([0.2, 0.1, -0.2, 0.1, 0.1, -0.1, 0.3]), strict=True))
    names = [JOINTS[i] for i in (3, 1, 6, 0, 2, 5, 4)]
    twin.stream_until(
        lambda: twin.targets["target_joint"].publish(joint(names, [goal[n] for n in names])),
        lambda: np.allclose(twin.last("joint_states").position, list(goal.values()), atol=0.02),
    )
    np.testing.assert_allclose(twin.last("joint_states").position, list(goal.values()), atol=0.02)
    before = twin.refused()
    for count, name in enumerate(("target_pose", "target_wrench", "target_stiffness", "target_path"), 1):
        twin.targets[name].publish(twin.targets[name].msg_type())
        expected = before | {"refused_not_taken": before["refused_not_taken"] + count}  # `serve` has asked for poses
        twin.wait_for(lambda expected=expected: twin.refused() == expected)


def test_torque_feedback_takes_efforts(bare_twin):
    twin = bare_twin("torque_feedback")
    q = np.array(twin.last("joint_states").position)
    effort = dict.fromkeys(JOINTS, 0.0) | {JOINTS[6]: 4.0}
    names = list(reversed(JOINTS))

    def moved() -> np.ndarray:
        return np.array(twin.last("joint_states").position) - q

    twin.stream_until(
        lambda: twin.targets["target_joint"].publish(joint(names, effort=[effort[n] for n in names])),
        lambda: moved()[6] > 0.05,
    )
    assert moved()[6] > 0.05
    assert np.abs(moved()[:6]).max() < 0.2 * moved()[6]
