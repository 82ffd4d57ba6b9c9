import logging

import mujoco
import numpy as np
import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim import render
from steadyhand.sim.camera_model import camera_pose, intrinsics
from steadyhand.sim.render import Renderer, gl_backend
from steadyhand.sim.robot import load_robot
from steadyhand.sim.scene import VISUAL_GROUP, build_spec, compile, home_qpos


@pytest.fixture(scope="module")
def robot():
    return load_robot("fr3")


@pytest.fixture(scope="module")
def model(robot):
    spec = build_spec(robot)
    spec.worldbody.add_body(name="marker", mocap=True, pos=[0.5, 0, 0.05]).add_geom(size=[0.1, 0, 0])
    return compile(spec)


def test_both_cameras_see_the_arm_move(robot, model):
    renderer = Renderer(model, 160, 120)
    home = home_qpos(model, robot)
    moved = home.copy()
    moved[0] += 0.5
    for camera in ("front", "wrist"):
        picture = renderer.render(home, camera)
        assert picture.shape == (120, 160, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 10
        assert np.abs(renderer.render(moved, camera).astype(int) - picture).mean() > 1
    renderer.close()


def test_mocap_bodies_move(robot, model):
    renderer = Renderer(model, 160, 120)
    home = home_qpos(model, robot)
    here = renderer.render(home, "front", np.array([0.5, 0, 0.05, 1, 0, 0, 0]))
    there = renderer.render(home, "front", np.array([0.5, 0.2, 0.05, 1, 0, 0, 0]))
    assert np.abs(here.astype(int) - there).max() > 20


def seen_along_rays(model, data, camera, pixels):
    """What MuJoCo's own rays through pixels (n, 2) x y meet: distance along the optical axis and body, 0 and -1."""
    T_world_camera = camera_pose(data, camera)
    K = intrinsics(model.camera(camera).fovy[0], 160, 120)
    drawn, geom = np.isin(np.arange(6), [0, VISUAL_GROUP]).astype(np.uint8), np.zeros(1, np.int32)
    depths, bodies = [], []
    for x, y in pixels:
        ray = np.linalg.solve(K, [x, y, 1.0])
        length = np.linalg.norm(ray)
        direction = T_world_camera[:3, :3] @ ray / length
        distance = mujoco.mj_ray(model, data, T_world_camera[:3, 3], direction, drawn, 1, -1, geom, None)
        depths.append(max(distance, 0.0) / length)
        bodies.append(model.geom_bodyid[geom[0]] if distance >= 0.0 else -1)
    return np.array(depths), np.array(bodies)


@pytest.mark.parametrize("camera", ["front", "side", "wrist"])
def test_depth_and_bodies_are_what_rays_meet(robot, model, camera):
    """At random pixels. On the edge between two bodies either may be met; what is round is drawn as facets."""
    renderer = Renderer(model, 160, 120)
    data = renderer.pose(home_qpos(model, robot))
    view = renderer.view(data, camera, depth=True, bodies=True)
    renderer.close()
    assert (view.depth.shape, view.depth.dtype, view.bodies.dtype) == ((120, 160), np.float32, np.int32)
    assert ((view.depth == 0.0) == (view.bodies == -1)).all()
    columns, rows = np.random.default_rng(0).integers((160, 120), size=(1000, 2)).T
    depths, bodies = seen_along_rays(model, data, camera, np.column_stack([columns, rows]))
    assert len(np.unique(bodies)) > 3
    same = view.bodies[rows, columns] == bodies
    assert same.mean() > 0.99
    error = np.abs(view.depth[rows, columns] - depths)
    flat = same & (bodies == 0) & (depths < 3.0)
    assert flat.sum() > 100
    assert np.quantile(error[flat], 0.99) < 1e-4
    assert np.quantile(error[same], 0.95) < 2e-3


def test_depth_of_the_table(robot, model):
    """The table is a plane, so its distance is known without any engine."""
    renderer = Renderer(model, 160, 120)
    data = renderer.pose(home_qpos(model, robot))
    view = renderer.view(data, "front", rgb=False, depth=True, bodies=True)
    renderer.close()
    rows, columns = np.indices(view.depth.shape)
    K, T_world_camera = intrinsics(model.camera("front").fovy[0], 160, 120), camera_pose(data, "front")
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(K).T @ T_world_camera[:3, :3].T
    origin = T_world_camera[:3, 3]
    table = -origin[2] / rays[..., 2]
    hit = origin + table[..., None] * rays
    on_table = (view.bodies == 0) & (np.abs(hit[..., :2] - [0.35, 0.0]) < [0.64, 0.69]).all(axis=-1) & (table > 0)
    assert on_table.sum() > 2000
    np.testing.assert_allclose(view.depth[on_table], table[on_table], atol=5e-5)


def test_a_view_holds_what_is_asked_for_and_pictures_stay_the_same(robot, model):
    renderer = Renderer(model, 160, 120)
    data = renderer.pose(home_qpos(model, robot))
    alone = renderer.draw(data, "side")
    everything = renderer.view(data, "side", depth=True, bodies=True)
    np.testing.assert_array_equal(everything.rgb, alone)
    np.testing.assert_array_equal(renderer.draw(data, "side"), alone)
    depth = renderer.view(data, "side", rgb=False, depth=True)
    assert depth.rgb is None
    assert depth.bodies is None
    assert (depth.depth == 0.0).any()
    np.testing.assert_array_equal(depth.depth, everything.depth)
    np.testing.assert_array_equal(renderer.view(data, "side", depth=True).depth, everything.depth)  # below the sky
    np.testing.assert_array_equal(renderer.view(data, "side", False, bodies=True).bodies, everything.bodies)
    renderer.close()


def test_renderers_do_not_disturb_each_other(robot, model):
    renderer = Renderer(model, 160, 120)
    home = home_qpos(model, robot)
    picture = renderer.render(home, "front")
    other = Renderer(model, 32, 32)
    other.close()
    other.close()
    np.testing.assert_array_equal(renderer.render(home, "front"), picture)
    renderer = Renderer(model, 160, 120)  # the old one is collected after the new one is open
    np.testing.assert_array_equal(renderer.render(home, "front"), picture)


def test_an_unknown_camera_is_answered_with_the_known_ones(robot, model):
    renderer = Renderer(model, 32, 32)
    with pytest.raises(SteadyhandError, match="unknown camera 'roof'; allowed: front, side, wrist"):
        renderer.render(home_qpos(model, robot), "roof")


def test_a_picture_larger_than_the_buffer_is_refused(model):
    with pytest.raises(SteadyhandError, match="allowed: 1x1 to 640x480"):
        Renderer(model, 1280, 960)


@pytest.fixture
def platforms(monkeypatch):
    """Pretend that only the given OpenGL platforms work, and that MUJOCO_GL says `asked`."""

    def pretend(working, asked=""):
        monkeypatch.setenv("MUJOCO_GL", asked)
        monkeypatch.setattr(render, "_probe", lambda name: "" if name in working else "broken driver")
        gl_backend.cache_clear()

    yield pretend
    gl_backend.cache_clear()


def test_egl_is_the_first_choice(platforms, caplog):
    platforms(["egl", "osmesa"])
    assert gl_backend() == "egl"
    assert not caplog.records


def test_osmesa_stands_in_and_says_so_once(platforms, caplog):
    platforms(["osmesa"])
    with caplog.at_level(logging.WARNING):
        assert gl_backend() == gl_backend() == "osmesa"
    assert [record.getMessage() for record in caplog.records] == [
        "EGL is not usable (broken driver); drawing with the slower OSMesa"
    ]


@pytest.mark.parametrize(("working", "asked"), [([], ""), (["osmesa"], "egl")])
def test_without_opengl_the_packages_are_named(platforms, working, asked):
    platforms(working, asked)
    with pytest.raises(SteadyhandError, match=r"egl: broken driver.*apt install libegl1 libgl1-mesa-dri"):
        gl_backend()


def test_a_wrong_choice_lists_the_allowed_ones(platforms):
    platforms(["egl"], "vulkan")
    with pytest.raises(SteadyhandError, match="unknown MUJOCO_GL 'vulkan'; allowed: egl, osmesa"):
        gl_backend()


def test_a_broken_platform_is_found_out_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", "99")
    assert "MUJOCO_EGL_DEVICE_ID" in render._probe("egl")
