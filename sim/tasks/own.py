"""Tasks of your own: a class in a Python file anywhere, asked for as path/to/my_task.py:MyTask."""

import importlib.util
import inspect
import sys
from functools import cache
from pathlib import Path

from steadyhand.errors import SteadyhandError, one_line, unknown
from steadyhand.sim.tasks.task import Task

_CONSTANTS = ("name", "wordings", "time_limit", "environment_names", "subtasks", "ranges")


def is_own(name: str) -> bool:
    """Whether a task's name means a class in a file."""
    return name.partition(":")[0].endswith(".py")


def load_own(name: str) -> type[Task]:
    """The class that path/to/file.py:Class means. Running the file runs whatever stands in it."""
    path, _, wanted = name.rpartition(":") if ":" in name else (name, "", "")
    file = Path(path)
    if not file.is_file():
        raise SteadyhandError(f"task '{name}': there is no file '{path}'; give path/to/my_task.py:MyTask")
    classes = _classes(file.resolve())
    if wanted not in classes:
        raise unknown(f"task in {path}", wanted, classes, f"give {path}:CLASS")
    return _checked(name, classes[wanted])


@cache
def _classes(file: Path) -> dict[str, type[Task]]:
    """The tasks that a file defines, by their names; a file is run once."""
    spec = importlib.util.spec_from_file_location(f"steadyhand_task_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    sys.path.insert(0, str(file.parent))  # what lies beside the file can be imported, as when Python runs it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SteadyhandError(f"{file}: {type(error).__name__}: {one_line(error)}") from error
    finally:
        sys.path.remove(str(file.parent))
    found = inspect.getmembers(module, lambda entry: inspect.isclass(entry) and issubclass(entry, Task))
    return {name: entry for name, entry in found if entry.__module__ == spec.name}


def _checked(name: str, chosen: type[Task]) -> type[Task]:
    missing = [entry for entry in _CONSTANTS if not hasattr(chosen, entry)]
    missing += sorted(chosen.__abstractmethods__)
    if missing:
        raise SteadyhandError(f"task '{name}' lacks {', '.join(missing)}; see docs/tasks.md")
    try:
        chosen()
    except TypeError as error:
        raise SteadyhandError(f"task '{name}' cannot be made without arguments: {one_line(error)}") from error
    return chosen
