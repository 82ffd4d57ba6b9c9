"""The journal: what is in it whoever gets killed, and who can read it."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import journaling
import psutil
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from steadyhand.data_collection import journal as module
from steadyhand.data_collection.journal import Journal, relabel
from steadyhand.data_collection.journal_reading import Messages, State, episodes
from steadyhand.data_collection.listing import PlaceConfig, ls, show
from steadyhand.errors import SteadyhandError


def numbers(episode) -> list[int]:
    return [journaling.number(message.data) for message in Messages(episode)]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, list[list[int]]]:
    """Two episodes, the second one discarded, and the stamps of their messages."""
    folder = tmp_path_factory.mktemp("written") / "journal"
    stamps = []
    with Journal(folder, reserve=0) as journal:
        for i in range(2):
            journal.begin(robot="fr3", task="écrire", begun=i)
            stamps.append(journaling.write(journal, 0.6))
            journal.end(success=i == 0, end_reason="success", discarded=i == 1)
    return folder, stamps


def test_rosbags_and_mcap_read_a_finished_episode(written):
    folder, stamps = written
    with AnyReader([folder / "episode_000000"]) as reader:
        heard = [(stamp, journaling.number(data)) for _, stamp, data in reader.messages()]
        assert reader.message_count == len(stamps[0])
        assert reader.topics["/numbers"].msgtype == journaling.KIND
    assert heard == [(stamp, i) for i, stamp in enumerate(stamps[0])]
    with (folder / "episode_000000" / "episode_000000_0.mcap").open("rb") as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == "ros2"
        assert all(index.compression == "zstd" for index in reader.get_summary().chunk_indexes)
        for i, (schema, channel, message) in enumerate(reader.iter_messages()):
            assert (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr")
            assert message.publish_time == stamps[0][i] - 5_000_000
            assert message.data == journaling.cdr(i)


def test_episodes_know_what_the_recorder_knew(written):
    first, second = episodes(written[0])
    assert (first.name, first.state) == ("episode_000000", State.FINISHED)
    assert first.metadata["task"] == "écrire"
    assert first.label["success"] is True
    assert first.label["lost_messages"] == 0
    assert second.label["discarded"] is True


def test_labels_come_beside_the_recording(written):
    folder, _ = written
    file = folder / "episode_000001" / "episode_000001_0.mcap"
    before = file.read_bytes()
    relabel(folder, "episode_000001", discarded=False, note="good after all")
    with (folder / module.LABELS).open("a") as labels:
        labels.write('{"episode": "episode_0000')  # a crash
    relabel(folder, "episode_000001", success=True)
    label = episodes(folder)[1].label
    delays, work = (label.pop(name)[journaling.CHANNEL.topic] for name in ("written_after_ms", "writing_ms"))
    assert work["p50"] <= delays["p50"]
    assert 0.0 <= delays["p50"] <= delays["p99"] <= delays["max"]
    assert label == {
        "success": True, "end_reason": "success", "discarded": False, "lost_messages": 0, "note": "good after all",
    }  # fmt: skip
    assert file.read_bytes() == before
    with pytest.raises(SteadyhandError, match="unknown episode 'episode_7'; allowed: episode_000000, "):
        relabel(folder, "episode_7", success=True)
    with pytest.raises(SteadyhandError, match="label success='yes' is a str; allowed: bool or NoneType"):
        relabel(folder, "episode_000000", success="yes")


def test_labels_are_found_from_wherever_one_looks(written, tmp_path, monkeypatch):
    folder = shutil.copytree(written[0], tmp_path / "raw" / "journal")
    relabel(folder, "episode_000000", discarded=True)
    (tmp_path / "raw" / module.LABELS).write_text('{"episode": "episode_000000", "discarded": false}\n')  # not its own
    monkeypatch.chdir(folder / "episode_000000")
    for place in (folder, folder.parent, folder / "episode_000000", episodes(folder)[0].file, Path()):
        first = episodes(place)[0]
        assert (first.name, first.label["discarded"]) == ("episode_000000", True)


def test_lost_messages_are_said(tmp_path, monkeypatch, capsys):
    with Journal(tmp_path, reserve=0) as journal:
        for waiting in (module.WAITING, 0):
            monkeypatch.setattr(module, "WAITING", waiting)
            journal.begin(begun=1)
            count = len(journaling.write(journal, 0.05))
            for _ in range(2):
                journal.check()
            journal.end(success=True, end_reason="success")
    assert len(journal.warnings) == 1
    assert "cannot keep up" in journal.warnings[0]
    assert [episode.label["lost_messages"] for episode in episodes(tmp_path)] == [0, count]
    show(PlaceConfig(tmp_path))
    ls(PlaceConfig(tmp_path))
    first, second, line = capsys.readouterr().out.splitlines()
    assert "lost" not in first
    assert f"the recorder lost {count} messages" in second
    assert line.endswith(f"{count} messages lost")


def test_a_writer_that_hangs_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    journal = Journal(tmp_path, reserve=0)
    hanging = the_writer(psutil.Process())
    hanging.suspend()
    try:
        with pytest.raises(SteadyhandError, match=r"is not written after 0\.2 s; is its disk there"):
            journal.close()
    finally:
        hanging.resume()
    hanging.wait(10)


def test_a_file_cut_anywhere_gives_what_came_before(written, tmp_path):
    file = episodes(written[0])[0].file
    whole, content = numbers(episodes(written[0])[0]), file.read_bytes()
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng, seen = random.Random(seed), set()
    for size in [8, *(rng.randrange(9, len(content)) for _ in range(30))]:
        (tmp_path / file.name).write_bytes(content[:size])
        (episode,) = episodes(tmp_path)
        messages = Messages(episode)
        heard = [journaling.number(message.data) for message in messages]
        assert episode.state is State.CUT_OFF
        assert heard == whole[: len(heard)]
        assert f"of its {size} bytes is lost" in messages.lost
        seen.add(len(heard))
    assert len(seen) > 1


def test_two_recorders_do_not_share_a_folder(tmp_path):
    with Journal(tmp_path), pytest.raises(SteadyhandError, match="is being written by another process"):
        Journal(tmp_path)
    Journal(tmp_path).close()


def wait_for_failure(journal: Journal) -> str:
    """Write until the journal refuses."""
    count = 0
    for _ in range(200):
        try:
            journal.check()
        except SteadyhandError as error:
            return str(error)
        count += len(journaling.write(journal, 0.05, rate=2000.0, first=count))
    raise AssertionError("nothing was refused")


def test_the_episode_ends_before_the_disk_is_full(tmp_path):
    with Journal(tmp_path, reserve=1 << 60) as journal:
        journal.begin()
        assert "free some space" in wait_for_failure(journal)
    (episode,) = episodes(tmp_path)
    assert (episode.state, episode.label["end_reason"]) == (State.FINISHED, "disk_full")


def test_a_disk_that_refuses_to_write_costs_what_it_refused(tmp_path):
    """A limit on the size of a file stands in for the end of the disk: the system refuses in the same way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        journal = Journal(tmp_path, reserve=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with journal:
        journal.begin()
        journaling.write(journal, 0.2)
        journal.end(success=True, end_reason="success")
        journal.begin()
        assert "cannot write the journal: File too large" in wait_for_failure(journal)
        with pytest.raises(SteadyhandError, match="File too large"):
            journal.end(success=True)
        journal.begin()
        journaling.write(journal, 0.1)
        journal.end(success=True, end_reason="success")
    small, large, next_one = episodes(tmp_path)
    assert (small.state, large.state, next_one.state) == (State.FINISHED, State.CUT_OFF, State.FINISHED)
    heard = numbers(large)
    assert heard == list(range(len(heard)))


def the_writer(recorder: psutil.Process) -> psutil.Process:
    """The process that writes for a recorder."""
    (writer,) = journaling.writers(recorder)
    return writer


def kill_writer(folder: Path, seconds: float) -> None:
    """The process that writes is killed; the recorder lives and goes on."""
    with Journal(folder, reserve=0) as journal:
        journal.begin()
        journaling.write(journal, 0.3)
        journal.end(success=True, end_reason="success")
        journal.begin()
        stamps = journaling.write(journal, seconds)
        threads = threading.active_count()
        writer = the_writer(psutil.Process())
        writer.kill()
        writer.wait()
        killed = time.time_ns()
        assert "has ended" in wait_for_failure(journal)
        assert_kept(folder, killed, stamps)
        assert episodes(folder)[1].state is State.CUT_OFF
        journal.begin()
        assert threading.active_count() <= threads  # the old sender has ended
        journaling.write(journal, 0.1)
        journal.end(success=True, end_reason="success")
    assert episodes(folder)[2].state is State.FINISHED


def kill_recorder(folder: Path, seconds: float, held: float = 0.0) -> None:
    """The recorder is killed; the process that writes closes the file. held: s that one stood still before."""
    command = [sys.executable, journaling.__file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as recorder:
        assert recorder.stdout.readline() == b"recording\n"
        time.sleep(seconds)
        writer = the_writer(psutil.Process(recorder.pid))
        if held:
            writer.suspend()
            time.sleep(held)
        os.kill(recorder.pid, signal.SIGKILL)
        killed = time.time_ns()
        writer.resume()
    end = time.monotonic() + 30.0
    while episodes(folder)[1].state is State.RECORDING:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert_kept(folder, killed)
    last = episodes(folder)[1]
    assert (last.state, last.label["end_reason"]) == (State.FINISHED, "recorder_died")


def assert_kept(folder: Path, killed: int, stamps: list[int] | None = None) -> None:
    """The finished episode is whole; of the running one less than the last second is lost."""
    finished, running = episodes(folder)[:2]
    with AnyReader([finished.file.parent]) as reader:
        heard = [journaling.number(data) for _, _, data in reader.messages()]
    assert heard == list(range(len(heard)))
    assert heard
    messages = list(Messages(running))
    assert [journaling.number(message.data) for message in messages] == list(range(len(messages)))
    # measured from the last message that was handed over: the test itself may be held up before it kills
    handed = min(stamps[-1], killed) if stamps else killed
    assert handed - messages[-1].received < 1e9


def kill_recorder_within_a_message(folder: Path, seconds: float) -> None:
    """Nobody reads the pipe, which holds less than a message, so that the recorder dies while it writes one."""
    kill_recorder(folder, seconds, held=0.2)


KILLS = [kill_writer, kill_recorder, kill_recorder_within_a_message]


@pytest.mark.parametrize("kill", KILLS)
def test_kill_9_costs_less_than_a_second(kill, tmp_path):
    seconds = random.uniform(0.6, 1.2)
    print(f"killed after {seconds} s")
    kill(tmp_path, seconds)


@pytest.mark.slow
def test_50_kills(tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for i in range(50):
        KILLS[i % len(KILLS)](tmp_path / str(i), rng.uniform(0.6, 1.6))
