"""Statistics of an episode by LeRobot's own functions, from rows and images that are read instead of recorded."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa

from steadyhand.data_collection.reading import column_array
from steadyhand.data_collection.schema import is_depth


def row_stats(table: pa.Table, features: dict) -> dict:
    """Statistics of everything in the rows of an episode, as in meta/episodes: "stats/<column>/<name>" -> list."""
    from lerobot.datasets.compute_stats import compute_episode_stats

    numbers = {
        name: column_array(table[name], features[name]["shape"])
        for name in table.column_names
        if features[name]["dtype"] not in ("image", "string", "language")
    }
    stats = _flat(compute_episode_stats(numbers, features))
    for name in table.column_names:
        if features[name]["dtype"] == "image":
            stored = table[name].to_pylist()
            stats |= _image_stats(name, features[name], [_image(stored[i]["bytes"]) for i in _sample(len(stored))])
    return stats


def video_stats(camera: str, feature: dict, file: Path, first: int, length: int) -> dict:
    """Statistics of an episode's video, whose images begin at a frame of the file."""
    import av

    wanted, images = {first + i for i in _sample(length)}, []
    depth = is_depth(feature)
    with av.open(str(file)) as video:
        for i, frame in enumerate(video.decode(video=0)):
            if i in wanted:
                images.append(frame.to_ndarray()[..., None] if depth else frame.to_ndarray(format="rgb24"))
            if i >= first + length:
                break
    return _image_stats(camera, feature, images)


def _sample(length: int) -> list[int]:
    from lerobot.datasets.compute_stats import sample_indices

    return sorted(set(map(int, sample_indices(length))))


def _image(content: bytes) -> np.ndarray:
    from PIL import Image

    array = np.array(Image.open(io.BytesIO(content)))
    return array if array.ndim == 3 else array[..., None]


def _image_stats(name: str, feature: dict, images: list[np.ndarray]) -> dict:
    from lerobot.datasets.compute_stats import auto_downsample_height_width, get_feature_stats

    small = np.stack([auto_downsample_height_width(image.transpose(2, 0, 1)) for image in images])
    scale = 1.0 if is_depth(feature) else 255.0
    stats = get_feature_stats(small, axis=(0, 2, 3), keepdims=True)
    scaled = {key: v if key == "count" else np.squeeze(v / scale, axis=0) for key, v in stats.items()}
    return _flat({name: scaled})


def _flat(stats: dict[str, dict[str, np.ndarray]]) -> dict:
    return {f"stats/{name}/{key}": value.tolist() for name, of in stats.items() for key, value in of.items()}
