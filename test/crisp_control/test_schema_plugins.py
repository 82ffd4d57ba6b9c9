"""What the ros2_control plug-ins get from the description: their parameters, the C++ header, ROS parameter files."""

import functools
import importlib.util
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from steadyhand.crisp_control import schema
from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters
from steadyhand.sim.robot import load_robot

ROOT = Path(schema.__file__).resolve().parents[1]
GPL_KEYS = {"type", "default_value", "description", "read_only", "validation"}
PYTHON_TYPES = {"bool": bool, "double": float, "string": str, "double_array": list, "string_array": list}
CPP_TYPES = {
    "bool": "bool",
    "double": "double",
    "string": "std::string",
    "double_array": "std::vector<double>",
    "string_array": "std::vector<std::string>",
}
SECTIONS = schema.load()


@pytest.fixture(scope="module")
def arm():
    return load_robot("fr3").arm()


@functools.cache
def entries(controller: str) -> dict[str, dict]:
    """The parameters of a plug-in by their full names."""
    (tree,) = yaml.safe_load(schema.gpl(controller)).values()
    found: dict[str, dict] = {}

    def walk(node: dict, prefix: str) -> None:
        for name, entry in node.items():
            if "default_value" in entry:
                found[prefix + name] = entry
            else:
                walk(entry, f"{prefix}{name}.")

    walk(tree, "")
    return found


# --- for generate_parameter_library ---


@pytest.mark.parametrize("controller", schema.PLUGINS)
def test_the_plugin_parameters_follow_the_rules_of_generate_parameter_library(controller):
    names = [ros for parameter in SECTIONS[controller].values() for ros in parameter.ros]
    assert len(names) == len(set(names))
    assert set(names) < set(entries(controller))
    for name, entry in entries(controller).items():
        assert set(entry) <= GPL_KEYS, name
        default = entry["default_value"]
        assert type(default) is PYTHON_TYPES[entry["type"]], name
        if entry["type"] == "double_array":
            assert all(type(item) is float for item in default), name
        assert '"' not in entry["description"], name
        assert "\n" not in entry["description"], name


def test_names_are_those_of_crisp_where_the_meaning_is_the_same():
    names = set(entries("cartesian_admittance"))
    assert {
        "task.k_pos_x",
        "task.k_rot_z",
        "task.error_clip.rx",
        "nullspace.projector_type",
        "nullspace.max_tau",
    } < names
    assert {"use_gravity_compensation", "use_local_jacobian", "admittance.mass_rz", "end_effector_frame"} < names
    # Per tick, absolute, or of the other sign there: the same name would be a trap.
    assert not {"max_delta_tau", "task.d_pos_x", "filter.target_pose", "nullspace.damping", "k_fb"} & names


# --- the C++ header, compiled against structs like those of generate_parameter_library ---

PROGRAM = """
#include <iostream>
#include <string>
#include <type_traits>
#include <vector>
{includes}
using namespace crisp_control;

// Stands alone: no URDF, so that the arm's model need not be linked.
ControllerParams::ControllerParams(const ArmModel&) : friction(JointVector::Constant(2, 0.5)) {{}}
CartesianAdmittanceParams::CartesianAdmittanceParams(const ArmModel& arm) : CartesianImpedanceParams(arm) {{}}
JointImpedanceParams::JointImpedanceParams(const ArmModel& arm) : ControllerParams(arm) {{}}
GravityCompensationParams::GravityCompensationParams(const ArmModel& arm) : ControllerParams(arm) {{}}
TorqueFeedbackParams::TorqueFeedbackParams(const ArmModel& arm) : ControllerParams(arm) {{}}
alignas(ArmModel) unsigned char memory[sizeof(ArmModel)];
const ArmModel& nobody = reinterpret_cast<const ArmModel&>(memory);

template <typename Value>
void show(const Value& value) {{
  if constexpr (std::is_arithmetic_v<Value> || std::is_enum_v<Value>) {{
    std::cout << static_cast<double>(value);
  }} else {{
    for (Eigen::Index i = 0; i < value.size(); ++i) {{
      std::cout << value(i / value.cols(), i % value.cols()) << ' ';
    }}
  }}
}}
#define SHOW(name, value) std::cout << name << '|', show(value), std::cout << '\\n'

int main() {{
  std::cout.precision(17);
{body}
}}
"""


def test_infinity_stays_allowed():
    # generate_parameter_library turns a bound into a range that ends at the largest finite number.
    for name in ("reflex_force", "reflex_recover_after"):
        assert "validation" not in entries("joint_impedance")[name]
    assert entries("joint_impedance")["workspace_upper"]["validation"] == {"fixed_size<>": [3]}


def cpp_struct(tree: dict, name: str, indent: str = "") -> str:
    """The struct that generate_parameter_library makes of its description."""
    lines = []
    for key, entry in tree.items():
        if "default_value" in entry:
            lines.append(f"{CPP_TYPES[entry['type']]} {key}{{}};")
        else:
            lines.append(f"{cpp_struct(entry, key.title().replace('_', ''), indent + '  ')} {key};")
    return f"struct {name} {{\n" + "".join(f"{indent}  {line}\n" for line in lines) + f"{indent}}}"


def example(parameter: schema.Parameter, seed: int):
    """A value unlike the default: a number, numbers, or a word."""
    if parameter.type == "bool":
        return not parameter.default
    if parameter.type == "string":
        return parameter.choices[-1]
    count = schema.SIZES.get(parameter.type) or {"joints": 3, "planes": 8, "double": 1}[parameter.type]
    numbers = [seed + 0.125 * i for i in range(count)]
    return numbers if parameter.type != "double" else numbers[0]


def literal(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "{" + ", ".join(map(str, value)) + "}" if isinstance(value, list) else str(value)


def part_of_program(controller: str) -> list[str]:
    params = CONTROLLERS[controller][1].__name__
    shows = [f'  SHOW("{name}", core.{p.member});' for name, p in SECTIONS[controller].items()]
    lines = [f"{{ steadyhand_{controller}::Params ros; {params} core(nobody);", *shows]
    for seed, parameter in enumerate(SECTIONS[controller].values(), 1):
        value = example(parameter, seed)
        if len(parameter.ros) > 1:
            lines += [f"  ros.{ros} = {item};" for ros, item in zip(parameter.ros, value, strict=True)]
        else:
            lines.append(f"  ros.{parameter.ros[0]} = {literal(value)};")
    lines += ["  assign(ros, core);", *shows]
    lines += ["  ros.friction = {}; assign(ros, core);", '  SHOW("kept", core.friction);']
    lines += ["  ros.friction.assign(9, 1.0); ros.payload_com = {1}; ros.workspace_planes = {1}; assign(ros, core);"]
    wrong = ("friction", "payload_com", "barrier.workspace_planes")
    return [*lines, *(f'  SHOW("wrong", core.{member}.hasNaN());' for member in wrong), "}"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> dict[str, list[tuple[str, list[float]]]]:
    """What the program printed, by controller."""
    pinocchio = Path(next(iter(importlib.util.find_spec("pinocchio").submodule_search_locations)))
    prefix = next(parent for parent in pinocchio.parents if parent.name == "cmeel.prefix")
    folder = tmp_path_factory.mktemp("convert")
    (folder / "steadyhand").mkdir()
    for controller in schema.CONTROLLERS:
        ((name, tree),) = yaml.safe_load(schema.gpl(controller)).items()
        text = f"#include <string>\n#include <vector>\nnamespace {name} {{\n{cpp_struct(tree, 'Params')};\n}}\n"
        (folder / "steadyhand" / f"{name}_parameters.hpp").write_text(text)
        (folder / f"{controller}.hpp").write_text(schema.convert(controller))
    includes = "\n".join(f'#include "{folder}/{controller}.hpp"' for controller in schema.CONTROLLERS)
    body = "\n".join(line for controller in schema.CONTROLLERS for line in part_of_program(controller))
    (folder / "program.cpp").write_text(PROGRAM.format(includes=includes, body=body))
    compile_it = ["c++", "-std=c++20", "-O0", "-Wall", "-Wextra", "-Werror", "-o", folder / "program"]
    compile_it += ["-I", ROOT / "crisp_control" / "include", "-I", folder, "-isystem", prefix / "include" / "eigen3"]
    subprocess.run([*map(str, compile_it), str(folder / "program.cpp")], check=True)
    lines = subprocess.run([folder / "program"], check=True, capture_output=True, text=True).stdout.splitlines()
    pairs = [(name, [float(word) for word in values.split()]) for name, values in (line.split("|") for line in lines)]
    found = {}
    for controller in schema.CONTROLLERS:
        count = 2 * len(SECTIONS[controller]) + 4
        found[controller], pairs = pairs[:count], pairs[count:]
    return found


@pytest.mark.parametrize("controller", schema.CONTROLLERS)
def test_the_header_copies_every_parameter_to_its_place(controller, printed, arm):
    section = SECTIONS[controller]
    before = dict(printed[controller][: len(section)])
    after = dict(printed[controller][len(section) : 2 * len(section)])
    core = CONTROLLERS[controller][1](arm)
    for seed, (name, parameter) in enumerate(section.items(), 1):
        value = example(parameter, seed)
        number = parameter.choices.index(value) if parameter.choices else value
        assert after[name] == np.ravel(np.asarray(number, dtype=float)).tolist()
        # The member has the very default that the core shows under this name: it is the right one. Constructors, which
        # this program has not, give the others theirs.
        overridden = (controller, name) in {
            ("cartesian_admittance", "stiffness"),
            ("torque_feedback", "smoothing_time"),
        }
        if parameter.type != "joints" and not parameter.choices and not overridden:
            assert before[name] == np.ravel(np.asarray(getattr(core, name), dtype=float)).tolist()


@pytest.mark.parametrize("controller", schema.CONTROLLERS)
def test_the_header_keeps_the_urdf_for_empty_lists_and_makes_wrong_ones_no_numbers(controller, printed):
    (_, kept), *wrong = printed[controller][-4:]
    friction = list(SECTIONS[controller]).index("friction") + 1
    assert kept == [friction, friction + 0.125, friction + 0.25]
    assert wrong == [("wrong", [1.0])] * 3


# --- ROS parameter files ---


@pytest.mark.parametrize("controller", schema.CONTROLLERS)
@pytest.mark.parametrize("name", ["fr3", "iiwa14", "gen3"])
def test_the_ros_file_holds_the_gains_of_the_twin(name, controller):
    text = schema.ros(name, controller)
    values = yaml.safe_load(text)[f"/**/{controller}"]["ros__parameters"]
    known = entries(controller)
    spec = load_robot(name)
    xml = ElementTree.parse(ROOT / "crisp_control" / "ros2_control" / "steadyhand_controllers.xml")
    assert values.pop("type") in {plugin.get("name") for plugin in xml.iter("class")}
    assert values["joints"] == list(spec.joints)
    assert values["use_gravity_compensation"] is not spec.firmware_gravity
    for ros, value in values.items():
        assert type(value) is PYTHON_TYPES[known[ros]["type"]]
    params = load_parameters(name, spec.arm(), controller)
    for parameter in SECTIONS[controller].values():
        if parameter.ros[0] not in values or parameter.type in ("bool", "string"):
            continue
        given = [values[ros] for ros in parameter.ros]
        np.testing.assert_array_equal(np.ravel(given), np.ravel(getattr(params, parameter.name)))


@pytest.mark.parametrize("name", ["fr3", "iiwa14", "gen3"])
def test_the_ros_file_of_the_broadcaster_agrees_with_those_of_the_controllers(name):
    values, controller = (
        yaml.safe_load(schema.ros(name, plugin))[f"/**/{plugin}"]["ros__parameters"]
        for plugin in ("state_broadcaster", "cartesian_impedance")
    )
    xml = ElementTree.parse(ROOT / "crisp_control" / "ros2_control" / "steadyhand_controllers.xml")
    assert values.pop("type") in {plugin.get("name") for plugin in xml.iter("class")}
    assert set(values) <= set(entries("state_broadcaster"))
    assert values == {key: controller[key] for key in set(controller) & set(entries("state_broadcaster"))}


def test_a_robot_with_wrong_shared_gains_gets_no_file_for_the_broadcaster(tmp_path):
    (tmp_path / "fr3").symlink_to(ROOT / "config" / "robots" / "fr3")
    robot = tmp_path / "arm.yaml"
    robot.write_text((ROOT / "config" / "robots" / "fr3.yaml").read_text() + "controllers: gains.yaml\n")
    (tmp_path / "gains.yaml").write_text("shared: {payload_mass: -1.0}\n")
    with pytest.raises(schema.SchemaError, match="payload_mass"):
        schema.ros(str(robot), "state_broadcaster")


def test_firmware_that_adds_gravity_is_not_helped():
    for robot, helped in (("fr3", False), ("iiwa14", False), ("gen3", True)):
        values = yaml.safe_load(schema.ros(robot, "cartesian_impedance"))["/**/cartesian_impedance"]
        assert values["ros__parameters"]["use_gravity_compensation"] is helped


def test_the_plugins_are_made_without_steadyhand_being_installed(tmp_path):
    for name in ("schema.py", "parameters.yaml"):
        (tmp_path / name).write_text((ROOT / "crisp_control" / name).read_text())
    packages = tmp_path / "packages"  # PyYAML alone; -S hides the others of this environment
    packages.mkdir()
    (packages / "yaml").symlink_to(Path(yaml.__file__).parent)
    command = [sys.executable, "-S", tmp_path / "schema.py", "convert", "joint_impedance"]
    environment = {"PYTHONPATH": str(packages)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert done.stdout == schema.convert("joint_impedance")
