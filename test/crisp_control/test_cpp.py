"""The C++ tests (GoogleTest): built with CMake into build/cpp-tests, run with ctest, one item per C++ test."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "cpp-tests"
DECLARATION = re.compile(r"^TEST(?:_F)?\((\w+), (\w+)\)", re.MULTILINE)
NAMES = sorted(
    ".".join(found)
    for file in Path(__file__).parent.glob("*_test.cpp")
    for found in DECLARATION.findall(file.read_text())
)

pytestmark = pytest.mark.timeout(1200)  # the first build takes minutes


def tool(name: str) -> str:
    """Path of a build tool: the one of this environment, or else the first on PATH."""
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    assert path, f"{name} not found; fix: pip install cmake ninja"
    return path


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def checked(*command: object) -> None:
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"


@pytest.fixture(scope="module")
def results() -> dict[str, ElementTree.Element]:
    """What ctest reports, by the name of the test."""
    cache = BUILD / "CMakeCache.txt"
    if cache.is_file() and f"Python_EXECUTABLE:UNINITIALIZED={sys.executable}\n" not in cache.read_text():
        shutil.rmtree(BUILD)  # another environment: CMake would go on using the libraries of the old one
    checked(
        tool("cmake"), f"-S{ROOT}", f"-B{BUILD}", "-GNinja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        "-DBUILD_TESTING=ON", "-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}",
    )  # fmt: skip
    jobs = len(os.sched_getaffinity(0))
    checked(tool("cmake"), "--build", BUILD, "--target", "cpp_tests", "--parallel", jobs)
    report = BUILD / "report.xml"
    report.unlink(missing_ok=True)
    done = run(tool("ctest"), "--test-dir", BUILD, "--output-junit", report, "--timeout", 120, "-j", jobs)
    assert report.is_file(), done.stdout
    return {case.attrib["name"]: case for case in ElementTree.parse(report).iter("testcase")}


@pytest.mark.parametrize("name", NAMES)
def test_cpp(name: str, results: dict[str, ElementTree.Element]) -> None:
    assert name in results, f"ctest does not know {name}; its file is missing in CMakeLists.txt"
    case = results[name]
    assert case.attrib["status"] == "run", f"{case.attrib['status']}\n{case.findtext('system-out')}"


def test_every_cpp_test_is_an_item_here(results: dict[str, ElementTree.Element]) -> None:
    assert sorted(results) == NAMES
