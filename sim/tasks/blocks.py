"""What the tasks with things to grasp share: how things are built, where they are, and what can be said of them."""

from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.rotations import matrix_from_rot6d, rot6d_from_quat, yaw_of
from steadyhand.sim.tasks.task import Scene

DENSITY = 700.0  # kg/m^3, of wood
REACH = 0.85  # m from the base beyond which nothing is grasped from above
LET_GO = 0.6  # gripper opening that holds nothing: what is grasped is at most 36 mm wide, an opening of 0.45
POSE = 9  # numbers of a pose in the truth: x y z, rot6d


def add_box(
    body: mujoco.MjsBody, centre: Sequence[float], half: Sequence[float], rgba: Sequence[float], **more
) -> None:
    """Add a box with half-lengths (3,) around a centre (3,) in the body's frame, m."""
    more = {"group": 2, "density": DENSITY} | more
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=list(centre), size=list(half), rgba=list(rgba), **more)


def add_block(
    spec: mujoco.MjSpec, name: str, half: Sequence[float], rgba: Sequence[float], at: Sequence[float]
) -> None:
    """Add a block that can be moved: free body and joint of this name, resting on the table at x, y."""
    body = spec.worldbody.add_body(name=name, pos=[*at, half[2]])
    body.add_freejoint(name=name)
    add_box(body, (0, 0, 0), half, rgba)


def pose_names(name: str) -> tuple[str, ...]:
    """Names of a pose's numbers (9,) in the truth."""
    return tuple(f"{name}.{key}" for key in ("x", "y", "z", "r0", "r1", "r2", "r3", "r4", "r5"))


def pose_of(scene: Scene, name: str) -> np.ndarray:
    """Pose (9,) of a body: position and rot6d."""
    position, quaternion = scene.body_pose(name)
    return np.concatenate([position, rot6d_from_quat(quaternion)])


def spot_names(name: str) -> tuple[str, ...]:
    """Names of the numbers (5,) in the truth of a thing that only stands and turns."""
    return tuple(f"{name}.{key}" for key in ("x", "y", "z", "cos_yaw", "sin_yaw"))


def spot_of(scene: Scene, name: str) -> np.ndarray:
    """Position, cosine and sine of the yaw (5,) of an upright body."""
    pose = pose_of(scene, name)
    yaw = yaw_of(pose[3:])
    return np.array([*pose[:3], np.cos(yaw), np.sin(yaw)])


def spot_mocap(x: float, y: float, z: float, yaw: float) -> np.ndarray:
    """Mocap pose (7,) of an upright body."""
    return np.array([x, y, z, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def seen_from(spot: np.ndarray, position: np.ndarray) -> np.ndarray:
    """A position (3,) in the frame of an upright thing (5,), m."""
    cos, sin = spot[3:5]
    x, y, z = position[:3] - spot[:3]
    return np.array([cos * x + sin * y, cos * y - sin * x, z])


def placed_at(spot: np.ndarray, local: Sequence[float]) -> np.ndarray:
    """A position (3,) in the frame of an upright thing (5,) back in the base's frame, m."""
    cos, sin = spot[3:5]
    return spot[:3] + np.array([cos * local[0] - sin * local[1], sin * local[0] + cos * local[1], local[2]])


def above(pose: np.ndarray, height: float) -> np.ndarray:
    """The position (3,) so many metres above a pose's."""
    return np.array([pose[0], pose[1], pose[2] + height])


def level_yaw(pose: np.ndarray) -> float:
    """Yaw (rad, alike after a quarter turn) of a cube's pose (9,), whichever face it lies on."""
    axes = matrix_from_rot6d(pose[3:9])
    level = axes[:, int(np.argmin(np.abs(axes[2])))]
    return float(np.arctan2(level[1], level[0]))


def upright(pose: np.ndarray) -> float:
    """Cosine of the tilt of a pose (9,): the z component of its z axis."""
    return float(pose[3] * pose[7] - pose[4] * pose[6])


def out_of_reach(pose: np.ndarray) -> bool:
    """Whether a thing is off the table or further away than the arm reaches."""
    return bool(pose[2] < -0.01 or np.linalg.norm(pose[:2]) > REACH)


def let_go(observation: Observation) -> bool:
    """Whether the fingers are too far apart to hold anything."""
    return observation.gripper > LET_GO


def holds(observation: Observation, position: np.ndarray) -> bool:
    """Whether the fingers are closed about a place (3,) where something is."""
    return bool(np.linalg.norm(observation.position - position[:3]) < 0.03 and observation.gripper < 0.5)


def nearness(distance: float, scale: float = 0.3) -> float:
    """Progress of a way that is still `distance` m long: 1 at its end, 0 from `scale` on."""
    return float(np.clip(1.0 - distance / scale, 0.0, 1.0))


class FrozenError:
    """An error of seeing a thing: drawn anew while the thing can be seen, and kept while it is hidden."""

    def __init__(self, rng: np.random.Generator, sigma: Sequence[float] | np.ndarray) -> None:
        self._rng, self._sigma = rng, sigma
        self._now = rng.normal(0.0, sigma)

    def look(self, hidden: bool) -> np.ndarray:
        """The error of now, as many numbers as sigma has."""
        if not hidden:
            self._now = self._rng.normal(0.0, self._sigma)
        return self._now
