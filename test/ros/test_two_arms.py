"""Two arms of one twin, each in its namespace, over DDS."""

import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from listening import JOINTS

from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.ros_record import FrameSource
from steadyhand.ros_observation import ObservationNotReadyError
from steadyhand.sim.robot import load_robot
from steadyhand.sim.tasks import make_task


def test_each_arm_speaks_of_its_own_base_frame(pair):
    model = load_robot("fr3").arm()
    for name in ("left", "right"):
        arm = pair[name]
        assert tuple(arm.last("joint_states").name) == JOINTS
        for topic in ("current_pose", "current_twist", "external_wrench", "reference_pose"):
            assert arm.last(topic).header.frame_id == f"{name}_base"
        expected = model.placement(np.array(arm.last("joint_states").position))[0]  # of a single arm
        np.testing.assert_allclose(arm.pose()[0], expected, atol=1e-3)


def test_what_belongs_to_all_is_there_once(pair):
    main = pair[""]
    subscriptions = [main.listen(name) for name in ("/clock", "/diagnostics", "left_wrist/camera_info")]
    main.wait_for(lambda: all(main.count(name) for name in ("/clock", "/diagnostics", "left_wrist/camera_info")))
    names = [status.name for status in main.last("/diagnostics").status]
    assert names == ["/lab/left/twin: controller", "/lab/right/twin: controller"]
    main.wait_for(lambda: main.count("task/truth") and main.count("task/success"))
    assert len(main.last("task/truth").position) == 12
    for arm in ("left", "right"):
        assert main.node.count_publishers(f"/lab/{arm}/task/truth") == 0
    for name in ("joint_states", "controller_status"):
        assert main.node.count_publishers(f"/lab/{name}") == 0
    assert main.node.count_subscribers("/lab/target_pose") == 0
    for subscription in subscriptions:
        main.node.destroy_subscription(subscription)


def test_a_target_moves_one_arm_and_the_other_holds(pair):
    left, right = pair["left"], pair["right"]
    begin(pair)
    before = left.refused(), right.refused()
    (position, quaternion), still = left.pose(), right.pose()[0]
    goal = position + np.array([0.0, 0.0, 0.05])
    left.stream(lambda: left.ask(goal, quaternion, frame="left_base"), 1.0)
    assert np.linalg.norm(left.pose()[0] - goal) < 0.005
    assert np.linalg.norm(right.pose()[0] - still) < 0.002
    assert left.status()["message"] == "track"
    assert {s["message"] for s in right.statuses()} == {"hold"}
    assert right.status()["reference_age"] == "none yet"
    right.stream(lambda: right.ask(*right.pose(), frame=""), 1.0)
    assert right.status()["message"] == "track"
    assert left.status()["message"] == "hold"  # only its own targets keep it moving
    assert (left.refused(), right.refused()) == before


def test_the_frame_of_the_other_arm_is_refused(pair):
    left, right = pair["left"], pair["right"]
    begin(pair)
    before, others = left.counter("refused_frame"), right.refused()
    for count, frame in enumerate(("right_base", "base", "world"), before + 1):
        left.ask(*left.pose(), frame=frame)
        left.wait_for(lambda count=count: left.counter("refused_frame") == count)
    assert right.refused() == others
    assert left.counter("accepted") == 0


def test_each_gripper_has_its_own_topic(pair):
    left, right = pair["left"], pair["right"]
    begin(pair)
    right.grip(0.0)
    right.wait_for(lambda: right.last("gripper/joint_states").position[0] < 0.05)
    assert left.last("gripper/joint_states").position[0] > 0.95


def test_reset_begins_an_episode_of_both_and_says_what_it_asks_for(pair):
    main, left, right = pair.values()
    begin(pair)
    seed, homes = int(left.status()["seed"]), [left.pose()[0], right.pose()[0]]

    def ask_both() -> None:
        for arm, home in zip((left, right), homes, strict=True):
            arm.ask(home + np.array([0.0, 0.0, 0.05]), arm.pose()[1], frame="")

    left.stream(ask_both, 0.5)
    arms_moved = [arm.pose()[0][2] - home[2] for arm, home in zip((left, right), homes, strict=True)]
    assert min(arms_moved) > 0.03
    right.grip(0.0)
    right.wait_for(lambda: right.last("gripper/joint_states").position[0] < 0.05)
    said = main.count("task/instruction")
    begin(pair)
    main.wait_for(lambda: main.count("task/instruction") == said + 1)
    for arm, home in zip((left, right), homes, strict=True):
        assert arm.status()["seed"] == str(seed + 1)
        assert arm.counter("accepted") == 0
        assert arm.status()["message"] == "hold"
        np.testing.assert_allclose(arm.pose()[0], home, atol=0.002)
        assert arm.last("gripper/joint_states").position[0] > 0.95
        before = arm.refused()
        arm.grip(0.0)  # hands nothing of the last episode over again
        arm.wait_for(lambda arm=arm: arm.last("gripper/joint_states").position[0] < 0.05)
        assert (arm.counter("accepted"), arm.refused()) == (0, before)
    assert main.last("task/instruction").data in make_task("handover").wordings


@pytest.mark.parametrize("name", ["left", "right"])
def test_links_are_called_as_frames_and_joints_as_in_joint_states(pair, name):
    arm = pair[name]
    arm.listen("robot_description")
    arm.wait_for(lambda: arm.count("robot_description"))
    urdf = ElementTree.fromstring(arm.last("robot_description").data)
    plain = ElementTree.fromstring(load_robot("fr3").urdf_xml)
    assert [link.get("name") for link in urdf.iter("link")] == [f"{name}_{e.get('name')}" for e in plain.iter("link")]
    joints = [joint.get("name") for joint in urdf.findall("joint")]
    assert joints == [joint.get("name") for joint in plain.findall("joint")]
    ends = {end.get("link") for tag in ("parent", "child") for end in urdf.findall(f"joint/{tag}")}
    assert ends <= {link.get("name") for link in urdf.iter("link")}


def test_the_recorder_takes_the_decisions_of_one_arm(pair):
    left = pair["left"]
    begin(pair)
    source = FrameSource(left.node, load_robot("fr3"), [], False, 10, Segment.DEMO)
    left.wait_for(lambda: ready(source))
    source.begin()
    goal, quaternion = left.pose()
    left.stream(lambda: left.ask(goal, quaternion, frame="left_base"), 0.5)
    left.stream(lambda: left.ask(goal, quaternion, frame="right_base"), 0.2)  # refused by the arm: nothing was decided
    source.end()
    time.sleep(0.3)  # the last decision's messages are on their way
    frames = list(source.frames())
    assert 3 <= len(frames) <= 6
    for frame in frames:
        np.testing.assert_allclose(frame["action"][:3], goal, atol=1e-6)


def ready(source: FrameSource) -> bool:
    """Whether it has heard every topic."""
    try:
        return bool(source.columns())
    except ObservationNotReadyError:
        return False


def begin(pair) -> None:
    """Start an episode and hear its first states."""
    assert pair[""].call("reset").success
    for listener in pair.values():
        listener.heard.pop("controller_status", None)
    for name in ("left", "right"):
        arm = pair[name]
        for topic in ("current_pose", "gripper/joint_states"):
            arm.heard.pop(topic, None)
        arm.wait_for(lambda arm=arm: all(map(arm.count, ("current_pose", "gripper/joint_states", "controller_status"))))
