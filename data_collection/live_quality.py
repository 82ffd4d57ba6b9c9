"""How well a recording is going, while it is going: rates, gaps and lags of the topics, what is lost, what is left."""

import itertools
import math
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steadyhand import ros, ros_messages
from steadyhand.data_collection.journal import RESERVE, WAITING
from steadyhand.data_collection.ros_journal import has_header, header_stamp
from steadyhand.data_collection.ros_record import LATE, SETTLE
from steadyhand.ros_observation import MAX_AGE

WINDOW = 2.0  # s that the figures are about
SILENT = 0.5  # s without a message of which frames are made
PAUSES = 20  # so many tell how often a topic speaks
OK, WARN, ERROR = 0, 1, 2  # levels of REP 107


@dataclass(frozen=True)
class Figures:
    """Of one topic in the window."""

    rate: float  # Hz
    gap: float  # s, the largest between two arrivals, or since the last one
    lag: float  # s, the largest from stamp to arrival


class Heard:
    """One topic: when its messages came, and whether it has fallen silent.

    Frames cannot do without a topic that is needed for 0.5 s. Of others nobody knows how often they speak: they are
    silent after three times their longest pause of late, or if nothing has come since the episode began.
    """

    def __init__(self, needed: bool) -> None:
        """``needed``: whether frames are made of it."""
        self.needed = needed
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=4096)  # arrival and lag, s

    def add(self, stamp: float | None) -> None:
        """A message came now; ``stamp``: its own, if it has one, s."""
        now = ros.now()
        self._arrivals.append((now, 0.0 if stamp is None else now - stamp))

    def silence(self, now: float, recorded: float) -> float:
        """For how long it has been silent, s: 0 while that is as usual, infinite if nothing has ever come.

        Args:
            now: s.
            recorded: s since the episode began.
        """
        age = now - self._arrivals[-1][0] if self._arrivals else math.inf
        pause = SILENT if self.needed else self._pause()
        if pause is not None:
            return age if age > pause else 0.0
        return age if age > recorded > WINDOW else 0.0

    def _pause(self) -> float | None:
        """Longest one to expect, s; None while nobody knows."""
        count = min(len(self._arrivals), PAUSES + 1)
        if count < 3:
            return None
        times = [self._arrivals[-i][0] for i in range(count, 0, -1)]
        return max(SILENT, 3.0 * max(later - earlier for earlier, later in itertools.pairwise(times)))

    def figures(self, now: float) -> Figures | None:
        """Of the last 2 s; None if nothing has ever come."""
        arrivals = list(self._arrivals)
        if not arrivals:
            return None
        recent = [(arrived, lag) for arrived, lag in arrivals if now - WINDOW <= arrived <= now]
        times = [arrived for arrived, _ in recent]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        lag = max((lag for _, lag in recent), default=arrivals[-1][1])
        return Figures(len(recent) / WINDOW, max([*gaps, now - arrivals[-1][0]]), lag)


class Meter:
    """Stands in for a node: watches the sensor data that its subscriptions hear."""

    def __init__(self, node: Any) -> None:
        """``node``: a node, or what stands in for one."""
        self._node = node
        self.topics: dict[str, Heard] = {}

    def get_logger(self) -> Any:
        """The node's."""
        return self._node.get_logger()

    def create_subscription(self, type_: type, name: str, callback: Callable | None, qos: Any) -> Any:
        """As the node's; without callback for the journal only: its bytes are not made a message."""
        if qos.reliability != ros.SENSOR.reliability:
            return self._node.create_subscription(type_, name, callback, qos)
        heard = self.topics[name] = Heard(callback is not None)
        if callback is None:
            stamped = has_header(type_)

            def hear_bytes(data: bytes) -> None:
                heard.add(1e-9 * header_stamp(data) if stamped else None)

            return self._node.create_subscription(type_, name, hear_bytes, qos, raw=True)

        def hear(message: Any) -> None:
            heard.add(ros_messages.get_stamp(message) if hasattr(message, "header") else None)
            callback(message)

        return self._node.create_subscription(type_, name, hear, qos)


class LiveQuality:
    """Says at once which topics have fallen silent; puts all figures together once a second and judges them."""

    def __init__(self, name: str, meter: Meter, folders: list[Path]) -> None:
        """Begin to watch.

        Args:
            name: Of the recorder, as it is to appear in /diagnostics.
            meter: Hears the topics.
            folders: What is recorded goes to their disks.
        """
        self._name, self._meter, self._folders = name, meter, folders
        self._dropped = 0
        self._begun: float | None = None  # the last episode, s
        self._told: set[str] = set()  # topics of whose silence the operator knows

    def begin(self) -> None:
        """An episode begins."""
        self._begun, self._told = ros.now(), set()

    def _silent(self) -> dict[str, str]:
        """Silent topics, and that in words."""
        now = ros.now()
        recorded = 0.0 if self._begun is None else now - self._begun
        silences = {name: heard.silence(now, recorded) for name, heard in self._meter.topics.items()}
        return {
            name: f"no message on {name} " + ("yet" if math.isinf(silence) else f"for {silence:.1f} s")
            for name, silence in silences.items()
            if silence
        }

    def news(self) -> list[str]:
        """Topics that have fallen silent or come back in this episode, since the last call."""
        silent, topics = self._silent(), self._meter.topics
        losses = {True: "frames are dropped", False: "the journal lacks it"}
        news = [
            f"{text}: {losses[topics[name].needed]} until it is back"
            for name, text in silent.items()
            if name not in self._told
        ]
        news += [f"{name} is back" for name in sorted(self._told - silent.keys())]
        self._told = set(silent)
        return news

    def report(
        self, values: dict[str, object], dropped: int, backlog: int, lost: int
    ) -> tuple[ros.DiagnosticArray, str]:
        """The message for /diagnostics, and the same in a few words.

        Args:
            values: Of the session, to be added.
            dropped: Frames dropped in this episode.
            backlog: Bytes that wait for the journal's disk.
            lost: Messages of this episode that the journal has lost.
        """
        now, topics, silent = ros.now(), self._meter.topics, self._silent()
        figures = {name: one for name, heard in topics.items() if (one := heard.figures(now))}
        needed = {name: one for name, one in figures.items() if topics[name].needed}
        problems = [(ERROR if topics[name].needed else WARN, text) for name, text in silent.items()]
        problems += [problem for name, one in needed.items() if name not in silent for problem in _judge(name, one)]
        try:
            free = min(shutil.disk_usage(folder).free for folder in self._folders)
        except OSError as error:
            free = 0
            problems.append((ERROR, f"the disk cannot be read: {error.strerror}"))
        if dropped > self._dropped:
            problems.append((WARN, f"{dropped - self._dropped} frames dropped"))
        self._dropped = dropped
        if lost:
            problems.append((ERROR, f"the journal has lost {lost} messages"))
        elif backlog > WAITING / 4:
            problems.append((WARN, f"{backlog / 1e6:.0f} MB wait for the journal's disk"))
        if free < 2 * RESERVE:
            problems.append((ERROR if free < RESERVE else WARN, f"{free / 1e9:.1f} GB of the disk are free"))
        for topic, one in figures.items():
            values |= {f"{topic} rate (Hz)": f"{one.rate:.1f}", f"{topic} gap (s)": f"{one.gap:.3f}"}
            values |= {f"{topic} lag (s)": f"{one.lag:.3f}"}
        values |= {"frames dropped": dropped, "journal backlog (MB)": f"{backlog / 1e6:.1f}"}
        values |= {"journal messages lost": lost, "disk free (GB)": f"{free / 1e9:.1f}"}
        level = max((level for level, _ in problems), default=OK)
        worst = [text for own, text in problems if own == level]
        message = ros_messages.diagnostics(self._name, level, "; ".join(worst) or "ok", values, ros.now())
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return message, worst[0] + more if worst else _short(needed)


def _judge(name: str, figures: Figures) -> list[tuple[int, str]]:
    problems = []
    if figures.gap > MAX_AGE:
        problems.append((WARN, f"{name} was silent for {figures.gap:.1f} s"))
    if figures.lag > LATE:
        problems.append((WARN, f"{name} comes {figures.lag:.2f} s late"))
    elif figures.lag < -SETTLE:
        problems.append((WARN, f"{name} comes from {-figures.lag:.2f} s ahead: clocks differ"))
    return problems


def _short(figures: dict[str, Figures]) -> str:
    cameras = {name.rpartition("/")[0]: one.rate for name, one in figures.items() if ros.is_camera_topic(name)}
    states = [one.rate for name, one in figures.items() if not ros.is_camera_topic(name)]
    rates = {"state": min(states, default=0.0), **cameras}
    lag = max((one.lag for one in figures.values()), default=0.0)
    return ", ".join(f"{name} {rate:.0f} Hz" for name, rate in rates.items()) + f", lag {1e3 * lag:.0f} ms"
