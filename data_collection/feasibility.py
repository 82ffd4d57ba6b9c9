"""Does a recorded sequence of actions lead to the recorded states? Every episode once more, in the twin."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from steadyhand.data_collection.quality_data import Found, NotApplicableError, Recorded, Verdict
from steadyhand.data_collection.replay_source import of_dataset, task_of
from steadyhand.data_collection.replay_twin import Replayed, TwinReplay
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.robot import load_robot

TOLERANCE = 0.01, 0.1  # m and rad that a recorded pose may be beside the replayed path: no one arrives twice alike


class Figures(NamedTuple):
    """How the replay of an episode went."""

    episode: int
    path_max_mm: float  # of a recorded position beside the replayed path
    max_mm: float  # at the same time
    max_deg: float
    success: bool  # in the replay

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.path_max_mm:.1f} mm beside the path, {self.max_mm:.1f} mm and {self.max_deg:.1f} deg at the same "
            f"time, {'done' if self.success else 'not done'}"
        )


class Feasibility:
    """A check that keeps its figures. Actions are replayed as they were requested, in the scene of the seed."""

    def __init__(self) -> None:
        """Nothing is replayed yet."""
        self.figures: list[Figures] = []
        self._twins: dict[str, TwinReplay] = {}

    def __call__(self, recorded: Recorded) -> Found:
        """Replay all episodes."""
        if not recorded.arms or not recorded.robot or recorded.sidecar is None:
            raise NotApplicableError(
                "the dataset does not say robot and seeds"
                if recorded.arms
                else "actions are no poses as we record them"
            )
        seeds = [row["seed"] for row in recorded.sidecar]
        if all(seed is None for seed in seeds):
            raise NotApplicableError("no episode has the seed of a twin")
        for episode, _ in enumerate(recorded.rows):
            yield from self._replay(recorded, episode)

    def _replay(self, recorded: Recorded, episode: int) -> Found:
        try:
            recording = of_dataset(recorded, episode)
            if recording.seed is None:
                yield episode, Verdict.REVIEW, "cannot be replayed: no seed"
                return
            done = self._twin(recorded.robot, recording.text).run(recording, recording.seed)
        except SteadyhandError as error:
            yield episode, Verdict.REVIEW, f"cannot be replayed: {error}"
            return
        figures = Figures(
            episode,
            1e3 * float(done.aside.max()),
            1e3 * float(done.error.max()),
            float(np.degrees(done.turn.max())),
            bool(done.success),
        )
        self.figures.append(figures)
        assert recorded.sidecar is not None
        yield from _judged(figures, done, recorded.sidecar[episode]["success"])

    def _twin(self, robot: str, text: str) -> TwinReplay:
        name = task_of(text)
        if not name:
            raise SteadyhandError(f"no task of the twin is asked for with '{text}'")
        if name not in self._twins:
            self._twins[name] = TwinReplay(World.build(load_robot(robot), name), "requested")
        return self._twins[name]


def _judged(figures: Figures, done: Replayed, success: bool | None) -> Iterator[tuple[int, Verdict, str]]:
    if done.aside.max() > TOLERANCE[0] or done.turn.max() > TOLERANCE[1]:
        frame = int(np.argmax(np.maximum(done.aside / TOLERANCE[0], done.turn / TOLERANCE[1]).max(axis=1)))
        yield figures.episode, Verdict.REVIEW, f"its actions lead elsewhere, at frame {frame} most: {figures}"
    elif success and not figures.success:
        yield figures.episode, Verdict.REVIEW, f"succeeded when it was recorded, not in the replay: {figures}"
