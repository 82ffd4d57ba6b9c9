"""Optics and places of cameras, as a text: from camera_info and from frames that are fixed to each other."""

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from steadyhand import ros
from steadyhand.data_collection.configuration import Document, yaml_document


def intrinsics_of(info: ros.CameraInfo) -> dict:
    """Intrinsics as sensor_msgs/CameraInfo has them: pixels."""
    return {
        "frame": info.header.frame_id,
        "width": info.width,
        "height": info.height,
        "distortion_model": info.distortion_model,
        **{name: np.asarray(getattr(info, name.lower())).tolist() for name in ("D", "K", "R", "P")},
    }


def _described(info: Mapping | None, fixed: Mapping[str, Mapping]) -> dict | str:
    return {**info, "pose": fixed_pose(str(info["frame"]), fixed)} if info is not None else "unknown"


def calibration(infos: Mapping[str, Mapping | None], fixed: Mapping[str, Mapping]) -> Document:
    """Cameras as ``intrinsics_of`` gives them (None: unknown), with their poses in what they are fixed to."""
    return yaml_document({"cameras": {name: _described(info, fixed) for name, info in infos.items()}})


def placed(transform: ros.TransformStamped) -> dict:
    """Parent of a transform, and the child's pose in it: position (m), quaternion xyzw."""
    t, q = transform.transform.translation, transform.transform.rotation
    return {"parent": transform.header.frame_id, "position": [t.x, t.y, t.z], "quaternion": [q.x, q.y, q.z, q.w]}


def fixed_pose(frame: str, fixed: Mapping[str, Mapping]) -> dict | str:
    """Pose of a frame in the outermost one that it is fixed to: "frame", position (m), quaternion xyzw; or "unknown".

    Args:
        frame: Name.
        fixed: Frame -> its parent and its pose in that, from tf_static.
    """
    position, rotation, seen = np.zeros(3), Rotation.identity(), {frame}
    while frame in fixed:
        step = fixed[frame]
        turn = Rotation.from_quat(step["quaternion"])
        position, rotation = np.asarray(step["position"]) + turn.apply(position), turn * rotation
        frame = step["parent"]
        if frame in seen:
            return "unknown"
        seen.add(frame)
    if len(seen) == 1:
        return "unknown"
    numbers = {"position": position, "quaternion": rotation.as_quat(canonical=True)}
    return {"frame": frame} | {name: np.round(values, 9).tolist() for name, values in numbers.items()}
