"""`steadyhand data replay`: a recorded episode once more, in the twin or on a robot."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tyro.conf import Positional

from steadyhand.data_collection.replay_source import Recording, load_recording, task_of
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import load_robot

SPEEDS = 0.1, 1.5


@dataclass
class ReplayConfig:
    """Replay an episode in the twin, to see how far its path can be trusted, or on a robot over ROS topics."""

    source: Positional[Path]
    """Folder of a LeRobot v3 dataset or of a journal."""
    episode: Positional[str]
    """Number of the episode; of a journal also its name."""
    where: Literal["twin", "ros"] = "twin"
    """twin: simulated in this process, at once; ros: the robot (or twin) whose topics are there, in real time."""
    speed: float = 1.0
    """Of the motion, 0.1 to 1.5; 1: as recorded."""
    follow: Literal["auto", "applied", "requested"] = "auto"
    """In the twin: what is replayed, the recorded requests or what the controller made of them; auto: the latter where
    it was recorded. On ROS it is always the requests."""
    robot: str | None = None
    """Where the recording does not name it, or its file has moved: as for `steadyhand record`."""
    task: str | None = None
    """In the twin: the task whose scene is built, or "none"; left out: the one whose instruction was recorded."""
    seed: int | None = None
    """In the twin: of the scene, where the recording does not say it."""
    json: Path | None = None
    """In the twin: write the figures there as well."""
    page: Path | None = None
    """In the twin: write a page (HTML) with the errors over time."""
    video: Path | None = None
    """In the twin: folder for a film."""
    tolerance: float = 0.1
    """On ROS: m that the tool may be away from its recorded path before the replay ends."""
    max_speed: float = 1.0
    """On ROS: m/s between two requested positions; faster episodes are refused."""
    max_turn: float = 3.0
    """On ROS: the same for the rotation, rad/s."""
    yes: bool = False
    """On ROS: go to the first recorded pose without being asked."""
    namespace: str = ""
    """On ROS: namespace of the robot's topics."""
    sim_time: bool = False
    """On ROS: take the time from /clock, as needed with `steadyhand twin --speed`."""


def main(config: ReplayConfig) -> int:
    """Replay and say how it went."""
    if not SPEEDS[0] <= config.speed <= SPEEDS[1]:
        raise SteadyhandError(f"--speed {config.speed:g} is not from {SPEEDS[0]:g} to {SPEEDS[1]:g}")
    recording = load_recording(config.source, config.episode, config.robot, config.task or "")
    if not (config.robot or recording.robot):
        raise SteadyhandError(f"{recording.name} does not name its robot; give --robot, see `steadyhand robots`")
    recording = replace(recording, robot=config.robot or recording.robot)
    return _on_ros(recording, config) if config.where == "ros" else _in_twin(recording, config)


def task_name(recording: Recording, given: str | None) -> str | None:
    """The task whose scene is needed; None: a bare table."""
    name = given or task_of(recording.text)
    if not name:
        raise SteadyhandError(
            f"no task of the twin is asked for with '{recording.text}'; give --task, see `steadyhand tasks`, or "
            "--task none for a bare table"
        )
    return None if name == "none" else name


def _in_twin(recording: Recording, config: ReplayConfig) -> int:
    from steadyhand.data_collection.replay_twin import TwinReplay
    from steadyhand.sim.env import World
    from steadyhand.sim.video import write_videos

    task = task_name(recording, config.task)
    seed = config.seed if config.seed is not None else recording.seed
    if seed is None and task is not None:
        raise SteadyhandError(f"{recording.name} does not say the seed of its scene; give --seed, or --task none")
    follow = config.follow
    if follow == "auto":
        follow = "requested" if recording.tracked is None else "applied"
    world = World.build(load_robot(recording.robot), task)
    paced = replace(recording, times=recording.times / config.speed, period=recording.period / config.speed)
    done = TwinReplay(world, follow).run(paced, seed or 0)
    lines = summary(done.by_segment(), float(done.aside.max()))
    scene = f"task {task}, seed {seed}" if task else "a bare table"
    print(f"{recording.name}: {len(recording.times)} decisions, {follow}, {scene}")
    if done.moved:
        print(f"the episode did not begin at the reset: the tool went {1e3 * done.moved:.0f} mm to its first pose")
    print("\n".join(lines))
    if done.success is not None:
        print(f"the task {'was' if done.success else 'was not'} done in the replay")
    if config.json:
        _write_json(config.json, recording, done, follow)
    if config.page:
        from steadyhand.data_collection.replay_page import page

        config.page.parent.mkdir(parents=True, exist_ok=True)
        config.page.write_text(page(recording.name, scene, follow, done), encoding="utf-8")
        print(f"written: {config.page}")
    if config.video:
        name = f"{config.source.resolve().name}_{config.episode}"
        print(f"written: {', '.join(map(str, write_videos(world, {name: done}, config.video)))}")
    return 0


def summary(segments: dict[str, tuple[float, float, float]], aside: float) -> list[str]:
    """How far the tool was from where it was recorded, in all and in every segment, if there are several."""
    lines = [
        f"{name:<11} {1e3 * rms:.2f} mm (RMS), at most {1e3 * most:.2f} mm and {np.degrees(turn):.2f} deg"
        for name, (rms, most, turn) in segments.items()
    ]
    return [
        "the tool against the recording, at the same time:",
        *(lines if len(segments) > 2 else lines[:1]),
        f"whatever the timing, its path passes within {1e3 * aside:.2f} mm of every recorded position",
    ]


def _write_json(file: Path, recording: Recording, done, follow: str) -> None:
    content = {
        "schema": "steadyhand.replay/1",
        "episode": recording.name,
        "follow": follow,
        "segments": {
            name: {"rms_mm": 1e3 * rms, "max_mm": 1e3 * most, "max_deg": float(np.degrees(turn))}
            for name, (rms, most, turn) in done.by_segment().items()
        },
        "path_max_mm": 1e3 * float(done.aside.max()),
        "moved_mm": 1e3 * done.moved,
        "success": done.success,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n")


def _on_ros(recording: Recording, config: ReplayConfig) -> int:
    from functools import partial

    from steadyhand import ros
    from steadyhand.data_collection.replay_ros import Limits, ReplayNode, check_gaps, check_speed, schedule

    if recording.arms != 1:
        raise SteadyhandError(f"{recording.name} moves {recording.arms} arms; on ROS one is replayed")
    robot = load_robot(recording.robot)
    limits = Limits(config.tolerance, config.max_speed, config.max_turn)
    check_gaps(recording)
    requests = schedule(recording, config.speed)
    check_speed(recording, requests, limits, config.speed)
    setup = partial(ReplayNode, robot=robot)
    try:
        with ros.running("replay", config.namespace, setup, config.sim_time) as node:
            _drive(node, recording, requests, limits, config.yes)
    except KeyboardInterrupt:
        return ros.interrupted("replay stopped; the arm holds where it is")
    return 0


def _drive(node, recording: Recording, requests: list, limits, yes: bool) -> None:
    """Go to the beginning, replay, report; whatever ends it early leaves the arm where it is."""
    from steadyhand.data_collection.replay_ros import NEAR, StoppedError, confirm

    node.wait()
    if not node.watched:
        print("controller_status is silent: only the tool's path is watched", flush=True)
    distance, turned = node.distance(recording)
    if distance > NEAR[0] or turned > NEAR[1]:
        what = f"{1e3 * distance:.0f} mm and {np.degrees(turned):.0f} deg to the first recorded pose"
        if not yes:
            seen = node.pose()
            confirm(f"The tool will go {what}, in a straight line.")
            node.check_still(*seen)
        print(f"going {what}", flush=True)
    errors: list[float] = []
    try:
        if distance > NEAR[0] or turned > NEAR[1]:
            node.approach(recording, limits)
        print(f"replaying {recording.name}; Ctrl-C stops the arm", flush=True)
        errors += [error for _, error in node.play(recording, requests, limits)]
    except StoppedError as error:
        node.hold()
        raise SteadyhandError(f"replay ended, the arm holds where it is: {error}") from None
    except BaseException:  # Ctrl-C too
        node.hold()
        raise
    rms = float(np.sqrt(np.mean(np.square(errors))))
    print(f"replayed: the tool departed by {1e3 * rms:.1f} mm (RMS), at most {1e3 * max(errors):.1f} mm")
