"""Films of episodes: the recorded scene states, rendered after the fact."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from steadyhand.sim.env import DECISION_PERIOD, World
from steadyhand.sim.render import Renderer

SIZE = (480, 360)  # width, height of one view


class Scenes(Protocol):
    """An episode that can be filmed."""

    @property
    def scenes(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """qpos and mocap at each decision."""


def write_videos(world: World, episodes: Mapping[str, Scenes], folder: Path) -> list[Path]:
    """Film episodes as folder/NAME.mp4 (H.264), the front and every wrist camera side by side, in real time."""
    if not episodes:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(world.model, *SIZE)
    cameras = ["front", *(f"{arm.mount.prefix}wrist" for arm in world.arms)]
    paths = []
    for name, log in episodes.items():
        path = folder / f"{name}.mp4"
        pictures = (
            np.concatenate([renderer.render(qpos, camera, mocap) for camera in cameras], axis=1)
            for qpos, mocap in log.scenes
        )
        write_video(path, pictures)
        paths.append(path)
    renderer.close()
    return paths


def write_video(path: Path, pictures, fps: int = round(1 / DECISION_PERIOD)) -> None:
    """Encode RGB pictures (H, W, 3) uint8, even sizes, as H.264 that browsers play."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"preset": "veryfast", "crf": "26"})
        stream.pix_fmt = "yuv420p"
        for i, picture in enumerate(pictures):
            if i == 0:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
