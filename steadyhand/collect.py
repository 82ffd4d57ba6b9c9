"""`steadyhand collect`: demonstrations of a task's scripted operator on the twin, in one process."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from steadyhand.data_collection.collect import demonstration, open_journal, open_writer, write_episodes
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.evaluate import check_counts, new_folder, with_progress
from steadyhand.sim.rollout import Rollout, ScriptedDriver

FIRST_DEMO_SEED = 300_000


@dataclass(frozen=True)
class CollectConfig:
    """Record demonstrations of a task's scripted operator on the twin: as a LeRobot dataset, as a journal, or both."""

    output: Path | None = None
    """New folder of the LeRobot dataset (states, no images)."""
    journal: Path | None = None
    """Folder of the journal: a bag (MCAP) an episode, with the topics of `steadyhand record`; needs the extra `ros`."""
    task: str = "peg_insertion"
    """Task, see `steadyhand tasks`, or one of your own as path/to/my_task.py:MyTask."""
    robot: str = "fr3"
    """Robot, see `steadyhand robots`."""
    episodes: int = 50
    """How many."""
    seed: int = FIRST_DEMO_SEED
    """Seed of the first episode; the others count up from it."""
    cameras: str = "none"
    """Cameras to draw for the journal at every decision, e.g. "front,wrist"; "front:compressed" for JPEG, "front:depth"
    for depth."""
    workers: int = 2
    """Threads that simulate; the result does not depend on it."""


def main(config: CollectConfig) -> int:
    """Record, and say how it went."""
    check_counts(episodes=config.episodes, workers=config.workers)
    if config.output is None and config.journal is None:
        raise SteadyhandError("nowhere to record to; give --output for a dataset, --journal for a journal, or both")
    if config.journal is None and config.cameras != "none":
        raise SteadyhandError("--cameras are for the journal; give --journal too, then `steadyhand data convert`")
    if config.seed < 0:
        raise SteadyhandError(f"--seed is {config.seed}; give at least 0")
    world = World.load(config.robot, config.task)
    seeds = range(config.seed, config.seed + config.episodes)
    places = " and ".join(str(place) for place in (config.output, config.journal) if place)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(open_journal(config.journal, config.robot, world, config.cameras))
        writer = stack.enter_context(open_writer(new_folder(config.output), world)) if config.output else None
        logs = with_progress(Rollout(world, ScriptedDriver(), config.workers).run(seeds), len(seeds), "collect")
        try:
            done = write_episodes(writer, world, logs, demonstration, journal)
        except KeyboardInterrupt:
            print(f"stopped; the episodes recorded so far are safe in {places}")
            raise
    print(f"{len(done)} episodes recorded in {places}, {sum(log.success for log in done)} successful")
    return 0
