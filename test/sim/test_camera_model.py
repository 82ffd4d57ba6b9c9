import cv2
import mujoco
import numpy as np
import pytest

from steadyhand.sim.camera_model import camera_pose, intrinsics
from steadyhand.sim.render import Renderer
from steadyhand.sim.robot import load_robot
from steadyhand.sim.scene import build_spec, compile, home_qpos

WIDTH, HEIGHT = 320, 240
POINTS = np.array([[0.45, 0.0, 0.1], [0.4, 0.25, 0.02], [0.55, -0.1, 0.3], [0.3, 0.15, 0.05]])


def test_field_of_view():
    """The rays through the middles of the upper and the lower edge of the picture enclose fovy."""
    K = intrinsics(44.0, WIDTH, HEIGHT)
    edges = np.linalg.solve(K, [[159.5, 159.5], [-0.5, HEIGHT - 0.5], [1.0, 1.0]])
    edges /= np.linalg.norm(edges, axis=0)
    assert np.rad2deg(np.arccos(edges[:, 0] @ edges[:, 1])) == pytest.approx(44.0)


@pytest.mark.parametrize("point", POINTS)
def test_points_are_drawn_where_the_model_projects_them(point):
    """A glowing ball: the middle of its pixels is where OpenCV projects its centre, to a third of a pixel."""
    robot = load_robot("fr3")
    spec = build_spec(robot)
    spec.worldbody.add_geom(size=[0.018, 0, 0], pos=point, rgba=[0, 1, 0, 1]).group = 0
    spec.geoms[-1].material = "glow"
    spec.add_material(name="glow", emission=1.0, rgba=[0, 1, 0, 1])
    model = compile(spec)
    data = mujoco.MjData(model)
    data.qpos[:] = home_qpos(model, robot)
    mujoco.mj_forward(model, data)
    T_camera_world = np.linalg.inv(camera_pose(data, "front"))
    K = intrinsics(model.camera("front").fovy[0], WIDTH, HEIGHT)
    turn = cv2.Rodrigues(T_camera_world[:3, :3])[0]
    expected = cv2.projectPoints(point, turn, T_camera_world[:3, 3], K, None)[0].ravel()
    renderer = Renderer(model, WIDTH, HEIGHT)
    red, green, _ = np.moveaxis(renderer.render(data.qpos, "front").astype(int), -1, 0)
    renderer.close()
    rows, columns = np.nonzero(green > red + 100)
    assert len(rows) > 20
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=1 / 3)
