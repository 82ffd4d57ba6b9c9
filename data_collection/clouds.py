"""Point clouds of a fixed size as a column of the dataset: of the depth of cameras that stand still, at conversion."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from steadyhand import ros
from steadyhand.camera_topics import image_topics
from steadyhand.data_collection.schema import CLOUD, image_column
from steadyhand.errors import SteadyhandError, one_line, unknown
from steadyhand.sim.point_cloud import CloudSpec, back_project, load_open3d, thin
from steadyhand.sim.robot_file import build_entry


@dataclass(frozen=True)
class Pose:
    """Of the optical frame (x right, y down, z ahead) of a camera's depth, in the robot's base frame."""

    position: tuple[float, ...]  # m
    quaternion: tuple[float, ...]  # x y z w

    def matrix(self) -> np.ndarray:
        """T_base_camera (4, 4)."""
        T_base_camera = np.eye(4)
        T_base_camera[:3, :3] = Rotation.from_quat(self.quaternion).as_matrix()
        T_base_camera[:3, 3] = self.position
        return T_base_camera


@dataclass(frozen=True)
class _Thinning:
    """What the file says beside the cameras; as in `CloudSpec`."""

    points: int = CloudSpec.points
    lower: tuple[float, ...] = tuple(CloudSpec.lower)
    upper: tuple[float, ...] = tuple(CloudSpec.upper)
    voxel: float = CloudSpec.voxel
    neighbours: int = CloudSpec.neighbours
    deviations: float = CloudSpec.deviations


@dataclass(frozen=True)
class Clouds:
    """How the clouds of a dataset are made."""

    thinning: _Thinning
    cameras: dict[str, Pose]

    @property
    def spec(self) -> CloudSpec:
        """Box, density and size."""
        return CloudSpec(**vars(self.thinning))

    def column(self) -> dict:
        """The feature of the dataset; its ``info`` says how the clouds were made."""
        made = asdict(self.thinning) | {"cameras": {name: asdict(pose) for name, pose in self.cameras.items()}}
        shape = self.spec.shape
        return {"dtype": "float32", "shape": shape, "names": ["points", "xyz"], "info": {"cloud": _plain(made)}}


def _plain(value: Any) -> Any:
    """The same with lists for tuples, as JSON gives it back."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def read_clouds(path: Path) -> Clouds:
    """Read the file of `data convert --clouds`; SteadyhandError says what is wrong with it."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SteadyhandError(f"cannot read {path}: {one_line(error)}") from None
    if not isinstance(data, Mapping) or not isinstance(data.get("cameras"), Mapping) or not data["cameras"]:
        raise SteadyhandError(f"{path}: needs the key 'cameras', with a line 'name: {{position, quaternion}}' for each")
    cameras = {str(name): build_entry(Pose, entry, f"{path}: {name}") for name, entry in data["cameras"].items()}
    for name, pose in cameras.items():
        if len(pose.position) != 3 or len(pose.quaternion) != 4 or abs(np.linalg.norm(pose.quaternion) - 1.0) > 1e-3:
            raise SteadyhandError(f"{path}: {name}: needs a position [x, y, z] and a unit quaternion [x, y, z, w]")
    rest = {key: value for key, value in data.items() if key != "cameras"}
    thinning = build_entry(_Thinning, rest, str(path))
    try:
        CloudSpec(**vars(thinning))
    except SteadyhandError as error:
        raise SteadyhandError(f"{path}: {error}") from None
    load_open3d()
    return Clouds(thinning, cameras)


class CloudMaker:
    """Adds the cloud to the frames of an episode that is played back."""

    def __init__(self, clouds: Clouds, node: Any, cameras: list[str]) -> None:
        """Listen to the optics of the cameras. cameras: those of the episode, as `image_topics` has them."""
        self._clouds, self._spec = clouds, clouds.spec
        self._infos: dict[str, ros.CameraInfo] = {}
        topics = {topic.camera: topic for topic in image_topics(cameras) if topic.depth}
        for name in clouds.cameras:
            if name not in topics:
                raise unknown("depth camera", name, topics, "the cloud needs its depth in the journal")
            ros.subscription(node, topics[name].info, self._keeper(name))

    def _keeper(self, camera: str):
        def keep(message: ros.CameraInfo) -> None:
            self._infos[camera] = message

        return keep

    def add(self, frame: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The frame with its cloud (points, 3) float32 in the base frame, m."""
        parts = []
        for name, pose in self._clouds.cameras.items():
            depth = frame[image_column(name, depth=True)][..., 0] * np.float32(1e-3)
            parts.append(back_project(depth, self._matrix(name, depth.shape), pose.matrix())[0])
        return {**frame, CLOUD: thin(np.concatenate(parts), self._spec)}

    def _matrix(self, camera: str, shape: tuple[int, ...]) -> np.ndarray:
        """K (3, 3) of a camera without distortion whose pictures have this shape."""
        info = self._infos.get(camera)
        if info is None:
            raise SteadyhandError(f"no message on {camera}/depth/camera_info before the first frame; a cloud needs it")
        if (info.height, info.width) != shape:
            raise SteadyhandError(
                f"{camera}/depth/camera_info is about {info.height}x{info.width} pixels, the depth has "
                f"{shape[0]}x{shape[1]}; a cloud needs those of the same picture"
            )
        if np.any(info.d) or info.k[0] <= 0.0:
            raise SteadyhandError(
                f"{camera}/depth/camera_info has distortion or no focal length; clouds need rectified depth"
            )
        return np.reshape(info.k, (3, 3)).astype(np.float64)
