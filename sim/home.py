"""A posture to start from, for an arm whose description names none."""

import numpy as np
import pinocchio

from steadyhand.errors import SteadyhandError
from steadyhand.sim.urdf import Urdf

_TRIES = 4000
_MIDDLE = 0.8  # part of the joints' range that is used


def choose_home(urdf: Urdf, joints: tuple[str, ...], tool_frame: str) -> tuple[float, ...]:
    """Posture (n,) in rad: of random ones the farthest from singular, tool before the base and pointing down, elbow up.

    The same for the same arm. Every joint stays in the middle of its range, the whole arm above the table, and links
    that are no neighbours apart. Contact bodies are not looked at: the twin refuses a home in which the arm touches.
    """
    model = pinocchio.buildModelFromXML(urdf.xml)
    data, tool = model.createData(), model.getFrameId(tool_frame)
    lower, upper = _range(urdf, joints)
    rng = np.random.default_rng(0)
    best, posture = -1.0, 0.5 * (lower + upper)
    for number in range(_TRIES):
        refining = number > _TRIES * 3 // 4 and best >= 0.0
        angles = np.clip(rng.normal(posture, 0.1), lower, upper) if refining else rng.uniform(lower, upper)
        q = _configuration(model, joints, angles)
        pinocchio.computeJointJacobians(model, data, q)
        pinocchio.updateFramePlacements(model, data)
        score = _score(model, data, tool)
        if score > best:
            best, posture = score, angles
    if best < 0.0:
        raise SteadyhandError(f"{urdf.path}: found no posture to start from; give 'q_home' in a robot file")
    return tuple(round(float(angle), 3) for angle in posture)


def _score(model, data, tool: int) -> float:
    """Of a posture whose placements and Jacobians are known; -1 if it is none to start from."""
    points = np.array([data.oMi[i].translation for i in range(1, model.njoints)] + [data.oMf[tool].translation])
    reach = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    x, y = points[-1, :2] - points[0, :2]
    z = points[-1, 2]
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    before = 0.25 * reach < x and abs(y) < 0.1 * reach and 0.3 * reach < z < 0.65 * reach
    near = gaps[np.triu_indices(len(points), 4)]
    clearance = points[2:, 2].min() / reach
    if not before or clearance < 0.1 or (near.size and near.min() < 0.12 * reach):
        return -1.0
    jacobian = pinocchio.getFrameJacobian(model, data, tool, pinocchio.LOCAL_WORLD_ALIGNED)
    axis = jacobian[3:, -1]  # of the last joint; the tool is ahead on it
    down = -axis[2] * (1.0 if axis @ (points[-1] - points[-3]) >= 0.0 else -1.0)
    jacobian[:3] /= reach
    return float(np.linalg.svd(jacobian, compute_uv=False)[-1] * (1.0 + down) ** 4 * clearance)


def _range(urdf: Urdf, joints: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where joints may be at the start, lower and upper (n,): the middle of their range, at most half a turn."""
    limits = np.array(
        [
            (-np.pi, np.pi)
            if urdf.joints[name].type == "continuous"
            else (urdf.joints[name].lower, urdf.joints[name].upper)
            for name in joints
        ]
    )
    centre, half = limits.mean(axis=1), 0.5 * _MIDDLE * np.diff(limits, axis=1)[:, 0]
    half = np.minimum(half, _MIDDLE * np.pi)
    return centre - half, centre + half


def _configuration(model, joints: tuple[str, ...], angles: np.ndarray) -> np.ndarray:
    """Pinocchio's q; a continuous joint takes cosine and sine in it."""
    q = pinocchio.neutral(model)
    for name, angle in zip(joints, angles, strict=True):
        joint = model.joints[model.getJointId(name)]
        q[joint.idx_q : joint.idx_q + joint.nq] = [angle] if joint.nq == 1 else [np.cos(angle), np.sin(angle)]
    return q
