"""A new dataset from episodes of another one: rows are copied and numbered anew, videos are cut, nothing is encoded."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from steadyhand.data_collection.configuration import copy_documents
from steadyhand.data_collection.quality_video import cameras_of, images_in, video_file
from steadyhand.data_collection.reading import episode_rows, read_table, read_tables
from steadyhand.data_collection.schema import FIRST_FILE, INFO, SCHEMA, read_info, schema_text
from steadyhand.data_collection.sidecar import SIDECAR, read_rows, write_rows
from steadyhand.data_collection.video_cut import copy_frames
from steadyhand.errors import SteadyhandError, one_line

HINT = "try `steadyhand data repair`, or restore it from a copy"
STATS, TASKS = Path("meta/stats.json"), Path("meta/tasks.parquet")


@dataclass
class Source:
    """What a new dataset is made from.

    Attributes:
        path: Folder of the old dataset, for its videos.
        info: Content of its meta/info.json.
        tasks: Of meta/tasks.parquet.
        tables: Its data rows, file by file, in order.
        rows: Of meta/episodes with the statistics, in order; `episode_index` is the one in `tables`.
        sidecar: A row per episode of `rows`; None if the dataset has none.
    """

    path: Path
    info: dict
    tasks: pa.Table
    tables: Iterable[pa.Table]
    rows: list[dict]
    sidecar: list[dict] | None

    def only(self, episodes: Iterable[int]) -> "Source":
        """The same with some of the episodes, by their place in `rows`."""
        kept = sorted(episodes)
        sidecar = None if self.sidecar is None else [self.sidecar[i] for i in kept]
        return replace(self, rows=[self.rows[i] for i in kept], sidecar=sidecar)


def open_source(path: Path) -> Source:
    """The finished episodes of a dataset that is in order."""
    info = read_info(path)
    total = int(info["total_episodes"])
    if not total:
        raise SteadyhandError(f"dataset '{path}' has no finished episode; record one first")
    rows = episode_rows(path, total, statistics=True)
    sidecar = read_rows(path) if (path / SIDECAR).is_file() else None
    tables = read_tables(path, "data", None, int(info["total_frames"]))
    return Source(path, info, read_table(path / TASKS, None), tables, rows, sidecar)


def assemble(source: Source, folder: Path, bar: tqdm) -> None:
    """Write the episodes of a source into an empty folder; the bar counts them."""
    rows = [
        row | {"episode_index": i, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        for i, row in enumerate(source.rows)
    ]
    _write_data(source, rows, folder / "data" / FIRST_FILE, bar)
    for camera in cameras_of(source.info):
        bar.set_postfix_str(camera)
        _copy_videos(source, rows, camera, folder)
    file = folder / "meta/episodes" / FIRST_FILE
    file.parent.mkdir(parents=True)
    keys = dict.fromkeys(key for row in rows for key in row)
    pq.write_table(pa.Table.from_pylist([{key: row.get(key) for key in keys} for row in rows]), file)
    pq.write_table(source.tasks, folder / TASKS)
    _write_stats(rows, folder / STATS)
    if source.sidecar is not None:
        write_rows([row | {"episode_index": i} for i, row in enumerate(source.sidecar)], folder / SIDECAR)
        (folder / SCHEMA).write_text(schema_text(str(source.info.get("robot_type") or "")))
        copy_documents(source.path, source.sidecar, folder)
    totals = {
        "total_episodes": len(rows),
        "total_frames": sum(row["length"] for row in rows),
        "total_tasks": len(source.tasks),
        "splits": {"train": f"0:{len(rows)}"},
    }
    (folder / INFO).write_text(json.dumps(source.info | totals, indent=4) + "\n")


def _write_data(source: Source, rows: list[dict], file: Path, bar: tqdm) -> None:
    """Write the data rows of the episodes, a row group each, and into the rows of the episodes where they are."""
    file.parent.mkdir(parents=True)
    begin, writer = 0, None
    try:
        for row, episode in zip(rows, episode_tables(source), strict=True):
            writer = writer or pq.ParquetWriter(file, episode.schema)
            numbers = np.arange(begin, begin + len(episode))
            episode = _with(episode, "episode_index", np.full(len(episode), row["episode_index"]))
            writer.write_table(_with(episode, "index", numbers).cast(writer.schema))
            row |= {"data/chunk_index": 0, "data/file_index": 0}
            row |= {"dataset_from_index": begin, "dataset_to_index": begin + len(episode)}
            begin += len(episode)
            bar.update()
    finally:
        if writer is not None:
            writer.close()


def episode_tables(source: Source) -> Iterator[pa.Table]:
    """The data rows of every episode, as many as meta/episodes says; SteadyhandError if they are not there."""
    for row, table in zip_longest(source.rows, _runs(source)):
        wanted = (row["episode_index"], row["length"]) if row is not None else ("none", 0)
        found = (table["episode_index"][0].as_py(), len(table)) if table is not None else ("none", 0)
        if found != wanted:
            raise SteadyhandError(
                f"'{source.path}' should have {wanted[1]} rows of episode {wanted[0]} here, "
                f"it has {found[1]} of episode {found[0]}; {HINT}"
            )
        yield table


def _runs(source: Source) -> Iterator[pa.Table]:
    """The rows of one episode after the other; one may begin in one file and end in the next."""
    wanted = pa.array([row["episode_index"] for row in source.rows], pa.int64())
    held: list[pa.Table] = []
    for table in source.tables:
        table = table.filter(pc.is_in(table["episode_index"], wanted))
        for number in pc.unique(table["episode_index"]).to_pylist():
            part = table.filter(pc.equal(table["episode_index"], number))
            if held and held[0]["episode_index"][0].as_py() != number:
                yield pa.concat_tables(held)
                held = []
            held.append(part.cast(held[0].schema) if held else part)
    if held:
        yield pa.concat_tables(held)


def _with(table: pa.Table, column: str, values: np.ndarray) -> pa.Table:
    at = table.schema.get_field_index(column)
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def require_images(file: Path, images: int) -> None:
    """Refuse a video file that is missing or unreadable or holds fewer images, by what its header says."""
    found = images_in(file)
    if isinstance(found, int) and found < images:
        found = f"{file.name} holds {found} images, its rows need {images}"
    if isinstance(found, str):
        raise SteadyhandError(f"'{file.parent}': {found}; {HINT}")


@contextlib.contextmanager
def film(file: Path, images: int) -> Iterator[None]:
    """Refuse a video file that is missing or damaged or holds fewer images, before or while it is read."""
    require_images(file, images)
    try:
        yield
    except av.FFmpegError as error:
        raise SteadyhandError(f"'{file.parent}': {file.name} cannot be read: {one_line(error)}; {HINT}") from None


def _copy_videos(source: Source, rows: list[dict], camera: str, folder: Path) -> None:
    files = defaultdict(list)
    for row in rows:
        files[video_file(source.path, source.info, camera, row)].append(row)
    fps = source.info["fps"]
    for file, episodes in files.items():
        starts = [round(row[f"videos/{camera}/from_timestamp"] * fps) for row in episodes]
        spans = [(start, start + row["length"]) for start, row in zip(starts, episodes, strict=True)]
        with film(file, spans[-1][1]):
            new = copy_frames(file, folder / file.relative_to(source.path), spans, fps)
        for row, start in zip(episodes, new, strict=True):
            row[f"videos/{camera}/from_timestamp"] = start / fps
            row[f"videos/{camera}/to_timestamp"] = (start + row["length"]) / fps


def _write_stats(rows: list[dict], file: Path) -> None:
    """Write the statistics over all episodes, from those of each."""
    from lerobot.datasets.compute_stats import aggregate_stats
    from lerobot.datasets.io_utils import write_stats

    stats: list[dict] = []
    for row in rows:
        stats.append(defaultdict(dict))
        for key, value in row.items():
            if key.startswith("stats/") and value is not None:
                column, name = key.removeprefix("stats/").rsplit("/", 1)
                stats[-1][column][name] = np.array(value)
    write_stats(aggregate_stats(stats), file.parent.parent)
