import logging

import numpy as np
import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim import render
from steadyhand.sim.render import Renderer, gl_backend
from steadyhand.sim.robot import load_robot
from steadyhand.sim.scene import build_spec, compile, home_qpos


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
