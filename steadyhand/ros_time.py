"""The clock of a ROS 2 process: the system's, or the one that a simulator publishes on /clock.

All nodes of a process share it, as all their stamps are compared with each other.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from steadyhand.errors import SteadyhandError

STANDSTILL = 1.0
"""s of the system's clock that a sleep goes on while the simulated time stands still (a paused twin, or a dead one)."""
CLOCK_WAIT = 30.0
"""s that a new process waits for the simulated time."""
_TICK = 0.002  # s between two looks at the simulated time

_simulated: Any = None  # the clock of the node that follows /clock


def now() -> float:
    """Time of all stamps in seconds: Unix time, or what /clock says; 0 before it has said anything."""
    return time.time() if _simulated is None else 1e-9 * _simulated.now().nanoseconds


@contextmanager
def simulated(node: Any) -> Iterator[None]:
    """Take the time from a node with ``use_sim_time`` for as long as the block runs."""
    global _simulated
    before, _simulated = _simulated, node.get_clock()
    try:
        yield
    finally:
        _simulated = before


def wait_for_clock() -> None:
    """Wait until the simulated time is known; the node must spin. SteadyhandError if nobody publishes it."""
    deadline = time.monotonic() + CLOCK_WAIT
    while now() == 0.0:
        if time.monotonic() > deadline:
            raise SteadyhandError(
                f"nobody publishes /clock ({CLOCK_WAIT:g} s); start `steadyhand twin` first, or leave out --sim-time"
            )
        time.sleep(_TICK)


def sleep(seconds: float) -> None:
    """Sleep for a time of this process's clock; returns early if that stands still (``STANDSTILL``)."""
    if _simulated is None:
        time.sleep(max(seconds, 0.0))
        return
    seen, end, moved = now(), now() + seconds, time.monotonic()
    while seen < end and time.monotonic() - moved < STANDSTILL:
        time.sleep(_TICK)
        if now() != seen:
            seen, moved = now(), time.monotonic()


class Pace:
    """A loop at a fixed rate. A turn that ends late is counted; the loop goes on from now and never rushes."""

    def __init__(self, rate: float) -> None:
        self.period, self.missed = 1.0 / rate, 0
        self.restart()

    def restart(self) -> None:
        """The first turn begins now."""
        self._next = _steady() + self.period

    def wait(self) -> None:
        """Sleep until the next turn."""
        late = _steady() - self._next
        if late > 0.0:
            self.missed += 1 + int(late / self.period)
            self._next += late
        else:
            sleep(-late)
            self._next = min(self._next, _steady())  # earlier only if the simulated time stands still
        self._next += self.period


def _steady() -> float:
    """Seconds that no correction of the system's clock disturbs."""
    return time.monotonic() if _simulated is None else now()
