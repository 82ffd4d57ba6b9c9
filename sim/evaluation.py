"""The outcome of an evaluation: what is kept of every episode, and eval.json and eval.csv."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from steadyhand.sim.env import DECISION_PERIOD, Frame
from steadyhand.sim.evaluation_file import SCHEMA, count_reasons
from steadyhand.sim.requirements import Requirement, robustnesses
from steadyhand.sim.rollout import EpisodeLog
from steadyhand.sim.statistics import Rate


@dataclass(frozen=True)
class EpisodeResult:
    """What is kept of one episode. Forces are what the arm itself knows: a sensor's, or the momentum observer's."""

    seed: int
    success: bool
    reason: str
    steps: int
    instruction: str
    conditions: dict[str, float | str]
    progress: dict[str, float]  # the furthest that each sub-task came, 0 to 1
    force_max: float  # N, external force at the tool, of all ticks
    force_mean: float  # N, at the decisions
    jerk_rms: float  # m/s^3, of the tool
    robustness: dict[str, float]  # by requirement
    scenes: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list, compare=False)  # to film it

    @staticmethod
    def of(log: EpisodeLog, requirements: Sequence[Requirement]) -> "EpisodeResult":
        """Sum a finished episode up."""
        wrenches = np.array([[arm.wrench for arm in frame.observations] for frame in log.frames])
        force = np.linalg.norm(wrenches[:, :, :3], axis=2).max(axis=1)  # of two arms the larger
        return EpisodeResult(
            log.seed, log.success, log.reason, log.steps, log.instruction, log.conditions, log.progress,
            log.force_peak, float(force.mean()), jerk_rms(log.frames),
            dict(robustnesses(requirements, log.frames)), log.scenes,
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        """Simulated time to the episode's end."""
        return self.steps * DECISION_PERIOD

    def as_dict(self) -> dict[str, Any]:
        """The episode in eval.json."""
        names = ("seed", "success", "reason", "steps", "seconds", "instruction", "conditions", "progress", "force_max",
                 "force_mean", "jerk_rms", "robustness")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def as_row(self) -> dict[str, Any]:
        """The episode in eval.csv: as_dict, with a column for every entry of a table in it."""
        row: dict[str, Any] = {}
        for name, value in self.as_dict().items():
            table = isinstance(value, dict)
            row |= {f"{name}.{key}": entry for key, entry in value.items()} if table else {name: value}
        return row


def jerk_rms(frames: Sequence[Frame]) -> float:
    """Root mean square of the tool's jerk, m/s^3: third differences of its positions at the decisions.

    Over all arms; 0 for fewer than 4 frames. What is faster than a few hertz is not seen, the noise of senses is.
    """
    positions = np.array([[arm.position for arm in frame.observations] for frame in frames])
    jerk = np.diff(positions, n=3, axis=0) / DECISION_PERIOD**3
    return float(np.sqrt(np.mean(np.sum(jerk**2, axis=2)))) if len(jerk) else 0.0


def keep_scenes(results: Iterable[EpisodeResult], films: int) -> Iterator[EpisodeResult]:
    """Keep the scenes of the first `films` failures and as many successes: those of thousands would fill the memory."""
    left = {True: films, False: films}
    for result in results:
        left[result.success] -= 1
        yield result if left[result.success] >= 0 else replace(result, scenes=[])


@dataclass(frozen=True)
class Evaluation:
    """Outcome of an evaluation; episodes in the order of their seeds."""

    robot: str
    task: str
    policy: str
    version: str
    requested: int  # episodes asked for; there are fewer if it was stopped
    episodes: list[EpisodeResult]

    @property
    def complete(self) -> bool:
        """False if it was stopped before the last episode."""
        return len(self.episodes) == self.requested

    @property
    def success(self) -> Rate:
        """Success rate with its Wilson interval."""
        return Rate.of([episode.success for episode in self.episodes])

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason ended a failed episode, most frequent first."""
        return count_reasons(self.episodes)

    @property
    def subtasks(self) -> dict[str, Rate]:
        """How many episodes completed each sub-task, whether or not it was undone later."""
        names = self.episodes[0].progress
        return {name: Rate.of([episode.progress[name] >= 1.0 for episode in self.episodes]) for name in names}

    @property
    def requirements(self) -> dict[str, Rate]:
        """How many episodes met each requirement; one met with nothing to spare counts as met."""
        names = self.episodes[0].robustness
        return {name: Rate.of([episode.robustness[name] >= 0 for episode in self.episodes]) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Content of eval.json. Nothing in it depends on the workers, the engine or the time of day."""
        return {
            "schema": SCHEMA,
            "robot": self.robot,
            "task": self.task,
            "policy": self.policy,
            "version": self.version,
            "requested": self.requested,
            "success": self.success.as_dict(),
            "reasons": self.reasons,
            "subtasks": {name: rate.as_dict() for name, rate in self.subtasks.items()},
            "requirements": {name: rate.as_dict() for name, rate in self.requirements.items()},
            "seconds_per_step": DECISION_PERIOD,
            "episodes": [episode.as_dict() for episode in self.episodes],
        }

    def write(self, folder: Path) -> None:
        """Write eval.json and eval.csv."""
        (folder / "eval.json").write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        rows = [episode.as_row() for episode in self.episodes]
        with (folder / "eval.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
