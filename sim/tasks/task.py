"""What a task is: a scene, where its objects start, what may be seen of them, and what counts as success."""

from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from steadyhand.sim._native import Observation, Twin
from steadyhand.sim.robot import RobotSpec


@dataclass(frozen=True)
class Start:
    """Where an episode begins: joint positions (nq,) and the bodies the task places (7 nmocap,), quaternions wxyz."""

    qpos: np.ndarray
    mocap: np.ndarray


class Perception(Protocol):
    """What a policy gets to see of the truth; one per episode, so that errors can persist."""

    def see(self, truth: np.ndarray) -> np.ndarray:
        """Estimate (E,) of the truth (E,)."""


class Operator(Protocol):
    """A scripted human. It sees the state and the truth of now and before, never what will happen."""

    def act(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Demonstrate: the next action (10,) from observation.state (16,) and truth (E,)."""

    def watch(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """Supervise a policy: the reason to take over now, or None."""

    def take_over(self, state: np.ndarray) -> None:
        """Start moving the arm from where it is, recovery first."""

    @property
    def recovering(self) -> bool:
        """True between taking over and being back where a demonstration would pass."""


class Task(Protocol):
    """One manipulation problem. Stateless: everything about an episode is in the twin and in Perception."""

    name: str
    instruction: str
    time_limit: float  # s
    environment_names: tuple[str, ...]  # of the truth and of observation.environment_state

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the task's objects to the robot's scene."""

    def start(self, model: mujoco.MjModel, home: np.ndarray, rng: np.random.Generator) -> Start:
        """Draw an initial state; home: (nq,) with the arm at home."""

    def truth(self, twin: Twin) -> np.ndarray:
        """Where the objects really are, (E,) in the base frame."""

    def perception(self, rng: np.random.Generator) -> Perception:
        """The eyes of one episode."""

    def operator(self, rng: np.random.Generator) -> Operator:
        """A scripted human for one episode."""

    def success(self, observation: Observation, truth: np.ndarray) -> bool:
        """Whether the goal is reached, judged from physics."""

    def failure(self, truth: np.ndarray) -> str | None:
        """Why the goal can no longer be reached, or None."""

    def timeout_reason(self, observation: Observation, truth: np.ndarray) -> str:
        """What the episode was stuck at when its time ran out."""
