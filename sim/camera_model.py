"""Pinhole model of the twin's cameras in the optical convention: x right, y down, z into the picture (REP 103)."""

import mujoco
import numpy as np

OPTICAL = np.diag([1.0, -1.0, -1.0])  # MuJoCo's cameras have y up and look along -z


def intrinsics(fovy: float, width: int, height: int) -> np.ndarray:
    """Camera matrix K (3, 3) of square pixels whose centres have whole coordinates, (0, 0) at the top left.

    Args:
        fovy: Vertical field of view, degrees, as MuJoCo and the robot files give it.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """
    focal = 0.5 * height / np.tan(0.5 * np.deg2rad(fovy))
    return np.array([[focal, 0.0, 0.5 * (width - 1)], [0.0, focal, 0.5 * (height - 1)], [0.0, 0.0, 1.0]])


def camera_pose(data: mujoco.MjData, camera: str | int) -> np.ndarray:
    """T_world_camera (4, 4) of the optical frame, from a state whose kinematics and cameras are computed.

    A single robot's base frame is the world. mj_forward computes cameras; after mj_kinematics alone, call mj_camlight.
    """
    view = data.camera(camera)
    T_world_camera = np.eye(4)
    T_world_camera[:3, :3] = view.xmat.reshape(3, 3) @ OPTICAL
    T_world_camera[:3, 3] = view.xpos
    return T_world_camera
