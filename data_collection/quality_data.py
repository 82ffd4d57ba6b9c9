"""What the quality checks and scores look at: one LeRobot v3 dataset, ours or not, episode by episode.

Nothing is required but what every LeRobot v3 dataset has; what else is there is used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path

import numpy as np

from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.reading import column_array, episode_rows, read_tables
from steadyhand.data_collection.schema import (
    ACTION_NAMES,
    AUTOMATIC,
    SCHEMA,
    STATE_NAMES,
    arm_prefixes,
    column_names,
    read_info,
    read_schema,
)
from steadyhand.data_collection.sidecar import SIDECAR, load_sidecar
from steadyhand.errors import SteadyhandError

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"


class Verdict(IntEnum):
    """What to do with an episode."""

    PASS = 0
    REVIEW = 1
    EXCLUDE = 2


Found = Iterator[tuple[int, Verdict, str]]  # what a check yields: episode, verdict, what it found


class NotApplicableError(Exception):
    """The dataset lacks what a check or score needs; says what."""


_NUMERIC = re.compile(r"float\d+|u?int\d+|bool")


@dataclass(frozen=True)
class Recorded:
    """A dataset in memory, without its videos.

    Attributes:
        path: Its folder.
        info: Content of meta/info.json.
        columns: Name -> array (frames, ...); columns of shape (1,) come as (frames,).
        rows: A dict per episode of meta/episodes: length, tasks, where its videos are.
        sidecar: A dict per episode of meta/steadyhand/episodes.parquet; None where it is no dataset of ours.
        robot: Name of the robot; "" where nothing says it.
    """

    path: Path
    info: dict
    columns: dict[str, np.ndarray]
    rows: list[dict]
    sidecar: list[dict] | None
    robot: str

    @property
    def fps(self) -> float:
        """Frames per second that the dataset claims."""
        return float(self.info["fps"])

    @cached_property
    def frames(self) -> list[np.ndarray]:
        """For every episode the positions of its frames in the columns, in recorded order."""
        order = np.argsort(self.columns["episode_index"], kind="stable")
        counts = np.bincount(self.columns["episode_index"], minlength=len(self.rows))
        return np.split(order, np.cumsum(counts)[:-1])[: len(self.rows)]

    @property
    def observed(self) -> list[str]:
        """Columns of numbers that were recorded, LeRobot's own left aside."""
        return [name for name in self.columns if name not in AUTOMATIC]

    def names(self, column: str) -> list[str]:
        """A name per value of a column; made up where the dataset gives none."""
        return column_names(self.info["features"][column], column)

    def values(self, column: str) -> np.ndarray:
        """A column as (frames, size) of float64."""
        array = self.columns[column]
        return array.reshape(len(array), -1).astype(np.float64)

    def finite(self, column: str) -> np.ndarray:
        """The same with 0 where a value is not finite, for what compares the rest."""
        values = self.values(column)
        return np.where(np.isfinite(values), values, 0.0)

    @cached_property
    def segments(self) -> np.ndarray:
        """(frames,) segment numbers; without the column everything counts as demonstrated, as in training."""
        return self.columns.get("segment", np.full(len(self.columns["episode_index"]), int(Segment.DEMO)))

    @property
    def arms(self) -> list[str]:
        """Prefixes of the arms of a dataset with our columns; [] for any other."""
        if not {STATE, ACTION} <= self.columns.keys():
            return []
        found = arm_prefixes(self.info["features"])
        ours = [arm + name for arm in found for name in STATE_NAMES]
        return found if self.names(STATE) == ours else []

    @property
    def posture(self) -> list[int]:
        """Positions in the state of what is no wrench: a wrench is never still and never twice the same."""
        forces = STATE_NAMES[len(ACTION_NAMES) :] if self.arms else []
        return [i for i, name in enumerate(self.names(STATE)) if name[-2:] not in forces]


def load_recorded(path: Path | str) -> Recorded:
    """Read a LeRobot v3 dataset; SteadyhandError if files are missing or cannot be read."""
    path = Path(path)
    info = read_info(path)
    if not info["total_episodes"]:
        raise SteadyhandError(f"dataset '{path}' has no finished episode; record one first")
    rows = episode_rows(path, int(info["total_episodes"]))
    numeric = {name: f["shape"] for name, f in info["features"].items() if _NUMERIC.fullmatch(f["dtype"])}
    tables = list(read_tables(path, "data", list(numeric), int(info["total_frames"])))
    if not tables:
        raise SteadyhandError(
            f"dataset '{path}' has no data files, though it names frames; "
            "try `steadyhand data repair`, or restore it from a copy"
        )
    columns = {
        name: np.concatenate([column_array(table[name], shape) for table in tables]) for name, shape in numeric.items()
    }
    ours = (path / SIDECAR).is_file()
    robot = read_schema(path)["robot"] if (path / SCHEMA).is_file() else ""
    return Recorded(path, info, columns, rows, load_sidecar(path) if ours else None, robot)


def runs(labels: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last index of every stretch of equal labels."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(labels)], strict=True))
