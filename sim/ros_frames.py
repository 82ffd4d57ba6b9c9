"""The twin's frames for viewers (RViz, Foxglove): every link, object and camera as /tf, and the robot's description."""

import mujoco
import numpy as np
import pinocchio
from scipy.spatial.transform import Rotation

from steadyhand import ros, ros_messages
from steadyhand.sim.realtime import Instant, Shadow
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.ros_cameras import optical_frame
from steadyhand.sim.urdf import MOVABLE

NO_TF = (
    "no /tf: there is no wheel of tf2_msgs; source a ROS distribution, or let robot_state_publisher make it from "
    "joint_states and robot_description"
)
_OPTICAL = np.diag([1.0, -1.0, -1.0])  # MuJoCo's cameras look along -z with y up


class FrameTree:
    """Parents and poses of all frames of a scene, from one state of it."""

    def __init__(self, model: mujoco.MjModel, robot: RobotSpec) -> None:
        self._model, self._robot, self._shadow = model, robot, Shadow(model)
        self._arm = pinocchio.buildModelFromXML(robot.urdf_xml)
        self._data, self._q = self._arm.createData(), pinocchio.neutral(self._arm)
        self._frames = {link: self._arm.getFrameId(link, pinocchio.FrameType.BODY) for link in robot.urdf.links}
        joints = robot.urdf.joints.values()
        self._moving = [(joint.parent, joint.child) for joint in joints if joint.type in MOVABLE]
        self._fixed = [(joint.parent, joint.child) for joint in joints if joint.type not in MOVABLE]
        self._objects = _objects(model, robot)

    def static(self, stamp: float) -> list[ros.TransformStamped]:
        """Fixed links, and the optical frames of the cameras on the links that carry them."""
        self._place()
        cameras = [self._camera(i, stamp) for i in range(self._model.ncam)]
        return [self._link(*pair, stamp) for pair in self._fixed] + cameras

    def moving(self, instant: Instant) -> list[ros.TransformStamped]:
        """Links on joints, and the task's objects in the base frame."""
        self._shadow.show(instant)
        stamp, base = instant.observation.time, self._robot.base_frame
        self._place()
        objects = [ros_messages.transform(base, n, *self._shadow.body_pose(n), stamp) for n in self._objects]
        return [self._link(*pair, stamp) for pair in self._moving] + objects

    def _place(self) -> None:
        """Kinematics of the arm as the shadow stands."""
        for name, joint in list(zip(self._arm.names, self._arm.joints, strict=True))[1:]:  # the first is no joint
            q = self._shadow.data.joint(name).qpos[0]
            self._q[joint.idx_q : joint.idx_q + joint.nq] = [q] if joint.nq == 1 else [np.cos(q), np.sin(q)]
        pinocchio.framesForwardKinematics(self._arm, self._data, self._q)

    def _link(self, parent: str, child: str, stamp: float) -> ros.TransformStamped:
        pose = self._data.oMf[self._frames[parent]].actInv(self._data.oMf[self._frames[child]])
        return ros_messages.transform(parent, child, *_position_and_quaternion(pose), stamp)

    def _camera(self, index: int, stamp: float) -> ros.TransformStamped:
        model = self._model
        body = int(model.cam_bodyid[index])
        parent = model.body(body).name if body else self._robot.base_frame
        turned = Rotation.from_quat(model.cam_quat[index], scalar_first=True) * Rotation.from_matrix(_OPTICAL)
        name = optical_frame(model.camera(index).name)
        return ros_messages.transform(parent, name, model.cam_pos[index], turned.as_quat(), stamp)


def _position_and_quaternion(pose: pinocchio.SE3) -> tuple[np.ndarray, np.ndarray]:
    return pose.translation, pinocchio.Quaternion(pose.rotation).coeffs()


def _objects(model: mujoco.MjModel, robot: RobotSpec) -> list[str]:
    """Bodies with a name that are no part of the robot."""
    arms = {model.body_rootid[model.jnt_bodyid[model.joint(name).id]] for name in robot.joints}
    bodies = [i for i in range(1, model.nbody) if model.body_rootid[i] not in arms]
    return [name for i in bodies if (name := model.body(i).name) and name not in robot.urdf.links]


class FrameTopics:
    """Publishes robot_description, and where tf2_msgs is installed also tf_static and tf."""

    def __init__(self, node: ros.Node, model: mujoco.MjModel, robot: RobotSpec, first: Instant) -> None:
        """Publish what stays as it is."""
        self._description = ros.publisher(node, "robot_description")
        self._description.publish(ros.String(data=robot.urdf_xml))
        self.available = ros.TFMessage is not None
        if not self.available:
            return
        self._tree = FrameTree(model, robot)
        self._static, self._moving = ros.publisher(node, "tf_static"), ros.publisher(node, "tf")
        self._static.publish(ros.TFMessage(transforms=self._tree.static(first.observation.time)))

    def publish(self, instant: Instant) -> None:
        """Where everything is, if somebody wants to know."""
        if self.available and self._moving.get_subscription_count():
            self._moving.publish(ros.TFMessage(transforms=self._tree.moving(instant)))
