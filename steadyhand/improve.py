"""`steadyhand improve`: one round of intervention learning. Roll out, be helped, aggregate, retrain, evaluate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steadyhand.data_collection.collect import open_journal, open_writer, write_episodes
from steadyhand.data_collection.intervention import RULES, SupervisedDriver
from steadyhand.data_collection.labels import human_mask
from steadyhand.data_collection.sidecar import EpisodeInfo
from steadyhand.errors import SteadyhandError
from steadyhand.evaluate import save_evaluation
from steadyhand.sim.env import World
from steadyhand.sim.evaluate import FIRST_SEED, check_counts, evaluate, new_folder, with_progress
from steadyhand.sim.rollout import EpisodeLog, PolicyDriver, Rollout
from steadyhand.sim.statistics import PairedGain
from steadyhand.sim.video import write_videos

if TYPE_CHECKING:
    from steadyhand.data_collection.twin_journal import TwinJournal

FIRST_INTERVENTION_SEED = 500_000
HELP_TIME = 15.0  # s that an episode may last longer when somebody helps


@dataclass(frozen=True)
class ImproveConfig:
    """One round: roll out a policy, let a human intervene, retrain on everything, evaluate both on the same seeds."""

    dataset: tuple[Path, ...]
    """Datasets the policy was trained on."""
    policy: Path
    """Checkpoint of the policy to improve."""
    output: Path
    """New folder: interventions/, policy/, eval_before/, eval_after/."""
    task: str = "peg_insertion"
    """Task, see `steadyhand tasks`."""
    robot: str = "fr3"
    """Robot, see `steadyhand robots`."""
    episodes: int = 150
    """Supervised episodes."""
    eval_episodes: int = 150
    """Episodes of each evaluation."""
    steps: int = 3000
    """Training steps."""
    weights: str = "rac"
    """Visits per frame, see `steadyhand train`."""
    seed: int = 0
    """Seed of the training; supervised and evaluated episodes have fixed ranges of their own."""
    workers: int = 2
    """Threads that simulate."""
    journal: Path | None = None
    """Folder of a journal that gets the supervised episodes, too: a bag each, as of `steadyhand record`."""


@dataclass(frozen=True)
class Interventions:
    """What a round of supervision brought."""

    episodes: int
    helped: int  # episodes with a takeover
    human_frames: int
    robot_frames: int
    success_with_help: float
    takeovers: dict[str, str]  # seed of the episode -> why the operator took over


def supervise(
    world: World, policy, seeds: Sequence[int], folder: Path, workers: int, journal: "TwinJournal | None" = None
) -> tuple[Interventions, list[EpisodeLog]]:
    """Roll a policy out under supervision and record it as a dataset, and in a journal if there is one."""
    assert world.task is not None
    driver = SupervisedDriver(policy)
    rollout = Rollout(world, driver, workers, time_limit=world.task.time_limit + HELP_TIME)
    with open_writer(folder, world) as writer:
        logs = write_episodes(
            writer,
            world,
            with_progress(rollout.run(seeds), len(seeds), "supervise"),
            lambda log: EpisodeInfo(
                success=log.success,
                end_reason=log.reason,
                operator="scripted" if log.seed in driver.reasons else "",
                policy_version=driver.version,
                seed=log.seed,
                rules=RULES,
            ),
            journal,
        )
    segments = np.concatenate([log.segments for log in logs])
    human = int(human_mask(segments).sum())
    return Interventions(
        episodes=len(logs),
        helped=len(driver.reasons),
        human_frames=human,
        robot_frames=len(segments) - human,
        success_with_help=float(np.mean([log.success for log in logs])),
        takeovers={str(seed): reason for seed, reason in sorted(driver.reasons.items())},
    ), logs


def film_interventions(world: World, logs: Sequence[EpisodeLog], folder: Path, count: int = 1) -> None:
    """Film the first successful interventions."""
    helped = [log for log in logs if log.success and human_mask(log.segments).any()][:count]
    write_videos(world, {f"intervention_{log.seed}": log for log in helped}, folder)


def main(config: ImproveConfig) -> None:
    """Run the round and print what it brought."""
    from steadyhand.policies.frames import read_features  # torch takes seconds to import
    from steadyhand.policies.policy import load_policy

    check_counts(episodes=config.episodes, eval_episodes=config.eval_episodes, workers=config.workers)
    for dataset in config.dataset:
        read_features(dataset)
    world = World.load(config.robot, config.task)
    policy = load_policy(config.policy)
    output = new_folder(config.output)
    try:
        _run(config, world, policy, output)
    except KeyboardInterrupt:
        print(f"stopped; the episodes recorded so far are a dataset in '{output / 'interventions'}'")
        raise


def _run(config: ImproveConfig, world: World, policy, output: Path) -> None:
    from steadyhand.policies.policy import load_policy
    from steadyhand.policies.train import TrainConfig, train

    seeds = range(FIRST_INTERVENTION_SEED, FIRST_INTERVENTION_SEED + config.episodes)
    with open_journal(config.journal, config.robot, world) as journal:
        brought, logs = supervise(world, policy, seeds, output / "interventions", config.workers, journal)
    film_interventions(world, logs, output / "videos")
    print(f"{brought.helped} of {brought.episodes} episodes needed help, {brought.human_frames} human frames")
    if not brought.helped:
        raise SteadyhandError("the policy never needed help, so there is nothing to learn from; try more --episodes")
    result = train(
        TrainConfig(
            dataset=(*config.dataset, output / "interventions"),
            output=output / "policy",
            steps=config.steps,
            seed=config.seed,
            weights=config.weights,
        )
    )
    seeds = range(FIRST_SEED, FIRST_SEED + config.eval_episodes)
    outcomes = {}
    for name, checkpoint in (("before", config.policy), ("after", result.checkpoint)):
        evaluation = evaluate(world, PolicyDriver(load_policy(checkpoint)), seeds, config.workers, name, films=1)
        save_evaluation(evaluation, world, new_folder(output / f"eval_{name}"))
        outcomes[name] = [episode.success for episode in evaluation.episodes]
        print(f"{name}: success {evaluation.success} (Wilson 95 %)")
    gain = PairedGain.of(outcomes["before"], outcomes["after"])
    print(f"gain {gain.difference:+.3f} [{gain.lo:+.3f}, {gain.hi:+.3f}] (paired bootstrap 95 %)")
    print(f"policy: {result.checkpoint}")
