"""Frames for viewers: against MuJoCo's kinematics and its pictures."""

import numpy as np
import pytest
from listening import Listener
from scipy.spatial.transform import Rotation

from steadyhand import ros, ros_messages
from steadyhand.sim.camera_model import intrinsics
from steadyhand.sim.env import World
from steadyhand.sim.realtime import Instant
from steadyhand.sim.render import Renderer
from steadyhand.sim.ros_frames import NO_TF, FrameTree
from steadyhand.sim.tasks import draw

SIZE = 320, 240


def instant(world: World, qpos: np.ndarray, mocap: np.ndarray) -> Instant:
    twin = world.twin()
    twin.reset(qpos, mocap)
    return Instant(tuple(twin.observe(arm) for arm in range(len(world.arms))), qpos, mocap)


def drawn(world: World, seed: int) -> Instant:
    """The task's start of a seed, with the arms somewhere."""
    rng = np.random.default_rng(seed)
    begin = world.task.start(world.model, world.home, draw(world.task.ranges, rng)) if world.task else None
    qpos = world.home.copy() if begin is None else begin.qpos.copy()
    for name in (arm.mount.prefix + joint for arm in world.arms for joint in arm.robot.joints):
        qpos[world.model.joint(name).qposadr[0]] += rng.uniform(-0.5, 0.5)
    return instant(world, qpos, np.zeros(0) if begin is None else begin.mocap)


def root(world: World) -> str:
    """MuJoCo's world: the base frame of a single arm."""
    return world.robot.base_frame if len(world.arms) == 1 else "world"


def in_root(world: World, transforms: list) -> dict[str, tuple[np.ndarray, Rotation]]:
    """Poses in the frame at the root, from a tree of transforms in any order."""
    by_child = {t.child_frame_id: t for t in transforms}
    assert len(by_child) == len(transforms)  # every frame has one parent

    def pose(name: str) -> tuple[np.ndarray, Rotation]:
        if name == root(world):
            return np.zeros(3), Rotation.identity()
        t = by_child[name]
        p, q = t.transform.translation, t.transform.rotation
        origin, turned = pose(t.header.frame_id)
        return origin + turned.apply([p.x, p.y, p.z]), turned * Rotation.from_quat([q.x, q.y, q.z, q.w])

    return {name: pose(name) for name in by_child}


@pytest.mark.parametrize(("robot", "task"), [("fr3", "peg_insertion"), ("gen3", None), ("fr3", "handover")])
def test_every_link_and_object_is_where_mujoco_has_it(robot, task):
    world = World.load(robot, task)
    tree, now = FrameTree(world, world.arms), drawn(world, 3)
    moving = tree.moving(now)
    assert all(ros_messages.get_stamp(t) == pytest.approx(now.observation.time) for t in moving)
    frames = in_root(world, tree.static(0.0) + moving)
    bodies = {world.model.body(i).name for i in range(1, world.model.nbody)}
    links = {arm.mount.prefix + link for arm in world.arms for link in arm.robot.urdf.links}
    assert links | bodies <= frames.keys() | {root(world)}
    twin = world.twin()
    twin.reset(now.qpos, now.mocap)
    for name in bodies - {root(world)}:
        position, quaternion = twin.body_pose(name)
        np.testing.assert_allclose(frames[name][0], position, atol=1e-6)
        assert (frames[name][1].inv() * Rotation.from_quat(quaternion)).magnitude() < 1e-5
    for arm, observation in zip(world.arms, now.observations, strict=True):
        tool = frames[arm.mount.prefix + arm.robot.tool_frame][0]
        np.testing.assert_allclose(arm.mount.to_base(tool), observation.position, atol=1e-6)


def test_the_frames_of_one_arm_of_two_are_a_tree_of_their_own():
    """With the objects and the cameras that stand in the room, and nothing of the other arm."""
    world = World.load("fr3", "handover")
    now = drawn(world, 3)
    both, left = (FrameTree(world, arms) for arms in (world.arms, world.arms[:1]))
    mine, all_of_them = (in_root(world, tree.static(0.0) + tree.moving(now)) for tree in (left, both))
    assert {"left_base", "left_fr3_hand_tcp", "left_wrist_optical_frame", "front_optical_frame", "bar"} <= mine.keys()
    assert {name for name in all_of_them if not name.startswith("right_")} == mine.keys()
    for name, (position, _) in mine.items():
        np.testing.assert_allclose(position, all_of_them[name][0], atol=1e-9)
    np.testing.assert_allclose(mine["left_base"][0], world.arms[0].mount.to_world(np.zeros(3)))


def test_a_point_is_seen_where_camera_info_and_frames_put_it():
    """The middle of the peg's pixels, and the projection of its centre by K through the optical frame."""
    world = World.load("fr3", "peg_insertion")
    begin = world.task.start(world.model, world.home, draw(world.task.ranges, np.random.default_rng(1)))
    now = instant(world, begin.qpos, begin.mocap)
    tree = FrameTree(world, world.arms)
    frames = in_root(world, tree.static(0.0) + tree.moving(now))
    K = intrinsics(float(world.model.camera("front").fovy[0]), *SIZE)
    info = ros_messages.camera_info(*SIZE, K, 0.0, "front_optical_frame")
    origin, turned = frames[info.header.frame_id]
    x, y, z = np.reshape(info.k, (3, 3)) @ turned.inv().apply(frames["peg"][0] - origin)
    renderer = Renderer(world.model, *SIZE)
    pixels = renderer.render(now.qpos, "front", now.mocap).astype(int)
    renderer.close()
    rows, columns = np.nonzero((pixels[..., 0] > 100) & (pixels[..., 0] > 1.5 * pixels[..., 2] + 40))
    assert len(rows) > 50
    assert abs(columns.mean() - x / z) < 2.0
    assert abs(rows.mean() - y / z) < 2.0
    np.testing.assert_array_equal(np.reshape(info.p, (3, 4))[:, :3].ravel(), info.k)


def test_viewers_get_description_and_frames(processes):
    """Without tf2_msgs, of which there is no wheel, the twin says so."""
    process = processes.start("twin", "--cameras", "none", "--namespace", "left")
    with ros.running("viewer", "left", Listener) as viewer:
        viewer.listen("robot_description")  # latched: whenever one comes
        viewer.wait_for(lambda: viewer.count("robot_description"), 20, processes.check)
        assert "fr3_link7" in viewer.last("robot_description").data
        if ros.TFMessage is None:
            viewer.wait_for(lambda: NO_TF in processes.log("twin").read_text())
            return
        viewer.listen("tf_static")
        viewer.listen("tf")
        viewer.wait_for(lambda: viewer.count("tf_static") and viewer.count("tf") > 5)
        names = {t.child_frame_id for name in ("tf", "tf_static") for t in viewer.last(name).transforms}
        assert {"fr3_link7", "fr3_hand_tcp", "peg", "hole", "wrist_optical_frame"} <= names
        assert process.poll() is None
