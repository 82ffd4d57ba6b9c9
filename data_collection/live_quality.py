"""How well a recording is going, while it is going: rates, gaps and lags of the topics, what is lost, what is left."""

import itertools
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steadyhand import ros, ros_messages
from steadyhand.data_collection.journal import RESERVE, WAITING
from steadyhand.data_collection.ros_record import LATE, SETTLE
from steadyhand.ros_observation import MAX_AGE

WINDOW = 2.0  # s that the figures are about
OK, WARN, ERROR = 0, 1, 2  # levels of REP 107


@dataclass(frozen=True)
class Figures:
    """Of one topic in the window."""

    rate: float  # Hz
    gap: float  # s, the largest between two arrivals, or since the last one
    lag: float  # s, the largest from stamp to arrival
    silent: float  # s since the last arrival


class Meter:
    """Stands in for a node: measures the sensor data that its subscriptions hear."""

    def __init__(self, node: Any) -> None:
        """``node``: a node, or what stands in for one."""
        self._node = node
        self._arrivals: dict[str, deque[tuple[float, float]]] = {}  # topic -> arrival and lag, s

    def get_logger(self) -> Any:
        """The node's."""
        return self._node.get_logger()

    def create_subscription(self, type_: type, name: str, callback: Callable, qos: Any) -> Any:
        """As the node's."""
        if qos.reliability != ros.SENSOR.reliability:
            return self._node.create_subscription(type_, name, callback, qos)
        arrivals = self._arrivals[name] = deque(maxlen=4096)

        def hear(message: Any) -> None:
            now = ros.now()
            arrivals.append((now, now - ros_messages.get_stamp(message) if hasattr(message, "header") else 0.0))
            callback(message)

        return self._node.create_subscription(type_, name, hear, qos)

    def figures(self) -> dict[str, Figures]:
        """Of every topic that has been heard, now."""
        now = ros.now()
        return {name: _figures(list(arrivals), now) for name, arrivals in self._arrivals.items() if arrivals}


def _figures(arrivals: list[tuple[float, float]], now: float) -> Figures:
    recent = [(arrived, lag) for arrived, lag in arrivals if now - WINDOW <= arrived <= now]
    silent = now - arrivals[-1][0]
    times = [arrived for arrived, _ in recent]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    lag = max((lag for _, lag in recent), default=arrivals[-1][1])
    return Figures(len(recent) / WINDOW, max([*gaps, silent]), lag, silent)


class LiveQuality:
    """Puts the figures together once a second and judges them."""

    def __init__(self, name: str, meter: Meter, folders: list[Path]) -> None:
        """Begin to watch.

        Args:
            name: Of the recorder, as it is to appear in /diagnostics.
            meter: Hears the topics.
            folders: What is recorded goes to their disks.
        """
        self._name, self._meter, self._folders = name, meter, folders
        self._dropped = 0

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
        figures = self._meter.figures()
        problems = [problem for name, one in figures.items() for problem in _judge(name, one)]
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
        return message, worst[0] + more if worst else _short(figures)


def _judge(name: str, figures: Figures) -> list[tuple[int, str]]:
    if figures.silent > MAX_AGE:
        return [(ERROR, f"{name} is silent for {figures.silent:.1f} s")]
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
