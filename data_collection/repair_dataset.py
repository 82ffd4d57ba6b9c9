"""What is left of a LeRobot dataset whose recorder was killed: episodes whose rows and videos are all there.

LeRobot 0.6.1 writes the footer of its data file, and by default all rows of meta/episodes, when a session ends: after
`kill -9` neither is there. The data rows are (`parquet_salvage`), and what meta/episodes says follows from them and
from the number of images in the video files.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from steadyhand.data_collection.assembling import TASKS, Source
from steadyhand.data_collection.configuration import CONFIGURATION, intact, named, without
from steadyhand.data_collection.parquet_salvage import salvage_parquet
from steadyhand.data_collection.quality_video import cameras_of, images_in, video_file
from steadyhand.data_collection.reading import read_table
from steadyhand.data_collection.repair_stats import row_stats, video_stats
from steadyhand.data_collection.schema import SCHEMA, read_info
from steadyhand.data_collection.sidecar import ROW, SIDECAR, EpisodeInfo, sidecar_row
from steadyhand.errors import SteadyhandError


@dataclass
class Found:
    """What is there of one episode."""

    length: int = 0  # data rows
    whole: bool = True  # whether these count from 0 on without a gap
    tasks: list[int] = field(default_factory=list)
    row: dict = field(default_factory=dict)  # of meta/episodes, or made anew
    why: str = ""  # it cannot be kept


class Wreck:
    """A dataset folder in an unknown state; nothing in it is ever changed."""

    def __init__(self, path: Path, like: Path | None) -> None:
        """Look at everything.

        Args:
            path: Folder of the dataset.
            like: A dataset with the same columns, if meta/info.json is lost.
        """
        self.path, self.notes = path, list[str]()
        self.info = self._info(like)
        self._names = {int(row["task_index"]): row["task"] for row in self._read_tasks()}
        self.found: dict[int, Found] = {}
        known = self._known_rows()
        for table in self._tables(quiet=False):
            self._scan(table, known)
        for episode in range(max([int(self.info.get("total_episodes") or 0), *(i + 1 for i in self.found)])):
            found = self.found.setdefault(episode, Found(why="its rows are lost"))
            if found.length and not found.whole:
                found.why = "rows are missing in its middle"
            elif found.length and found.row.get("length", found.length) != found.length:
                found.why = f"it has {found.length} of {found.row['length']} rows"
        for camera in cameras_of(self.info):
            self._find_videos(camera)

    def _info(self, like: Path | None) -> dict:
        if like is not None:
            return read_info(like) | {"total_episodes": 0}
        try:
            return read_info(self.path)
        except SteadyhandError as error:
            raise SteadyhandError(
                f"{error}; or give with --like a dataset that was recorded with the same columns and rate"
            ) from None

    def _read_tasks(self) -> list[dict]:
        try:
            self._tasks = read_table(self.path / TASKS, None)
            # pandas keeps the texts as an index, which has a name of its own only in newer files
            texts = next(name for name in self._tasks.column_names if name != "task_index")
            return self._tasks.rename_columns({texts: "task"}).to_pylist()
        except (SteadyhandError, StopIteration):
            self.notes.append("meta/tasks.parquet cannot be read: what was to be done is lost")
            self._tasks = None
            return []

    def _known_rows(self) -> dict[int, dict]:
        """The rows of meta/episodes that can be read."""
        rows: dict[int, dict] = {}
        for file in sorted((self.path / "meta/episodes").glob("*/*.parquet")):
            try:
                rows |= {row["episode_index"]: row for row in read_table(file, None).to_pylist()}
            except SteadyhandError:
                self.notes.append(
                    f"meta/episodes/{file.parent.name}/{file.name} was never closed: made anew from the rows"
                )
        return rows

    def _tables(self, quiet: bool = True) -> Iterator[pa.Table]:
        """The data rows that can be read."""
        for file in sorted((self.path / "data").glob("*/*.parquet")):
            try:
                yield pq.read_table(file, partitioning=None)
                continue
            except (OSError, pa.ArrowException):
                salvaged = salvage_parquet(file, *self._template())
            if not quiet:
                lost = f", {salvaged.lost} bytes at its end are lost" if salvaged.lost else ""
                rows = sum(map(len, salvaged.tables))
                self.notes.append(f"data/{file.parent.name}/{file.name} was never closed: {rows} rows read{lost}")
            yield from salvaged.tables

    def _template(self) -> tuple[pa.Table, list[int]]:
        """A row as LeRobot writes it, and how many values it has in every leaf column."""
        import datasets
        from lerobot.datasets.feature_utils import get_hf_features_from_features

        features = {name: {**f, "shape": tuple(f["shape"])} for name, f in self.info["features"].items()}
        row: dict[str, list] = {}
        values: list[int] = []
        for name, feature in features.items():
            if feature["dtype"] == "image":
                row[name] = [{"bytes": b"0", "path": "0"}]
                values += [1, 1]
            elif feature["dtype"] == "string":
                row[name], values = ["0"], [*values, 1]
            elif feature["dtype"] == "language":
                raise SteadyhandError(
                    f"column '{name}' is {feature['dtype']}: its rows cannot be found in an open file"
                )
            elif feature["dtype"] != "video":
                zeros = np.zeros(feature["shape"], feature["dtype"])
                row[name] = [zeros.item() if feature["shape"] == (1,) else zeros.tolist()]
                values.append(math.prod(feature["shape"]))
        columns = get_hf_features_from_features(features)
        return datasets.Dataset.from_dict(row, features=columns).with_format("arrow")[:], values

    def _scan(self, table: pa.Table, known: dict[int, dict]) -> None:
        """Take note of the episodes in some rows; those that nobody knows get their statistics."""
        for episode in pc.unique(table["episode_index"]).to_pylist():
            part = table.filter(pc.equal(table["episode_index"], episode))
            found = self.found.setdefault(episode, Found())
            frames = part["frame_index"].to_numpy()
            found.whole &= bool((frames == np.arange(found.length, found.length + len(part))).all())
            found.tasks = list(dict.fromkeys([*found.tasks, *part["task_index"].to_pylist()]))
            found.length += len(part)
            if episode in known:
                found.row = dict(known[episode])
            elif found.length > len(part):
                found.why = "its rows lie in two files and meta/episodes does not know it"
            else:
                found.row = {"length": len(part), "tasks": [self._text(task) for task in found.tasks]}
                found.row |= row_stats(part, self.info["features"])
            found.row["episode_index"] = episode

    def _text(self, task: int) -> str:
        return self._names.get(task, f"unknown task {task}")

    def _find_videos(self, camera: str) -> None:
        """Find the images of every episode: where meta/episodes says so, else behind those of the one before it."""
        files = sorted((self.path / "videos" / camera).glob("*/*.mp4"))
        images = {file: images_in(file) for file in files}
        at, frame = 0, 0  # where the next episode should be
        guessed: list[Found] = []  # in the current file
        for _, found in sorted(self.found.items()):
            if f"videos/{camera}/from_timestamp" in found.row:
                file, last = self._check_known(camera, found, images)
                at, frame, guessed = (files.index(file) if file in files else len(files)), last, []
                continue
            if not found.length:
                break
            if at < len(files) and images[files[at]] == frame:
                at, frame, guessed = at + 1, 0, []
            if at >= len(files):
                found.why = found.why or f"{camera}: no video"
                continue
            count = images[files[at]]
            guessed.append(found)
            if isinstance(count, str) or count < frame + found.length:
                seen = count if isinstance(count, str) else f"{files[at].name} holds {count} images, its rows need more"
                for other in guessed:  # an image may be missing in any of them
                    other.why = other.why or f"{camera}: {seen}"
                at = len(files)
                continue
            self._place(camera, found, files[at], frame)
            frame += found.length
        for found in self.found.values():
            if found.length and not found.why and f"videos/{camera}/from_timestamp" not in found.row:
                found.why = f"{camera}: nothing says where its images are"

    def _check_known(self, camera: str, found: Found, images: dict[Path, int | str]) -> tuple[Path, int]:
        """The video of an episode that meta/episodes knows, and one past its last image there."""
        fps = self.info["fps"]
        file = video_file(self.path, self.info, camera, found.row)
        first, last = (round(found.row[f"videos/{camera}/{end}_timestamp"] * fps) for end in ("from", "to"))
        count = images.get(file, f"no file {file.name}")
        if isinstance(count, str):
            found.why = found.why or f"{camera}: {count}"
        elif last - first != found.length or count < last:
            there = max(0, min(last, count) - first)
            found.why = found.why or f"{camera}: {there} images for {found.length} rows"
        return file, last

    def _place(self, camera: str, found: Found, file: Path, frame: int) -> None:
        fps = self.info["fps"]
        numbers = (int(part.rsplit("-", 1)[-1]) for part in (file.parent.name, file.stem))
        for key, number in zip(("chunk_index", "file_index"), numbers, strict=True):
            found.row[f"videos/{camera}/{key}"] = number
        found.row[f"videos/{camera}/from_timestamp"] = frame / fps
        found.row[f"videos/{camera}/to_timestamp"] = (frame + found.length) / fps
        found.row |= video_stats(camera, self.info["features"][camera], file, frame, found.length)

    def source(self) -> Source:
        """The episodes that can be kept."""
        kept = {episode: found for episode, found in sorted(self.found.items()) if not found.why}
        rows = [found.row for found in kept.values()]
        return Source(self.path, self.info, self._all_tasks(kept), self._tables(), rows, self._sidecar(kept))

    def _all_tasks(self, kept: dict[int, Found]) -> pa.Table:
        """A row for every task up to the last one in use: LeRobot looks them up by their place."""
        import pandas as pd

        used = range(1 + max((task for found in kept.values() for task in found.tasks), default=-1))
        if self._tasks is not None and len(self._tasks) >= len(used):
            return self._tasks
        if self._tasks is not None:
            self.notes.append(f"meta/tasks.parquet holds {len(self._tasks)} of {len(used)} tasks: the others are lost")
        index = pd.Index([self._text(task) for task in used], name="task")
        return pa.Table.from_pandas(pd.DataFrame({"task_index": used}, index=index))

    def _sidecar(self, kept: dict[int, Found]) -> list[dict] | None:
        if not (self.path / SCHEMA).exists() and not (self.path / SIDECAR).exists():
            return None
        try:
            known = {row["episode_index"]: row for row in pq.read_table(self.path / SIDECAR, schema=ROW).to_pylist()}
        except (OSError, pa.ArrowException):
            known = {}
            self.notes.append(f"{SIDECAR} cannot be read: success and the like are lost")
        lost = {name for row in known.values() for name in named(row) if intact(self.path, name) is None}
        for name in sorted(lost):
            self.notes.append(f"{CONFIGURATION / name} is lost: its episodes name it no longer")
        known = {episode: without(row, lost) for episode, row in known.items()}
        robot, unknown = str(self.info.get("robot_type") or ""), EpisodeInfo(None, "")
        return [
            known.get(episode) or sidecar_row(unknown, episode, robot, found.row["tasks"][0], 0)
            for episode, found in kept.items()
        ]
