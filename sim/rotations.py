"""Orientations in the two forms the stack uses: quaternions (xyzw, as in ROS) and the continuous 6-D form."""

import numpy as np
from scipy.spatial.transform import Rotation


def rot6d_from_quat(quat: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) xyzw to the first two columns of the rotation matrix (..., 6).

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", CVPR 2019.
    """
    x, y, z, w = np.moveaxis(np.asarray(quat, dtype=np.float64), -1, 0)
    first = [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]
    second = [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)]
    return np.stack(first + second, axis=-1)


def matrix_from_rot6d(rot6d: np.ndarray) -> np.ndarray:
    """6-D form (..., 6) to rotation matrices (..., 3, 3) by Gram-Schmidt; any two independent vectors will do.

    Vectors that span no plane, or are not finite, give NaN.
    """
    first, second = np.split(np.asarray(rot6d, dtype=np.float64), 2, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = first / np.linalg.norm(first, axis=-1, keepdims=True)
        y = second - np.sum(x * second, axis=-1, keepdims=True) * x
        y = y / np.linalg.norm(y, axis=-1, keepdims=True)
        return np.stack([x, y, np.cross(x, y)], axis=-1)


def quat_from_rot6d(rot6d: np.ndarray) -> np.ndarray:
    """6-D form (..., 6) to unit quaternions (..., 4) xyzw; NaN where the 6-D form is no rotation."""
    matrices = matrix_from_rot6d(rot6d).reshape(-1, 3, 3)
    rotations = np.isfinite(matrices).all(axis=(1, 2))
    quaternions = np.full((len(matrices), 4), np.nan)
    quaternions[rotations] = Rotation.from_matrix(matrices[rotations]).as_quat()
    return quaternions.reshape(*np.shape(rot6d)[:-1], 4)


def yaw_of(rot6d: np.ndarray) -> float:
    """Angle (rad) of the x axis of a rotation about the base's z axis."""
    return float(np.arctan2(rot6d[1], rot6d[0]))
