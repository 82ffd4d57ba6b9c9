"""What `steadyhand eval` wrote, read back and checked: eval.json files come from anywhere."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from steadyhand.errors import SteadyhandError
from steadyhand.sim.statistics import Rate

SCHEMA = "steadyhand.eval/2"  # of eval.json; the number changes with the fields that it promises
READABLE = (SCHEMA, "steadyhand.eval/1")  # had seed, success, steps and reason of each episode, and no more


@dataclass(frozen=True)
class Row:
    """One episode of an evaluation."""

    seed: int
    success: bool
    seconds: float  # simulated time to its end
    reason: str


class Outcome(Protocol):
    """What rows of an evaluation have in common, read back or fresh from a rollout."""

    @property
    def success(self) -> bool:
        """Whether the task was done."""

    @property
    def reason(self) -> str:
        """Why the episode ended."""


def count_reasons(rows: Iterable[Outcome]) -> dict[str, int]:
    """How often each reason ended a failed episode, most frequent first."""
    return dict(Counter(row.reason for row in rows if not row.success).most_common())


@dataclass(frozen=True)
class EvaluationFile:
    """One policy's evaluation; rows in the order in which they were run."""

    path: Path
    name: str  # among the files it is compared with, see read_evaluations
    robot: str
    task: str
    policy: str
    version: str
    requested: int
    rows: list[Row]

    @property
    def success(self) -> Rate:
        """Success rate with its Wilson interval."""
        return Rate.of([row.success for row in self.rows])

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason ended a failed episode, most frequent first."""
        return count_reasons(self.rows)

    @cached_property
    def by_seed(self) -> dict[int, Row]:
        """Episodes by their seeds."""
        return {row.seed: row for row in self.rows}


def read_evaluations(paths: Sequence[Path]) -> list[EvaluationFile]:
    """Read eval.json files, or the folders they are in; refuses a file given twice.

    Each is named after its file, after its folder if the file is called eval.json, or by its path if names would
    collide.
    """
    files = [path / "eval.json" if path.is_dir() else path for path in paths]
    resolved = [path.resolve() for path in files]
    for path, real in zip(files, resolved, strict=True):
        if resolved.count(real) > 1:
            raise SteadyhandError(f"'{path}' is given twice; a policy compared with itself shows nothing")
    names = [real.parent.name if real.name == "eval.json" else real.stem for real in resolved]
    return [
        read_evaluation(path, name if names.count(name) == 1 else str(path))
        for path, name in zip(files, names, strict=True)
    ]


def read_evaluation(path: Path, name: str) -> EvaluationFile:
    """Read one eval.json."""
    table = _load(path)
    if not isinstance(table, dict) or table.get("schema") not in READABLE:
        given = f"schema '{table['schema']}'" if isinstance(table, dict) and "schema" in table else "no schema"
        raise SteadyhandError(
            f"'{path}' has {given}; allowed: {' or '.join(READABLE)}, what `steadyhand eval` writes; evaluate again"
        )
    seconds = _field(path, table, "seconds_per_step", "a positive number", lambda x: _is_number(x) and x > 0)
    episodes = _field(path, table, "episodes", "a list", lambda x: isinstance(x, list))
    if not episodes:
        raise SteadyhandError(f"'{path}' holds no episodes; evaluate again, with at least one")
    rows = [_row(path, number, episode, seconds) for number, episode in enumerate(episodes)]
    repeated = [seed for seed, count in Counter(row.seed for row in rows).items() if count > 1]
    if repeated:
        raise SteadyhandError(f"'{path}' has seed {repeated[0]} more than once, so its episodes cannot be told apart")
    words = {
        key: _field(path, table, key, "a line of text", _is_text) for key in ("robot", "task", "policy", "version")
    }
    requested = _field(path, table, "requested", "a whole number", _is_whole)
    return EvaluationFile(path, name, **words, requested=requested, rows=rows)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SteadyhandError(f"cannot read '{path}': {error.strerror}; give what `steadyhand eval` wrote") from None
    except (ValueError, RecursionError) as error:
        raise SteadyhandError(f"'{path}' is no JSON: {error}; give what `steadyhand eval` wrote") from None


def _row(path: Path, number: int, episode: Any, seconds: float) -> Row:
    where = f"episodes[{number}]."
    if not isinstance(episode, dict):
        raise SteadyhandError(f"'{path}': {where[:-1]} must be an object")
    steps = _field(path, episode, "steps", "a whole number", _is_whole, where)
    return Row(
        seed=_field(path, episode, "seed", "a whole number", _is_whole, where),
        success=_field(path, episode, "success", "true or false", lambda x: isinstance(x, bool), where),
        seconds=steps * seconds,
        reason=_field(path, episode, "reason", "a line of text", _is_text, where),
    )


def _field(path: Path, table: dict, key: str, kind: str, valid: Callable[[Any], bool], where: str = "") -> Any:
    if key not in table or not valid(table[key]):
        given = json.dumps(table[key])[:40] if key in table else "missing"
        raise SteadyhandError(f"'{path}': {where}{key} must be {kind}, it is {given}")
    return table[key]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()  # it will be printed on terminals
