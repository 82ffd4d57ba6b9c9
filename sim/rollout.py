"""Many episodes at once: who decides, what is kept of it, and in which order it comes back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from steadyhand.errors import SteadyhandError
from steadyhand.sim._native import Observation, TwinBatch
from steadyhand.sim.env import ACTION_SIZE, Episode, Frame, World, reference_vector

ROWS = 32  # episodes under way at once; fixed, so that results do not depend on the number of workers


@dataclass(frozen=True)
class Decision:
    """An action and the segment label of whoever decided it (steadyhand.data_collection.labels.Segment)."""

    action: np.ndarray  # (10,) for every arm
    segment: int
    chunk_index: int = -1  # of the action in the chunk it belongs to; -1: it was decided alone


class Driver(Protocol):
    """Decides for the episodes under way. Rows are positions in the batch; an episode keeps its row to its end."""

    name: str
    version: str  # of the policy; empty if none acts

    def begin(self, row: int, episode: Episode) -> None:
        """A new episode starts in this row."""

    def decide(self, rows: Sequence[int], frames: Sequence[Frame]) -> list[Decision]:
        """One decision per row, from what is known now."""


class ScriptedDriver:
    """The task's scripted operator demonstrates."""

    name, version = "scripted", ""

    def __init__(self, segment: int = 0) -> None:
        self._segment = segment
        self._episodes: dict[int, Episode] = {}

    def begin(self, row: int, episode: Episode) -> None:
        """Nothing to prepare: the operator starts with the episode."""
        self._episodes[row] = episode

    def decide(self, rows: Sequence[int], frames: Sequence[Frame]) -> list[Decision]:
        """What the operator would do."""
        return [
            Decision(self._episodes[row].operator.act(frame.state, frame.truth), self._segment)
            for row, frame in zip(rows, frames, strict=True)
        ]


@runtime_checkable
class Chunked(Protocol):
    """A policy that decides several actions at once."""

    def chunk_index(self, rows: Sequence[int]) -> list[int]:
        """Place of each row's last action in its chunk, from 0."""


class PolicyDriver:
    """A policy decides alone."""

    def __init__(self, policy, segment: int = 1) -> None:
        self._policy, self._segment = policy, segment
        self.name, self.version = policy.name, policy.version

    def begin(self, row: int, episode: Episode) -> None:
        """A fresh history for the row; the policy's noise follows the episode's seed."""
        self._policy.reset([row], seeds=[episode.seed])

    def decide(self, rows: Sequence[int], frames: Sequence[Frame]) -> list[Decision]:
        """One batched decision of the policy."""
        inputs = [frame.policy_input() for frame in frames]
        batch = {key: np.stack([entry[key] for entry in inputs]) for key in inputs[0]}
        actions = np.asarray(self._policy.act(batch, rows))
        size = ACTION_SIZE * len(frames[0].observations)
        if actions.shape != (len(rows), size):
            raise SteadyhandError(
                f"policy '{self.name}' gave actions of shape {actions.shape} for {len(rows)} episodes; "
                f"allowed: ({len(rows)}, {size}), x y z, rot6d, gripper of every arm"
            )
        places = self._policy.chunk_index(rows) if isinstance(self._policy, Chunked) else [-1] * len(rows)
        return [Decision(action, self._segment, place) for action, place in zip(actions, places, strict=True)]


@dataclass
class EpisodeLog:
    """One finished episode: a row per decision, the observation taken before its action."""

    seed: int
    success: bool = False
    reason: str = ""
    steps: int = 0
    instruction: str = ""
    conditions: dict[str, float | str] = field(default_factory=dict)  # drawn for it, see Task.ranges
    progress: dict[str, float] = field(default_factory=dict)  # the furthest that each sub-task came, 0 to 1
    force_peak: float = 0.0  # N, largest external force at a tool at any tick, as the arm knows it
    frames: list[Frame] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    applied: list[np.ndarray] = field(default_factory=list)  # (10,) an arm: tracked at the period's end
    done: list[int] = field(default_factory=list)  # sub-tasks that had been completed at each decision
    completed: list[str] = field(default_factory=list)  # their names, in the order in which they were
    scenes: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)  # qpos, mocap at each decision
    counters: dict[str, int] = field(default_factory=dict)  # of the controllers, at the end
    ending: tuple[tuple[Observation, ...], np.ndarray] | None = None  # what is measured, one an arm, and so at the end

    def __len__(self) -> int:
        return len(self.decisions)

    def complete(self, subtasks: Sequence[str]) -> None:
        """Note which sub-tasks are done by now."""
        self.completed += [name for name in subtasks if name not in self.completed]

    @property
    def segments(self) -> np.ndarray:
        """Segment labels (T,)."""
        return np.array([decision.segment for decision in self.decisions], dtype=np.int8)


class Rollout:
    """Runs episodes of one world in batches.

    Episodes are assigned to rows in the order of the seeds and decided in lock-step. The outcome of every episode is
    the same for any number of workers, and whichever episodes run beside it: each row has a twin, eyes, an operator
    and random numbers of its own, and a policy has to decide for a row by what that row saw alone, to the last bit
    (steadyhand.policies.policy.Policy). So a list of seeds may also be cut into several rollouts.
    """

    def __init__(
        self,
        world: World,
        driver: Driver,
        workers: int = 2,
        time_limit: float | None = None,
        vary: Callable[[int], World] | None = None,
    ) -> None:
        """Prepare to run.

        Args:
            world: Of all episodes.
            driver: Decides.
            workers: Threads that simulate.
            time_limit: Of an episode, s; None: the task's.
            vary: Makes a world of its own for a seed, with the same robots and task.
        """
        self._world, self._driver, self._workers = world, driver, workers
        self._time_limit, self._vary = time_limit, vary

    def run(self, seeds: Sequence[int]) -> Iterator[EpisodeLog]:
        """Yield the episodes in the order of their seeds, each as soon as it and all before it are done."""
        waiting = list(enumerate(seeds))[::-1]
        episodes = [Episode(self._world) for _ in range(min(ROWS, len(waiting)))]
        batch: TwinBatch | None = None
        active: dict[int, tuple[int, EpisodeLog]] = {}
        finished: dict[int, EpisodeLog] = {}
        following = 0
        while waiting or active:
            for row in range(len(episodes)):
                if row not in active and waiting:
                    order, seed = waiting.pop()
                    if self._vary is not None:
                        episodes[row], batch = Episode(self._vary(seed)), None
                    active[row] = order, self._begin(row, episodes[row], seed)
            batch = batch or TwinBatch([episode.twin for episode in episodes], self._workers)
            for row in self._advance(episodes, batch, active):
                order, log = active.pop(row)
                finished[order] = log
            while following in finished:
                yield finished.pop(following)
                following += 1

    def _begin(self, row: int, episode: Episode, seed: int) -> EpisodeLog:
        episode.reset(seed)
        if self._time_limit is not None:
            episode.time_limit = self._time_limit
        self._driver.begin(row, episode)
        return EpisodeLog(seed, instruction=episode.instruction, conditions=episode.conditions)

    def _advance(self, episodes: list[Episode], batch: TwinBatch, active: dict) -> list[int]:
        """One decision period for all active rows; returns the rows that ended."""
        rows = list(active)
        frames = [episodes[row].observe() for row in rows]
        decisions = self._driver.decide(rows, frames)
        for row, frame, decision in zip(rows, frames, decisions, strict=True):
            log = active[row][1]
            log.frames.append(frame)
            log.decisions.append(decision)
            log.complete(episodes[row].subtasks_done)
            log.done.append(len(log.completed))
            log.scenes.append((episodes[row].twin.qpos, episodes[row].twin.mocap))
            episodes[row].request(decision.action)
        batch.step(episodes[rows[0]].ticks, rows)
        return [row for row in rows if self._judge(episodes[row], active[row][1])]

    def _judge(self, episode: Episode, log: EpisodeLog) -> bool:
        seen, truth = episode.look()
        openings = np.clip(log.decisions[-1].action[9::ACTION_SIZE], 0.0, 1.0)
        log.applied.append(
            np.concatenate([[*reference_vector(o), opening] for o, opening in zip(seen, openings, strict=True)])
        )
        outcome = episode.outcome()
        if outcome is None:
            return False
        log.complete(episode.subtasks_done)
        log.success, log.reason = outcome
        log.steps, log.ending = episode.steps, (seen, truth)
        log.progress = dict(zip(episode.task.subtasks, map(float, episode.progress), strict=True))
        log.force_peak = max(arm.force_peak for arm in seen)
        counts = [arm.status.counters for arm in seen]
        log.counters = {name: sum(count[name] for count in counts) for name in counts[0]}
        return True
