"""What a task is: a scene, where its objects start, what may be seen of them, and what counts as success."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import mujoco
import numpy as np

from steadyhand.errors import SteadyhandError, unknown
from steadyhand.sim._native import Observation
from steadyhand.sim.mount import SINGLE, Mount
from steadyhand.sim.robot import RobotSpec

NOTHING = np.empty(0)


@dataclass(frozen=True)
class Range:
    """A number anywhere between two, all alike."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One of them."""
        return float(rng.uniform(self.low, self.high))

    def holds(self, value: object) -> bool:
        """Whether it could have been drawn."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of a few words, all alike."""

    words: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> str:
        """One of them."""
        return self.words[int(rng.integers(len(self.words)))]

    def holds(self, value: object) -> bool:
        """Whether it could have been drawn."""
        return value in self.words

    def __str__(self) -> str:
        return " or ".join(self.words)


Conditions = Mapping[str, float | str]  # what was drawn for one episode, by the names of Task.ranges
Ranges = Mapping[str, Range | Choice]


def draw(ranges: Ranges, rng: np.random.Generator) -> dict[str, float | str]:
    """Draw the conditions of one episode, in the order of the ranges."""
    return {name: entry.draw(rng) for name, entry in ranges.items()}


def check_conditions(ranges: Ranges, given: Conditions) -> None:
    """Refuse conditions that a task does not know or that lie outside its ranges."""
    for name, value in given.items():
        if name not in ranges:
            raise unknown("condition", name, ranges)
        if not ranges[name].holds(value):
            raise SteadyhandError(f"condition '{name}' is {value}; allowed: {ranges[name]}")


@dataclass(frozen=True)
class Start:
    """Where an episode begins. Quaternions are w x y z.

    The memory is what belongs to the episode and is not in the physics: which object is asked for, what has been done
    already. A plain vector, so that it can be stored and an episode be looked at again.
    """

    qpos: np.ndarray  # (nq,) joint positions
    mocap: np.ndarray = field(default_factory=lambda: NOTHING)  # (7 nmocap,) bodies that the task places
    memory: np.ndarray = field(default_factory=lambda: NOTHING)  # (M,)


class Scene(Protocol):
    """Where things are: a twin, or the shadow of one that runs in real time."""

    def body_pose(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and orientation (4,) xyzw of a body in the world."""


class Perception(Protocol):
    """What a policy gets to see of the truth; one per episode, so that errors can persist."""

    def see(self, truth: np.ndarray) -> np.ndarray:
        """Estimate (E,) of the truth (E,)."""


class Exact:
    """Eyes without error."""

    def see(self, truth: np.ndarray) -> np.ndarray:
        """The truth."""
        return truth


class Operator(Protocol):
    """A scripted human. It sees the state and the truth of now and before, never what will happen."""

    def act(self, state: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Demonstrate: the next action (10 an arm) from observation.state (16 an arm) and truth (E,)."""

    def watch(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """Supervise a policy: the reason to take over now, or None."""

    def take_over(self, state: np.ndarray) -> None:
        """Start moving the arm from where it is, recovery first."""

    @property
    def recovering(self) -> bool:
        """True between taking over and being back where a demonstration would pass."""


class Task(ABC):
    """One manipulation problem. Stateless: an episode is its twin, its memory, and its Perception and Operator.

    The order of an episode: conditions are drawn from ``ranges``, ``start`` makes a state of them; at every decision
    ``remember`` and ``truth`` look at the scene, and ``progress``, ``success`` and ``failure`` judge it.
    """

    name: ClassVar[str]
    wordings: ClassVar[
        tuple[str, ...]
    ]  # the instruction in several words, conditions in braces; the first is the usual
    time_limit: ClassVar[float]  # s
    environment_names: ClassVar[tuple[str, ...]]  # of the truth and of observation.environment_state
    subtasks: ClassVar[tuple[str, ...]]  # in the order in which they are done
    needs_gripper: ClassVar[bool] = True
    mounts: ClassVar[Sequence[Mount]] = SINGLE  # where arms stand; an observation for each is handed to the methods
    ranges: Ranges

    def __init__(self, ranges: Ranges | None = None) -> None:
        if ranges is not None:
            self.ranges = ranges

    def instruction(self, conditions: Conditions, wording: int = 0) -> str:
        """What is asked for, in one of the wordings."""
        return self.wordings[wording].format(**conditions)

    @abstractmethod
    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the task's objects to the robot's scene."""

    @abstractmethod
    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """Make an initial state of the conditions; home: (nq,) with the arm at home."""

    def remember(self, scene: Scene, observations: Sequence[Observation], memory: np.ndarray) -> np.ndarray:
        """The memory (M,) after a look at the scene. Looking twice at the same scene changes nothing more."""
        return memory

    @abstractmethod
    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """Where the objects really are and what is asked for, (E,): m and rad, in the world (a single arm's base)."""

    def perception(self, rng: np.random.Generator) -> Perception:
        """The eyes of one episode."""
        return Exact()

    @abstractmethod
    def operator(self, rng: np.random.Generator) -> Operator:
        """A scripted human for one episode."""

    @abstractmethod
    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """How far each sub-task is done now, (S,) from 0 to 1."""

    @abstractmethod
    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """Whether the goal is reached, judged from physics."""

    def failure(self, truth: np.ndarray) -> str | None:
        """Why the goal can no longer be reached, or None."""
        return None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """What the episode was stuck at when its time ran out: the first sub-task that is not done."""
        parts = zip(self.subtasks, self.progress(observations, truth), strict=True)
        return f"stuck_at_{next((name for name, done in parts if done < 1.0), self.subtasks[-1])}"


def free_pose(model: mujoco.MjModel, qpos: np.ndarray, body: str, position: Sequence[float], yaw: float = 0.0) -> None:
    """Write the pose of a free body, whose joint is called like it, into qpos (nq,): upright, turned about z."""
    address = model.joint(body).qposadr[0]
    qpos[address : address + 7] = [*position, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
