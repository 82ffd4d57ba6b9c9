"""The episode sidecar: a row per episode with what LeRobot has no column for (success, reason, operator)."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steadyhand.data_collection.configuration import Configuration, Document, read_documents
from steadyhand.data_collection.schema import FOLDER, read_info
from steadyhand.errors import SteadyhandError

SIDECAR = FOLDER / "episodes.parquet"
ROW = pa.schema(
    {
        "episode_index": pa.int64(),
        "success": pa.bool_(),
        "end_reason": pa.string(),
        "operator": pa.string(),
        "policy_version": pa.string(),
        "robot": pa.string(),
        "task": pa.string(),
        "seed": pa.int64(),
        "rules": pa.string(),
        "dropped_frames": pa.int64(),
        "human_frames": pa.int64(),
        "source": pa.string(),
        "note": pa.string(),
        "subtasks": pa.string(),
        "configuration": pa.string(),
    }
)


@dataclass(frozen=True)
class EpisodeInfo:
    """What only the one who ran the episode knows.

    Attributes:
        success: Whether the task was done; None if nobody judged it.
        end_reason: Why the episode ended ("success", "timeout", "dropped", "operator", ...).
        operator: Who demonstrated or intervened; empty if nobody did.
        policy_version: Version of the policy that acted; empty if none did.
        seed: Seed of the twin's reset; None on a real arm.
        rules: The session's rules by name, e.g. {"end_after_intervention": True}.
        dropped_frames: Frames the recorder missed.
        source: Episode of a journal that it was converted from; empty if there is none.
        note: What the operator remarked.
        subtasks: Names of the sub-tasks that were done, as the operator gave them ("" where none was given) or as the
            twin's task has them.
        configuration: What it was recorded with; its safety limits are added to the rules.
    """

    success: bool | None
    end_reason: str
    operator: str = ""
    policy_version: str = ""
    seed: int | None = None
    rules: dict = field(default_factory=dict)
    dropped_frames: int = 0
    source: str = ""
    note: str = ""
    subtasks: tuple[str, ...] = ()
    configuration: Configuration = field(default_factory=Configuration)


def load_sidecar(path: Path | str) -> list[dict]:
    """Return one dict per finished episode, in order; `rules` and `configuration` are dicts again, `subtasks` a list.

    The sidecar is published before the episode counts as finished, so a killed recorder may leave one row too
    many: it is left out here.
    """
    return [
        {
            **row,
            "rules": json.loads(row["rules"]),
            "subtasks": json.loads(row["subtasks"] or "[]"),
            "configuration": json.loads(row["configuration"] or "{}"),
        }
        for row in read_rows(path)
    ]


def read_rows(path: Path | str) -> list[dict]:
    """Return the sidecar's rows as stored (lists and dicts are JSON text), checked against the dataset."""
    total = int(read_info(path)["total_episodes"])
    file = Path(path) / SIDECAR
    try:
        rows = pq.read_table(file, schema=ROW).to_pylist() if total else []  # columns of later versions are None
    except FileNotFoundError:
        raise SteadyhandError(f"'{path}' has no {SIDECAR}: it was not recorded by Steadyhand") from None
    except (OSError, pa.ArrowException) as error:
        raise SteadyhandError(f"cannot read {file}: {error}; restore the file from a copy") from None
    if [row["episode_index"] for row in rows[:total]] != list(range(total)):
        raise SteadyhandError(f"{file} does not list the {total} episodes of the dataset; restore it from a copy")
    return rows[:total]


def last_documents(path: Path) -> dict[str, Document]:
    """What the last episode of a dataset was recorded with when it began, by kind; nothing if nobody has noted it."""
    rows = read_rows(path) if (path / SIDECAR).is_file() else []
    return read_documents(path, rows[-1]) if rows else {}


def write_rows(rows: list[dict], file: Path) -> None:
    """Write the rows of a sidecar into a new file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW), file)


def sidecar_row(info: EpisodeInfo, episode_index: int, robot: str, task: str, human_frames: int) -> dict:
    """Build the row of one episode."""
    safety = info.configuration.safety()
    return {
        "episode_index": episode_index,
        "success": info.success,
        "end_reason": info.end_reason,
        "operator": info.operator,
        "policy_version": info.policy_version,
        "robot": robot,
        "task": task,
        "seed": info.seed,
        "rules": json.dumps(info.rules | ({"safety": safety} if safety else {})),
        "dropped_frames": info.dropped_frames,
        "human_frames": human_frames,
        "source": info.source,
        "note": info.note,
        "subtasks": json.dumps(info.subtasks),
        "configuration": json.dumps(info.configuration.row()),
    }
