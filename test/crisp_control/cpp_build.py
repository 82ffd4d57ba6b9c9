"""Building the C++ tests with CMake, for the tests here that run them.

As a program it builds the named ones with one process: test/conftest.py starts it beside the first Python tests.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "in_place"
TESTS = BUILD / "test" / "crisp_control"
ENVIRONMENT = os.environ | {
    # Vectors of the uninstrumented Pinocchio that grow there and shrink here look overflowed (a known false alarm of
    # partly instrumented programs), and its parser keeps what it allocates once.
    "ASAN_OPTIONS": "detect_container_overflow=0:detect_leaks=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}
DECLARATION = re.compile(r"^TEST(?:_F)?\((\w+), (\w+)\)", re.MULTILINE)


def declared_tests(files: Iterable[Path]) -> list[str]:
    """The GoogleTests in some files, as ``Suite.Name``."""
    sources = [file.read_text() for file in files]
    return sorted(".".join(found) for source in sources for found in DECLARATION.findall(source))


def tool(name: str) -> str:
    """Path of a build tool: the one of this environment, or else the first on PATH."""
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    assert path, f"{name} not found; fix: pip install cmake ninja"
    return path


def run(*command: object, **variables: str) -> subprocess.CompletedProcess:
    """Run a command with some more environment variables; its two outputs come together."""
    return subprocess.run(
        [str(word) for word in command], env=ENVIRONMENT | variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip


class Ahead:
    """A build in the background, which may be cut off at any time: the next one goes on where it stopped."""

    process: subprocess.Popen | None = None

    @classmethod
    def start(cls, targets: Iterable[str]) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # what fails will fail again, and be said
        command = ["nice", "-n", "19", sys.executable, __file__, *targets]
        cls.process = subprocess.Popen(command, start_new_session=True, **quiet)

    @classmethod
    def stop(cls) -> None:
        if cls.process is not None and cls.process.poll() is None:
            os.killpg(cls.process.pid, signal.SIGTERM)
            cls.process.wait()
        cls.process = None


def build(*targets: str, processes: int = len(os.sched_getaffinity(0))) -> None:
    """Build programs in the tree that setup.py builds the modules in, so that the core is compiled once."""
    Ahead.stop()
    if not _usable(BUILD / "CMakeCache.txt"):
        shutil.rmtree(BUILD, ignore_errors=True)
    _checked(
        tool("cmake"), f"-S{ROOT}", f"-B{BUILD}", "-GNinja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        "-DBUILD_TESTING=ON", "-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}",
    )  # fmt: skip
    _checked(tool("cmake"), "--build", BUILD, "--parallel", processes, "--target", *targets)


def _usable(cache: Path) -> bool:
    """Whether a tree is of this environment, and what pip showed it during an isolated build is still there."""
    if not cache.is_file():
        return False
    said = cache.read_text()
    found = re.search(r"^nanobind_DIR:PATH=(.*)$", said, re.MULTILINE)
    mine = f"Python_EXECUTABLE:UNINITIALIZED={sys.executable}\n" in said
    return mine and found is not None and Path(found[1]).is_dir()


def _checked(*command: object) -> None:
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"


def run_tests(program: Path) -> dict[str, ElementTree.Element]:
    """Run a program of GoogleTests, a part of it on each core; what it reports, by the name of the test."""
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        reports = pool.map(lambda part: _run_part(program, part, cores), range(cores))
        cases = [case for report in reports for case in report.iter("testcase") if case.attrib["status"] == "run"]
    return {f"{case.attrib['classname']}.{case.attrib['name']}": case for case in cases}


def _run_part(program: Path, part: int, parts: int) -> ElementTree.ElementTree:
    report = program.with_suffix(f".{part}.xml")
    report.unlink(missing_ok=True)
    shard = {"GTEST_TOTAL_SHARDS": str(parts), "GTEST_SHARD_INDEX": str(part)}
    done = run(program, f"--gtest_output=xml:{report}", **shard)
    assert report.is_file(), f"{program.name} ended with {done.returncode}\n{done.stdout[-6000:]}"
    return ElementTree.parse(report)


def assert_passed(name: str, results: dict[str, ElementTree.Element]) -> None:
    """One test ran and has no failure."""
    assert name in results, f"{name} did not run"
    assert not [failure.attrib["message"] for failure in results[name].iter("failure")]


if __name__ == "__main__":
    build(*sys.argv[1:], processes=1)
