"""A task's scripted human as a device: demonstrates over the same topics as a person.

For every episode it resets the twin, starts the recording, works until the task is done or its time is up, and stops
the recording with what came of it.
"""

from typing import Self

import numpy as np

from steadyhand import ros
from steadyhand.errors import SteadyhandError
from steadyhand.ros_observation import ObservationNotReadyError, StateBuffer
from steadyhand.sim.rotations import quat_from_rot6d
from steadyhand.sim.tasks import make_task
from steadyhand.teleop.device import Command


class Scripted:
    """See the module's docstring. Its decisions carry the stamp of what it saw."""

    rate = 10.0
    help = "the task's scripted operator demonstrates; Ctrl-C: end"

    def __init__(self, node: ros.Node, buffer: StateBuffer, task: str, seed: int, episodes: int) -> None:
        """Listen to what a human would see.

        Args:
            node: Node that is going to spin.
            buffer: The robot's state, with ``task/truth``.
            task: Name of the task; its twin must run.
            seed: Of the first episode's operator.
            episodes: How many to demonstrate.

        Raises:
            SteadyhandError: The task is unknown, or takes more than one arm.
        """
        self._task, self._buffer = make_task(task), buffer
        if len(self._task.mounts) > 1:
            raise SteadyhandError(
                f"task '{task}' moves {len(self._task.mounts)} arms, the scripted device one; "
                "choose a task with one arm, see `steadyhand tasks`"
            )
        self._seed, self._left = seed, episodes
        self._success = False
        self._began = 0.0  # by the stamps' clock; 0 between episodes
        ros.subscription(node, "task/success", self._on_success)

    def _on_success(self, message: ros.Bool) -> None:
        self._success = message.data  # published on change only: True comes after the episode's False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self) -> Command:
        """The operator's next request, or the presses between episodes."""
        try:
            stamp = self._buffer.newest_stamp()
            truth = np.array(self._buffer.message("task/truth", stamp).position)
            state = self._buffer.at(stamp)["observation.state"].astype(np.float64)
        except ObservationNotReadyError:
            return Command(clutch=False)
        if not self._began:
            if self._left == 0:
                return Command(clutch=False, finished=True)
            return Command(clutch=False, buttons=frozenset({"reset", "start"}))
        if stamp <= self._began:  # still what was before the reset
            return Command(clutch=False)
        outcome = self._outcome(truth, stamp)
        if outcome is not None:
            return Command(clutch=False, buttons=frozenset({outcome}))
        action = self._operator.act(state, truth)
        return Command(target=(action[:3], quat_from_rot6d(action[3:9])), gripper=float(action[9]), stamp=stamp)

    def _outcome(self, truth: np.ndarray, stamp: float) -> str | None:
        if self._success:
            return "success"
        late = stamp - self._began > self._task.time_limit
        return "failure" if late or self._task.failure(truth) is not None else None

    def pressed(self, button: str, answer: str | None) -> None:
        """Goes on to the next phase; without a recorder it demonstrates all the same."""
        if button == "start":
            self._operator = self._task.operator(np.random.default_rng(self._seed))
            self._success = False
            self._began = ros.now()
            self._seed += 1
        elif button in ("success", "failure"):
            self._began = 0.0
            self._left -= 1
