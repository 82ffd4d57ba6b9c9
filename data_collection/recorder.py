"""What a recording session does when the table of its phases says so."""

import json
import sys
import time

from tqdm import tqdm

from steadyhand import ros
from steadyhand.data_collection.live_quality import LiveQuality
from steadyhand.data_collection.ros_configuration import RunningConfiguration
from steadyhand.data_collection.ros_record import LATE, SETTLE, FrameSource
from steadyhand.data_collection.ros_sink import Sink
from steadyhand.data_collection.session import Answer, BrokenOffError, Event, Phase, Request, Session
from steadyhand.data_collection.sidecar import EpisodeInfo
from steadyhand.data_collection.sounds import Sounds
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import DECISION_PERIOD

REPORT_PERIOD = 1.0  # s
STANDSTILL = 15.0  # s for the last messages of an episode, whatever a simulated clock says
OUTCOMES = {Request.STOP_SUCCESS: "success", Request.STOP_FAILURE: "failure"}


class Outlet:
    """Tells other nodes about the session."""

    def __init__(self, node: ros.Node) -> None:
        """Advertise the topics."""
        self.name = f"{node.get_fully_qualified_name()}: recording"
        self._phase, self._event, self._diagnostics = (
            ros.publisher(node, name) for name in ("session/phase", "session/event", "/diagnostics")
        )

    def phase(self, phase: Phase) -> None:
        """Where the session is now."""
        self._phase.publish(ros.String(data=str(phase)))

    def event(self, **values: object) -> None:
        """What has been done, now."""
        self._event.publish(ros.String(data=json.dumps({"stamp": round(ros.now() * 1e9), **values})))

    def report(self, message: ros.DiagnosticArray) -> None:
        """How well it is going."""
        self._diagnostics.publish(message)


class Recorder:
    """Records what the session decides; all of it in the main thread."""

    def __init__(
        self, source: FrameSource, setup: RunningConfiguration, sink: Sink, outlet: Outlet, live: LiveQuality,
        sounds: Sounds, *, episodes: int, operator: str, follows: bool,
    ) -> None:  # fmt: skip
        """Begin idle.

        Args:
            source: Makes the frames.
            setup: Knows what is recorded with.
            sink: Keeps them.
            outlet: Tells other nodes.
            live: Judges how it is going.
            sounds: For the operator.
            episodes: How many are wanted.
            operator: Who demonstrates.
            follows: Every episode is stored with the instruction that the source has heard.
        """
        self._source, self._setup, self._sink = source, setup, sink
        self._outlet, self._live, self._sounds = outlet, live, sounds
        self._episodes, self._operator, self._follows = episodes, operator, follows
        self.saved = 0
        self._reported, self._health, self.typing = 0.0, "", ""
        names = ("begin", "save", "drop", "break_off", "mark", "note", "judge", "take_back", "bring_back", "leave")
        self.session = Session({name: getattr(self, f"_{name}") for name in names}, self._told)
        self._bar = tqdm(unit=" frames", disable=None, miniters=0)
        self._phase = Phase.ENDED  # the one that was published
        self._describe()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.saved >= self._episodes or self.session.phase is Phase.ENDED

    def _describe(self) -> None:
        if self.session.phase is not self._phase:
            self._phase = self.session.phase
            self._outlet.phase(self._phase)
        dropped = self._source.dropped if self._phase is Phase.RECORDING else 0
        of = min(self.saved + 1, self._episodes)
        state = "waiting for start" if self._phase is Phase.IDLE else self._phase
        lost = f", {dropped} dropped" if dropped else ""
        self._bar.set_description_str(f"episode {of} of {self._episodes}: {state}{lost}", refresh=False)
        self._bar.set_postfix_str(self.typing or self._health, refresh=False)

    def say(self, text: str) -> None:
        """One line above the progress bar."""
        self._bar.write(text, file=sys.stderr)
        sys.stderr.flush()

    def _told(self, cause: Request | Event, text: str, answer: Answer) -> None:
        self.say(answer[1])
        self._sounds.told(cause, answer)
        if answer[0] or isinstance(cause, Event):
            self._outlet.event(request=cause, text=text, phase=self.session.phase, said=answer[1])
        self._describe()

    def advance(self) -> None:
        """Write the frames that are complete, and report."""
        if self.session.phase is Phase.RECORDING:
            try:
                self._write()
            except SteadyhandError as error:
                self.session.happen(Event.BREAK_OFF, str(error))
        if time.monotonic() >= self._reported + REPORT_PERIOD:
            self._reported = time.monotonic()
            values = {"phase": self.session.phase, "episodes saved": self.saved, "frames": self._sink.frames}
            message, self._health = self._live.report(values, self._source.dropped, *self._sink.backlog)
            self._outlet.report(message)
        self._describe()
        self._bar.update(0)

    def _write(self) -> None:
        for frame in self._source.frames():
            if self._follows and self._source.instruction and not self._sink.frames:
                self._sink.task = self._source.instruction
            self._sink.add_frame(frame)
            self._bar.update()
        for warning in (*self._sink.check(), *self._live.news()):
            self.say(warning)

    def _begin(self, *_: object) -> str:
        if self.complete:
            raise SteadyhandError("all episodes of this session are recorded")
        if self._follows and "{" in self._sink.task and not self._source.instruction:
            raise SteadyhandError(
                "task/instruction is silent and the task asks for something else every time; say what, in --task"
            )
        for difference in self._setup.begin():
            self.say(f"not as in the last episode: {difference}")
        self._sink.begin(self._source.begin(), self._setup.configuration(None))
        self._live.begin()
        self._bar.reset()
        return f"episode {self.saved + 1} of {self._episodes} started"

    def _wind_up(self) -> float:
        """Write the last frames; returns when the episode ended; SteadyhandError if it cannot be kept."""
        ended, patience = self._source.end(), time.monotonic() + STANDSTILL
        ros.sleep(SETTLE + DECISION_PERIOD)  # the last decision's messages are on their way
        self._write()
        while self._source.waiting and ros.now() < ended + LATE + 2 * DECISION_PERIOD and time.monotonic() < patience:
            time.sleep(0.01)
            self._write()
        return ended

    def _put_away(self, why: str, reason: str, ended: float) -> str:
        frames = self._sink.frames
        self._sink.abandon(self._info(None, reason), ended)
        return f"the episode of {frames} frames {why}"

    def _break_off(self, _: object, why: str) -> str:
        return self._put_away(f"is broken off: {why}", "broken off", self._source.end())

    def _info(self, success: bool | None, end_reason: str) -> EpisodeInfo:
        return EpisodeInfo(
            success=success,
            end_reason=end_reason,
            operator=self._operator,
            policy_version=self._source.policy_version,
            seed=self._source.seed,
            dropped_frames=self._source.dropped,
            subtasks=tuple(self._source.subtasks),
            configuration=self._setup.configuration(self._source.first),
        )

    def _save(self, request: Request, _: str) -> str:
        source = self._source
        try:
            ended = self._wind_up()
        except SteadyhandError as error:
            raise BrokenOffError(self._put_away(f"is broken off: {error}", "broken off", ros.now())) from None
        if not self._sink.frames:
            why = f"has no frame ({source.reason or 'nobody published target_pose'})"
            raise BrokenOffError(self._put_away(why, "no frame", ended))
        frames = self._sink.frames
        info = self._info(request is Request.STOP_SUCCESS, OUTCOMES[request])
        try:
            name, trouble = self._sink.save(info, ended)
        except SteadyhandError as error:
            raise BrokenOffError(str(error)) from None
        self.saved += 1
        lost = f", {source.dropped} dropped ({source.reason})" if source.dropped else ""
        journal = f"; the journal does not have all of it: {trouble}" if trouble else ""
        return f"{name} saved: {info.end_reason}, {frames} frames{lost}{journal}"

    def _drop(self, request: Request, _: str) -> str:
        """Leave it out, whatever else goes wrong: a human has decided that."""
        keep = request is not Request.QUIT
        try:
            ended = self._wind_up() if keep else self._source.end()
        except SteadyhandError:
            ended, keep = ros.now(), False
        self._sink.discard(self._info(None, "operator"), ended, keep)
        return f"the episode of {self._sink.frames} frames is discarded by the operator"

    def _take_back(self, *_: object) -> str:
        self._sink.take_back()
        self.saved -= 1
        return "the last episode is discarded by the operator"

    def _bring_back(self, *_: object) -> str:
        name = self._sink.bring_back()
        self.saved += 1
        return f"{name} is kept after all"

    def _judge(self, request: Request, _: str) -> str:
        self._sink.amend(success=request is Request.STOP_SUCCESS, end_reason=OUTCOMES[request])
        return f"the last episode is a {OUTCOMES[request]}"

    def _note(self, _: object, text: str) -> str:
        self._sink.note(text, running=self.session.phase is Phase.RECORDING)
        return f"noted: {text}"

    def _mark(self, _: object, name: str) -> str:
        return f"sub-task done{f': {name}' if name else ''}"

    def _leave(self, *_: object) -> str:
        return "the session ends"

    def close(self) -> None:
        """End the progress bar."""
        if self._phase is not Phase.ENDED:
            self._outlet.phase(Phase.ENDED)
        self._bar.close()
