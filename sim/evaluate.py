"""Evaluation: one episode per seed on one of two engines, threads of this process or Ray; same seeds, same results."""

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

from tqdm import tqdm

from steadyhand import __version__
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.evaluation import EpisodeResult, Evaluation, keep_scenes
from steadyhand.sim.perturbation import perturbed
from steadyhand.sim.requirements import Requirement, make_requirements
from steadyhand.sim.rollout import Driver, PolicyDriver, Rollout, ScriptedDriver

FIRST_SEED = 1_000_000  # of evaluations; demonstrations and interventions use other ranges
Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Job:
    """What a process needs to run episodes: it can be sent to another one, and gives the same there."""

    robot: str
    task: str
    policy: str
    requirements: tuple[str, ...] = ()
    films: int = 0  # failures and successes whose scenes are kept, each
    points: tuple[tuple[int, tuple[tuple[str, float], ...]], ...] = ()  # perturbations (axis, value) of seeds

    @property
    def described(self) -> tuple[str, str, str]:
        """Version of this package, name and version of the policy as this process opens it."""
        _, driver, _ = open_job(self)
        return __version__, driver.name, driver.version


def open_job(job: Job) -> tuple[World, Driver, list[Requirement]]:
    """Load what a job names, once per process."""
    return _open(job.robot, job.task, job.policy, job.requirements)


@lru_cache(maxsize=1)
def _open(robot: str, task: str, policy: str, requirements: tuple[str, ...]) -> tuple[World, Driver, list[Requirement]]:
    world = World.load(robot, task)
    assert world.task is not None
    return world, make_driver(policy), make_requirements(requirements, world.task)


def run_job(job: Job, seeds: Sequence[int], workers: int) -> Iterator[EpisodeResult]:
    """Yield the job's episodes in the order of the seeds, simulated by threads of this process."""
    world, driver, requirements = open_job(job)
    values = {seed: dict(point) for seed, point in job.points}
    vary = (lambda seed: perturbed(world, values[seed])) if values else None
    return run_local(world, driver, requirements, seeds, workers, vary)


def check_counts(**counts: int) -> None:
    """Refuse counts below 1, by the name of their option."""
    for name, value in counts.items():
        if value < 1:
            raise SteadyhandError(f"--{name.replace('_', '-')} is {value}; give at least 1")


def new_folder(path: Path) -> Path:
    """Create an output folder; refuses one that holds something, or that cannot be written."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise SteadyhandError(f"output '{path}' exists and is not empty; choose another --output or remove it")
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".writable").touch()
        (path / ".writable").unlink()
    except OSError as error:
        raise SteadyhandError(f"output '{path}' cannot be written: {error.strerror}; choose another --output") from None
    return path


def make_driver(policy: str) -> Driver:
    """The driver of a policy given on the command line."""
    if policy == "scripted":
        return ScriptedDriver()
    if Path(policy).exists():
        from steadyhand.policies.policy import load_policy  # torch takes seconds to import

        return PolicyDriver(load_policy(policy))
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", policy):
        return PolicyDriver(_plugin(policy))
    raise SteadyhandError(
        f"unknown policy '{policy}'; allowed: scripted, the folder of a checkpoint (see `steadyhand train`), "
        "or module:Class of your own"
    )


def _plugin(policy: str):
    """Make an object of a user's class; it must be a steadyhand.policies.policy.Policy."""
    module, name = policy.split(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        made = getattr(importlib.import_module(module), name)()
    except Exception as error:  # code of others raises anything
        raise SteadyhandError(f"policy '{policy}' cannot be made: {type(error).__name__}: {error}") from error
    missing = [part for part in ("reset", "act") if not callable(getattr(made, part, None))]
    missing += [part for part in ("name", "version") if not isinstance(getattr(made, part, None), str)]
    if missing:
        raise SteadyhandError(
            f"policy '{policy}' has no {' and no '.join(missing)}; needed: reset and act, and the words name and "
            "version, see steadyhand.policies.policy.Policy"
        )
    return made


class Ended(Protocol):
    """An episode that has ended."""

    @property
    def success(self) -> bool:
        """Whether the task was done."""


def with_progress[E: Ended](episodes: Iterable[E], total: int, title: str) -> Iterator[E]:
    """Show a bar with the success rate so far."""
    wins = 0
    with tqdm(total=total, desc=title, unit="episode") as bar:
        for count, episode in enumerate(episodes, start=1):
            wins += episode.success
            bar.set_postfix(success=f"{wins / count:.2f}", refresh=False)
            bar.update()
            yield episode


def run_local(
    world: World,
    driver: Driver,
    requirements: Sequence[Requirement],
    seeds: Sequence[int],
    workers: int,
    vary: Callable[[int], World] | None = None,
) -> Iterator[EpisodeResult]:
    """Yield the episodes in the order of the seeds, simulated by threads of this process."""
    for log in Rollout(world, driver, workers, vary=vary).run(seeds):
        yield EpisodeResult.of(log, requirements)


def evaluate(
    world: World, driver: Driver, seeds: Sequence[int], workers: int, title: str = "evaluate", films: int = 0
) -> Evaluation:
    """Run one episode per seed in this process; see collect."""
    return collect(world, driver, run_local(world, driver, (), seeds, workers), len(seeds), title, films)


def evaluate_job(
    job: Job, seeds: Sequence[int], workers: int, engine: Engine = "local", ray_address: str | None = None
) -> Evaluation:
    """Run one episode per seed on an engine; see collect."""
    world, driver, _ = open_job(job)
    if engine == "ray":
        from steadyhand.sim.ray_engine import run_ray  # an extra

        results = run_ray(job, seeds, workers, ray_address)
    else:
        results = run_job(job, seeds, workers)
    return collect(world, driver, results, len(seeds), "evaluate", job.films)


def collect(
    world: World, driver: Driver, results: Iterator[EpisodeResult], requested: int, title: str, films: int
) -> Evaluation:
    """Gather results as they come. Ctrl-C ends it early: what is finished by then is kept, see Evaluation.complete."""
    assert world.task is not None
    episodes: list[EpisodeResult] = []
    try:
        for result in with_progress(keep_scenes(results, films), requested, title):
            episodes.append(result)
    except KeyboardInterrupt:
        if not episodes:
            raise
    finally:
        results.close()  # type: ignore[attr-defined]  # a generator: stops its workers now
    return Evaluation(world.robot.name, world.task.name, driver.name, driver.version, requested, episodes)
