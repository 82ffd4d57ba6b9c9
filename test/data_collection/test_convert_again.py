"""Converting a journal again: by any number of workers, after a kill, after a repair."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from steadyhand.data_collection.convert import ConvertConfig, main
from steadyhand.data_collection.dataset import load_columns, load_sidecar
from steadyhand.data_collection.repair import RepairConfig
from steadyhand.data_collection.repair import main as repair
from steadyhand.data_collection.schema import INFO, read_info


def test_again_adds_nothing(journal, converted, capsys):
    before = {file: file.read_bytes() for file in converted[0].rglob("*") if file.is_file()}
    assert main(ConvertConfig(journal, converted[0])) == 0
    assert "0 episodes added" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in converted[0].rglob("*") if file.is_file()} == before


def test_what_kill_9_left_is_completed(journal, converted, tmp_path):
    folder = tmp_path / "dataset"
    command = [sys.executable, "-m", "steadyhand", "data", "convert", str(journal), "--output", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 240.0
        while not list(folder.glob("data/*/*.parquet")):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert main(ConvertConfig(journal, folder)) == 0
    assert load_sidecar(folder) == load_sidecar(converted[0])
    names = ["observation.state", "observation.reference", "action", "action_applied"]
    one, other = load_columns([folder], names), load_columns([converted[0]], names)
    assert all(np.array_equal(one.columns[name], other.columns[name]) for name in names)


def images(film: Path) -> list[bytes]:
    with av.open(str(film)) as container:
        return [image.to_ndarray().tobytes() for image in container.decode(video=0)]


def content(folder: Path) -> dict[str, object]:
    """The files of a dataset by name, as what they say.

    LeRobot writes the keys of JSON in any order; about one small film in a hundred has other bytes for the same images
    (x264's vectorised code is not deterministic).
    """
    read = {
        ".mp4": images,
        ".parquet": lambda file: pq.read_table(file).to_pydict(),
        ".json": lambda file: json.loads(file.read_text()),
    }
    files = filter(Path.is_file, folder.rglob("*.*"))
    return {str(file.relative_to(folder)): read.get(file.suffix, Path.read_bytes)(file) for file in files}


def test_several_workers_make_the_same_dataset(journal, converted, tmp_path, capsys):
    assert main(ConvertConfig(journal, tmp_path / "dataset", workers=2)) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == converted[1].splitlines()[:-1]
    one, other = content(tmp_path / "dataset"), content(converted[0])
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_9_at_50_random_moments(journal, converted, tmp_path):
    """Of the command or of a worker: what is there opens, and repeating completes it."""
    kills, seed = 50, 71_000
    random = np.random.default_rng(seed)
    print(f"seed {seed}")
    folder = tmp_path / "dataset"
    command = [sys.executable, "-m", "steadyhand", "data", "convert", str(journal), "--workers", "2", "--output"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = time.monotonic()
    subprocess.run([*command, str(tmp_path / "timed")], check=True, **quiet)
    longest = time.monotonic() - started
    for kill in range(kills):
        with subprocess.Popen([*command, str(folder)], **quiet) as run:
            time.sleep(random.uniform(0.3, 1.0) * longest)
            workers = children(run.pid)
            victim = int(random.choice(workers)) if kill % 2 and workers else run.pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            status = run.wait(60)
        rows = load_sidecar(folder) if (folder / INFO).exists() else []
        assert rows == load_sidecar(converted[0])[: len(rows)]
        assert not rows or LeRobotDataset("dataset", root=folder, video_backend="pyav").num_episodes == len(rows)
        print(f"kill {kill} of {'a worker' if kill % 2 else 'the command'}: status {status}, {len(rows)} episodes")
        if len(rows) == len(load_sidecar(converted[0])):
            shutil.rmtree(folder)  # a kill has to meet an unfinished dataset
    assert main(ConvertConfig(journal, folder, workers=2)) == 0
    one, other = content(folder), content(converted[0])
    assert {name: data for name, data in one.items() if name in other} == other


def children(pid: int) -> list[str]:
    """Processes that a process has started."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return file.read_text().split() if file.exists() else []


def test_a_repaired_journal_is_not_converted_twice(journal, converted, tmp_path, capsys):
    repair(RepairConfig(journal, tmp_path / "repaired"))
    dataset = shutil.copytree(converted[0], tmp_path / "dataset")
    capsys.readouterr()
    main(ConvertConfig(tmp_path / "repaired", dataset))
    assert "0 episodes added" in capsys.readouterr().out
    assert read_info(dataset) == read_info(converted[0])
