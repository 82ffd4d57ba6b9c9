"""`steadyhand record`: records episodes from ROS 2 topics, as a LeRobot dataset, as a journal, or both at once.

Keys, services, topics and files only request; the loop in the main thread decides, writes frames and saves.
"""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steadyhand import ros
from steadyhand.camera_topics import image_topics
from steadyhand.data_collection.configuration import Document, from_journal
from steadyhand.data_collection.dataset import DatasetWriter
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.journal_reading import episodes
from steadyhand.data_collection.live_quality import LiveQuality, Meter
from steadyhand.data_collection.recorder import Outlet, Recorder
from steadyhand.data_collection.ros_configuration import RunningConfiguration
from steadyhand.data_collection.ros_journal import CONTEXT, Tap
from steadyhand.data_collection.ros_record import FPS, SEGMENTS, FrameSource
from steadyhand.data_collection.ros_sink import Sink
from steadyhand.data_collection.schema import INFO
from steadyhand.data_collection.session import Phase, Request
from steadyhand.data_collection.session_requests import FileRequests, KeyRequests, RosRequests, help_line, key_map
from steadyhand.data_collection.sidecar import last_documents
from steadyhand.data_collection.sounds import Sounds
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.ros_observation import ObservationNotReadyError, given_arrays
from steadyhand.sim.robot import load_robot
from steadyhand.sim.ros_cameras import camera_names
from steadyhand.sim.tasks import make_task, task_names
from steadyhand.sim.tasks.own import is_own
from steadyhand.terminal import Keys

WAIT = 10.0  # s for the robot's first messages


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
    """Cameras to record, separated by commas; "none" for none. "front:compressed" hears JPEG or PNG images,
    "front:depth" the depth on front/depth/image_raw (16UC1 in mm or 32FC1 in m), "front:compressedDepth" the same as
    image_transport compresses it (16UC1): a column of 16 bits, mm, beside that of "front"."""
    arrays: str = ""
    """Further sensors, each a column observation.NAME: "NAME:TYPE" separated by commas; TYPE is
    geometry_msgs/msg/WrenchStamped, sensor_msgs/msg/JointState (its positions) or std_msgs/msg/Float32MultiArray."""
    also: str = ""
    """Further topics for the journal only, such as "points:sensor_msgs/msg/PointCloud2". Nobody waits for them; one
    that is silent is told while recording."""
    environment: bool = True
    """Also record task/environment_state, which only a twin has."""
    segment: str = "demo"
    """Who decides: demo (a human) or policy."""
    operator: str = ""
    """Who demonstrates."""
    sim_time: bool = False
    """Take the time from /clock, as needed with `steadyhand twin --speed`."""
    keys: str = ""
    """Keys and what they ask for, beside the usual ones, e.g. "b=discard,pageup=start" for a foot pedal."""
    requests: Path | None = None
    """Named pipe (made if it is not there), device or file whose lines are requests, e.g. "mark grasped"."""
    sound: str = "none"
    """What the operator hears: none, bell (of the terminal) or speech."""
    resume: bool = False
    """Continue the dataset in the output folder. A journal is always continued."""


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


def run(recorder: Recorder, requests: Sequence[FileRequests | RosRequests], meaning: dict[str, Request]) -> None:
    """Until the episodes are complete, or somebody wants to quit."""
    with Keys() if sys.stdin.isatty() else contextlib.nullcontext() as keys:
        pressed = KeyRequests(keys, meaning) if keys else None
        if pressed:
            recorder.say(help_line(meaning))
        while not recorder.complete:
            with ros.uninterrupted():
                if pressed:
                    for request, text in pressed.poll():
                        recorder.session.ask(request, text)
                    recorder.typing = pressed.typing
                for source in requests:
                    for complaint in source.serve(recorder.session):
                        recorder.say(complaint)
                recorder.advance()
            time.sleep(0.01)


def _check(config: RecordConfig) -> None:
    if config.segment not in SEGMENTS:
        raise unknown("segment", config.segment, SEGMENTS)
    if config.episodes < 1:
        raise SteadyhandError(f"--episodes {config.episodes} must be at least 1")
    given_arrays(config.arrays)
    also = ros.given_topics(config.also)
    if also and config.journal is None:
        raise SteadyhandError("--also is for the journal; give --journal too")
    for image in image_topics(camera_names(config.cameras)):
        if {image.name, image.info} & also.keys():
            raise SteadyhandError(
                f"--also names a topic of the camera {image.camera}, which is kept anyway; leave it out"
            )
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
    meaning, robot, cameras = key_map(config.keys), load_robot(config.robot), camera_names(config.cameras)
    with contextlib.ExitStack() as stack:
        sounds = stack.enter_context(contextlib.closing(Sounds(config.sound)))
        journal = stack.enter_context(Journal(config.journal)) if config.journal else None
        requests: list[FileRequests | RosRequests] = []
        if config.requests:
            requests.append(stack.enter_context(contextlib.closing(FileRequests(config.requests))))

        def setup(node: ros.Node) -> tuple[FrameSource, RunningConfiguration, Outlet, LiveQuality, Tap | None]:
            tap = _tap(node, journal) if journal else None
            meter, outlet = Meter(tap or node), Outlet(node)
            arrays, segment = given_arrays(config.arrays), SEGMENTS[config.segment]
            source = FrameSource(meter, robot, cameras, config.environment, FPS, segment, arrays)
            requests.append(RosRequests(node))
            names = [image.info.removesuffix("/camera_info") for image in image_topics(cameras)]
            running = RunningConfiguration(node, tap or node, names, _recorded_with(config))
            for name, type_ in ros.given_topics(config.also).items():  # last: who comes twice is refused
                ros.given_subscription(meter, name, type_, None)
            return source, running, outlet, LiveQuality(outlet.name, meter, _disks(config)), tap

        recorder = None
        try:
            heard = ros.running("recorder", config.namespace, setup, config.sim_time)
            source, running, outlet, live, tap = stack.enter_context(heard)
            columns = _wait_for_robot(source)
            known = config.task in task_names() or is_own(config.task)
            # a task of the twin is stored by its instruction, as everywhere
            task = make_task(config.task).wordings[0] if known else config.task
            writer = None
            if config.output:
                described: dict[str, Any] = {"robot": robot.name, "task": task, "features": columns, "fps": FPS}
                writer = stack.enter_context(DatasetWriter(config.output, **described, resume=config.resume))
            sink = Sink(task, writer, tap, _metadata(config, cameras, follows=known))
            wanted: dict[str, Any] = {"episodes": config.episodes, "operator": config.operator, "follows": known}
            recorder = Recorder(source, running, sink, outlet, live, sounds, **wanted)
            stack.callback(recorder.close)
            if unknown_ones := running.wait():
                recorder.say(f"nobody says, so it is not recorded with the episodes: {', '.join(unknown_ones)}")
            recorder.say(f"ready to record into {_places(config)}")
            run(recorder, requests, meaning)
        except KeyboardInterrupt:
            return ros.interrupted(_what_is_left(recorder, config))
    print(f"{recorder.saved} episodes recorded in {_places(config)}")
    return 0


def _disks(config: RecordConfig) -> list[Path]:
    """Folders that are there already, on the disks that are written to."""
    places = [place.absolute() for place in (config.journal, config.output) if place]
    return [next(folder for folder in (place, *place.parents) if folder.exists()) for place in places]


def _recorded_with(config: RecordConfig) -> dict[str, Document]:
    """What the episode before this session was recorded with: of the dataset or, without one, of the journal."""
    if config.output is not None and (config.output / INFO).exists():
        return last_documents(config.output)
    last = max(config.journal.glob("episode_*/*.mcap"), default=None) if config.journal else None
    return dict(from_journal(episodes(last)[0].metadata, {}).documents) if last else {}


def _tap(node: ros.Node, journal: Journal) -> Tap:
    """What the recorder hears through, with the usual topics that only the journal wants."""
    tap = Tap(node, journal)
    for name in CONTEXT:
        tap.listen(name)
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


def _what_is_left(recorder: Recorder | None, config: RecordConfig) -> str:
    if recorder is None:
        return "recording stopped before it began"
    recording = recorder.session.phase is Phase.RECORDING
    with contextlib.suppress(KeyboardInterrupt), ros.uninterrupted():
        recorder.session.ask(Request.QUIT)
    running = "the running episode is discarded, " if recording else ""
    return f"recording stopped; {running}{recorder.saved} episodes of this session are safe in {_places(config)}"
