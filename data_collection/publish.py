"""Getting finished episodes into a dataset so that no kill, at any instant, leaves it unreadable.

LeRobot rewrites files in place (info.json, stats.json), and a parquet file has no footer until it is closed:
killed in the middle of that, the whole dataset is lost. So LeRobot writes into a stage, a private folder
inside the dataset, and the new files of one finished episode are then renamed into the dataset in this order:

    videos, data, meta/episodes, tasks and stats, sidecar | meta/info.json

The last rename is the commit: info.json holds the number of episodes. Whatever came before it belongs to an
episode that readers do not count yet, and that the next writer removes (`remove_uncommitted`) or overwrites.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from steadyhand.data_collection import durable
from steadyhand.data_collection.durable import sync
from steadyhand.data_collection.reading import read_table
from steadyhand.data_collection.schema import FOLDER, INFO, read_info

STAGE = Path(".recording")
REWRITTEN = {FOLDER / "episodes.parquet", INFO, Path("meta/stats.json"), Path("meta/tasks.parquet")}  # by every episode
_ORDER = ("videos", "data", "meta/episodes", "meta/tasks", "meta/stats", "meta/steadyhand", "meta/info")


def publish(stage: Path, files: Iterable[Path], dataset: Path) -> None:
    """Copy files of the stage to the same relative paths of the dataset, durably, the commit last.

    LeRobot looks at its latest files again at the next episode, so they stay in the stage: this copies.
    """
    for file in sorted(files, key=_rank):
        target = dataset / file
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = stage.parent / "copy"
        shutil.copyfile(stage / file, copy)
        sync(copy)
        os.replace(copy, target)
        sync(target.parent)


def remember(dataset: Path, folder: Path) -> None:
    """Keep what the next episode is going to rewrite in an empty or new folder, for ``revert``."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in REWRITTEN:
        if (dataset / file).exists():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset / file, folder / file)


def revert(folder: Path, files: Iterable[Path], dataset: Path) -> None:
    """Take the last episode out again: first the commit, then what was rewritten, then its own files."""
    publish(folder, [INFO], dataset)
    kept = {file for file in REWRITTEN if (folder / file).exists()}
    publish(folder, kept - {INFO}, dataset)
    for file in {*files, *REWRITTEN} - kept:
        (dataset / file).unlink(missing_ok=True)


def _rank(file: Path) -> int:
    return next(i for i, start in enumerate(_ORDER) if file.as_posix().startswith(start))


def is_free(path: Path) -> bool:
    """Tell whether a new dataset may be made here: nothing there but what a kill in the first instant leaves."""
    if path.is_dir() and not (path / INFO).exists():
        return {child.name for child in path.iterdir()} <= {STAGE.name, "meta"}
    return not path.exists()


def lock(dataset: Path) -> IO:
    """Take the dataset for writing; the operating system frees it when the process ends, however it ends."""
    return durable.lock(dataset / FOLDER / "lock", dataset)


def remove_uncommitted(dataset: Path) -> None:
    """Remove what a killed writer left behind: its stage and the files of an episode it did not commit."""
    total = int(read_info(dataset)["total_episodes"])
    for folder in ("meta/episodes", "data"):
        for file in sorted((dataset / folder).glob("*/*.parquet"), reverse=True):
            if read_table(file, ["episode_index"])["episode_index"][0].as_py() < total:
                break
            file.unlink()
    shutil.rmtree(dataset / STAGE, ignore_errors=True)


def latest_meta_files(dataset: Path) -> list[Path]:
    """Return the files a LeRobot writer needs to continue: the totals and the last episode's row."""
    episodes = sorted((dataset / "meta/episodes").glob("*/*.parquet"))[-1:]
    others = [dataset / INFO, dataset / "meta/stats.json", dataset / "meta/tasks.parquet"]
    return [file.relative_to(dataset) for file in (*others, *episodes) if file.exists()]
