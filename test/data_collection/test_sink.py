"""An episode in a dataset and in a journal at once, when one of them fails."""

import time
from pathlib import Path

import psutil
import pytest
import recording

from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo, load_columns, load_sidecar
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
    for child in psutil.Process().children():
        if "journal_process" in " ".join(child.cmdline()):
            child.kill()


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
    for by_human in (True, False):
        fill(sink, 0, frames=2)
        sink.discard("broken off", 1.0, by_human=by_human)
    assert [episode.label["discarded"] for episode in episodes(folder / "journal")] == [True, False]
    assert writer.frames == writer.episodes == 0
