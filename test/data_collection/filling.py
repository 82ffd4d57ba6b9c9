"""Fills the disk under a journal and under a dataset: `python filling.py FOLDER`; prints what was said and is left.

FOLDER is a disk of its own, of a few MB.
"""

import json
import shutil
import sys
from pathlib import Path

import journaling
import numpy as np
from recording import FILMED, frame, open_writer, record

from steadyhand.data_collection.dataset import EpisodeInfo, load_columns
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.journal_reading import Messages, episodes
from steadyhand.errors import SteadyhandError

LEFT = 100_000  # bytes for the dataset's second episode


def fill_journal(folder: Path) -> dict:
    """A finished episode, then one until the disk is full."""
    with Journal(folder, reserve=0) as journal:
        journal.begin()
        journaling.write(journal, 0.1)
        journal.end(success=True, end_reason="success")
        journal.begin()
        text, count = "", 0
        while not text:
            count += len(journaling.write(journal, 0.05, rate=2000.0, first=count))
            try:
                journal.check()
            except SteadyhandError as error:
                text = str(error)
    found = episodes(folder)
    numbers = [journaling.number(message.data) for message in Messages(found[1])]
    return {"journal": text, "journal_messages": numbers, "journal_states": [str(episode.state) for episode in found]}


def noisy(i: int) -> dict[str, np.ndarray]:
    """A frame whose images no encoder makes small."""
    values = frame(FILMED, 1, i)
    random = np.random.default_rng(i)
    noise = {name: random.integers(0, 256, values[name].shape, np.uint8) for name in values if ".images." in name}
    return values | noise


def fill_dataset(folder: Path) -> dict:
    """A finished episode, one for which the disk is too small, and one after some space was made."""
    text = ""
    with open_writer(folder, FILMED, patient=True) as writer:
        record(writer, FILMED, 1)
        filler = folder.parent / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(folder).free - LEFT))
        try:
            for i in range(300):
                writer.add_frame(noisy(i))
            writer.save_episode(EpisodeInfo(True, "success"))
        except SteadyhandError as error:
            text = str(error)
        filler.unlink()
        for i in range(30):
            writer.add_frame(noisy(i))
        writer.save_episode(EpisodeInfo(True, "success"))
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("local/test", root=folder, video_backend="pyav")
    for i in range(len(dataset)):
        dataset[i]
    return {"dataset": text, "dataset_rows": load_columns([folder], ["action"]).stop.tolist()}


if __name__ == "__main__":
    disk = Path(sys.argv[1])
    report = fill_journal(disk / "journal")
    shutil.rmtree(disk / "journal")
    print(json.dumps(report | fill_dataset(disk / "dataset")))
