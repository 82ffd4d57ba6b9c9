"""Reading recorded datasets quickly, without importing LeRobot (its import takes 4 s)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steadyhand.data_collection.configuration import used
from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.schema import AUTOMATIC, SCHEMA, read_info
from steadyhand.data_collection.sidecar import SIDECAR, load_sidecar
from steadyhand.errors import SteadyhandError, unknown


@dataclass(frozen=True)
class Frames:
    """Columns of one or several datasets, one after the other, cut into episodes.

    Attributes:
        columns: Name -> array (frames, ...); columns of shape (1,) come as (frames,).
        start: First frame of each episode, (episodes,).
        stop: One past its last frame, (episodes,).
        source: Which of the given paths it came from, (episodes,).
        episode_index: Its number within that dataset, (episodes,).
    """

    columns: dict[str, np.ndarray]
    start: np.ndarray
    stop: np.ndarray
    source: np.ndarray
    episode_index: np.ndarray


def load_columns(paths: Sequence[Path | str], columns: Sequence[str]) -> Frames:
    """Read columns of finished episodes from several datasets (not videos).

    Args:
        paths: Dataset folders.
        columns: Names, e.g. "observation.state", "action", "segment"; of the same shape in all datasets.
    """
    folders = [Path(path) for path in paths]
    if not folders:
        raise SteadyhandError("no dataset given; give at least one dataset folder")
    parts = [_load_one(path, list(columns)) for path in folders]
    for name in columns:
        _require_same_shape(name, folders, [part[0][name] for part in parts])
    episodes = [part[1] for part in parts]
    lengths = np.concatenate([np.bincount(index) for index in episodes])
    stop = np.cumsum(lengths)
    return Frames(
        columns={name: np.concatenate([part[0][name] for part in parts]) for name in columns},
        start=stop - lengths,
        stop=stop,
        source=np.repeat(np.arange(len(folders)), [index[-1] + 1 for index in episodes]),
        episode_index=np.concatenate([np.arange(index[-1] + 1) for index in episodes]),
    )


def _load_one(path: Path, columns: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns of one dataset and each frame's episode_index."""
    info = read_info(path)
    readable = {name: feature for name, feature in info["features"].items() if feature["dtype"] != "video"}
    for name in columns:
        if name not in readable:
            raise unknown("column", name, readable, f"dataset '{path}'")
    total = int(info["total_frames"])
    if not total:
        raise SteadyhandError(f"dataset '{path}' has no finished episode; record one first")
    names = list(dict.fromkeys([*columns, "episode_index"]))
    tables = list(read_tables(path, "data", names, total))
    arrays = {
        name: np.concatenate([column_array(table[name], readable[name]["shape"]) for table in tables]) for name in names
    }
    if len(arrays["episode_index"]) < total:
        raise SteadyhandError(
            f"dataset '{path}' holds fewer than its {total} frames; "
            "try `steadyhand data repair`, or restore it from a copy"
        )
    return arrays, arrays["episode_index"]


def episode_number(path: Path, given: str) -> int:
    """The number of one of a dataset's finished episodes, as a user gives it."""
    total = int(read_info(path)["total_episodes"])
    if not total:
        raise SteadyhandError(f"dataset '{path}' has no finished episode; record one first")
    if not given.isdecimal() or int(given) >= total:
        raise unknown("episode", given, [f"0 to {total - 1}"], f"dataset '{path}'")
    return int(given)


def episode_rows(path: Path, total: int, statistics: bool = False) -> list[dict]:
    """The rows of a dataset's meta/episodes: length, tasks, where the videos are; on demand also the statistics.

    Raises:
        SteadyhandError: These are not the finished episodes, all of them, in order.
    """
    rows: list[dict] = []
    for table in read_tables(path, "meta/episodes", None, total):
        rows += table.select([n for n in table.column_names if statistics or not n.startswith("stats/")]).to_pylist()
    if [row["episode_index"] for row in rows] != list(range(total)):
        raise SteadyhandError(
            f"dataset '{path}' names {total} episodes, but meta/episodes lists {len(rows)}, or not in their order; "
            "try `steadyhand data repair`, or restore it from a copy"
        )
    return rows


def read_tables(path: Path, folder: str, columns: list[str] | None, total: int) -> Iterator[pa.Table]:
    """Read a dataset's parquet files in order until `total` rows are there.

    What lies behind them belongs to an episode that is not finished.
    """
    for file in sorted((path / folder).glob("*/*.parquet")):
        if total <= 0:
            return
        table = read_table(file, columns)
        yield table.slice(0, total)
        total -= table.num_rows


def read_table(file: Path, columns: list[str] | None) -> pa.Table:
    """Read columns of one parquet file; None reads all."""
    try:
        return pq.read_table(file, columns=columns, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise SteadyhandError(
            f"cannot read {file}: {error}; try `steadyhand data repair`, or restore it from a copy"
        ) from None


def column_array(column: pa.ChunkedArray, shape: Sequence[int]) -> np.ndarray:
    """A parquet column as an array (rows, *shape); (rows,) for shape (1,)."""
    values = pa.concat_arrays(column.chunks)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    while isinstance(values, pa.FixedSizeListArray | pa.ListArray | pa.LargeListArray):
        values = values.flatten()
    array = values.to_numpy(zero_copy_only=False)
    return array if tuple(shape) == (1,) else array.reshape(-1, *shape)


def _require_same_shape(name: str, paths: list[Path], arrays: list[np.ndarray]) -> None:
    for path, array in zip(paths, arrays, strict=True):
        if array.shape[1:] != arrays[0].shape[1:]:
            raise SteadyhandError(
                f"column '{name}' has shape {arrays[0].shape[1:]} in '{paths[0]}' but {array.shape[1:]} "
                f"in '{path}'; "
                "give datasets of one robot and task"
            )


def describe(path: Path | str) -> dict:
    """Summarise a dataset: sizes, columns, outcomes, who decided how many frames (all JSON types).

    Of a dataset that is none of ours nobody knows outcomes and operators: these counts are 0.
    """
    info, path = read_info(path), Path(path)
    episodes = load_sidecar(path) if (path / SIDECAR).is_file() or (path / SCHEMA).is_file() else []
    segments = {}
    if info["total_frames"] and "segment" in info["features"]:
        counts = np.bincount(load_columns([path], ["segment"]).columns["segment"], minlength=len(Segment))
        segments = {segment.name.lower(): int(counts[segment]) for segment in Segment}
    columns = {
        name: f"{feature['dtype']} {tuple(feature['shape'])}"
        for name, feature in info["features"].items()
        if name not in AUTOMATIC
    }
    return {
        "path": str(path),
        "robot": info.get("robot_type") or "unknown",
        "tasks": list(dict.fromkeys(row["task"] for row in episodes)) or _tasks(path),
        "fps": info["fps"],
        "episodes": info["total_episodes"],
        "frames": info["total_frames"],
        "seconds": info["total_frames"] / info["fps"],
        "successes": sum(row["success"] is True for row in episodes),
        "end_reasons": dict(Counter(row["end_reason"] for row in episodes)),
        "human_frames": sum(row["human_frames"] for row in episodes),
        "dropped_frames": sum(row["dropped_frames"] for row in episodes),
        "segments": segments,
        "configuration": used(episodes),
        "columns": columns,
    }


def _tasks(path: Path) -> list[str]:
    file = path / "meta/tasks.parquet"
    if not file.is_file():
        return []
    table = read_table(file, None)
    texts = next(name for name in table.column_names if name != "task_index")
    return table[texts].to_pylist()
