"""docs/parameters.md, made of the description of the parameters and of the gains of the robots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import yaml

from steadyhand.paths import config_dir

if TYPE_CHECKING:
    from steadyhand.crisp_control.schema import Parameter

ROBOTS = ("fr3", "iiwa14", "gen3")  # whose gains are shown
HEAD = """# Parameters of the controllers

<!-- {made}. Do not edit. -->

`config/controllers/<robot>.yaml` sets any of these, in a section `shared` for all controllers or in one of the
controller; a wrong name or value is refused with one line. The ROS names are those of the ros2_control plug-ins, given
where they differ. Six numbers are x y z rx ry rz; `600 / 40` stands for 600 600 600 40 40 40. An empty cell of a robot
takes the default. The laws they belong to: [controller.md](controller.md).
"""


def page(sections: dict[str, dict[str, Parameter]], made: str) -> str:
    """The text of docs/parameters.md.

    Args:
        sections: As schema.load() gives them.
        made: How the page was made, for its header.
    """
    gains = {robot: yaml.safe_load((config_dir() / "controllers" / f"{robot}.yaml").read_text()) for robot in ROBOTS}
    lines = [HEAD.format(made=made)]
    for section, parameters in sections.items():
        set_by_robots = {name for values in gains.values() for name in values.get(section) or {}}
        shown = [p for p in parameters.values() if p.section == section or p.name in set_by_robots]
        inherited = [p for p in parameters.values() if p.section != section]
        title = f"`{section}`" + (f", beside those of `{inherited[0].section}`" if inherited else "")
        if not shown:
            names = ", ".join(f"`{p.name}`" for p in inherited)
            lines += [f"## `{section}`\n", f"The plug-in takes of `{inherited[0].section}`: {names}.\n"]
            continue
        lines += _table(section, title, shown, {} if section == "plugin" else gains)
    return "\n".join(lines).rstrip() + "\n"


def _table(section: str, title: str, parameters: Iterable[Parameter], gains: dict[str, dict]) -> list[str]:
    head = ["parameter", "in ROS", "default", *gains, "unit", "allowed", "meaning"]
    lines = [f"## {title}\n", _row(head), _row("---" for _ in head)]
    for parameter in parameters:
        ros = parameter.ros if parameter.ros != (parameter.name,) else ()
        names = " .. ".join(f"`{name}`" for name in dict.fromkeys((*ros[:1], *ros[-1:])))
        of_robots = [_show(parameter, (values.get(section) or {}).get(parameter.name)) for values in gains.values()]
        only = f" (of {', '.join(parameter.of)})" if parameter.of else ""
        cells = [f"`{parameter.name}`", names, _show(parameter, parameter.default), *of_robots]
        lines.append(_row([*cells, parameter.unit, parameter.allowed, parameter.meaning + only]))
    return [*lines, ""]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _show(parameter: Parameter, value: object) -> str:
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, list):
        return f"`{value}`" if "<" in str(value) else _number(value)
    if parameter.type == "planes":
        return "; ".join(" ".join(map(_number, row)) for row in value)
    if len(set(value)) == 1:
        return _number(value[0])
    if parameter.type == "vector6" and len(set(value[:3])) == len(set(value[3:])) == 1:
        return f"{_number(value[0])} / {_number(value[3])}"
    return " ".join(map(_number, value))


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
