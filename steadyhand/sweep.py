"""`steadyhand eval --perturb`: which changes of the world make a policy fail, and where the boundary lies."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from steadyhand.compare_text import columns, p_text
from steadyhand.errors import SteadyhandError
from steadyhand.sim.evaluate import Engine, Job, evaluate_job
from steadyhand.sim.evaluation import Evaluation
from steadyhand.sim.perturbation import AXES
from steadyhand.sim.statistics import Rate
from steadyhand.sim.sweep import AxisEffect, Extent, boundary_points, effects, spread_points

SCHEMA = "steadyhand.sweep/1"
LEAST = 40  # episodes: fewer say nothing about parts of an axis


@dataclass(frozen=True)
class Point:
    """One episode of a sweep."""

    seed: int
    stage: int  # 1 spread over the box, 2 near the boundary
    values: Mapping[str, float]
    success: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class Sweep:
    """Outcome of a sweep."""

    robot: str
    task: str
    policy: str
    version: str
    extents: tuple[Extent, ...]
    points: tuple[Point, ...]
    requested: int  # episodes asked for; there are fewer if it was stopped

    @property
    def complete(self) -> bool:
        """False if it was stopped before the last episode."""
        return len(self.points) == self.requested

    @property
    def spread(self) -> list[Point]:
        """Episodes of the first stage, from which all rates come."""
        return [point for point in self.points if point.stage == 1]

    @property
    def success(self) -> Rate:
        """Success over the whole box."""
        return Rate.of([point.success for point in self.spread])

    @property
    def effects(self) -> list[AxisEffect]:
        """What each axis does, the most sensitive one first."""
        return effects(self.extents, [p.values for p in self.spread], [p.success for p in self.spread])

    def as_dict(self) -> dict[str, Any]:
        """Content of sweep.json."""
        known = self.effects if self.complete else []
        axes = [{**asdict(effect), "unit": AXES[effect.name].unit, "real": effect.real} for effect in known]
        return {
            "schema": SCHEMA,
            "robot": self.robot,
            "task": self.task,
            "policy": self.policy,
            "version": self.version,
            "requested": self.requested,
            "success": self.success.as_dict(),
            "axes": axes,
            "episodes": [asdict(point) for point in self.points],
        }


def run_sweep(
    job: Job, extents: Sequence[Extent], seeds: range, workers: int, engine: Engine, ray_address: str | None
) -> Sweep:
    """Run both stages; every seed is one episode, at values of its own."""
    if len(seeds) < LEAST:
        raise SteadyhandError(f"--episodes is {len(seeds)}; a sweep needs at least {LEAST}, and a few hundred say more")
    half = len(seeds) // 2
    points: list[Point] = []

    def run_stage(stage: int, seeds: range, values: Sequence[Mapping[str, float]]) -> Evaluation:
        table = tuple((seed, tuple(row.items())) for seed, row in zip(seeds, values, strict=True))
        evaluation = evaluate_job(replace(job, points=table), seeds, workers, engine, ray_address)
        rows = dict(zip(seeds, values, strict=True))
        points.extend(Point(e.seed, stage, rows[e.seed], e.success, e.reason, e.seconds) for e in evaluation.episodes)
        return evaluation

    spread = spread_points(extents, half, seeds[0])
    first = run_stage(1, seeds[:half], spread)
    if first.complete:
        outcomes = [episode.success for episode in first.episodes]
        run_stage(2, seeds[half:], boundary_points(extents, spread, outcomes, len(seeds) - half, seeds[0]))
    words = (first.robot, first.task, first.policy, first.version)
    return Sweep(*words, tuple(extents), tuple(points), len(seeds))


def save_sweep(sweep: Sweep, output: Path) -> None:
    """Write sweep.json, and sweep.html of a complete one."""
    (output / "sweep.json").write_text(json.dumps(sweep.as_dict(), indent=1) + "\n", encoding="utf-8")
    if not sweep.complete:
        return
    from steadyhand.sweep_page import page  # matplotlib takes a second to import

    (output / "sweep.html").write_text(page(sweep), encoding="utf-8")


def effect_rows(sweep: Sweep) -> list[list[str]]:
    """A row per axis: name, from, to, success in its first and last part, sensitivity, p."""
    rows = []
    for effect in sweep.effects:
        unit = AXES[effect.name].unit
        first, last = effect.rates[0], effect.rates[-1]
        rows.append(
            [
                effect.name,
                f"{effect.edges[0]:g} to {effect.edges[-1]:g} {unit}".strip(),
                f"{100 * first.p:.0f} %",
                f"{100 * last.p:.0f} %",
                f"{effect.sensitivity:.2f}",
                p_text(effect.p_holm) + (" *" if effect.real else ""),
            ]
        )
    return rows


HEADER = ["axis", "range", "success, first fifth", "last fifth", "sensitivity", "p (Holm)"]


def report(sweep: Sweep) -> str:
    """What is printed."""
    title = f"{sweep.task} on {sweep.robot}, {sweep.policy}, perturbed: success {sweep.success} (Wilson 95 %)"
    return "\n".join([title, *columns([HEADER, *effect_rows(sweep)])])
