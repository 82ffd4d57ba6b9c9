"""Datasets that plain LeRobot writes with its default settings: `python plain_lerobot.py FOLDER`.

FOLDER/finished is complete; the sessions of FOLDER/killed and FOLDER/killed_flushed were killed after four episodes.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

EPISODES, LENGTHS = 4, [6, 7, 8, 9]
SIZES = ["height", "width", "channels"]
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
    "observation.images.top": {"dtype": "video", "shape": (48, 64, 3), "names": SIZES},
    "observation.images.still": {"dtype": "image", "shape": (31, 32, 3), "names": SIZES},
    "action": {"dtype": "float32", "shape": (2,), "names": {"axes": ["u", "v"]}},
    "grip": {"dtype": "bool", "shape": (1,), "names": None},
}


def frame(episode: int, i: int) -> dict:
    shade = 40 * episode + 4 * i
    return {
        "observation.state": np.array([episode, i, shade], np.float32),
        "observation.images.top": np.full((48, 64, 3), shade, np.uint8),
        "observation.images.still": np.full((31, 32, 3), shade, np.uint8),
        "action": np.array([i, -i], np.float32),
        "grip": np.array([i % 2 == 0]),
        "task": f"task {episode % 2}",
    }


def record(folder: Path, **settings):
    from lerobot.configs import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    settings["rgb_encoder"] = RGBEncoderConfig(vcodec="h264")  # the default, AV1, takes seconds to start
    dataset = LeRobotDataset.create("local/plain", 10, FEATURES, root=folder, robot_type="toy", **settings)
    for episode in range(EPISODES):
        for i in range(LENGTHS[episode]):
            dataset.add_frame(frame(episode, i))
        dataset.save_episode()
    return dataset


def _killed(folder: Path, **settings) -> None:
    child = os.fork()
    if child == 0:
        dataset = record(folder, **settings)
        for i in range(3):
            dataset.add_frame(frame(EPISODES, i))
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


if __name__ == "__main__":
    import lerobot.datasets.lerobot_dataset  # noqa: F401  once, before the children

    place = Path(sys.argv[1])
    _killed(place / "killed")
    _killed(place / "killed_flushed", metadata_buffer_size=1)
    record(place / "finished").finalize()
