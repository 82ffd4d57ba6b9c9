"""One episode of a journal, played back to the recorder's own `FrameSource`, with the stamps of arrival as the time."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from steadyhand.data_collection.clouds import CloudMaker, Clouds
from steadyhand.data_collection.configuration import Configuration, from_journal
from steadyhand.data_collection.journal_reading import Episode, Messages
from steadyhand.data_collection.ros_journal import Playback
from steadyhand.data_collection.ros_record import FPS, LATE, SEGMENTS, FrameSource
from steadyhand.data_collection.schema import CLOUD
from steadyhand.errors import SteadyhandError
from steadyhand.ros_observation import JUMP, ObservationNotReadyError, given_arrays
from steadyhand.ros_time import simulated
from steadyhand.sim.robot import RobotSpec


@dataclass(frozen=True)
class Settings:
    """How an episode was recorded."""

    robot: str
    task: str
    follows: bool  # the instruction that the journal has is the task, if there is one
    namespace: str
    cameras: list[str]
    arrays: str
    environment: bool
    segment: str
    begun: int  # ns; 0: from the first message
    ended: int | None  # ns; None: nobody has ended it
    clouds: Clouds | None = None  # to be made of the depth


@dataclass(frozen=True)
class Outcome:
    """What became of an episode.

    Attributes:
        robot: Name.
        columns: Of its frames.
        task: What was asked for, in words.
        count: Frames.
        dropped: Frames that are missing.
        reason: Why, as far as it is known.
        lost: What is missing of the messages, to be appended; "" if nothing is.
        seed: Of the twin; None on a real arm.
        policy_version: Of the policy that decided; "" if none did.
        subtasks: Names that the operator gave.
        configuration: What it was recorded with.
    """

    robot: str
    columns: dict[str, dict]
    task: str
    count: int
    dropped: int
    reason: str
    lost: str
    seed: int | None
    policy_version: str
    subtasks: tuple[str, ...]
    configuration: Configuration


class Replay:
    """Plays one episode back and makes its frames."""

    def __init__(self, episode: Episode, settings: Settings, robot: RobotSpec) -> None:
        """Nothing is read yet."""
        self._settings = settings
        self._playback = Playback(settings.namespace)
        if settings.segment not in SEGMENTS:
            raise SteadyhandError(
                f"{episode.name} has the segment '{settings.segment}'; allowed: {', '.join(SEGMENTS)}"
            )
        self.robot = robot
        self.source = FrameSource(
            self._playback,
            robot,
            settings.cameras,
            settings.environment,
            FPS,
            SEGMENTS[settings.segment],
            given_arrays(settings.arrays),
        )
        clouds = settings.clouds
        self._clouds = CloudMaker(clouds, self._playback, settings.cameras) if clouds else None
        self._recorder_lost, self._messages = episode.lost, Messages(episode)
        self._configuration = from_journal(episode.metadata, episode.label)
        self.columns: dict[str, dict] = {}  # before the first frame
        self._task = ""  # what was asked for when the first frame was made: afterwards the next episode may be

    def frames(self) -> Generator[dict[str, np.ndarray]]:
        """Every frame, as the recorder makes it while the messages arrive."""
        begun, ended, last, why = False, False, 0, "no message"
        with simulated(self._playback):
            for message in self._messages:
                if message.received < last - JUMP * 1e9 and begun:
                    jump = 1e-9 * (last - message.received)
                    raise SteadyhandError(f"the clock went back by {jump:.1f} s while it was recorded")
                last = message.received
                if not begun and message.received >= self._settings.begun:
                    begun = self._at(self._settings.begun or message.received, self.source.begin)
                if not ended and self._settings.ended is not None and message.received > self._settings.ended:
                    ended = self._at(self._settings.ended, self.source.end)
                self._playback.play(message)
                if not self.columns:
                    try:
                        self.columns = self.source.columns()
                        if self._settings.clouds:
                            self.columns[CLOUD] = self._settings.clouds.column()
                    except ObservationNotReadyError as error:
                        why = str(error)
                elif begun:
                    yield from self._made()
            if not self.columns:
                raise SteadyhandError(f"it has no complete observation ({why})")
            if self._settings.ended is not None:  # as long as the recorder waits for what is on its way
                self._at(max(last, self._settings.ended + round((LATE + 1.0 / FPS) * 1e9)), lambda: None)
            yield from self._made()

    def _made(self) -> Generator[dict[str, np.ndarray]]:
        for frame in self.source.frames():
            self._task = self._task or (self._settings.follows and self.source.instruction) or self._settings.task
            yield self._clouds.add(frame) if self._clouds else frame

    def outcome(self, count: int) -> "Outcome":
        """What is to be written down of it, after its last frame."""
        return Outcome(
            robot=self.robot.name,
            columns=self.columns,
            task=self._task or self._settings.task,
            count=count,
            dropped=self.source.dropped,
            reason=self.reason,
            lost=self.lost,
            seed=self.source.seed,
            policy_version=self.source.policy_version,
            subtasks=tuple(self.source.subtasks),
            configuration=self._configuration,
        )

    @property
    def lost(self) -> str:
        """What is missing of the messages, to be appended; "" if nothing is."""
        return "".join(f"; {what}" for what in (self._recorder_lost, self._messages.lost) if what)

    @property
    def reason(self) -> str:
        """Why frames are missing, as far as it is known."""
        return "; ".join(filter(None, (self.source.reason, self._playback.complaint)))

    def _at(self, nanoseconds: int, action: Callable[[], object]) -> bool:
        """Let it be a time, and do something then."""
        self._playback.nanoseconds = nanoseconds
        action()
        return True
