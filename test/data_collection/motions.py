"""Datasets of smooth motions, ours and plain LeRobot ones."""

from pathlib import Path

import numpy as np
from lerobot.configs import RGBEncoderConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from recording import open_writer

from steadyhand.data_collection.dataset import EpisodeInfo, features
from steadyhand.data_collection.labels import Segment, frame_labels

EPISODES, LENGTH = 8, 40
PLAIN = features(7)
FILMED = features(7, (), {"front": (32, 32)})
Q_HOME = [0.0, -0.25, 0.0, -2.29, 0.0, 2.04, 0.785]
MOTORS = ["shoulder.pos", "elbow.pos", "gripper.pos"]


def record_smooth(path: Path, columns: dict = PLAIN, episodes: int = EPISODES, segments=None, spoil=None) -> Path:
    """Reaches from varying starts to varying ends; `segments(episode)` labels frames, `spoil` may change actions."""
    random = np.random.default_rng(0)
    with open_writer(path, columns) as writer:
        for episode in range(episodes):
            labels = segments(episode) if segments else [Segment.DEMO] * (LENGTH + episode % 3)
            tool = reach(random, len(labels) + 1)
            action = tool[1:].copy() if spoil is None else spoil(episode, tool[1:].copy())
            for i, segment in enumerate(labels):
                writer.add_frame(_frame(columns, tool, action, i, segment))
            writer.save_episode(EpisodeInfo(True, "success", seed=episode))
    return path


def reach(random: np.random.Generator, count: int) -> np.ndarray:
    """Positions (count, 3) of a minimum-jerk movement."""
    start, end = np.array([0.45, 0.0, 0.35]) + random.uniform(-0.1, 0.1, (2, 3))
    t = np.linspace(0, 1, count)[:, None]
    return start + (end - start) * (10 * t**3 - 15 * t**4 + 6 * t**5)


def _frame(columns: dict, tool: np.ndarray, action: np.ndarray, i: int, segment: int) -> dict:
    down = [1, 0, 0, 0, -1, 0]
    pose = np.array([*tool[i], *down], np.float32)
    joints = np.array([*(Q_HOME + 0.3 * tool[i, 0]), *np.zeros(7)], np.float32)
    requested = np.array([*action[i], *down, float(i > len(action) // 2)], np.float32)
    wrench = np.random.default_rng(i).normal(0, 0.1, 6)
    frame = {
        "observation.state": np.array([*pose, 1.0, *wrench], np.float32),
        "observation.joints": joints,
        "observation.reference": pose,
        "action": requested,
        "action_applied": requested,
        **frame_labels(segment),
    }
    if "observation.images.front" in columns:
        frame["observation.images.front"] = np.full((32, 32, 3), i, np.uint8)
    return frame


def record_plain(path: Path, tasks: list[str], lost: range | None = None) -> Path:
    """What LeRobot itself records from an arm's motors, one episode a task.

    With `lost`, also from a camera, all episodes in one file, whose images of those numbers the encoder never gets:
    LeRobot drops images like this when its encoder falls behind.
    """
    column = {"dtype": "float32", "shape": (len(MOTORS),), "names": MOTORS}
    columns = {"observation.state": column, "action": column}
    video: dict = {"use_videos": False}
    if lost is not None:
        columns["observation.images.top"] = FILMED["observation.images.front"]
        video = {"rgb_encoder": RGBEncoderConfig(vcodec="h264"), "video_backend": "pyav", "streaming_encoding": True}
    dataset = LeRobotDataset.create("test/plain", fps=30, root=path, features=columns, **video)
    if lost is not None:
        _lose(dataset.writer._streaming_encoder, lost)
    random = np.random.default_rng(1)
    for task in tasks:
        motors = reach(random, 61).astype(np.float32)
        for i in range(60):
            image = {"observation.images.top": np.full((32, 32, 3), 4 * i, np.uint8)} if lost is not None else {}
            dataset.add_frame({"observation.state": motors[i], "action": motors[i + 1], "task": task, **image})
        dataset.save_episode()
    dataset.finalize()
    return path


def _lose(encoder, lost: range) -> None:
    feed, count = encoder.feed_frame, iter(range(10_000))
    encoder.feed_frame = lambda *image: None if next(count) in lost else feed(*image)
