"""The description of all controller parameters, and what is made of it.

parameters.yaml holds the description. ``python crisp_control/schema.py`` prints:

- ``docs``: docs/parameters.md;
- ``gpl PLUGIN``: the parameters of a ros2_control plug-in for generate_parameter_library;
- ``convert PLUGIN``: a C++ header that copies those into the parameters of the core;
- ``ros ROBOT PLUGIN``: a ROS parameter file with the gains of config/controllers.

CMake runs this file on machines where Steadyhand is not installed yet: only ``ros`` imports more than PyYAML.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
CONTROLLERS = (
    "cartesian_impedance",
    "cartesian_admittance",
    "joint_impedance",
    "gravity_compensation",
    "torque_feedback",
)
PLUGINS = (*CONTROLLERS, "state_broadcaster")
SIZES = {"vector3": 3, "vector6": 6}
GPL_TYPES = {"bool": "bool", "double": "double", "string": "string", "names": "string_array"}
GPL_TYPES |= dict.fromkeys(("vector3", "vector6", "joints", "planes"), "double_array")
SAFETY = ("gate", "barrier", "tank", "reflex", "torque_limit", "torque_rate_limit", "error_clip", "stiffness_maximum",
          "wrench_maximum")  # fmt: skip
"""Members of the core's parameters, or what they begin with, that belong to the safety chain."""
MADE = "Made by `python crisp_control/schema.py {}` from crisp_control/parameters.yaml"


class SchemaError(Exception):
    """A mistake on one line; the command exits with status 2."""


@dataclass(frozen=True)
class Parameter:
    """One parameter; the keys of parameters.yaml."""

    name: str
    type: str
    meaning: str
    default: Any
    unit: str = ""
    at_least: float | str | None = None
    above: float | str | None = None
    at_most: float | str | None = None
    also: str = ""
    infinite: bool = False
    choices: tuple[str, ...] = ()
    ros: tuple[str, ...] = ()
    member: str = ""
    fixed: bool = False
    of: tuple[str, ...] = ()  # empty: of all plug-ins
    section: str = ""  # where it is described

    @property
    def allowed(self) -> str:
        """The range in words."""
        parts = [
            f"{sign} {bound}"
            for sign, bound in ((">=", self.at_least), (">", self.above), ("<=", self.at_most))
            if bound is not None
        ]
        return ", ".join(parts + list(self.choices) + ([self.also] if self.also else []))


def load(path: Path = FOLDER / "parameters.yaml") -> dict[str, dict[str, Parameter]]:
    """Every section with all its parameters, its own and those it takes over; a mistake in it is a SchemaError."""
    sections: dict[str, dict[str, Parameter]] = {}
    for section, entries in yaml.safe_load(path.read_text()).items():
        base = sections.get(entries.pop("extends", None), {})
        taken = entries.pop("only", base)
        parameters: dict[str, Parameter] = {}
        for name, entry in entries.items():
            known = base.get(name)
            new = replace(known, **entry) if known else _parameter(name, entry, f"{path}: {section}")
            parameters[name] = replace(new, section=section)
        sections[section] = parameters | {name: base[name] for name in taken if name not in parameters}
        for parameter in sections[section].values():
            if problem := _problem(parameter, sections[section]):
                raise SchemaError(f"{path}: {section}: '{parameter.name}' {problem}")
    return sections


def _parameter(name: str, entry: dict, where: str) -> Parameter:
    known = {field.name for field in fields(Parameter)} - {"name", "section"}
    if unknown := set(entry) - known:
        raise SchemaError(f"{where}: '{name}' has a key '{unknown.pop()}'; allowed: {', '.join(sorted(known))}")
    if missing := {"type", "meaning", "default"} - set(entry):
        raise SchemaError(f"{where}: '{name}' lacks '{missing.pop()}'")
    names = entry.get("ros", name)
    lists = {"ros": (names,) if isinstance(names, str) else tuple(names)}
    lists |= {key: tuple(entry[key]) for key in ("choices", "of") if key in entry}
    return Parameter(**({"name": name, "member": name} | entry | lists))


def _problem(parameter: Parameter, section: dict[str, Parameter]) -> str:
    """What is wrong with an entry, or nothing."""
    kind, default = parameter.type, parameter.default
    if kind not in GPL_TYPES:
        return f"has the type '{kind}'; allowed: {', '.join(GPL_TYPES)}"
    if len(parameter.ros) not in (1, SIZES.get(kind, 1)):
        return f"has {len(parameter.ros)} ROS names for {SIZES.get(kind, 1)} numbers"
    if kind in SIZES and not (isinstance(default, list) and len(default) == SIZES[kind]):
        return f"needs a default of {SIZES[kind]} numbers"
    if kind == "double" and not isinstance(default, float):
        return "needs a default with a decimal point"
    if kind == "joints" and not (isinstance(default, float) or str(default).startswith("urdf")):
        return "needs a default number with a decimal point, or words that begin with 'urdf'"
    if parameter.choices and default not in parameter.choices:
        return f"has a default that is none of: {', '.join(parameter.choices)}"
    for bound in (parameter.at_least, parameter.above, parameter.at_most):
        if isinstance(bound, str) and bound not in section:
            return f"is bounded by '{bound}', which is no parameter"
    if unknown := set(parameter.of) - set(PLUGINS):
        return f"is of '{unknown.pop()}'; allowed: {', '.join(PLUGINS)}"
    return ""


@functools.cache
def safety_names() -> frozenset[str]:
    """Names in ROS of the parameters of the safety chain: what is refused, limited or given up, and when."""
    return frozenset(
        ros
        for section in load().values()
        for parameter in section.values()
        if parameter.member.partition(".")[0] in SAFETY
        for ros in parameter.ros
    )


def _of_plugin(plugin: str) -> tuple[list[Parameter], list[Parameter]]:
    """The plug-in's own parameters and those of the core."""
    if plugin not in PLUGINS:
        raise SchemaError(f"unknown plug-in '{plugin}'; allowed: {', '.join(PLUGINS)}")
    sections = load()
    own = [parameter for parameter in sections["plugin"].values() if not parameter.of or plugin in parameter.of]
    return own, list(sections[plugin].values())


def namespace(plugin: str) -> str:
    """C++ namespace of the plug-in's parameters; their header is called <namespace>_parameters.hpp."""
    return f"steadyhand_{plugin}"


def gpl(plugin: str) -> str:
    """The description of a plug-in's parameters for generate_parameter_library."""
    own, core = _of_plugin(plugin)
    tree: dict[str, dict] = {}
    for parameter in (*own, *core):
        for i, ros in enumerate(parameter.ros):
            *folders, leaf = ros.split(".")
            node = tree
            for folder in folders:
                node = node.setdefault(folder, {})
            if leaf in node:
                raise SchemaError(f"two parameters of '{plugin}' are called '{ros}' in ROS")
            node[leaf] = _gpl_entry(parameter, i)
    text = yaml.safe_dump({namespace(plugin): tree}, sort_keys=False, width=1000)
    return f"# {MADE.format('gpl ' + plugin)}. Do not edit.\n{text}"


def _gpl_entry(parameter: Parameter, index: int) -> dict:
    """One parameter of generate_parameter_library; of a vector with a name per number, the one at ``index``."""
    single = len(parameter.ros) > 1
    kind = "double" if single else GPL_TYPES[parameter.type]
    default = parameter.default
    if parameter.type in SIZES:
        values = [float(value) for value in parameter.default]
        default = values[index] if single else values
    elif parameter.type == "joints":
        default = []  # as the core takes it from the URDF
    unit = f" [{parameter.unit}]" if parameter.unit not in ("", "1") else ""
    entry = {"type": kind, "default_value": default, "description": parameter.meaning + unit}
    if parameter.fixed:
        entry["read_only"] = True
    if validation := _gpl_validation(parameter, kind):
        entry["validation"] = validation
    return entry


def _gpl_validation(parameter: Parameter, kind: str) -> dict:
    """What the parameter server can judge alone; what depends on the arm or on others, validate() of the core does."""
    if parameter.choices:
        return {"one_of<>": [list(parameter.choices)]}
    size = {"fixed_size<>": [SIZES[parameter.type]]} if kind == "double_array" and parameter.type in SIZES else {}
    if parameter.infinite:
        return size  # rclcpp takes no infinity within a range
    least, above, most = (
        None if isinstance(bound, str) or bound is None else float(bound)
        for bound in (parameter.at_least, parameter.above, parameter.at_most)
    )
    if kind == "double":
        if least is not None and most is not None:
            return {"bounds<>": [least, most]}
        limits = {"gt_eq<>": least, "gt<>": above, "lt_eq<>": most}
        return {name: [limit] for name, limit in limits.items() if limit is not None}
    return size | ({} if least is None else {"lower_element_bounds<>": [least]})


HEADER = """// {made}. Do not edit.
#pragma once

#include "crisp_control/{header}.hpp"
#include "crisp_control/from_lists.hpp"
#include "steadyhand/{namespace}_parameters.hpp"

namespace {namespace} {{

/// Copies every parameter. `to` holds the defaults of the arm; its validate() is still to be called.
inline void assign(const Params& from, crisp_control::{params}& to) {{
{body}
}}

}}  // namespace {namespace}
"""


def convert(plugin: str) -> str:
    """A C++ header that copies the parameters of a plug-in into those of the core."""
    body = "\n".join(f"  {line}" for parameter in _of_plugin(plugin)[1] for line in _assign(parameter))
    header = plugin if plugin in CONTROLLERS else "controller"
    params = "".join(word.capitalize() for word in header.split("_")) + "Params"
    made = MADE.format("convert " + plugin)
    return HEADER.format(made=made, header=header, namespace=namespace(plugin), params=params, body=body)


def _assign(parameter: Parameter) -> list[str]:
    """The lines that copy one parameter."""
    name, target = parameter.ros[0], f"to.{parameter.member}"
    if parameter.choices:
        kind = parameter.name.capitalize()
        words = [f'"{word}") {target} = crisp_control::{kind}::k{word.capitalize()};' for word in parameter.choices]
        return [f"if (from.{name} == {line}" for line in words]
    if len(parameter.ros) > 1:
        return [f"{target} << " + ", ".join(f"from.{ros}" for ros in parameter.ros) + ";"]
    if GPL_TYPES[parameter.type] == "double_array":
        return [f"crisp_control::copy_list(from.{name}, {target});"]
    return [f"{target} = from.{name};"]


def docs() -> str:
    """The text of docs/parameters.md."""
    from steadyhand.crisp_control.schema_docs import page

    return page(load(), MADE.format("docs"))


def ros(robot: str, plugin: str) -> str:
    """The ROS parameter file of a robot; see ros_parameters.py."""
    from steadyhand.crisp_control.ros_parameters import parameter_file
    from steadyhand.errors import SteadyhandError

    _, core = _of_plugin(plugin)
    made = MADE.format(f"ros {robot} {plugin}")
    try:
        text = parameter_file(robot, plugin, core)
    except SteadyhandError as error:
        raise SchemaError(str(error)) from None
    warning = "use_gravity_compensation must be false exactly where the arm's firmware adds gravity itself"
    return f"# {made}\n# and config/.{f' {warning}.' if plugin in CONTROLLERS else ''}\n{text}"


COMMANDS: dict[str, Callable[..., str]] = {"docs": docs, "gpl": gpl, "convert": convert, "ros": ros}


def main() -> int:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description="Prints what is made of the description of the parameters.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("docs", help="docs/parameters.md")
    for name, text in (("gpl", "for generate_parameter_library"), ("convert", "C++ header from there to the core")):
        commands.add_parser(name, help=text).add_argument("plugin")
    to_ros = commands.add_parser("ros", help="ROS parameter file of a robot")
    to_ros.add_argument("robot")
    to_ros.add_argument("plugin")
    options = vars(parser.parse_args())
    try:
        sys.stdout.write(COMMANDS[options.pop("command")](**options))
    except (SchemaError, OSError, yaml.YAMLError) as error:
        print(f"schema: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
