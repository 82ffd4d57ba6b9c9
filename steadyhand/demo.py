"""`steadyhand demo`: demonstrations, training, evaluation, interventions and a better policy, in one go.

The demo is a list of stages. A finished stage leaves a file in OUTPUT/stages, so an interrupted demo goes on where it
stopped.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from steadyhand import __version__
from steadyhand.data_collection.collect import demonstration, open_writer, write_episodes
from steadyhand.errors import SteadyhandError
from steadyhand.evaluate import save_evaluation
from steadyhand.improve import film_interventions, supervise
from steadyhand.report import write_report
from steadyhand.sim.env import World
from steadyhand.sim.evaluate import check_counts, evaluate, new_folder, with_progress
from steadyhand.sim.rollout import PolicyDriver, Rollout, ScriptedDriver
from steadyhand.sim.statistics import PairedGain
from steadyhand.sim.video import write_videos

# Ranges of episode seeds that never overlap; they were fixed before any result was seen.
DEMO_SEEDS, INTERVENTION_SEEDS, EVALUATION_SEEDS, ROS_SEED = 300_000, 500_000, 1_000_000, 2_000_000


@dataclass(frozen=True)
class DemoConfig:
    """The whole loop on the twin, ending with OUTPUT/report.html and OUTPUT/summary.json."""

    output: Path = Path("outputs/demo")
    """Folder of everything the demo makes; an interrupted demo in it is continued."""
    demos: int = 50
    """Scripted demonstrations."""
    interventions: int = 150
    """Supervised episodes of the first policy."""
    episodes: int = 150
    """Episodes of each evaluation."""
    steps: int = 3000
    """Steps of each training."""
    seed: int = 0
    """Seed of training; also shifts the seeds of all episodes."""
    workers: int = 2
    """Threads that simulate; results do not depend on it."""
    ros: bool = True
    """Also one demonstration and one autonomous episode over ROS 2 topics, in real time."""


class Demo:
    """Runs the stages and keeps what each of them reported."""

    robot, task = "fr3", "peg_insertion"

    def __init__(self, config: DemoConfig) -> None:
        self.config = config
        self.out = config.output
        self.results: dict[str, dict] = {}
        self._began = time.perf_counter()
        self._before = 0.0  # s spent in earlier runs on stages that are done

    @cached_property
    def world(self) -> World:
        """Scene and robot, built once."""
        return World.load(self.robot, self.task)

    def seeds(self, first: int, count: int) -> range:
        """A range of episode seeds, moved by the demo's own seed."""
        begin = first + 10_000_000 * self.config.seed
        return range(begin, begin + count)

    def stages(self) -> dict[str, Callable[[], dict]]:
        """All stages in order."""
        stages = {
            "demonstrate": self.demonstrate,
            "train": lambda: self.train("base", "uniform", "demos"),
            "evaluate": lambda: self.evaluate("base"),
            "intervene": self.intervene,
            "retrain": lambda: self.train("improved", "rac", "demos", "interventions"),
            "reevaluate": lambda: self.evaluate("improved"),
        }
        return stages | ({"ros": self.ros} if self.config.ros else {})

    def demonstrate(self) -> dict:
        """Scripted demonstrations into demos/."""
        folder = self.fresh("demos")
        seeds = self.seeds(DEMO_SEEDS, self.config.demos)
        rollout = Rollout(self.world, ScriptedDriver(), self.config.workers)
        with open_writer(folder, self.world) as writer:
            logs = write_episodes(
                writer,
                self.world,
                with_progress(rollout.run(seeds), len(seeds), "demonstrate"),
                demonstration,
            )
        write_videos(self.world, {f"demo_{logs[0].seed}": logs[0]}, self.out / "videos")
        return {
            "episodes": len(logs),
            "success": sum(log.success for log in logs),
            "frames": sum(len(log) for log in logs),
        }

    def train(self, name: str, weights: str, *datasets: str) -> dict:
        """A policy from datasets into NAME/."""
        from steadyhand.policies.train import TrainConfig, train  # torch takes seconds to import

        result = train(
            TrainConfig(
                dataset=tuple(self.out / dataset for dataset in datasets),
                output=self.fresh(name),
                steps=self.config.steps,
                seed=self.config.seed,
                weights=weights,
            )
        )
        return {"loss": result.loss, "frames": result.frames, "parameters": result.parameters}

    def evaluate(self, name: str) -> dict:
        """The policy NAME on the evaluation seeds into eval_NAME/."""
        folder = new_folder(self.fresh(f"eval_{name}"))
        seeds = self.seeds(EVALUATION_SEEDS, self.config.episodes)
        driver = PolicyDriver(self.load(name))
        evaluation = evaluate(self.world, driver, seeds, self.config.workers, f"evaluate {name}", films=1)
        save_evaluation(evaluation, self.world, folder)
        print(f"{name}: success {evaluation.success} (Wilson 95 %)")
        outcomes = [episode.success for episode in evaluation.episodes]
        return {"success": evaluation.success.as_dict(), "outcomes": outcomes}

    def intervene(self) -> dict:
        """Supervised episodes of the first policy into interventions/."""
        seeds = self.seeds(INTERVENTION_SEEDS, self.config.interventions)
        brought, logs = supervise(
            self.world, self.load("base"), seeds, self.fresh("interventions"), self.config.workers
        )
        film_interventions(self.world, logs, self.out / "videos")
        return asdict(brought)

    def ros(self) -> dict:
        """One demonstration and one autonomous episode over ROS 2 topics into ros/."""
        from steadyhand.ros_demo import run  # needs rclpy

        return run(self.fresh("ros"), self.out / "improved", self.seeds(ROS_SEED, 1)[0])

    def load(self, name: str):
        """A policy that a stage has trained."""
        from steadyhand.policies.policy import load_policy

        return load_policy(self.out / name)

    def fresh(self, name: str) -> Path:
        """A folder of this demo, without what an interrupted stage may have left in it."""
        shutil.rmtree(self.out / name, ignore_errors=True)
        return self.out / name

    def run(self) -> None:
        """Run what has not been run yet."""
        stages = self.stages()
        for number, (name, stage) in enumerate(stages.items(), start=1):
            file = self.out / "stages" / f"{name}.json"
            if file.is_file():
                self.results[name] = json.loads(file.read_text())
                self._before += self.results[name]["seconds"]
                print(f"[{number}/{len(stages)}] {name}: done before")
                continue
            print(f"[{number}/{len(stages)}] {name}", flush=True)
            began = time.perf_counter()
            result = stage() | {"seconds": round(time.perf_counter() - began, 2)}
            partial = file.with_suffix(".part")
            partial.write_text(json.dumps(result))
            partial.replace(file)
            self.results[name] = json.loads(file.read_text())

    @property
    def seconds(self) -> float:
        """What the demo has taken so far."""
        return round(self._before + time.perf_counter() - self._began, 1)

    def summary(self) -> dict:
        """Content of summary.json."""
        before, after = self.results["evaluate"], self.results["reevaluate"]
        intervened, ros = self.results["intervene"], self.results.get("ros", {})
        seconds = {name: result["seconds"] for name, result in self.results.items()}
        return {
            "steadyhand": __version__,
            "robot": self.robot,
            "task": self.task,
            "seconds_total": self.seconds,
            "stages": seconds,
            "settings": {
                name: str(value) if isinstance(value, Path) else value for name, value in asdict(self.config).items()
            },
            "seeds": {
                "demonstrations": self.seeds(DEMO_SEEDS, self.config.demos)[0],
                "interventions": self.seeds(INTERVENTION_SEEDS, self.config.interventions)[0],
                "evaluation": self.seeds(EVALUATION_SEEDS, self.config.episodes)[0],
            },
            "episodes_demo": self.results["demonstrate"]["episodes"],
            "success_base": before["success"],
            "success_improved": after["success"],
            "gain": PairedGain.of(before["outcomes"], after["outcomes"]).as_dict(),
            "human_frames": intervened["human_frames"],
            "interventions": {key: value for key, value in intervened.items() if key != "seconds"},
            "real_time_factor": ros.get("real_time_factor"),
            "ros": {key: value for key, value in ros.items() if key not in ("seconds", "real_time_factor")},
            "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()},
        }


def _open(config: DemoConfig) -> None:
    """Make the output folder, or check that the demo in it had the same settings."""
    settings = json.dumps(asdict(replace(config, output=Path(), workers=0)), default=str)
    file = config.output / "stages" / "settings.json"
    if file.is_file():
        if file.read_text() != settings:
            raise SteadyhandError(
                f"'{config.output}' holds a demo with other settings; choose another --output or remove the folder"
            )
        return
    new_folder(config.output)
    file.parent.mkdir()
    file.write_text(settings)


def main(config: DemoConfig) -> None:
    """Run the demo and say where its report is."""
    check_counts(
        demos=config.demos,
        interventions=config.interventions,
        episodes=config.episodes,
        steps=config.steps,
        workers=config.workers,
    )
    _open(config)
    demo = Demo(config)
    try:
        demo.run()
        summary = demo.summary()
        (config.output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        report = write_report(config.output, summary)
    except KeyboardInterrupt:
        print(f"\nstopped; finished stages are kept, the same command goes on in '{config.output}'")
        raise
    print(
        f"\nsuccess {summary['success_base']['p']:.2f} -> {summary['success_improved']['p']:.2f}, "
        f"gain {summary['gain']['difference']:+.2f} [{summary['gain']['lo']:+.2f}, {summary['gain']['hi']:+.2f}]"
    )
    print(f"summary: {config.output / 'summary.json'}")
    print(f"report:  {report}")
