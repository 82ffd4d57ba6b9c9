"""The exchange of references under ThreadSanitizer, and fuzzing under AddressSanitizer and UBSan.

test_cpp.py runs the C++ tests under the same two.
"""

import re
import subprocess

import pytest
from cpp_build import TESTS, build, run

pytestmark = [pytest.mark.timeout(1200), pytest.mark.cpp("fuzz_references", "exchange_tsan")]


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    build("fuzz_references", "exchange_tsan")


def said_by(program: str, *arguments: object) -> str:
    done = run(TESTS / program, *arguments)
    assert done.returncode == 0, f"{program}\n{done.stdout[-6000:]}"
    return done.stdout


def test_references_cross_threads_without_a_race():
    assert "0 torn, 0 out of order" in said_by("exchange_tsan")


@pytest.mark.parametrize(
    ("program", "symbol"),
    [("exchange_tsan", "__tsan_write"), ("fuzz_references", "__asan_report"), ("fuzz_references", "__ubsan_handle")],
)
def test_the_detectors_are_on(program, symbol):
    symbols = subprocess.run(["nm", "-D", TESTS / program], capture_output=True, text=True).stdout
    assert symbol in symbols


@pytest.mark.parametrize("seconds", [20, pytest.param(60, marks=pytest.mark.slow)])
def test_no_bytes_break_a_controller(seconds):
    """On a busy computer 5 s were enough to reach every state of the controller."""
    said = said_by("fuzz_references", seconds, TESTS / "fuzz_failure.bin")  # stays, to be replayed
    assert "none failed" in said
    for count in ("references accepted; tracking", "holding", "damping", "in the reflex"):
        assert not re.search(rf"\b{count} 0\b", said), f"the inputs never reached: {count}\n{said}"
