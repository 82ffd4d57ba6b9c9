"""`steadyhand eval`: how often a policy succeeds on the twin, and why it fails when it does."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import DECISION_PERIOD, World
from steadyhand.sim.evaluation_file import SCHEMA, count_reasons
from steadyhand.sim.rollout import Driver, EpisodeLog, PolicyDriver, Rollout, ScriptedDriver
from steadyhand.sim.statistics import Rate
from steadyhand.sim.video import write_videos

FIRST_SEED = 1_000_000  # of evaluations; demonstrations and interventions use other ranges


@dataclass(frozen=True)
class EvalConfig:
    """Evaluate a policy on the twin with confidence intervals."""

    output: Path
    """New folder for eval.json and videos."""
    policy: str = "scripted"
    """The word scripted, or a checkpoint (the folder that `steadyhand train` wrote)."""
    task: str = "peg_insertion"
    """Task, see `steadyhand tasks`, or one of your own as path/to/my_task.py:MyTask."""
    robot: str = "fr3"
    """Robot, see `steadyhand robots`."""
    episodes: int = 100
    """How many; same seeds for every policy, so results can be compared in pairs."""
    workers: int = 2
    """Threads that simulate; the result does not depend on it."""
    seed: int = FIRST_SEED
    """Seed of the first episode; the others count up from it."""
    videos: int = 2
    """How many successes and how many failures to film."""


@dataclass(frozen=True)
class Evaluation:
    """Outcome of an evaluation; episodes in the order of their seeds."""

    robot: str
    task: str
    policy: str
    version: str
    requested: int  # episodes asked for; fewer logs if it was stopped
    logs: list[EpisodeLog]

    @property
    def complete(self) -> bool:
        """False if it was stopped before the last episode."""
        return len(self.logs) == self.requested

    @property
    def success(self) -> Rate:
        """Success rate with its Wilson interval."""
        return Rate.of([log.success for log in self.logs])

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason ended a failed episode, most frequent first."""
        return count_reasons(self.logs)

    def as_dict(self) -> dict:
        """Content of eval.json."""
        rows = [
            {"seed": log.seed, "success": log.success, "steps": log.steps, "reason": log.reason} for log in self.logs
        ]
        return {
            "schema": SCHEMA,
            "robot": self.robot,
            "task": self.task,
            "policy": self.policy,
            "version": self.version,
            "requested": self.requested,
            "success": self.success.as_dict(),
            "reasons": self.reasons,
            "seconds_per_step": DECISION_PERIOD,
            "episodes": rows,
        }


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
    if not Path(policy).exists():
        raise SteadyhandError(
            f"unknown policy '{policy}'; allowed: scripted, or the folder of a checkpoint; see `steadyhand train`"
        )
    from steadyhand.policies.policy import load_policy  # torch takes seconds to import

    return PolicyDriver(load_policy(policy))


def with_progress(logs: Iterable[EpisodeLog], total: int, title: str) -> Iterable[EpisodeLog]:
    """Show a bar with the success rate so far."""
    wins = 0
    with tqdm(total=total, desc=title, unit="episode") as bar:
        for count, log in enumerate(logs, start=1):
            wins += log.success
            bar.set_postfix(success=f"{wins / count:.2f}", refresh=False)
            bar.update()
            yield log


def evaluate(world: World, driver: Driver, seeds: Sequence[int], workers: int, title: str = "evaluate") -> Evaluation:
    """Run one episode per seed. Ctrl-C ends it early: what is finished by then is kept, see Evaluation.complete."""
    assert world.task is not None
    logs: list[EpisodeLog] = []
    try:
        for log in with_progress(Rollout(world, driver, workers).run(seeds), len(seeds), title):
            logs.append(log)
    except KeyboardInterrupt:
        if not logs:
            raise
    return Evaluation(world.robot.name, world.task.name, driver.name, driver.version, len(seeds), logs)


def save_evaluation(evaluation: Evaluation, world: World, output: Path, videos: int) -> None:
    """Write eval.json, and film the first failures and successes; passes a Ctrl-C on once all is saved."""
    (output / "eval.json").write_text(json.dumps(evaluation.as_dict(), indent=1) + "\n")
    if not evaluation.complete:
        done = f"{len(evaluation.logs)} of {evaluation.requested} episodes"
        print(f"stopped after {done}; they are in {output / 'eval.json'}")
        raise KeyboardInterrupt
    failures = [log for log in evaluation.logs if not log.success][:videos]
    successes = [log for log in evaluation.logs if log.success][:videos]
    named = {f"failure_{log.seed}_{log.reason}": log for log in failures}
    named |= {f"success_{log.seed}": log for log in successes}
    write_videos(world, named, output / "videos")


def main(config: EvalConfig) -> None:
    """Evaluate, print the table, write the files."""
    check_counts(episodes=config.episodes, workers=config.workers)
    world = World.load(config.robot, config.task)
    driver = make_driver(config.policy)
    output = new_folder(config.output)
    seeds = range(config.seed, config.seed + config.episodes)
    evaluation = evaluate(world, driver, seeds, config.workers)
    save_evaluation(evaluation, world, output, config.videos)
    print(f"{config.task} on {config.robot}, {driver.name}: success {evaluation.success} (Wilson 95 %)")
    for reason, count in evaluation.reasons.items():
        print(f"  {reason:<18}{count:>5}")
    print(f"written: {output / 'eval.json'}, {output / 'videos'}")
