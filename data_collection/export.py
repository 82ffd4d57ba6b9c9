"""`steadyhand data export`: one episode as files that any program opens: CSV, MP4, 16-bit PNG for depth."""

import csv
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tyro.conf import Positional

from steadyhand.data_collection.assembling import HINT, episode_tables, film, open_source
from steadyhand.data_collection.durable import new_folder
from steadyhand.data_collection.journal_reading import find
from steadyhand.data_collection.quality_video import cameras_of, images_in, video_file
from steadyhand.data_collection.reading import column_array, episode_number
from steadyhand.data_collection.schema import CLOUD, INFO, SCHEMA, column_names, unit
from steadyhand.data_collection.video_cut import copy_frames
from steadyhand.errors import SteadyhandError


@dataclass
class ExportConfig:
    """Write one episode as frames.csv, a film per camera, a folder of 16-bit PNG per depth camera, PLY for clouds."""

    path: Positional[Path]
    """Folder of a LeRobot v3 dataset, of a journal, or an MCAP file."""
    episode: Positional[str]
    """Its number; of a journal also its name, e.g. episode_000003."""
    output: Path
    """Folder to create."""
    robot: str | None = None
    """For MCAP files of others: as for `steadyhand record`."""
    cameras: str = "none"
    """For MCAP files of others: cameras to take, separated by commas."""
    namespace: str = ""
    """For MCAP files of others: namespace of the robot's topics."""


def main(config: ExportConfig) -> int:
    """Export."""
    with new_folder(config.output) as folder:
        if (config.path / INFO).exists():
            files = _export(config.path, episode_number(config.path, config.episode), folder)
        else:
            with tempfile.TemporaryDirectory() as temporary:
                files = _export(_converted(config, Path(temporary) / "dataset"), 0, folder)
    print(f"{config.output}: {', '.join(files)}")
    return 0


def _converted(config: ExportConfig, dataset: Path) -> Path:
    """An episode of a journal as a dataset: its frames are those that conversion makes."""
    from steadyhand.data_collection import convert  # here: it needs ROS messages

    file = find(config.path, config.episode).file
    given: dict[str, Any] = {"robot": config.robot, "cameras": config.cameras, "namespace": config.namespace}
    convert.run(convert.ConvertConfig(file, dataset, task="export", **given))
    if not (dataset / INFO).exists():
        raise SteadyhandError(f"episode {config.episode} of '{config.path}' cannot be exported, see above")
    return dataset


def _export(path: Path, episode: int, folder: Path) -> list[str]:
    """Write the files of an episode; returns what they are called."""
    source = open_source(path).only([episode])
    table = next(episode_tables(source))
    features, fps = source.info["features"], source.info["fps"]
    _write_csv(table, features, (path / SCHEMA).exists(), folder / "frames.csv")
    files = ["frames.csv"]
    for column in [name for name in table.column_names if features[name]["dtype"] == "image"]:
        images = (_decoded(stored["bytes"]) for stored in table[column].to_pylist())
        files.append(_write_images(column, images, fps, folder))
    if CLOUD in table.column_names:
        files.append(_write_clouds(column_array(table[CLOUD], features[CLOUD]["shape"]), folder / "point_cloud"))
    for camera in cameras_of(source.info):
        row = source.rows[0]
        file = video_file(path, source.info, camera, row)
        start = round(row[f"videos/{camera}/from_timestamp"] * fps)
        with film(file, start + row["length"]):
            files.append(_write_video(camera, features[camera], file, (start, start + row["length"]), fps, folder))
    return files


def _write_video(camera: str, feature: dict, file: Path, span: tuple[int, int], fps: float, folder: Path) -> str:
    name, encoder = _file_name(camera), feature.get("info") or {}
    if encoder.get("is_depth_map"):
        return _write_images(camera, _depths(file, span, encoder), fps, folder)
    copy_frames(file, folder / f"{name}.mp4", [span], fps)
    if images_in(folder / f"{name}.mp4") == span[1] - span[0]:  # else the film of several episodes cannot be cut
        return f"{name}.mp4"
    return _write_images(camera, _pictures(file, span), fps, folder)


def _file_name(column: str) -> str:
    return column.removeprefix("observation.images.")


def _write_csv(table: pa.Table, features: dict, ours: bool, file: Path) -> None:
    """A row per frame; the header says column, name of the value and, in a dataset of ours, the unit."""
    header, columns = [], []
    for name in table.column_names:
        dtype, shape = features[name]["dtype"], features[name]["shape"]
        if dtype == "image" or name == CLOUD:
            continue
        if dtype in ("string", "language"):
            header.append(name)
            columns.append(np.array([str(value) for value in table[name].to_pylist()])[:, None])
            continue
        values = column_array(table[name], shape)
        columns.append(values.reshape(len(values), -1))
        if columns[-1].shape[1] == 1:
            header.append("timestamp [s]" if name == "timestamp" else name)
        else:
            parts = column_names(features[name], name)
            header += [f"{name}.{part}{unit(name, part) if ours else ''}" for part in parts]
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for row in zip(*columns, strict=True):
            writer.writerow([value for part in row for value in part.tolist()])


def _write_clouds(clouds: np.ndarray, folder: Path) -> str:
    """A PLY file per frame, of points (frames, points, 3) in m."""
    from steadyhand.sim.point_cloud import load_open3d  # here: it brings the renderer

    open3d = load_open3d()
    folder.mkdir()
    for i, points in enumerate(clouds):
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(np.float64)))
        if not open3d.io.write_point_cloud(str(folder / f"{i:06d}.ply"), cloud):
            raise SteadyhandError(f"cannot write {folder / f'{i:06d}.ply'}; is the disk full?")
    return f"{folder.name}/000000.ply ..."


def _write_images(column: str, images: Iterator[np.ndarray], fps: float, folder: Path) -> str:
    """A film, or for 16 bits a PNG per frame."""
    from PIL import Image

    from steadyhand.sim.video import write_video  # here: it brings the renderer

    name, first = _file_name(column), next(images)
    if first.dtype == np.uint8:
        write_video(folder / f"{name}.mp4", (_even(image) for image in _chain(first, images)), round(fps))
        return f"{name}.mp4"
    (folder / name).mkdir()
    for i, image in enumerate(_chain(first, images)):
        Image.fromarray(image.squeeze().astype(np.uint16)).save(folder / name / f"{i:06d}.png")
    return f"{name}/000000.png ..."


def _chain(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from others


def _even(image: np.ndarray) -> np.ndarray:
    """RGB with even sides, as H.264 needs them: a last odd row or column is repeated."""
    rgb = np.broadcast_to(image.reshape(*image.shape[:2], -1)[..., :3], (*image.shape[:2], 3))
    return np.pad(rgb, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")


def _decoded(content: bytes) -> np.ndarray:
    from PIL import Image

    return np.array(Image.open(io.BytesIO(content)))


def _frames(file: Path, span: tuple[int, int]) -> Iterator[Any]:
    import av

    count = 0
    with av.open(str(file)) as video:
        for frame in video.decode(video=0):
            if count >= span[1]:
                return
            if count >= span[0]:
                yield frame
            count += 1
    if count < span[1]:
        raise SteadyhandError(f"'{file}': only {count} images can be read, its rows need {span[1]}; {HINT}")


def _pictures(file: Path, span: tuple[int, int]) -> Iterator[np.ndarray]:
    for frame in _frames(file, span):
        yield frame.to_ndarray(format="rgb24")


def _depths(file: Path, span: tuple[int, int], info: dict) -> Iterator[np.ndarray]:
    """Depth in mm, uint16."""
    from lerobot.configs.video import encoder_config_from_video_info
    from lerobot.datasets.depth_utils import dequantize_depth

    encoder = encoder_config_from_video_info(info)
    scale = {name: getattr(encoder, name) for name in ("depth_min", "depth_max", "shift", "use_log", "pix_fmt")}
    for frame in _frames(file, span):
        yield dequantize_depth(frame, **scale, output_tensor=False)
