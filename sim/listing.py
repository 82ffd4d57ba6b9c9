"""`steadyhand robots` and `steadyhand tasks`: what there is."""

from dataclasses import dataclass

from steadyhand.sim.robot import load_robot, robot_names
from steadyhand.sim.tasks import make_task, task_names


@dataclass(frozen=True)
class RobotsConfig:
    """List the robots that come with Steadyhand."""


@dataclass(frozen=True)
class TasksConfig:
    """List the tasks of the twin."""


def robots(config: RobotsConfig) -> None:
    """One line per robot."""
    for name in robot_names():
        robot = load_robot(name)
        gripper = "gripper" if robot.gripper else "no gripper"
        print(f"{name:<16}{len(robot.joints)} joints, tool frame {robot.tool_frame}, {gripper}")


def tasks(config: TasksConfig) -> None:
    """One line per task."""
    for name in task_names():
        task = make_task(name)
        print(f"{name:<16}{task.wordings[0]} ({task.time_limit:g} s; {', '.join(task.subtasks)})")
