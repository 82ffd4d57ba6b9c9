"""Do the scores of `steadyhand data score` find bad demonstrations, and does leaving those out help a policy?

Scripted demonstrations on the twin, some spoiled in a known way: noise on what is asked for, a contrary strategy (the
gripper turned by a quarter turn, which a square peg or cube allows), and stalls.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from steadyhand.bench.run import BenchConfig
from steadyhand.data_collection.collect import demonstration, open_writer, write_episodes
from steadyhand.data_collection.exclusion import write_exclusions
from steadyhand.data_collection.quality_data import load_recorded
from steadyhand.data_collection.quality_estimators import auroc
from steadyhand.data_collection.quality_scores import METRICS, score, worst_first
from steadyhand.sim.env import Episode, Frame, World
from steadyhand.sim.evaluate import evaluate, with_progress
from steadyhand.sim.rollout import Decision, PolicyDriver, Rollout, ScriptedDriver
from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.operator import down_action

SPOILS = ("noise", "contrary", "stall")
NOISE = 0.002  # m, standard deviation of white noise on the requested position
STALL = (15, 30)  # decisions that a stall lasts
TASKS = {"peg_insertion": 3_200_000, "pick_place": 3_300_000}  # task -> first seed; the scores were chosen on others
GOOD, BAD = 60, 8  # demonstrations to find; bad ones of each kind
RETRAIN = ("peg_insertion", 3_400_000, 30, 10)  # task, first seed, good, bad of each kind
STEPS, TRAINING_SEEDS = 2000, (0, 1, 2)
EVALUATION_SEEDS = range(3_500_000, 3_500_100)


class SpoiledDriver(ScriptedDriver):
    """The scripted operator; in the episodes whose seed says so it demonstrates badly."""

    def __init__(self, spoils: Mapping[int, str]) -> None:
        super().__init__()
        self._spoils = spoils
        self._spoiler: dict[int, _Spoiler] = {}

    def begin(self, row: int, episode: Episode) -> None:
        """Nothing is spoiled in episodes without an entry."""
        super().begin(row, episode)
        self._spoiler[row] = _Spoiler(self._spoils.get(episode.seed, ""), episode)

    def decide(self, rows: Sequence[int], frames: Sequence[Frame]) -> list[Decision]:
        """What the operator would do, spoiled."""
        return [
            Decision(self._spoiler[row].act(frame.state, frame.truth), 0)
            for row, frame in zip(rows, frames, strict=True)
        ]


class _Spoiler:
    """Between the operator of one episode and its arm."""

    def __init__(self, kind: str, episode: Episode) -> None:
        self._kind, self._operator = kind, episode.operator
        self._random = np.random.default_rng([episode.seed, 1])
        self._begin = int(self._random.integers(10, 50))  # decisions before the stall
        self._end = self._begin + int(self._random.integers(*STALL))
        self._count = 0
        self._last = np.zeros(10)

    def act(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The next action (10,)."""
        self._count += 1
        if self._kind == "stall" and self._begin < self._count <= self._end:
            return self._last
        if self._kind == "contrary":
            self._last = _turned(self._operator.act(_turned(state, -np.pi / 2), truth), np.pi / 2)
        else:
            self._last = self._operator.act(state, truth)
        if self._kind == "noise":
            self._last = self._last + np.append(self._random.normal(0.0, NOISE, 3), np.zeros(7))
        return self._last


def _turned(values: np.ndarray, angle: float) -> np.ndarray:
    """A state (16,) or action (10,) of a tool pointing down, turned about the vertical by `angle`, rad."""
    hand = np.append(values[:3], yaw_of(values[3:9]) + angle)
    return np.concatenate([down_action(hand, values[9]), values[10:]])


def collect(task: str, seeds: Sequence[int], bad: int, folder: Path) -> list[str]:
    """Record demonstrations, `bad` of each kind of spoiled ones among them; returns the kind of each, "" if good."""
    world = World.load("fr3", task)
    chosen = np.random.default_rng(seeds[0]).permutation(seeds)[: bad * len(SPOILS)]
    spoils = {int(seed): SPOILS[i % len(SPOILS)] for i, seed in enumerate(chosen)}
    logs = Rollout(world, SpoiledDriver(spoils)).run(seeds)
    with open_writer(folder, world) as writer:
        write_episodes(writer, world, with_progress(logs, len(seeds), task), demonstration)
    return [spoils.get(seed, "") for seed in seeds]


def discriminations(folder: Path, kinds: Sequence[str]) -> dict[str, dict[str, float]]:
    """Area under the ROC curve against good episodes: metric or "combined" -> kind, or "any" -> area."""
    scores, _ = score(load_recorded(folder))
    columns = {name: [float(entry.classes["demo"][name] or 0.0) for entry in scores] for name in METRICS}
    columns["combined"] = [float(entry.score or 0.0) for entry in scores]
    return {
        name: {
            kind: auroc(
                [
                    value
                    for value, given in zip(column, kinds, strict=True)
                    if given == kind or (kind == "any" and given)
                ],
                [value for value, given in zip(column, kinds, strict=True) if not given],
            )
            for kind in ("any", *SPOILS)
        }
        for name, column in columns.items()
    }


def retrain(folder: Path) -> list[dict]:
    """Success of policies trained on everything, without the worst by score, and without as many drawn by chance."""
    from steadyhand.policies.policy import load_policy
    from steadyhand.policies.train import TrainConfig, train  # torch takes seconds to import

    task, first, good, bad = RETRAIN
    data = folder / "data"
    kinds = collect(task, range(first, first + good + bad * len(SPOILS)), bad, data)
    scores = score(load_recorded(data))[0]
    worst = [entry.episode for entry in worst_first(scores)][: bad * len(SPOILS)]
    world, results = World.load("fr3", task), []
    for seed in TRAINING_SEEDS:
        chance = np.random.default_rng(seed).permutation(len(kinds))[: len(worst)]
        for name, left_out in (("score", worst), ("chance", chance), ("none", [])):
            file = write_exclusions(str(folder / f"{name}{seed}.json"), data, name, {int(i): name for i in left_out})
            output = folder / f"{name}{seed}"
            config = TrainConfig((data,), output, steps=STEPS, seed=seed, exclude=str(file), progress=False)
            policy = load_policy(train(config).checkpoint)
            found = evaluate(world, PolicyDriver(policy), EVALUATION_SEEDS, 2, f"{name}, training seed {seed}", films=0)
            result = {"left_out": name, "episodes": len(kinds) - len(left_out), "training_seed": seed,
                      "bad_left": sum(kind != "" for i, kind in enumerate(kinds) if i not in left_out),
                      "success": found.success.as_dict()}  # fmt: skip
            print(f"left out by {name}, training seed {seed}: {result['bad_left']} bad left, success {found.success}")
            results.append(result)
    return results


def main(config: BenchConfig) -> None:
    """Print the areas and the successes, and write them."""
    result: dict = {"seeds": TASKS, "good": GOOD, "bad_of_each_kind": BAD, "auroc": {}}
    with tempfile.TemporaryDirectory() as folder:
        for task, first in TASKS.items():
            kinds = collect(task, range(first, first + GOOD + BAD * len(SPOILS)), BAD, Path(folder) / task)
            areas = result["auroc"][task] = discriminations(Path(folder) / task, kinds)
            print(f"{task}: area under the ROC curve\n{'':<12}" + "".join(f"{kind:>10}" for kind in ("any", *SPOILS)))
            for name, row in areas.items():
                print(f"{name:<12}" + "".join(f"{area:10.2f}" for area in row.values()))
        config.json.write_text(json.dumps(result, indent=1) + "\n")
        result["retraining"] = {"data": RETRAIN, "steps": STEPS, "evaluation_seeds": [EVALUATION_SEEDS[0], 100]}
        result["retraining"]["policies"] = retrain(Path(folder))
    config.json.write_text(json.dumps(result, indent=1) + "\n")
