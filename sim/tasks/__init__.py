"""Tasks of the twin, by name."""

from collections.abc import Callable

from steadyhand.errors import unknown
from steadyhand.sim.tasks.button_sequence import ButtonSequence
from steadyhand.sim.tasks.drawer import Drawer
from steadyhand.sim.tasks.handover import Handover
from steadyhand.sim.tasks.nut_on_peg import NutOnPeg
from steadyhand.sim.tasks.own import is_own, load_own
from steadyhand.sim.tasks.peg_insertion import PegInsertion
from steadyhand.sim.tasks.pick_place import PickPlace
from steadyhand.sim.tasks.push_t import PushT
from steadyhand.sim.tasks.reach import Reach
from steadyhand.sim.tasks.stack import Stack
from steadyhand.sim.tasks.task import Conditions, Operator, Perception, Start, Task, check_conditions, draw
from steadyhand.sim.tasks.wipe import Wipe

TASKS: dict[str, Callable[[], Task]] = {
    task.name: task
    for task in (ButtonSequence, Drawer, Handover, NutOnPeg, PegInsertion, PickPlace, PushT, Reach, Stack, Wipe)
}


def task_names() -> list[str]:
    """Every task that can be asked for."""
    return sorted(TASKS)


def make_task(name: str) -> Task:
    """The task with this name, or the class path/to/my_task.py:MyTask; SteadyhandError if there is none."""
    if is_own(name):
        return load_own(name)()
    if name not in TASKS:
        raise unknown("task", name, task_names(), "or path/to/my_task.py:MyTask; see `steadyhand tasks`")
    return TASKS[name]()


__all__ = [
    "TASKS",
    "Conditions",
    "Operator",
    "Perception",
    "Start",
    "Task",
    "check_conditions",
    "draw",
    "make_task",
    "task_names",
]
