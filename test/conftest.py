"""What every test shares: one thread per process, because the machine's cores are shared by the test's processes.

C++ tests are compiled beside most of the Python tests, then run; what runs in real time comes last, undisturbed.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "crisp_control")]
import cpp_build  # noqa: E402

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _turn(item: pytest.Item) -> int:
    if HERE / "ros" in item.path.parents or item.path.stem == "test_realtime_twin":
        return 2
    return 1 if item.get_closest_marker("cpp") else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly or not session.items or _turn(session.items[0]) > 0:
        return
    markers = (item.get_closest_marker("cpp") for item in session.items)
    if programs := {name for marker in markers if marker for name in marker.args}:
        cpp_build.Ahead.start(sorted(programs))


def pytest_sessionfinish() -> None:
    cpp_build.Ahead.stop()
