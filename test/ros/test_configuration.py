"""What a recorder learns from a robot's own nodes: parameters, description, cameras; and what changes meanwhile."""

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.parameter import Parameter
from scipy.spatial.transform import Rotation

from steadyhand import ros, ros_messages
from steadyhand.crisp_control.ros_parameters import twin_parameters
from steadyhand.data_collection import ros_configuration
from steadyhand.data_collection.calibration import fixed_pose, placed
from steadyhand.data_collection.ros_configuration import RunningConfiguration
from steadyhand.sim.robot import load_robot

K = np.array([[500.0, 0.0, 320.0], [0.0, 510.0, 240.0], [0.0, 0.0, 1.0]])
FR3 = load_robot("fr3")
POSE = f"pose of camera side{ros_configuration.NO_TF}"


class Arm:
    """A controller's node, the robot's description and a camera."""

    def __init__(self, node: ros.Node) -> None:
        self.node = node
        for name, value in {"task.k_pos_x": 600.0, "hold_after": 0.5, "joints": ["a", "b"]}.items():
            node.declare_parameter(name, value)
        self.twin = ros.below(node, "twin")
        ros.declare_fixed(self.twin, twin_parameters(FR3, "cartesian_impedance"))
        self.status = ros.publisher(node, "controller_status")
        self.lead("/controller")
        self.description = ros.publisher(node, "robot_description")
        self.description.publish(ros.String(data=FR3.urdf_xml))
        self.camera = ros.publisher(node, "side/camera_info")

    def lead(self, name: str) -> None:
        """Say that this node's controller is the active one."""
        self.status.publish(ros_messages.diagnostics(f"{name}: controller", 0, "track", {}, ros.now()))

    def film(self, focus: float = 1.0) -> None:
        self.camera.publish(ros_messages.camera_info(640, 480, focus * K, ros.now(), "side_optical_frame"))

    def stiffen(self, value: float) -> None:
        self.node.set_parameters([Parameter("task.k_pos_x", value=value)])


def parameters(document) -> dict:
    return yaml.safe_load(document.text)["/controller"]["ros__parameters"]


@pytest.fixture
def running(monkeypatch):
    monkeypatch.setattr(ros_configuration, "TOGETHER", 0.0)
    monkeypatch.setattr(ros_configuration, "PATIENCE", 20.0)
    monkeypatch.setattr(ros_configuration, "DISCOVERY", 20.0)
    with ros.running("controller", "", Arm) as arm:

        def listen(node: ros.Node) -> RunningConfiguration:
            node.create_timer(0.05, arm.film)
            return RunningConfiguration(node, node, ["side"], {})

        with ros.running("recorder", "", listen) as watch:
            yield arm, watch


def wait(watch: RunningConfiguration, count: int, first: float = 0.0):
    """Until so many changes are known."""
    end = ros.now() + 10.0
    while len((found := watch.configuration(first)).changes) < count:
        assert ros.now() < end, "waited in vain"
    return found


def test_what_runs_is_asked_and_what_changes_is_noted(running):
    arm, watch = running
    assert watch.wait() == [POSE]
    assert watch.begin() == []
    begun = watch.configuration(None)
    assert begun.documents["description"].text == FR3.urdf_xml
    assert parameters(begun.documents["controller"]) == {"task.k_pos_x": 600.0, "hold_after": 0.5, "joints": ["a", "b"]}
    camera = yaml.safe_load(begun.documents["calibration"].text)["cameras"]["side"]
    assert (camera["K"], camera["width"], camera["pose"]) == (K.ravel().tolist(), 640, "unknown")
    assert begun.safety() == {"/controller": {"hold_after": 0.5}}
    assert begun.changes == ()

    first = ros.now()
    arm.stiffen(400.0)
    wait(watch, 1)
    arm.stiffen(600.0)
    ended = wait(watch, 2, first)
    assert ended.documents == begun.documents
    assert [kind for _, kind, _ in ended.changes] == ["controller", "controller"]
    assert [parameters(document)["task.k_pos_x"] for _, _, document in ended.changes] == [400.0, 600.0]
    stamps = [stamp for stamp, _, _ in ended.changes]
    assert 0.0 < stamps[0] < stamps[1] < ros.now() - first

    arm.stiffen(300.0)
    wait(watch, 3)
    assert watch.begin() == ["controller: 'task.k_pos_x: 600.0' -> 'task.k_pos_x: 300.0'"]


def test_another_controller_is_asked_and_one_that_does_not_answer_is_named(running, monkeypatch):
    arm, watch = running
    assert watch.wait() == [POSE]
    watch.begin()
    arm.twin.create_publisher(ros.DiagnosticArray, "/controller_status", ros.STATUS)
    end = ros.now() + 10.0
    while "/twin/controller" not in watch._parameters:  # known, but idle: it changes nothing
        assert watch.configuration(None).changes == ()
        assert ros.now() < end
    arm.lead("/twin/controller")
    ended = wait(watch, 1)
    nodes = yaml.safe_load(ended.changes[0][2].text)
    assert nodes == {"/twin/controller": {"ros__parameters": twin_parameters(FR3, "cartesian_impedance")}}

    monkeypatch.setattr(ros_configuration, "PATIENCE", 0.3)
    mute = rclpy.create_node("mute", context=arm.node.context, start_parameter_services=False)
    mute.create_publisher(ros.PoseStamped, "current_pose", ros.SENSOR)
    ended = wait(watch, 2)
    mute.destroy_node()
    assert yaml.safe_load(ended.changes[-1][2].text)["/mute"] is None
    assert watch.wait() == ["parameters of /mute", POSE]


def test_the_pose_of_a_camera_is_that_in_the_outermost_frame_it_is_fixed_to():
    turned, moved = Rotation.from_euler("z", 90, degrees=True), Rotation.from_euler("x", 30, degrees=True)
    links = [("base", "bar", [1.0, 0.0, 0.5], turned), ("bar", "camera", [0.2, 0.0, 0.0], moved)]
    fixed = {}
    for parent, child, position, rotation in links:
        message = ros_messages.transform(parent, child, position, rotation.as_quat(), 0.0)
        fixed[child] = placed(message)
    pose = fixed_pose("camera", fixed)
    assert pose["frame"] == "base"
    np.testing.assert_allclose(pose["position"], [1.0, 0.2, 0.5], atol=1e-9)
    assert (Rotation.from_quat(pose["quaternion"]).inv() * turned * moved).magnitude() < 1e-8
    assert fixed_pose("lens", fixed) == "unknown"
    assert fixed_pose("camera", fixed | {"base": {**fixed["bar"], "parent": "camera"}}) == "unknown"
