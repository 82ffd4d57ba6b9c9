"""The C++ tests under AddressSanitizer and UBSan, the exchange of references under TSan, and 60 s of fuzzing.

Built in the same tree as test_cpp.py's, so that GoogleTest and the core as it is shipped are compiled once.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cpp_build import BUILD, build

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]  # the build takes minutes
TARGETS = ("sanitized_tests", "fuzz_references", "exchange_tsan")
SECONDS_OF_FUZZING = 60
ENVIRONMENT = os.environ | {
    # Vectors of the uninstrumented Pinocchio that grow there and shrink here look overflowed (a known false alarm of
    # partly instrumented programs), and its parser keeps what it allocates once.
    "ASAN_OPTIONS": "detect_container_overflow=0:detect_leaks=0:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder with the instrumented programs."""
    build(*TARGETS)
    return BUILD / "test" / "crisp_control"


def run(program: Path, *arguments: object, cwd: Path) -> str:
    command = [str(word) for word in (program, *arguments)]
    done = subprocess.run(
        command, env=ENVIRONMENT, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}"
    return done.stdout


def test_the_cpp_tests_pass_with_addresses_and_undefined_behaviour_checked(programs, tmp_path):
    assert "PASSED" in run(programs / "sanitized_tests", "--gtest_brief=1", cwd=tmp_path)


def test_references_cross_threads_without_a_race(programs, tmp_path):
    assert "0 torn, 0 out of order" in run(programs / "exchange_tsan", cwd=tmp_path)


def test_the_race_detector_is_on(programs):
    symbols = subprocess.run(["nm", "-D", programs / "exchange_tsan"], capture_output=True, text=True).stdout
    assert "__tsan_" in symbols


def test_no_bytes_break_a_controller(programs, tmp_path):
    said = run(programs / "fuzz_references", SECONDS_OF_FUZZING, cwd=tmp_path)
    assert "none failed" in said
    for count in ("references accepted; tracking", "holding", "damping", "in the reflex"):
        assert not re.search(rf"\b{count} 0\b", said), f"the inputs never reached: {count}\n{said}"
