"""Episodes with known content, and a process that records them until it is killed.

As a program it reads lines "FOLDER EPISODES" and, for each, forks a child that records into FOLDER and is killed after
so many episodes, 1.3: three tenths of an episode's time after the first; it answers with the number of those saved.
"""

import os
import signal
import sys
import time

import numpy as np

from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo, features
from steadyhand.data_collection.labels import MODES, Segment, frame_labels

ENVIRONMENT = ["peg x", "peg y"]
PLAIN = features(7, ENVIRONMENT)
FILMED = features(7, ENVIRONMENT, {"front": (48, 64), "wrist": (32, 32)})


def length(episode: int) -> int:
    return 4 + 3 * episode % 5


def frame(columns: dict, episode: int, i: int) -> dict[str, np.ndarray]:
    """Make the i-th frame of an episode: always the same, different from every other."""
    random = np.random.default_rng([episode, i])
    values = {
        name: random.standard_normal(column["shape"]).astype(np.float32)
        for name, column in columns.items()
        if column["dtype"] == "float32"
    }
    for name, column in columns.items():
        if column["dtype"] == "video":
            values[name] = np.full(column["shape"], 20 * i % 256, np.uint8)
    segment = (episode + i) % len(Segment)
    return values | frame_labels(segment, i // 3, i % 4, [i % len(MODES)])


def record(writer: DatasetWriter, columns: dict, episodes: int) -> None:
    for _ in range(episodes):
        episode = writer.episodes
        for i in range(length(episode)):
            writer.add_frame(frame(columns, episode, i))
        writer.save_episode(EpisodeInfo(episode % 2 == 0, "success", seed=episode, rules={"rewind": True}))


def open_writer(path, columns: dict = PLAIN, resume: bool = False, **changes) -> DatasetWriter:
    settings = {"robot": "fr3", "task": "peg_insertion", "features": columns, "resume": resume} | changes
    return DatasetWriter(path, **settings)


def _record_until_killed(folder: str, report: int) -> None:
    columns = FILMED if folder.endswith("filmed") else PLAIN
    with open_writer(folder, columns, resume=os.path.exists(folder)) as writer:
        while True:
            os.write(report, b".")  # one dot before the first episode, one more after each
            record(writer, columns, 1)


def _serve() -> None:
    import lerobot.datasets.lerobot_dataset  # noqa: F401  once, not in every child

    took = 0.1  # s, the last episode that was waited for
    for line in sys.stdin:
        folder, episodes = line.split()
        whole = int(float(episodes))
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            _record_until_killed(folder, send)
        os.close(send)
        os.read(receive, 1)
        for _ in range(whole):
            begun = time.monotonic()
            os.read(receive, 1)
            took = time.monotonic() - begun
        time.sleep((float(episodes) - whole) * took)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        saved = whole + len(os.read(receive, 1 << 16))
        os.close(receive)
        print(saved, flush=True)


if __name__ == "__main__":
    _serve()
