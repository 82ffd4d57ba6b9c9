"""Which topics a camera's images come on, from what the user calls it: `front`, `front:compressed`, `front:depth`."""

from collections.abc import Sequence
from dataclasses import dataclass

from steadyhand.data_collection.schema import image_column
from steadyhand.errors import SteadyhandError, unknown


@dataclass(frozen=True)
class ImageTopic:
    """Where a camera's images come from.

    Attributes:
        camera: Its name.
        depth: Whether they are depth.
        name: Of the topic.
        info: Topic of what describes their optics.
    """

    camera: str
    depth: bool
    name: str
    info: str

    @property
    def column(self) -> str:
        """The dataset's."""
        return image_column(self.camera, self.depth)


def image_topics(cameras: Sequence[str]) -> list[ImageTopic]:
    """Topics of cameras as `image_topic` has them; SteadyhandError if two would make the same column."""
    found: dict[str, ImageTopic] = {}
    for topic in map(image_topic, cameras):
        if topic.column in found:
            other = found[topic.column].name
            raise SteadyhandError(f"{other} and {topic.name} are both the column {topic.column}; leave one out")
        found[topic.column] = topic
    return list(found.values())


_TRANSPORTS = {
    "raw": "image_raw",
    "compressed": "compressed",
    "depth": "depth/image_raw",
    "compressedDepth": "depth/image_raw/compressedDepth",  # as image_transport has it
}


def image_topic(camera: str) -> ImageTopic:
    """Topic of a camera given as NAME, NAME:raw, NAME:compressed, NAME:depth or NAME:compressedDepth."""
    name, _, transport = camera.partition(":")
    transport = transport or "raw"
    if transport not in _TRANSPORTS:
        raise unknown("transport", transport, _TRANSPORTS, f"camera '{camera}'")
    depth = transport in ("depth", "compressedDepth")
    info = f"{name}/depth/camera_info" if depth else f"{name}/camera_info"
    return ImageTopic(name, depth, f"{name}/{_TRANSPORTS[transport]}", info)
