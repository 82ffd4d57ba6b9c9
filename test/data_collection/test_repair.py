import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from journaling import CHANNEL, cdr, number, write
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from mcap.writer import Writer
from plain_lerobot import EPISODES, LENGTHS
from recording import PLAIN, open_writer, record
from rosbags.rosbag2 import Reader

from steadyhand.data_collection.dataset import load_sidecar
from steadyhand.data_collection.journal import Journal, relabel
from steadyhand.data_collection.journal_process import EpisodeFile
from steadyhand.data_collection.journal_reading import Messages, State, episodes, find
from steadyhand.data_collection.parquet_salvage import salvage_parquet
from steadyhand.data_collection.repair import RepairConfig, main
from steadyhand.data_collection.video_cut import copy_frames
from steadyhand.errors import SteadyhandError

DATA, VIDEO = "data/chunk-000/file-000.parquet", "videos/observation.images.top/chunk-000/file-000.mp4"


def lerobot(path: Path) -> LeRobotDataset:
    return LeRobotDataset("local/test", root=path, video_backend="pyav")


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file, to see that none is changed, added or taken away."""
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def assert_same_frames(dataset: LeRobotDataset, original: LeRobotDataset, frames: list[int]) -> None:
    assert len(dataset) == len(frames)
    for i, at in enumerate(frames):
        new, old = dataset[i], original[at]
        assert new.keys() == old.keys()
        assert new["task"] == old["task"]
        assert new["index"] == i
        for name in new.keys() - {"task", "index", "episode_index", "task_index"}:
            np.testing.assert_array_equal(new[name], old[name])


@pytest.fixture(scope="module")
def original(plain) -> LeRobotDataset:
    return lerobot(plain / "finished")


@pytest.fixture
def broken(plain, tmp_path) -> Path:
    return shutil.copytree(plain / "killed", tmp_path / "broken")


@pytest.mark.parametrize("name", ["killed", "killed_flushed"])
def test_what_lerobot_loses_by_kill_9_comes_back(plain, original, tmp_path, capsys, name):
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(plain / name / DATA)
    before = contents(plain / name)
    main(RepairConfig(plain / name, tmp_path / "repaired"))
    assert f"{EPISODES} episodes saved" in capsys.readouterr().out
    assert contents(plain / name) == before
    repaired = lerobot(tmp_path / "repaired")
    assert_same_frames(repaired, original, list(range(sum(LENGTHS))))
    assert repaired.meta.stats.keys() == original.meta.stats.keys()
    for column, stats in original.meta.stats.items():
        for key, value in stats.items():  # of videos from the encoded images
            np.testing.assert_allclose(repaired.meta.stats[column][key], value, atol=0.02)


def test_rows_and_images_that_are_gone(broken, original, tmp_path, capsys):
    data = broken / DATA
    data.write_bytes(data.read_bytes()[:-200])
    main(RepairConfig(broken, tmp_path / "repaired"))
    said = capsys.readouterr().out
    assert "episode 3: lost: its rows are lost" in said
    assert_same_frames(lerobot(tmp_path / "repaired"), original, list(range(sum(LENGTHS[:3]))))

    video = broken / VIDEO
    copy_frames(video, tmp_path / "short.mp4", [(0, 13)], 10)
    shutil.move(tmp_path / "short.mp4", video)
    main(RepairConfig(broken, tmp_path / "again"))
    assert "episode 2: lost: observation.images.top: no video" in capsys.readouterr().out
    assert_same_frames(lerobot(tmp_path / "again"), original, list(range(13)))

    copy_frames(video, tmp_path / "short.mp4", [(0, 12)], 10)
    shutil.move(tmp_path / "short.mp4", video)  # which image is missing, nobody knows
    with pytest.raises(SteadyhandError, match=r"nothing of .* file-000\.mp4 holds 12 images, its rows need more"):
        main(RepairConfig(broken, tmp_path / "third"))
    video.write_bytes(video.read_bytes()[:200])
    with pytest.raises(SteadyhandError, match=r"file-000\.mp4 cannot be read"):
        main(RepairConfig(broken, tmp_path / "third"))
    assert not (tmp_path / "third").exists()


@pytest.mark.slow
def test_lost_metadata(broken, plain, original, tmp_path, capsys):
    info = broken / "meta/info.json"
    info.write_text(info.read_text().replace(f'"total_episodes": {EPISODES}', '"total_episodes": 1'))
    (broken / "meta/tasks.parquet").write_bytes(b"PAR1")
    main(RepairConfig(broken, tmp_path / "repaired"))
    assert "meta/tasks.parquet cannot be read" in capsys.readouterr().out
    assert lerobot(tmp_path / "repaired").num_episodes == EPISODES
    info.write_text("")
    with pytest.raises(SteadyhandError, match="--like"):
        main(RepairConfig(broken, tmp_path / "again"))
    main(RepairConfig(broken, tmp_path / "again", like=plain / "finished"))
    assert lerobot(tmp_path / "again")[29]["task"] == "unknown task 1"


@pytest.mark.parametrize("readable", [0, 1])
def test_tasks_are_found_by_their_place(plain, tmp_path, capsys, readable):
    broken = shutil.copytree(plain / "finished", tmp_path / "broken")
    tasks, rows = pq.read_table(broken / "meta/tasks.parquet"), pq.read_table(broken / DATA)
    pq.write_table(rows.filter(pc.equal(rows["task_index"], 1)), broken / DATA)
    if readable:
        pq.write_table(tasks.slice(0, readable), broken / "meta/tasks.parquet")
    else:
        (broken / "meta/tasks.parquet").write_bytes(b"")
    main(RepairConfig(broken, tmp_path / "repaired"))
    assert ("holds 1 of 2 tasks" if readable else "meta/tasks.parquet cannot be read") in capsys.readouterr().out
    repaired = lerobot(tmp_path / "repaired")
    assert [repaired[i]["task"] for i in (0, -1)] == ["unknown task 1"] * 2
    assert list(repaired.meta.tasks.index) == ["task 0" if readable else "unknown task 0", "unknown task 1"]


def test_a_dataset_of_ours_keeps_what_is_known(tmp_path, capsys):
    with open_writer(tmp_path / "ours") as writer:
        record(writer, PLAIN, 3)
    (tmp_path / "ours/data/chunk-000/file-001.parquet").write_bytes(b"")
    main(RepairConfig(tmp_path / "ours", tmp_path / "repaired"))
    assert "episode 1: lost: its rows are lost" in capsys.readouterr().out
    assert [row["seed"] for row in load_sidecar(tmp_path / "repaired")] == [0, 2]
    with pytest.raises(SteadyhandError, match="exists"):
        main(RepairConfig(tmp_path / "ours", tmp_path / "repaired"))


def test_row_groups_of_several_pages_and_damage(tmp_path):
    random = np.random.default_rng(0)
    rows = 40_000
    wide = pa.FixedSizeListArray.from_arrays(pa.array(random.standard_normal(7 * rows)), 7)
    columns = {"wide": wide, "flag": pa.array(random.random(rows) > 0.5), "count": pa.array(np.arange(rows))}
    table, file = pa.table(columns), tmp_path / "open.parquet"
    writer = pq.ParquetWriter(file, table.schema)
    for part in (table, table.slice(0, 100), table.slice(7, 1)):
        writer.write_table(part)
    content = file.read_bytes()
    found = salvage_parquet(file, table, [7, 1, 1])
    assert [part.num_rows for part in found.tables] == [rows, 100, 1]
    assert found.tables[0].equals(table)
    assert not found.lost
    for _ in range(20):  # whatever is read is right, and nothing crashes
        file.write_bytes(content[: random.integers(len(content))])
        assert all(part.equals(table.slice(0, len(part))) for part in salvage_parquet(file, table, [7, 1, 1]).tables)
        damaged = bytearray(content)
        for at in random.integers(len(content), size=5):
            damaged[at] = random.integers(256)
        file.write_bytes(damaged)
        salvage_parquet(file, table, [7, 1, 1])


def test_a_cut_off_journal_becomes_whole(tmp_path, capsys):
    folder = tmp_path / "journal"
    with Journal(folder, reserve=0) as journal:
        for _ in range(2):
            journal.begin(robot="fr3")
            write(journal, 0.6)
            journal.end(success=True, end_reason="success")
    file = episodes(folder)[1].file
    file.write_bytes(file.read_bytes()[: 2 * file.stat().st_size // 3])
    (file.parent / "metadata.yaml").unlink()
    relabel(folder, "episode_000001", note="power cut")
    before = contents(folder)
    main(RepairConfig(folder, tmp_path / "repaired"))
    assert contents(folder) == before
    said = capsys.readouterr().out
    assert "the file breaks off" in said
    assert "1 episodes repaired" in said
    for cut, whole in zip(episodes(folder), episodes(tmp_path / "repaired"), strict=True):
        assert whole.state is State.FINISHED
        assert (whole.identity, whole.label, whole.metadata) == (cut.identity, cut.label, cut.metadata)
        assert list(Messages(whole)) == list(Messages(cut))
        with Reader(whole.file.parent) as bag:
            assert [number(raw) for _, _, raw in bag.messages()] == list(range(bag.message_count))
    with pytest.raises(SteadyhandError, match="does not exist"):
        main(RepairConfig(tmp_path / "nothing", tmp_path / "out"))


@pytest.mark.parametrize("described", [True, False])
def test_a_split_bag_with_a_file_cut_off(tmp_path, described):
    """Of three files, the last one cut off; metadata.yaml is there if the recorder could still end."""
    bag = tmp_path / "bags" / "run"
    bag.mkdir(parents=True)
    for part in range(3):
        made = EpisodeFile(tmp_path / str(part), {})
        for i in range(100 * part, 100 * part + 60):
            made.write(CHANNEL.topic, CHANNEL.type, CHANNEL.schema, i, i, cdr(i))
            if i % 10 == 9:
                made.flush()
        made.finish({})
        made.path.rename(bag / f"run_{part}.mcap")
    os.truncate(bag / "run_2.mcap", 2 * (bag / "run_2.mcap").stat().st_size // 3)
    if described:
        (bag / "metadata.yaml").touch()
    before = {episode.identity: list(Messages(episode)) for episode in episodes(tmp_path / "bags")}
    assert [len(messages) for messages in before.values()] == [60, 60, 40]
    main(RepairConfig(tmp_path / "bags", tmp_path / "whole"))
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == ["run", "run_1", "run_2"]
    repaired = episodes(tmp_path / "whole")
    assert {episode.identity: list(Messages(episode)) for episode in repaired} == before
    assert {episode.state for episode in repaired} == {State.FINISHED}
    for episode in repaired:
        with Reader(episode.file.parent) as reader:
            assert reader.message_count == len(list(Messages(episode)))


def test_bags_of_one_name_are_refused(tmp_path):
    for day in ("mon", "tue"):
        bag = tmp_path / "days" / day / "bag"
        bag.mkdir(parents=True)
        with (bag / "bag_0.mcap").open("wb") as stream:
            writer = Writer(stream)
            writer.start()
            writer.finish()
    days, output = tmp_path / "days", tmp_path / "out"
    refusal = f"'{days}' holds several bags named bag; repair one folder at a time"
    for _ in ("cut off", "whole"):
        with pytest.raises(SteadyhandError) as refused:
            main(RepairConfig(days, output))
        assert str(refused.value) == refusal
        for bag in days.glob("*/bag"):
            (bag / "metadata.yaml").touch()
    assert not output.exists()
    with pytest.raises(SteadyhandError, match="holds 2 episodes bag_0; give one journal"):
        find(days, "bag_0")
    with pytest.raises(SteadyhandError, match=r"allowed: bag_0$"):
        find(days / "mon", "bag_1")
    main(RepairConfig(days / "mon", output))
    assert find(output, "bag_0").state is State.FINISHED
