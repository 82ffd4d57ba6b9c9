"""`steadyhand eval`: how often a policy succeeds on the twin, why it fails when it does, and how it moves."""

from dataclasses import dataclass, replace
from pathlib import Path

from steadyhand.errors import SteadyhandError
from steadyhand.eval_text import report
from steadyhand.sim.env import World
from steadyhand.sim.evaluate import FIRST_SEED, Engine, Job, check_counts, evaluate_job, new_folder, open_job
from steadyhand.sim.evaluation import Evaluation
from steadyhand.sim.sweep import parse_extents
from steadyhand.sim.video import write_videos
from steadyhand.sweep import report as sweep_report
from steadyhand.sweep import run_sweep, save_sweep


@dataclass(frozen=True)
class EvalConfig:
    """Evaluate a policy on the twin: success with its confidence, failures and their conditions, forces, films."""

    output: Path
    """New folder for eval.json, eval.csv, eval.html and videos."""
    policy: str = "scripted"
    """The word scripted, a checkpoint (the folder that `steadyhand train` wrote), or module:Class of your own."""
    task: str = "peg_insertion"
    """Task, see `steadyhand tasks`, or one of your own as path/to/my_task.py:MyTask."""
    robot: str = "fr3"
    """Robot, see `steadyhand robots`."""
    episodes: int = 100
    """How many; same seeds for every policy, so results can be compared in pairs."""
    workers: int = 2
    """Threads, or processes of Ray, that simulate; the result does not depend on it."""
    engine: Engine = "local"
    """Threads of this process, or processes of Ray; the result does not depend on it."""
    ray_address: str | None = None
    """With --engine ray: a cluster that runs, for example auto; without, one is started here and stopped again."""
    seed: int = FIRST_SEED
    """Seed of the first episode; the others count up from it."""
    videos: int = 2
    """How many successes and how many failures to film."""
    require: tuple[str, ...] = ()
    """Requirements in signal temporal logic, for example "always (force < 30)"; see docs/evaluation.md."""
    perturb: tuple[str, ...] = ()
    """A robustness sweep instead: all, or axes as NAME or NAME=LOW:HIGH, such as latency=0:0.3 friction; writes
    sweep.json and sweep.html."""


def main(config: EvalConfig) -> None:
    """Evaluate, print the table, write the files."""
    check_counts(episodes=config.episodes, workers=config.workers)
    for name, value in (("videos", config.videos), ("seed", config.seed)):
        if value < 0:
            raise SteadyhandError(f"--{name} is {value}; give at least 0")
    if config.ray_address is not None and config.engine != "ray":
        raise SteadyhandError("--ray-address is for --engine ray; add it, or leave the address out")
    if config.perturb and config.require:
        raise SteadyhandError("--require judges episodes of the nominal world; leave it out of a sweep (--perturb)")
    extents = parse_extents(config.perturb)
    policy = str(Path(config.policy).absolute()) if _is_checkpoint(config.policy) else config.policy
    job = Job(_absolute(config.robot), _absolute(config.task), policy, config.require, config.videos)
    world, _, _ = open_job(job)
    output = new_folder(config.output)
    seeds = range(config.seed, config.seed + config.episodes)
    if extents:
        sweep = run_sweep(replace(job, films=0), extents, seeds, config.workers, config.engine, config.ray_address)
        save_sweep(sweep, output)
        if not sweep.complete:
            print(
                f"stopped after {len(sweep.points)} of {sweep.requested} episodes; they are in {output / 'sweep.json'}"
            )
            raise KeyboardInterrupt
        print(sweep_report(sweep))
        print(f"written: {output / 'sweep.html'}, {output / 'sweep.json'}")
        return
    evaluation = evaluate_job(job, seeds, config.workers, config.engine, config.ray_address)
    save_evaluation(evaluation, world, output)
    print(report(evaluation))
    print(f"written: {output / 'eval.html'}, {output / 'eval.json'}, {output / 'eval.csv'}")


def _absolute(name: str) -> str:
    """A robot or task under the name that other processes know it by, too: files have a suffix, words stay."""
    path, colon, attribute = name.partition(":")
    return str(Path(path).absolute()) + colon + attribute if Path(path).suffix else name


def _is_checkpoint(policy: str) -> bool:
    return policy != "scripted" and Path(policy).exists()


def save_evaluation(evaluation: Evaluation, world: World, output: Path) -> None:
    """Write the files, and film what has scenes; passes a Ctrl-C on once the episodes are saved."""
    evaluation.write(output)
    if not evaluation.complete:
        done = f"{len(evaluation.episodes)} of {evaluation.requested} episodes"
        print(f"stopped after {done}; they are in {output / 'eval.json'}")
        raise KeyboardInterrupt
    named = {
        f"success_{episode.seed}" if episode.success else f"failure_{episode.seed}_{episode.reason}": episode
        for episode in evaluation.episodes
        if episode.scenes
    }
    videos = write_videos(world, named, output / "videos")
    from steadyhand.eval_page import page  # matplotlib takes a second to import

    (output / "eval.html").write_text(page(evaluation, videos), encoding="utf-8")
