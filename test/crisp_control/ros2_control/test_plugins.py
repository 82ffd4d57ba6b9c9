"""The ros2_control plug-ins on a stand-in for ros2_control: one C++ program, one item per C++ test."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cpp_build import ROOT, TESTS, assert_passed, build, declared_tests, run_tests

NAMES = declared_tests(Path(__file__).parent.glob("*_test.cpp"))

pytestmark = [pytest.mark.timeout(1200), pytest.mark.cpp("plugin_tests")]


@pytest.fixture(scope="module")
def results() -> dict[str, ElementTree.Element]:
    """What GoogleTest reports, by the name of the test."""
    build("plugin_tests")
    return run_tests(TESTS / "ros2_control" / "plugin_tests")


@pytest.mark.parametrize("name", NAMES)
def test_plugins(name: str, results: dict[str, ElementTree.Element]) -> None:
    assert_passed(name, results)


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
