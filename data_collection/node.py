"""`steadyhand record`: records episodes from ROS 2 topics, as a LeRobot dataset, as a journal, or both at once.

Keys and services only ask; the loop in the main thread decides, writes frames and saves.
"""

import contextlib
import queue
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from steadyhand import ros
from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.ros_journal import CONTEXT, Tap
from steadyhand.data_collection.ros_record import FPS, LATE, SEGMENTS, SETTLE, FrameSource
from steadyhand.data_collection.ros_sink import Sink
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.ros_observation import ObservationNotReadyError, given_arrays, image_topic
from steadyhand.sim.env import DECISION_PERIOD
from steadyhand.sim.robot import load_robot
from steadyhand.sim.ros_cameras import camera_names
from steadyhand.sim.tasks import make_task, task_names
from steadyhand.sim.tasks.own import is_own
from steadyhand.terminal import Keys

WAIT = 10.0  # s for the robot's first messages
KEYS = {"\n": "start", " ": "start", "s": "stop_success", "f": "stop_failure", "d": "discard"}
Answer = tuple[bool, str]


@dataclass
class RecordConfig:
    """Record episodes from ROS 2 topics as a LeRobot dataset, as a journal, or both."""

    output: Path | None = None
    """Folder of the LeRobot dataset."""
    journal: Path | None = None
    """Folder of the journal: every message as it came (MCAP). `steadyhand data convert` makes a dataset of it."""
    episodes: int = 10
    """How many to record in this session; discarded ones do not count."""
    robot: str = "fr3"
    """As for `steadyhand twin`: a name, or the path of a robot file, of a URDF or of an MJCF."""
    task: str = "peg_insertion"
    """A task of `steadyhand tasks`, or what is done in your own words. With a task every episode is stored with the
    instruction that the twin gives on task/instruction; without a twin with the task's usual one."""
    namespace: str = ""
    """Namespace of the robot's topics."""
    cameras: str = "front,wrist"
    """Cameras to record, separated by commas; "none" for none. "front:compressed" hears JPEG or PNG images."""
    arrays: str = ""
    """Further sensors, each a column observation.NAME: "NAME:TYPE" separated by commas; TYPE is
    geometry_msgs/msg/WrenchStamped, sensor_msgs/msg/JointState (its positions) or std_msgs/msg/Float32MultiArray."""
    also: str = ""
    """Further topics for the journal only, such as "front/depth/image_raw:sensor_msgs/msg/Image" or
    "points:sensor_msgs/msg/PointCloud2"."""
    environment: bool = True
    """Also record task/environment_state, which only a twin has."""
    segment: str = "demo"
    """Who decides: demo (a human) or policy."""
    operator: str = ""
    """Who demonstrates."""
    sim_time: bool = False
    """Take the time from /clock, as needed with `steadyhand twin --speed`."""
    resume: bool = False
    """Continue the dataset in the output folder. A journal is always continued."""


class Session:
    """One recording session: idle, or recording an episode."""

    def __init__(self, source: FrameSource, sink: Sink, config: RecordConfig, follows: bool) -> None:
        """Begin idle. ``follows``: every episode is stored with the instruction that the source has heard."""
        self._follows = follows
        self._source, self._sink, self._config = source, sink, config
        self.recording = False
        self.saved = 0
        self._bar = tqdm(unit=" frames", disable=None)
        self._describe()

    def _describe(self) -> None:
        state = "recording" if self.recording else "waiting for start"
        dropped = f", {self._source.dropped} dropped" if self.recording and self._source.dropped else ""
        self._bar.set_description(f"episode {self.saved + 1} of {self._config.episodes}: {state}{dropped}")

    def say(self, text: str) -> None:
        """One line above the progress bar."""
        self._bar.write(text, file=sys.stderr)
        sys.stderr.flush()

    def ask(self, what: str) -> Answer:
        """Do what a key or a service asks for."""
        if what == "start":
            return self._start()
        if not self.recording:
            return False, "no episode is being recorded; start one first"
        if what == "discard":
            return True, self._discard("discarded by the operator", by_human=True)
        return self._stop(what == "stop_success")

    def _start(self) -> Answer:
        if self.recording:
            return False, "an episode is being recorded already; stop or discard it first"
        if self._follows and "{" in self._sink.task and not self._source.instruction:
            return (
                False,
                "task/instruction is silent and the task asks for something else every time; say what, in --task",
            )
        self._sink.begin(self._source.begin())
        self.recording = True
        self._bar.reset()
        self._describe()
        return True, f"episode {self.saved + 1} of {self._config.episodes} started"

    def advance(self) -> None:
        """Write the frames that are complete."""
        if not self.recording:
            return
        try:
            for frame in self._source.frames():
                if self._follows and self._source.instruction and not self._sink.frames:
                    self._sink.task = self._source.instruction
                self._sink.add_frame(frame)
                self._bar.update()
            for warning in (*self._sink.check(), *self._source.check()):
                self.say(warning)
        except SteadyhandError as error:
            self.say(f"{self._discard('broken off')}: {error}")
        self._describe()

    def _stop(self, success: bool) -> Answer:
        ended = self._source.end()
        ros.sleep(SETTLE + DECISION_PERIOD)  # the last decision's messages are on their way
        self.advance()
        deadline = time.monotonic() + LATE
        while self._source.waiting and self.recording and time.monotonic() < deadline:
            time.sleep(0.01)
            self.advance()
        if not self.recording:
            return False, "the episode was broken off"
        if not self._sink.frames:
            return False, self._discard(f"has no frame ({self._source.reason or 'nobody published target_pose'})")
        frames, source = self._sink.frames, self._source
        info = EpisodeInfo(
            success=success,
            end_reason="success" if success else "failure",
            operator=self._config.operator,
            seed=source.seed,
            dropped_frames=source.dropped,
        )
        self.recording = False
        try:
            with ros.uninterrupted():
                name, trouble = self._sink.save(info, ended)
                self.saved += 1
        except SteadyhandError as error:
            return False, str(error)
        finally:
            self._describe()
        lost = f", {source.dropped} dropped ({source.reason})" if source.dropped else ""
        journal = f"; the journal does not have all of it: {trouble}" if trouble else ""
        return True, f"{name} saved: {info.end_reason}, {frames} frames{lost}{journal}"

    def _discard(self, why: str, by_human: bool = False) -> str:
        frames = self._sink.frames
        ended = self._source.end()
        self.recording = False
        self._sink.discard(why, ended, by_human)
        self._describe()
        return f"the episode of {frames} frames is {why}"

    def close(self) -> None:
        """End the progress bar."""
        self._bar.close()


class Requests:
    """What the services were asked, waiting for the loop."""

    def __init__(self, node: ros.Node) -> None:
        """Offer the services."""
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        for name in ("start", "stop_success", "stop_failure", "discard"):
            ros.answer_later(node, f"session/{name}", partial(self._put, name))

    def _put(self, name: str, future: ros.Future) -> None:
        self._queue.put((name, future))

    def serve(self, session: Session) -> None:
        """Pass everything on and answer."""
        while not self._queue.empty():
            name, future = self._queue.get()
            answer = session.ask(name)
            session.say(answer[1])
            future.set_result(answer)


def _wait_for_robot(source: FrameSource) -> dict[str, dict]:
    """The dataset's columns, as soon as every topic has been heard."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return source.columns()
        except ObservationNotReadyError as error:
            if time.monotonic() > deadline:
                raise SteadyhandError(
                    f"{error} after {WAIT:g} s; is the robot or `steadyhand twin` running in this ROS domain, with "
                    "these cameras? (--cameras none, --no-environment leave topics out)"
                ) from None
        time.sleep(0.05)


def _run(session: Session, requests: Requests, episodes: int) -> None:
    with Keys() if sys.stdin.isatty() else contextlib.nullcontext() as keys:
        if keys:
            session.say("Enter: start    s: success    f: failure    d: discard    Ctrl-C: end")
        while session.saved < episodes:
            for key in keys.read() if keys else "":
                if key in KEYS:
                    session.say(session.ask(KEYS[key])[1])
            requests.serve(session)
            session.advance()
            time.sleep(0.01)


def _check(config: RecordConfig) -> None:
    if config.segment not in SEGMENTS:
        raise unknown("segment", config.segment, SEGMENTS)
    if config.episodes < 1:
        raise SteadyhandError(f"--episodes {config.episodes} must be at least 1")
    given_arrays(config.arrays)
    if ros.given_topics(config.also) and config.journal is None:
        raise SteadyhandError("--also is for the journal; give --journal too")
    if config.output is None and config.journal is None:
        raise SteadyhandError("nowhere to record to; give --output for a dataset, --journal for a journal, or both")
    output = config.output
    if not config.resume and output and output.exists() and (output.is_file() or any(output.iterdir())):
        raise SteadyhandError(
            f"output folder '{output}' exists; continue the dataset in it with --resume or choose another folder"
        )


def main(config: RecordConfig) -> int:
    """Record until the episodes are complete, or Ctrl-C."""
    _check(config)
    robot = load_robot(config.robot)
    cameras = camera_names(config.cameras)

    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(Journal(config.journal)) if config.journal else None

        def setup(node: ros.Node) -> tuple[FrameSource, Requests, Tap | None]:
            tap = _tap(node, journal, cameras, ros.given_topics(config.also)) if journal else None
            arrays = given_arrays(config.arrays)
            segment = SEGMENTS[config.segment]
            source = FrameSource(tap or node, robot, cameras, config.environment, FPS, segment, arrays)
            return source, Requests(node), tap

        session = None
        try:
            source, requests, tap = stack.enter_context(
                ros.running("recorder", config.namespace, setup, config.sim_time)
            )
            columns = _wait_for_robot(source)
            known = config.task in task_names() or is_own(config.task)
            # a task of the twin is stored by its instruction, as everywhere
            task = make_task(config.task).wordings[0] if known else config.task
            writer = None
            if config.output:
                described: dict[str, Any] = {"robot": robot.name, "task": task, "features": columns, "fps": FPS}
                writer = stack.enter_context(DatasetWriter(config.output, **described, resume=config.resume))
            sink = Sink(task, writer, tap, _metadata(config, cameras, follows=known))
            session = Session(source, sink, config, follows=known)
            stack.callback(session.close)
            session.say(f"ready to record into {_places(config)}")
            _run(session, requests, config.episodes)
        except KeyboardInterrupt:
            return ros.interrupted(_what_is_left(session, config))
    print(f"{session.saved} episodes recorded in {_places(config)}")
    return 0


def _tap(node: ros.Node, journal: Journal, cameras: list[str], also: dict[str, type]) -> Tap:
    """What the recorder hears through, with the topics that only the journal wants."""
    tap = Tap(node, journal)
    for name in (*CONTEXT, *(f"{image_topic(camera)[0]}/camera_info" for camera in cameras)):
        tap.listen(name)
    for name, type_ in also.items():
        ros.given_subscription(tap, name, type_, None)
    return tap


def _metadata(config: RecordConfig, cameras: list[str], follows: bool) -> dict:
    """What the journal notes of every episode; `steadyhand data convert` needs it."""
    return {
        "robot": config.robot,
        "namespace": config.namespace,
        "cameras": cameras,
        "arrays": config.arrays,
        "environment": config.environment,
        "segment": config.segment,
        "operator": config.operator,
        "follows_instruction": follows,
        "clock": "simulated" if config.sim_time else "system",
    }


def _places(config: RecordConfig) -> str:
    return " and ".join(str(place) for place in (config.output, config.journal) if place)


def _what_is_left(session: Session | None, config: RecordConfig) -> str:
    if session is None:
        return "recording stopped before it began"
    running = "the running episode is discarded, " if session.ask("discard")[0] else ""
    return f"recording stopped; {running}{session.saved} episodes of this session are safe in {_places(config)}"
