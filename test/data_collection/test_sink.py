"""An episode in a dataset and in a journal at once, when one of them fails."""

import time
from pathlib import Path

import journaling
import numpy as np
import psutil
import pytest
import recording
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo, describe, load_columns, load_sidecar
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.journal_reading import State, episodes
from steadyhand.data_collection.ros_journal import Tap
from steadyhand.data_collection.ros_sink import Sink
from steadyhand.errors import SteadyhandError

DONE = EpisodeInfo(True, "success")


def fill(sink: Sink, episode: int, frames: int) -> None:
    sink.begin(float(episode))
    for i in range(frames):
        sink.add_frame(recording.frame(recording.PLAIN, episode, i))


def kill_the_writer(journal: Path) -> None:
    """Once it has begun the episode."""
    while not episodes(journal):
        time.sleep(0.01)
    for writer in journaling.writers(psutil.Process()):
        writer.kill()


@pytest.fixture
def places(tmp_path) -> tuple[DatasetWriter, Journal, Path]:
    with Journal(tmp_path / "journal", reserve=0) as journal, recording.open_writer(tmp_path / "dataset") as writer:
        yield writer, journal, tmp_path


def test_a_journal_that_fails_does_not_cost_the_dataset_its_episode(places):
    writer, journal, folder = places
    sink = Sink("go", writer, Tap(None, journal), {})
    fill(sink, 0, frames=3)
    kill_the_writer(folder / "journal")
    name, trouble = sink.save(DONE, 1.0)
    assert name == "episode 0"
    assert "the process that writes the journal" in trouble
    fill(sink, 1, frames=5)
    assert sink.save(DONE, 2.0) == ("episode 1", "")
    frames = load_columns([folder / "dataset"], ["action"])
    assert list(frames.stop - frames.start) == [3, 5]
    first, second = episodes(folder / "journal")
    assert (first.state, second.state) == (State.CUT_OFF, State.FINISHED)
    assert [row["source"] for row in load_sidecar(folder / "dataset")] == [first.identity, second.identity]


def test_a_journal_alone_that_fails_is_an_error(places):
    _, journal, folder = places
    sink = Sink("go", None, Tap(None, journal), {})
    fill(sink, 0, frames=1)
    kill_the_writer(folder / "journal")
    with pytest.raises(SteadyhandError, match="the process that writes the journal"):
        sink.save(DONE, 1.0)


def test_only_a_human_discards(places):
    writer, journal, folder = places
    sink = Sink("go", writer, Tap(None, journal), {})
    fill(sink, 0, frames=2)
    sink.discard(DONE, 1.0, keep=True)
    fill(sink, 1, frames=2)
    sink.abandon(EpisodeInfo(None, "broken off"), 2.0)
    assert [episode.label["discarded"] for episode in episodes(folder / "journal")] == [True, False]
    assert writer.frames == writer.episodes == 0


@pytest.mark.parametrize("both", [True, False])
def test_an_episode_that_was_discarded_comes_back(places, both):
    writer, journal, folder = places
    sink = Sink("go", writer, Tap(None, journal) if both else None, {})
    fill(sink, 0, frames=3)
    sink.save(DONE, 1.0)
    fill(sink, 1, frames=4)
    sink.discard(EpisodeInfo(None, "operator"), 2.0, keep=True)
    assert describe(folder / "dataset")["frames"] == 3
    sink.bring_back()
    sink.take_back()
    assert describe(folder / "dataset")["frames"] == 3
    sink.note("it slipped", running=False)
    sink.bring_back()
    sink.amend(success=False, end_reason="failure")
    fill(sink, 2, frames=5)
    sink.save(DONE, 3.0)
    rows, kept = load_sidecar(folder / "dataset"), LeRobotDataset("data", root=folder / "dataset")
    assert [(row["success"], row["note"]) for row in rows] == [(True, ""), (False, "it slipped"), (True, "")]
    expected = [recording.frame(recording.PLAIN, episode, i) for episode, n in enumerate((3, 4, 5)) for i in range(n)]
    np.testing.assert_array_equal([kept[i]["action"] for i in range(12)], [frame["action"] for frame in expected])
    assert kept.meta.stats["action"]["count"] == 12
    if both:
        labels = [episode.label for episode in episodes(folder / "journal")]
        assert [(label["discarded"], label["success"]) for label in labels] == [
            (False, True), (False, False), (False, True),
        ]  # fmt: skip


def test_an_episode_that_was_taken_back_is_gone_with_the_next(places):
    writer, _, folder = places
    sink = Sink("go", writer, None, {})
    for episode, frames in enumerate((3, 4)):
        fill(sink, episode, frames)
        sink.save(DONE, 1.0)
    sink.take_back()
    fill(sink, 2, frames=5)
    with pytest.raises(SteadyhandError, match="no episode is held back"):
        writer.bring_back()
    sink.save(DONE, 1.0)
    kept = LeRobotDataset("data", root=folder / "dataset")
    assert [kept.num_episodes, len(kept)] == [2, 8]
    assert kept.meta.stats["action"]["count"] == 8


def test_the_first_episode_can_be_taken_back(places):
    writer, _, folder = places
    sink = Sink("go", writer, None, {})
    fill(sink, 0, frames=3)
    sink.save(DONE, 1.0)
    before = {file for file in (folder / "dataset").rglob("*") if file.is_file()}
    sink.take_back()
    writer.close()
    assert describe(folder / "dataset")["frames"] == 0
    left = {file.relative_to(folder / "dataset") for file in (folder / "dataset").rglob("*") if file.is_file()}
    assert len(before) > len(left)
    assert {str(file) for file in left} == {"meta/info.json", "meta/steadyhand/schema.json", "meta/steadyhand/lock"}
