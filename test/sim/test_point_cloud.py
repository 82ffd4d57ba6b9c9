"""Point clouds of a scene whose surfaces are known: the table, the peg and the fixture are planes and boxes."""

import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import Episode, World
from steadyhand.sim.point_cloud import CloudSpec, capture, fuse, thin
from steadyhand.sim.render import Renderer
from steadyhand.sim.tasks.peg_insertion import HOLE_DEPTH, PEG_HALF

EXACT = 2e-5  # m: what 32 bits hold of a depth at the distance of the table
PAIRS = [("front", "side"), ("front", "wrist")]


@pytest.fixture(scope="module")
def scene():
    """(renderer, data) of the start of an episode of peg_insertion."""
    episode = Episode(World.load("fr3", "peg_insertion"))
    episode.reset(3)
    renderer = Renderer(episode.world.model, 224, 224)
    yield renderer, renderer.pose(episode.twin.qpos, episode.twin.mocap)
    renderer.close()


def points(scene, cameras, *bodies, colours=False) -> np.ndarray:
    """All points of some bodies, or of all, neither cut nor thinned."""
    renderer, data = scene
    spec = CloudSpec(bodies=bodies, colours=colours)
    return fuse({name: renderer.view(data, name, depth=True, bodies=True) for name in cameras}, data, spec)


@pytest.mark.parametrize("camera", ["front", "side", "wrist"])
def test_the_pegs_points_lie_on_the_faces_of_its_box(scene, camera):
    peg = scene[1].body("peg")
    cloud = (points(scene, [camera], "peg") - peg.xpos) @ peg.xmat.reshape(3, 3)
    assert len(cloud) > 50
    assert (np.abs(cloud) < PEG_HALF + EXACT).all()
    to_face = np.abs(np.abs(cloud) - PEG_HALF).min(axis=1)
    assert to_face.max() < EXACT


@pytest.mark.parametrize("camera", ["front", "side", "wrist"])
def test_the_table_is_at_height_zero(scene, camera):
    cloud = points(scene, [camera], "world")
    on_table = cloud[(cloud[:, 2] > -0.03) & (cloud[:, 0] > 0.0) & (cloud[:, 0] < 0.95)]
    assert len(on_table) > 1000
    assert np.abs(on_table[:, 2]).max() < EXACT


@pytest.mark.parametrize("pair", PAIRS)
def test_two_cameras_agree(scene, pair):
    """Both see the rim of the fixture at its height, and the fixture at one place, as near as pixels are dense."""
    for camera in pair:
        height = points(scene, [camera], "hole")[:, 2]
        assert height.max() < HOLE_DEPTH + EXACT
        assert (height > HOLE_DEPTH - EXACT).sum() > 50
    here, there = (points(scene, [camera], "hole") for camera in pair)
    distances, _ = cKDTree(here).query(there)
    assert np.median(distances) < 3e-3
    both = points(scene, pair, "hole")
    assert len(both) == len(here) + len(there)


def test_the_second_camera_sees_what_is_hidden_from_the_first(scene):
    """Three upright faces of the peg instead of two."""
    peg = scene[1].body("peg")

    def upright_faces(*cameras):
        cloud = (points(scene, cameras, "peg") - peg.xpos) @ peg.xmat.reshape(3, 3)
        ends = [np.abs(sign * cloud[:, axis] - PEG_HALF[axis]) for axis in (0, 1) for sign in (-1, 1)]
        return sum((distance < EXACT).sum() > 10 for distance in ends)

    assert upright_faces("front") == upright_faces("side") == 2
    assert upright_faces("front", "side") == 3


def test_colours_belong_to_their_points(scene):
    peg, fixture = (points(scene, PAIRS[0], body, colours=True)[:, 3:] for body in ("peg", "hole"))
    for colour in (peg, fixture):
        assert colour.min() >= 0.0
        assert colour.max() <= 1.0
    assert (peg[:, 0] > 1.5 * peg[:, 2]).all()  # orange
    assert (fixture[:, 2] > 1.5 * fixture[:, 0]).all()  # blue


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_cloud_has_a_fixed_size_and_is_the_same_every_time(scene, pair, colours):
    spec = CloudSpec(points=500, colours=colours)
    cloud = capture(*scene, pair, spec)
    assert (cloud.shape, cloud.dtype) == (spec.shape, np.float32) == ((500, 6 if colours else 3), np.float32)
    assert len(np.unique(cloud, axis=0)) == 500
    assert (cloud[:, :3] >= np.float32(spec.lower)).all()
    assert (cloud[:, :3] <= np.float32(spec.upper)).all()
    np.testing.assert_array_equal(capture(*scene, pair, spec), cloud)


def test_only_the_bodies_that_are_asked_for(scene):
    cloud = capture(*scene, PAIRS[0], CloudSpec(points=100, bodies=("peg",)))
    peg = scene[1].body("peg")
    local = (cloud - peg.xpos) @ peg.xmat.reshape(3, 3)
    assert (np.abs(local) < PEG_HALF + EXACT).all()


def test_points_of_a_cell_are_averaged_and_repeated_where_too_few():
    cell = np.random.default_rng(0).uniform(0.3, 0.301, (200, 3)).astype(np.float32)
    cloud = thin(cell, CloudSpec(points=5, voxel=0.01, neighbours=0))
    np.testing.assert_allclose(cloud, np.broadcast_to(cell.mean(axis=0), (5, 3)), atol=1e-6)
    np.testing.assert_array_equal(thin(cell + 5.0, CloudSpec(points=5)), np.zeros((5, 3)))


def test_stray_points_are_dropped():
    rng = np.random.default_rng(0)
    wall = np.column_stack([np.full(2000, 0.4), rng.uniform(-0.1, 0.1, 2000), rng.uniform(0.1, 0.3, 2000)])
    stray = rng.uniform([0.6, -0.4, 0.1], [0.8, 0.4, 0.6], (10, 3))
    cloud = np.vstack([wall, stray])
    kept = thin(cloud, CloudSpec(points=1500, voxel=0.0))
    assert kept[:, 0].max() < 0.401
    assert thin(cloud, CloudSpec(points=1500, voxel=0.0, neighbours=0))[:, 0].max() > 0.6


def test_points_are_spread_over_the_cloud():
    """The farthest points of a line, however unevenly it is sampled, have even gaps."""
    x = np.random.default_rng(0).beta(1.0, 4.0, 20000) * 0.5 + 0.2
    line = np.column_stack([x, np.zeros_like(x), np.full_like(x, 0.1)])
    kept = np.sort(thin(line, CloudSpec(points=33, voxel=0.0, neighbours=0))[:, 0])
    assert np.diff(kept).max() < 2.5 * np.diff(kept).min()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points": 0}, "cloud: points is 0; give a whole number from 1"),
        ({"neighbours": 1.5}, "cloud: neighbours is 1.5; give a whole number from 0"),
        ({"voxel": -0.01}, "cloud: voxel is -0.01; give metres"),
        ({"deviations": float("nan")}, "cloud: deviations is nan; give a number above 0"),
        ({"lower": (0, 0)}, "each of lower below that of upper"),
        ({"upper": (0.0, 1.0, 1.0)}, "holds nothing"),
    ],
)
def test_a_cloud_that_makes_no_sense_is_refused(given, message):
    with pytest.raises(SteadyhandError, match=message):
        CloudSpec(**given)


def test_an_unknown_body_is_answered_with_the_known_ones(scene):
    with pytest.raises(SteadyhandError, match=r"unknown body 'cup'; allowed: world, .*, peg, hole"):
        capture(*scene, ["front"], CloudSpec(bodies=("cup",)))


def test_without_open3d_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(SteadyhandError, match=r"need open3d .*pip install 'steadyhand\[pointcloud\]'") as caught:
        thin(np.zeros((1, 3)), CloudSpec())
    assert "\n" not in str(caught.value)
