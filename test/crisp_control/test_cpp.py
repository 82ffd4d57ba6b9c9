"""The C++ tests (GoogleTest): built with CMake into build/cpp-tests, run with ctest, one item per C++ test."""

import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cpp_build import BUILD, build, run, tool

DECLARATION = re.compile(r"^TEST(?:_F)?\((\w+), (\w+)\)", re.MULTILINE)
NAMES = sorted(
    ".".join(found)
    for file in Path(__file__).parent.glob("*_test.cpp")
    for found in DECLARATION.findall(file.read_text())
)

pytestmark = pytest.mark.timeout(1200)  # the first build takes minutes


@pytest.fixture(scope="module")
def results() -> dict[str, ElementTree.Element]:
    """What ctest reports, by the name of the test."""
    build("cpp_tests")
    report = BUILD / "report.xml"
    report.unlink(missing_ok=True)
    jobs = len(os.sched_getaffinity(0))
    done = run(tool("ctest"), "--test-dir", BUILD, "--output-junit", report, "--timeout", 120, "-j", jobs)
    assert report.is_file(), done.stdout
    return {case.attrib["name"]: case for case in ElementTree.parse(report).iter("testcase")}


@pytest.mark.parametrize("name", NAMES)
def test_cpp(name: str, results: dict[str, ElementTree.Element]) -> None:
    assert name in results, f"ctest does not know {name}; the build tree is out of date"
    case = results[name]
    assert case.attrib["status"] == "run", f"{case.attrib['status']}\n{case.findtext('system-out')}"


def test_every_cpp_test_is_an_item_here(results: dict[str, ElementTree.Element]) -> None:
    assert sorted(results) == NAMES
