"""Point clouds in the robot's base frame, from the depth pictures of one or more cameras."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np

from steadyhand.errors import SteadyhandError, one_line, unknown
from steadyhand.sim.camera_model import camera_pose, intrinsics
from steadyhand.sim.render import Renderer, View, body_names


@dataclass(frozen=True)
class CloudSpec:
    """How a cloud is cut, thinned and brought to a fixed number of points. SteadyhandError if that makes no sense."""

    points: int = 1024
    lower: Sequence[float] = (0.1, -0.5, 0.002)  # m, corners of the box that is kept: by default the space
    upper: Sequence[float] = (0.9, 0.5, 0.7)  # above the table, without the table
    voxel: float = 0.005  # m, edge of the cells whose points are averaged; 0 keeps all points
    neighbours: int = 16  # of a point, for telling outliers; 0 keeps them
    deviations: float = 2.0  # standard deviations of the mean distance to the neighbours that are no outlier yet
    colours: bool = False  # three more columns, red green blue from 0 to 1
    bodies: Sequence[str] = ()  # keep the points of these bodies only; none: all

    def __post_init__(self) -> None:
        for name, least in (("points", 1), ("neighbours", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SteadyhandError(f"cloud: {name} is {value!r}; give a whole number from {least}")
        if not (math.isfinite(self.voxel) and self.voxel >= 0.0):
            raise SteadyhandError(f"cloud: voxel is {self.voxel!r}; give metres, 0 to keep all points")
        if not (math.isfinite(self.deviations) and self.deviations > 0.0):
            raise SteadyhandError(f"cloud: deviations is {self.deviations!r}; give a number above 0")
        if len(self.lower) != 3 or len(self.upper) != 3 or not np.less(self.lower, self.upper).all():
            raise SteadyhandError(
                f"cloud: the box from {tuple(self.lower)} to {tuple(self.upper)} holds nothing; "
                "give x, y, z in m, each of lower below that of upper"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Of the cloud: points, and 3 or 6 columns."""
        return self.points, 6 if self.colours else 3


def back_project(depth: np.ndarray, K: np.ndarray, T_world_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points in the base frame of the pixels that show something.

    Args:
        depth: Metres along the optical axis (h, w), 0 where there is nothing.
        K: Camera matrix (3, 3).
        T_world_camera: Pose of the optical frame (4, 4).

    Returns:
        Points (n, 3) float32 in m, row by row of the picture, and which pixels (h, w) they are of.
    """
    seen = depth > 0.0
    points = _rays(K.tobytes(), *depth.shape)[seen] * depth[seen, None]
    return points @ T_world_camera[:3, :3].T.astype(np.float32) + T_world_camera[:3, 3].astype(np.float32), seen


@lru_cache(maxsize=16)
def _rays(K: bytes, height: int, width: int) -> np.ndarray:
    """Where the rays of all pixels (h, w, 3) pass the plane one metre before the camera."""
    rows, columns = np.indices((height, width))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    return (pixels @ np.linalg.inv(np.frombuffer(K).reshape(3, 3)).T).astype(np.float32)


def capture(
    renderer: Renderer, data: mujoco.MjData, cameras: Sequence[str], spec: CloudSpec | None = None
) -> np.ndarray:
    """See a state through cameras and return their common cloud (points, 3 or 6) float32, the same every time.

    Args:
        renderer: Draws the depth pictures, in its size.
        data: A state whose kinematics are computed, for example ``renderer.pose(...)``.
        cameras: Names of one or more cameras; the second sees what is hidden from the first.
        spec: Box, density and size; None: the defaults.
    """
    spec = spec or CloudSpec()
    views = {name: renderer.view(data, name, spec.colours, depth=True, bodies=bool(spec.bodies)) for name in cameras}
    return thin(fuse(views, data, spec), spec)


def fuse(views: Mapping[str, View], data: mujoco.MjData, spec: CloudSpec) -> np.ndarray:
    """All points (n, 3 or 6) float32 of what cameras see of a state, before anything is cut or thinned.

    The views need depth, and what the spec asks for: rgb for its colours, bodies for its bodies.
    """
    wanted = body_numbers(data.model, spec.bodies)
    parts = []
    for name, view in views.items():
        depth = view.depth if not wanted else np.where(np.isin(view.bodies, wanted), view.depth, np.float32(0.0))
        K = intrinsics(float(data.model.camera(name).fovy[0]), depth.shape[1], depth.shape[0])
        points, seen = back_project(depth, K, camera_pose(data, name))
        parts.append(np.hstack([points, view.rgb[seen] / np.float32(255.0)]) if spec.colours else points)
    return np.concatenate(parts)


def thin(cloud: np.ndarray, spec: CloudSpec) -> np.ndarray:
    """Cut a cloud (n, 3 or 6), average it in cells, drop outliers and keep the farthest points of what is left.

    Returns:
        The cloud (points, 3 or 6) float32. Where fewer points are left, they are repeated; where none are, all is 0.

    Raises:
        SteadyhandError: open3d is not installed.
    """
    open3d = load_open3d()
    inside = ((cloud[:, :3] >= spec.lower) & (cloud[:, :3] <= spec.upper)).all(axis=1)
    cloud = cloud[inside].astype(np.float64)
    kept = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(cloud[:, :3]))
    if spec.colours:
        kept.colors = open3d.utility.Vector3dVector(cloud[:, 3:])
    if spec.voxel:
        kept = kept.voxel_down_sample(spec.voxel)
    if spec.neighbours and len(kept.points):
        kept, _ = kept.remove_statistical_outlier(spec.neighbours, spec.deviations)
    if len(kept.points) > spec.points:
        kept = kept.farthest_point_down_sample(spec.points)
    rows = np.hstack([kept.points, kept.colors]) if spec.colours else np.asarray(kept.points)
    return np.resize(rows, spec.shape).astype(np.float32) if len(rows) else np.zeros(spec.shape, np.float32)


def body_numbers(model: mujoco.MjModel, names: Sequence[str]) -> list[int]:
    """Numbers of bodies in ``View.bodies``; SteadyhandError lists the names if there is no such body."""
    known = body_names(model)
    for name in names:
        if name not in known:
            raise unknown("body", name, known)
    return [known.index(name) for name in names]


def load_open3d() -> Any:
    """The library that thins clouds; it is optional, and takes a second to load."""
    try:
        import open3d
    except (ImportError, OSError) as error:  # it may be there, and a system library of it not
        raise SteadyhandError(
            f"point clouds need open3d ({one_line(error)}); pip install 'steadyhand[pointcloud]'; "
            "`steadyhand doctor` names system libraries"
        ) from error
    return open3d
