"""The ros2_control plug-ins on a stand-in for ros2_control: one C++ program, one item per C++ test."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "cpp-tests"  # shared with test_cpp.py: the same library, the same GoogleTest
DECLARATION = re.compile(r"^TEST\((\w+), (\w+)\)", re.MULTILINE)
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


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode in (0, 1), f"{' '.join(map(str, command))}\n{done.stdout}"  # 1: tests failed
    return done.stdout


@pytest.fixture(scope="module")
def results() -> dict[str, ElementTree.Element]:
    """What GoogleTest reports, by the name of the test."""
    cache = BUILD / "CMakeCache.txt"
    if cache.is_file() and f"Python_EXECUTABLE:UNINITIALIZED={sys.executable}\n" not in cache.read_text():
        shutil.rmtree(BUILD)  # another environment: CMake would go on using the libraries of the old one
    run(
        tool("cmake"), f"-S{ROOT}", f"-B{BUILD}", "-GNinja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        "-DBUILD_TESTING=ON", "-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}",
    )  # fmt: skip
    report = BUILD / "plugins.xml"
    report.unlink(missing_ok=True)
    said = run(tool("cmake"), "--build", BUILD, "--target", "plugin_tests", "--parallel")
    program = BUILD / "test" / "crisp_control" / "ros2_control" / "plugin_tests"
    assert program.is_file(), said
    said += run(program, f"--gtest_output=xml:{report}")
    assert report.is_file(), said
    cases = ElementTree.parse(report).iter("testcase")
    return {f"{case.attrib['classname']}.{case.attrib['name']}": case for case in cases}


@pytest.mark.parametrize("name", NAMES)
def test_plugins(name: str, results: dict[str, ElementTree.Element]) -> None:
    assert name in results, f"{name} did not run"
    assert not [failure.attrib["message"] for failure in results[name].iter("failure")]


def test_every_cpp_test_is_an_item_here(results: dict[str, ElementTree.Element]) -> None:
    assert sorted(results) == NAMES


def test_every_plugin_is_described_for_pluginlib() -> None:
    """A class that is exported but not described, or the other way round, cannot be loaded."""
    folder = ROOT / "crisp_control" / "ros2_control"
    exported = re.findall(
        r"^PLUGINLIB_EXPORT_CLASS\((steadyhand::\w+), (\S+)\)",
        "".join(file.read_text() for file in sorted(folder.glob("*.cpp"))),
        re.MULTILINE,
    )
    classes = ElementTree.parse(folder / "steadyhand_controllers.xml").iter("class")
    described = {(cls.attrib["type"], cls.attrib["base_class_type"]): cls.attrib["name"] for cls in classes}
    assert set(described) == set(exported)
    assert all(name == kind.replace("::", "/") for (kind, _), name in described.items())
