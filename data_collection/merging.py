"""Merging datasets into one, with few large files instead of one per episode.

What only some of them have is added to the others: `segment` is demo, but in a dataset with interventions correction
where `intervention` is true and policy elsewhere; `intervention` is true in the segments recovery and correction;
`subtask` is 0, `chunk_index` and `controller_status` (of every arm) are unknown, and `stamp` is LeRobot's `timestamp`.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steadyhand.data_collection.assembling import require_images
from steadyhand.data_collection.configuration import copy_documents
from steadyhand.data_collection.durable import new_folder
from steadyhand.data_collection.labels import INTERVENTION_SEGMENTS, UNKNOWN, Segment, human_mask
from steadyhand.data_collection.quality_video import cameras_of, video_file
from steadyhand.data_collection.reading import episode_rows, load_columns, read_tables
from steadyhand.data_collection.schema import (
    FIRST_FILE,
    INFO,
    SCHEMA,
    STAMP,
    arm_prefixes,
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


PADDED = ("segment", "intervention", "subtask", "chunk_index", "controller_status", STAMP)
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
    for path in folders:
        _require_films(path)
    with new_folder(output) as folder:
        packed = []
        for i, path in enumerate(folders):
            packed.append(_pack(path, folder.parent / str(i), missing[i]))
            done(path)
        folder.rmdir()  # LeRobot makes it
        _aggregate(packed, folder)
        for path in folders:
            if (path / SIDECAR).exists():
                copy_documents(path, read_rows(path), folder)
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


def _require_films(path: Path) -> None:
    """Refuse a dataset that lacks images: LeRobot would notice in the middle, or never."""
    info = read_info(path)
    images: dict[Path, int] = {}
    rows = episode_rows(path, int(info["total_episodes"]))
    for camera in cameras_of(info):
        for row in rows:
            end = round(row[f"videos/{camera}/to_timestamp"] * info["fps"])
            file = video_file(path, info, camera, row)
            images[file] = max(end, images.get(file, 0))
    for file, count in images.items():
        require_images(file, count)


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
    known = features(dict.fromkeys(arm_prefixes(info["features"]) or [""], 0))
    return {**info, "features": info["features"] | {name: known[name] for name in missing}}


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
    rows = map(_with_doubles, read_tables(path, "meta/episodes", None, info["total_episodes"]))
    episodes = pa.concat_tables(rows, promote_options="permissive")
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


def _with_doubles(episodes: pa.Table) -> pa.Table:
    """The same with statistics as doubles, counts aside: LeRobot gives those of a single frame the column's type."""

    def double(kind: pa.DataType) -> pa.DataType:
        return pa.list_(double(kind.value_type)) if pa.types.is_list(kind) else pa.float64()

    fields = [
        field.with_type(double(field.type))
        if field.name.startswith("stats/") and not field.name.endswith("/count")
        else field
        for field in episodes.schema
    ]
    return episodes.cast(pa.schema(fields))


def _pad(tables: Iterable[pa.Table], path: Path, added: dict[str, list[np.ndarray]]) -> Iterator[pa.Table]:
    """The tables with the missing columns, whose values are also appended to `added`."""
    helped, columns = False, _with_padding(read_info(path), list(added))["features"]
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
                value = UNKNOWN if name in ("chunk_index", "controller_status") else 0  # 0: Segment.DEMO
                size = columns[name]["shape"][0]
                values.append(np.full((len(table), size) if size > 1 else len(table), value, columns[name]["dtype"]))
            table = table.append_column(name, _arrow(values[-1]))
        yield table


def _arrow(values: np.ndarray) -> pa.Array:
    """(rows,) or (rows, size), as LeRobot stores it."""
    return pa.array(values) if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])


def _add_stats(folder: Path, name: str, values: np.ndarray, episodes: pa.Table) -> pa.Table:
    """Give an added column its statistics: in meta/stats.json and in the rows of the episodes."""
    from lerobot.datasets.compute_stats import aggregate_stats, get_feature_stats
    from lerobot.datasets.io_utils import load_stats, write_stats

    stop = np.cumsum(episodes["length"].to_numpy())
    stats = [get_feature_stats(part, axis=0, keepdims=values.ndim == 1) for part in np.split(values, stop[:-1])]
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
    episodes = episode_rows(path, int(info["total_episodes"]))
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
