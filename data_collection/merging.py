"""Merging datasets into one, with few large files instead of one per episode.

What only some of them have is added to the others: `segment` is demo, but in a dataset with interventions correction
where `intervention` is true and policy elsewhere; `intervention` is true in the segments recovery and correction;
`subtask` is 0, `chunk_index` and `controller_status` are unknown, and `stamp` is LeRobot's `timestamp`.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steadyhand.data_collection.durable import new_folder
from steadyhand.data_collection.labels import INTERVENTION_SEGMENTS, UNKNOWN, Segment, human_mask
from steadyhand.data_collection.reading import load_columns, read_tables
from steadyhand.data_collection.schema import (
    FIRST_FILE,
    INFO,
    SCHEMA,
    STAMP,
    differing,
    features,
    read_info,
    schema_text,
)
from steadyhand.data_collection.sidecar import SIDECAR, EpisodeInfo, read_rows, sidecar_row, write_rows
from steadyhand.errors import SteadyhandError, one_line

# Of an episode's row: the numbers of the files that hold it.
_FILE_NUMBERS = [
    "data/chunk_index",
    "data/file_index",
    "meta/episodes/chunk_index",
    "meta/episodes/file_index",
]


_LABELS = ("segment", "intervention", "subtask", "chunk_index", "controller_status", STAMP)
PADDED = {name: features(7)[name] for name in _LABELS}
"""Columns that may be missing: those of version 1 of the schema lack the last four, those of others all."""


def merge(paths: Sequence[Path | str], output: Path | str, done: Callable[[Path], object] = lambda _: None) -> Path:
    """Write the finished episodes of several datasets, in the given order, into a new dataset.

    A single path is compacted. The output appears complete or not at all; the inputs stay as they are.

    Args:
        paths: Dataset folders of the same robot, rate and columns; `PADDED` columns may be missing.
        output: Folder to create.
        done: Told of every dataset that is read.
    """
    folders, output = [Path(path) for path in paths], Path(output)
    if not folders:
        raise SteadyhandError("no dataset to merge; give at least one dataset folder")
    missing = _require_same(folders)
    with new_folder(output) as folder:
        packed = []
        for i, path in enumerate(folders):
            packed.append(_pack(path, folder.parent / str(i), missing[i]))
            done(path)
        folder.rmdir()  # LeRobot makes it
        _aggregate(packed, folder)
    return output


def _require_same(paths: list[Path]) -> list[list[str]]:
    """Refuse datasets that differ; returns the columns that each one has to be given."""
    infos = [read_info(path) for path in paths]
    padded = [name for name in PADDED if any(name in info["features"] for info in infos)]
    missing = [[name for name in padded if name not in info["features"]] for info in infos]
    first = _with_padding(infos[0], missing[0])
    complaints = []
    for path, info, lacks in zip(paths, infos, missing, strict=True):
        changes = differing(_with_padding(info, lacks)["features"], first["features"])
        for name, label in (("fps", "fps"), ("robot_type", "robot")):
            if info.get(name) != first.get(name):
                changes.append(f"{label} (given {info.get(name)}, dataset {first.get(name)})")
        changes += _other_encodings(info, first)
        if changes:
            complaints.append(f"'{path}' (given) and '{paths[0]}' (dataset) differ in: {'; '.join(changes)}")
        if not info["total_episodes"]:
            raise SteadyhandError(f"dataset '{path}' has no finished episode; leave it out")
    if complaints:
        raise SteadyhandError(f"cannot merge: {'; '.join(complaints)}; merge datasets of one robot, rate and schema")
    return missing


def _other_encodings(info: dict, first: dict) -> list[str]:
    """Videos that LeRobot would not take together; `lerobot-edit-dataset` can encode them again."""
    changes = []
    for name in info["features"].keys() & first["features"].keys():
        given, known = ((other["features"][name].get("info") or {}) for other in (info, first))
        for key in ("video.codec", "video.pix_fmt"):
            if given.get(key) != known.get(key):
                changes.append(f"{name} ({key}: given {given.get(key)}, dataset {known.get(key)})")
    return sorted(changes)


def _with_padding(info: dict, missing: list[str]) -> dict:
    return {**info, "features": info["features"] | {name: PADDED[name] for name in missing}}


def _pack(path: Path, folder: Path, missing: list[str]) -> Path:
    """Make a copy with one data and one episodes file and all columns; videos are linked.

    LeRobot's aggregation reads and rewrites its growing output for every input file: measured 125 s for 400
    episodes in a file each, 6 s for the same packed.
    """
    (folder / SIDECAR).parent.mkdir(parents=True)
    # First the commit record: what a recorder adds while we copy is then left out everywhere.
    for file in (INFO, SCHEMA, SIDECAR, Path("meta/stats.json"), Path("meta/tasks.parquet")):
        if (path / file).exists():
            shutil.copyfile(path / file, folder / file)
    info = read_info(folder)
    tables = read_tables(path, "data", None, info["total_frames"])
    added: dict[str, list[np.ndarray]] = {name: [] for name in missing}
    _write_tables(_pad(tables, path, added), folder / "data")
    episodes = pa.concat_tables(
        read_tables(path, "meta/episodes", None, info["total_episodes"]), promote_options="permissive"
    )
    for name in _FILE_NUMBERS:
        zeros = pa.array([0] * len(episodes), pa.int64())
        at = episodes.schema.get_field_index(name)
        episodes = episodes.set_column(at, name, zeros) if at >= 0 else episodes.append_column(name, zeros)
    for name, values in added.items():
        episodes = _add_stats(folder, name, np.concatenate(values), episodes)
    _write_tables([episodes], folder / "meta/episodes")
    (folder / INFO).write_text(json.dumps(_with_padding(info, missing)))
    if (path / "videos").is_dir():
        (folder / "videos").symlink_to((path / "videos").resolve())
    return folder


def _pad(tables: Iterable[pa.Table], path: Path, added: dict[str, list[np.ndarray]]) -> Iterator[pa.Table]:
    """The tables with the missing columns, whose values are also appended to `added`."""
    helped = False
    if "segment" in added and "intervention" in read_info(path)["features"]:
        helped = bool(load_columns([path], ["intervention"]).columns["intervention"].any())
    for table in tables:
        for name, values in added.items():
            if name == "intervention" and "segment" in table.column_names:
                values.append(np.isin(table["segment"].to_numpy(), INTERVENTION_SEGMENTS))
            elif name == "segment" and helped:
                intervention = table["intervention"].to_numpy()
                values.append(np.where(intervention, Segment.CORRECTION, Segment.POLICY).astype(np.int8))
            elif name == STAMP:
                values.append(table["timestamp"].to_numpy().astype(np.float32))
            else:
                unknown = name in ("chunk_index", "controller_status")
                values.append(np.full(len(table), UNKNOWN if unknown else 0, PADDED[name]["dtype"]))  # 0: Segment.DEMO
            table = table.append_column(name, pa.array(values[-1]))
        yield table


def _add_stats(folder: Path, name: str, values: np.ndarray, episodes: pa.Table) -> pa.Table:
    """Give an added column its statistics: in meta/stats.json and in the rows of the episodes."""
    from lerobot.datasets.compute_stats import aggregate_stats, get_feature_stats
    from lerobot.datasets.io_utils import load_stats, write_stats

    stop = np.cumsum(episodes["length"].to_numpy())
    stats = [get_feature_stats(part, axis=0, keepdims=True) for part in np.split(values, stop[:-1])]
    write_stats((load_stats(folder) or {}) | aggregate_stats([{name: part} for part in stats]), folder)
    for key in stats[0]:
        episodes = episodes.append_column(f"stats/{name}/{key}", pa.array([part[key].tolist() for part in stats]))
    return episodes


def _write_tables(tables, folder: Path) -> None:
    """Write tables of the same columns into the first file of a folder, a row group each."""
    file = folder / FIRST_FILE
    file.parent.mkdir(parents=True)
    tables = iter(tables)
    first = next(tables)
    with pq.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            # The files of merged and of recorded episodes differ in details (lists of fixed and of free length).
            writer.write_table(table.cast(first.schema))


def _aggregate(paths: list[Path], output: Path) -> None:
    from datasets.features.features import PandasArrayExtensionDtype
    from lerobot.datasets.aggregate import aggregate_datasets

    # pandas needs a tuple; with the word that is there, columns of two dimensions cannot be joined (datasets 4.8).
    PandasArrayExtensionDtype._metadata = ("value_type",)
    names = [path.name for path in paths]
    try:
        aggregate_datasets(names, output.name, roots=paths, aggr_root=output, concatenate_videos=False)
    except ValueError as error:
        raise SteadyhandError(f"LeRobot cannot merge them: {one_line(error)[:300]}") from None
    if any((path / SIDECAR).exists() for path in paths):
        rows = [row for path in paths for row in _sidecar(path)]
        write_rows([{**row, "episode_index": index} for index, row in enumerate(rows)], output / SIDECAR)
        (output / SCHEMA).write_text(schema_text(str(read_info(output).get("robot_type") or "")))
        read_rows(output)  # refuses a sidecar that does not fit the merged episodes


def _sidecar(path: Path) -> list[dict]:
    """The sidecar's rows, or for a dataset that has none those that say nothing but the task."""
    if (path / SIDECAR).exists():
        return read_rows(path)
    info = read_info(path)
    tables = read_tables(path, "meta/episodes", ["tasks", "length"], info["total_episodes"])
    episodes = [row for table in tables for row in table.to_pylist()]
    human = [0] * len(episodes)
    if "segment" in info["features"]:
        frames = load_columns([path], ["segment"])
        bounds = zip(frames.start, frames.stop, strict=True)
        human = [int(human_mask(frames.columns["segment"][start:stop]).sum()) for start, stop in bounds]
    robot, nothing = str(info.get("robot_type") or ""), EpisodeInfo(None, "")
    return [
        sidecar_row(nothing, i, robot, "; ".join(row["tasks"]), count)
        for i, (row, count) in enumerate(zip(episodes, human, strict=True))
    ]
