"""The twin as ros2_control hardware: its physics, one item per C++ test, and what is exported for it."""

import re
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
from cpp_build import BUILD, ROOT, assert_passed, build, declared_tests, run_tests

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.export import PLUGIN, export_twin

NAMES = declared_tests(Path(__file__).parent.glob("*_test.cpp"))

pytestmark = [pytest.mark.timeout(1200), pytest.mark.cpp("twin_hardware_tests")]


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


@pytest.fixture(scope="module")
def exported(world, tmp_path_factory) -> tuple[Path, Path]:
    return tuple(export_twin(world, tmp_path_factory.mktemp("twin") / "deeper"))


@pytest.fixture(scope="module")
def results(exported) -> dict[str, ElementTree.Element]:
    """What GoogleTest reports, by the name of the test."""
    build("twin_hardware_tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run_tests.__globals__["ENVIRONMENT"], "SCENE", str(exported[0]))
        return run_tests(BUILD / "test" / "sim" / "ros2_control" / "twin_hardware_tests")


@pytest.mark.parametrize("name", NAMES)
def test_physics(name, results):
    assert_passed(name, results)


def test_every_cpp_test_is_an_item_here(results):
    assert sorted(results) == NAMES


def test_the_description_names_the_scene_and_starts_at_home(world, exported):
    scene, urdf = exported
    tag = ElementTree.parse(urdf).getroot().find("ros2_control")
    assert tag.findtext("hardware/plugin") == PLUGIN
    assert tag.findtext("hardware/param[@name='scene']") == str(scene)
    starts = {
        j.get("name"): float(j.findtext("state_interface/param[@name='initial_value']")) for j in tag.findall("joint")
    }
    model = mujoco.MjModel.from_binary_path(str(scene))
    assert model.nq == world.model.nq
    for name, start in starts.items():
        np.testing.assert_allclose(start, world.home[model.joint(name).qposadr[0]])
    efforts = [j.get("name") for j in tag.findall("joint") if j.find("command_interface[@name='effort']") is not None]
    assert tuple(efforts) == world.robot.joints


def test_a_file_is_no_folder_to_export_into(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SteadyhandError, match="not a folder"):
        export_twin(world, tmp_path / "file")


def test_the_plugin_is_described_for_pluginlib():
    folder = ROOT / "sim" / "ros2_control"
    exported = re.findall(r"^PLUGINLIB_EXPORT_CLASS\((\S+), (\S+)\)", (folder / "twin_system.cpp").read_text(), re.M)
    classes = ElementTree.parse(folder / "steadyhand_twin.xml").findall("class")
    assert [(c.get("type"), c.get("base_class_type")) for c in classes] == exported
    assert [c.get("name") for c in classes] == [PLUGIN]
