"""The ``steadyhand`` command.

A sub-command (one word, or two as in ``data convert``) is a function with one parameter, ``config``, annotated with
a dataclass; tyro makes options and help from the dataclass. Only the module of the command that was asked for is
imported, because some take seconds.
"""

import contextlib
import difflib
import errno
import importlib
import io
import os
import re
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from steadyhand import __version__, interrupts
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.gl import check_gl


class Command(NamedTuple):
    """Where a sub-command is implemented, and what it is for in a few words."""

    module: str
    help: str
    function: str = "main"


COMMANDS = {
    "demo": Command("steadyhand.demo", "the whole loop on the twin, ending with a report"),
    "twin": Command("steadyhand.sim.node", "serve a simulated robot on ROS topics, in real time"),
    "view": Command("steadyhand.sim.view", "watch a task being done, in the browser"),
    "teleop": Command("steadyhand.teleop.node", "drive the robot with a device"),
    "record": Command("steadyhand.data_collection.node", "record episodes as a LeRobot dataset"),
    "collect": Command("steadyhand.collect", "record scripted demonstrations on the twin, without ROS"),
    "data convert": Command("steadyhand.data_collection.convert", "turn a journal into a LeRobot dataset"),
    "data label": Command("steadyhand.data_collection.listing", "judge or discard an episode of a journal", "label"),
    "data ls": Command("steadyhand.data_collection.listing", "list journals and datasets", "ls"),
    "data show": Command("steadyhand.data_collection.listing", "describe a journal or dataset", "show"),
    "data replay": Command("steadyhand.data_collection.replay", "replay an episode in the twin or on a robot"),
    "data check": Command("steadyhand.data_collection.quality_command", "find broken episodes", "check_command"),
    "data score": Command("steadyhand.data_collection.quality_command", "find odd demonstrations", "score_command"),
    "data repair": Command("steadyhand.data_collection.repair", "save what a crash has left of a dataset or journal"),
    "data merge": Command("steadyhand.data_collection.merge_command", "make one dataset of several"),
    "data split": Command("steadyhand.data_collection.split", "copy some episodes of a dataset"),
    "data export": Command("steadyhand.data_collection.export", "one episode as MP4, CSV and PNG"),
    "data push": Command("steadyhand.data_collection.hub", "copy a dataset to the Hugging Face Hub", "push"),
    "data pull": Command("steadyhand.data_collection.hub", "copy a dataset from the Hugging Face Hub", "pull"),
    "policy": Command("steadyhand.policies.node", "let a policy drive the robot"),
    "train": Command("steadyhand.policies.train_config", "train a policy on a dataset"),
    "eval": Command("steadyhand.evaluate", "measure a policy on the twin, with confidence intervals"),
    "compare": Command("steadyhand.compare", "tell policies apart by their evaluations, or plan how to"),
    "improve": Command("steadyhand.improve", "interventions, retraining, evaluation: one round"),
    "bench": Command("steadyhand.bench.run", "measure speed on this machine"),
    "doctor": Command("steadyhand.doctor", "check what only the system can give"),
    "robots": Command("steadyhand.sim.listing", "list the robots", "robots"),
    "tasks": Command("steadyhand.sim.listing", "list the tasks", "tasks"),
}

# Top-level modules that are optional, and the extra of pyproject.toml that brings them.
EXTRAS = {"rclpy": "ros", "open3d": "pointcloud", "viser": "view", "ray": "ray", "rtamt": "stl"} | dict.fromkeys(
    (
        "std_msgs",
        "rosgraph_msgs",
        "geometry_msgs",
        "sensor_msgs",
        "trajectory_msgs",
        "nav_msgs",
        "std_srvs",
        "diagnostic_msgs",
        "visualization_msgs",
    ),
    "ros",
)
# Mistakes of the environment rather than of the program; the system's own words say what is wrong.
ENVIRONMENT_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return the exit status: 0 done, 2 a mistake the user can fix, 130 stopped by Ctrl-C."""
    try:
        with interrupts.kept():
            status = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except SteadyhandError as error:
        return _refuse(" ".join(str(error).split()))
    except ModuleNotFoundError as error:
        message = _missing_module(error.name or "")
        if message is None:
            raise
        return _refuse(message)
    except BrokenPipeError:  # `steadyhand tasks | head -1`: whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in ENVIRONMENT_ERRORS:
            raise
        return _refuse(f"{error.strerror}: {error.filename or 'no file named'}")
    except KeyboardInterrupt:
        print("steadyhand: stopped", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(_overview(COMMANDS))
        return 0 if arguments else 2
    if name == "--version":
        print(__version__)
        return 0
    family = {command: row for command, row in COMMANDS.items() if command.startswith(f"{name} ")}
    if family and arguments[1:2] in ([], ["-h"], ["--help"]):
        print(_overview(family))
        return 0 if arguments[1:] else 2
    words = 2 if family else 1
    name = " ".join(arguments[:words])
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS, _did_you_mean(name, COMMANDS) or "see steadyhand --help")
    command = COMMANDS[name]
    check_gl()
    function = getattr(importlib.import_module(command.module), command.function)
    result = function(_parse(name, function, arguments[words:]))
    return result if isinstance(result, int) else 0


def _parse(name: str, function: Callable[..., Any], arguments: list[str]) -> Any:
    """Make the command's config from its options; what tyro says in a box becomes one line."""
    import tyro  # here: it takes longer to import than `steadyhand --help` should take

    config_type = typing.get_type_hints(function)["config"]
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            config, strangers = tyro.cli(
                config_type, prog=f"steadyhand {name}", args=arguments, return_unknown_args=True
            )
    except SystemExit as stop:
        if stop.code != 2:  # --help
            raise
        raise _usage_error(name, config_type, arguments, [], complaint.getvalue()) from None
    if strangers:
        raise _usage_error(name, config_type, arguments, strangers, "")
    return config


def _usage_error(
    name: str, config_type: type, arguments: list[str], strangers: list[str], complaint: str
) -> SteadyhandError:
    """Build the one-line error; a misspelt option comes before what tyro finds missing because of it."""
    see_help = f"see steadyhand {name} --help"
    allowed = _options(config_type)
    misspelt = [word for word in arguments if word.startswith("--") and _spelling(word) not in allowed]
    for word in misspelt + strangers:
        hint = _did_you_mean(_spelling(word), allowed) or see_help
        return unknown(f"option of steadyhand {name}", word.split("=")[0], allowed, hint)
    return SteadyhandError(f"{name}: {_unboxed(complaint)}; {see_help}")


def _options(config_type: type) -> list[str]:
    """List the options that the help shows."""
    import tyro

    options = []
    for row in tyro.extras.get_parser(config_type).format_help().splitlines():
        if invocation := re.match(r"^\W*?((-\w, )?--.*?)(  |$)", row):
            options += re.findall(r"--[a-z][\w.-]*", invocation[1])
    return [option for option in dict.fromkeys(options) if option != "--help"]


def _spelling(word: str) -> str:
    """Spell an option the way the help does: tyro takes underscores for hyphens, and ``--name=value``."""
    return word.split("=")[0].replace("_", "-")


def _unboxed(text: str) -> str:
    """Return the first paragraph of tyro's box as one line."""
    rows = [row.strip("│| ") for row in re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()]
    paragraph = []
    for row in rows[1:]:
        if not row or row.startswith(("─", "╰", "-", "+")):
            break
        paragraph.append(row)
    return " ".join(paragraph).rstrip(".") or "wrong usage"


def _did_you_mean(given: str, allowed: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(given, allowed, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _missing_module(module: str) -> str | None:
    """Say how to get a module that is not there, if it is one that may be missing."""
    if module in ("steadyhand.crisp_control._core", "steadyhand.sim._native"):
        return f"the C++ module {module} is not built; fix: make install, or pip install -e ."
    extra = EXTRAS.get(module.split(".")[0])
    if extra is None:
        return None
    first = "source a ROS distribution, or " if extra == "ros" else ""
    return f"'{module}' is not installed; fix: {first}pip install 'steadyhand[{extra}]'"


def _overview(commands: dict[str, Command]) -> str:
    rows = "\n".join(f"  {name:<14}{command.help}" for name, command in commands.items())
    return f"usage: steadyhand COMMAND [OPTIONS]\n\n{rows}\n\nsteadyhand COMMAND --help lists the options of a command."


def _refuse(message: str) -> int:
    print(f"steadyhand: error: {message}", file=sys.stderr)
    return 2
