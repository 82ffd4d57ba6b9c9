"""The twin's frames for viewers (RViz, Foxglove): every link, object and camera as /tf."""

from collections.abc import Sequence

import numpy as np
import pinocchio
from scipy.spatial.transform import Rotation

from steadyhand import ros, ros_messages
from steadyhand.sim.camera_model import OPTICAL
from steadyhand.sim.env import MountedArm, World
from steadyhand.sim.realtime import Instant, Shadow
from steadyhand.sim.ros_cameras import optical_frame
from steadyhand.sim.urdf import MOVABLE

NO_TF = (
    "no /tf: there is no wheel of tf2_msgs; source a ROS distribution, or let robot_state_publisher make it from "
    "joint_states and robot_description"
)
WORLD = "world"
"""The frame that several arms stand in."""


class FrameTree:
    """Parents and poses of all frames of a scene, from one state of it.

    A single arm's base is the root. Two arms stand in the frame ``world``, and their frames carry their prefixes.
    """

    def __init__(self, world: World, arms: Sequence[MountedArm]) -> None:
        """Of all the scene but the arms that are not among ``arms``."""
        self._model, self._shadow = world.model, Shadow(world.model)
        self._arms, self._links = arms, [_Links(arm, self._shadow) for arm in arms]
        self._root = WORLD if arms[0].mount.prefix else arms[0].robot.base_frame
        self._objects = [name for body in world.objects if (name := world.model.body(body).name)]
        shown = {arm.mount.prefix for arm in arms}
        hidden = {body for arm in world.arms if arm.mount.prefix not in shown for body in _links(arm)}
        carriers = [world.model.body(body).name for body in world.model.cam_bodyid]
        self._cameras = [i for i, body in enumerate(carriers) if body not in hidden]

    def static(self, stamp: float) -> list[ros.TransformStamped]:
        """Fixed links, where two arms stand, and the optical frames of the cameras on what carries them."""
        transforms = [self._stand(arm, stamp) for arm in self._arms if arm.mount.prefix]
        for links in self._links:
            transforms += links.fixed(stamp)
        return transforms + [self._camera(i, stamp) for i in self._cameras]

    def moving(self, instant: Instant) -> list[ros.TransformStamped]:
        """Links on joints, and the task's objects in the root's frame."""
        self._shadow.show(instant)
        stamp = instant.observation.time
        transforms = [
            ros_messages.transform(self._root, name, *self._shadow.body_pose(name), stamp) for name in self._objects
        ]
        for links in self._links:
            transforms += links.moving(stamp)
        return transforms

    def _stand(self, arm: MountedArm, stamp: float) -> ros.TransformStamped:
        mount = arm.mount
        w, x, y, z = mount.quaternion
        base = mount.prefix + arm.robot.base_frame
        return ros_messages.transform(WORLD, base, [mount.x, mount.y, 0.0], [x, y, z, w], stamp)

    def _camera(self, index: int, stamp: float) -> ros.TransformStamped:
        model = self._model
        body = int(model.cam_bodyid[index])
        parent = model.body(body).name if body else self._root
        turned = Rotation.from_quat(model.cam_quat[index], scalar_first=True) * Rotation.from_matrix(OPTICAL)
        name = optical_frame(model.camera(index).name)
        return ros_messages.transform(parent, name, model.cam_pos[index], turned.as_quat(), stamp)


class _Links:
    """The links of one arm."""

    def __init__(self, arm: MountedArm, shadow: Shadow) -> None:
        self._prefix, self._shadow, urdf = arm.mount.prefix, shadow, arm.robot.urdf
        self._arm = pinocchio.buildModelFromXML(arm.robot.urdf_xml)
        self._data, self._q = self._arm.createData(), pinocchio.neutral(self._arm)
        self._frames = {link: self._arm.getFrameId(link, pinocchio.FrameType.BODY) for link in urdf.links}
        joints = urdf.joints.values()
        self._moving = [(joint.parent, joint.child) for joint in joints if joint.type in MOVABLE]
        self._fixed = [(joint.parent, joint.child) for joint in joints if joint.type not in MOVABLE]

    def fixed(self, stamp: float) -> list[ros.TransformStamped]:
        """Those that no joint moves."""
        return self._all(self._fixed, stamp)

    def moving(self, stamp: float) -> list[ros.TransformStamped]:
        """Those on joints, as the shadow stands."""
        return self._all(self._moving, stamp)

    def _all(self, pairs: list[tuple[str, str]], stamp: float) -> list[ros.TransformStamped]:
        for name, joint in list(zip(self._arm.names, self._arm.joints, strict=True))[1:]:  # the first is no joint
            q = self._shadow.data.joint(self._prefix + name).qpos[0]
            self._q[joint.idx_q : joint.idx_q + joint.nq] = [q] if joint.nq == 1 else [np.cos(q), np.sin(q)]
        pinocchio.framesForwardKinematics(self._arm, self._data, self._q)
        return [self._link(*pair, stamp) for pair in pairs]

    def _link(self, parent: str, child: str, stamp: float) -> ros.TransformStamped:
        pose = self._data.oMf[self._frames[parent]].actInv(self._data.oMf[self._frames[child]])
        place = pose.translation, pinocchio.Quaternion(pose.rotation).coeffs()
        return ros_messages.transform(self._prefix + parent, self._prefix + child, *place, stamp)


def _links(arm: MountedArm) -> set[str]:
    return {arm.mount.prefix + link for link in arm.robot.urdf.links}


class FrameTopics:
    """Publishes tf_static and tf, where tf2_msgs is installed."""

    def __init__(self, node: ros.Node, world: World, arms: Sequence[MountedArm], first: Instant) -> None:
        """Publish what stays as it is."""
        self.available = ros.TFMessage is not None
        if not self.available:
            return
        self._tree = FrameTree(world, arms)
        self._static, self._moving = ros.publisher(node, "tf_static"), ros.publisher(node, "tf")
        self._static.publish(ros.TFMessage(transforms=self._tree.static(first.observation.time)))

    def publish(self, instant: Instant) -> None:
        """Where everything is, if somebody wants to know."""
        if self.available and self._moving.get_subscription_count():
            self._moving.publish(ros.TFMessage(transforms=self._tree.moving(instant)))
