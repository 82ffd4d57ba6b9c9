"""Episodes on the twin: one robot, one task, decisions at the policy's rate."""

from dataclasses import dataclass

import mujoco
import numpy as np

from steadyhand.crisp_control._core import ArmModel
from steadyhand.crisp_control.parameters import make_controller
from steadyhand.errors import SteadyhandError
from steadyhand.sim._native import Observation, Twin
from steadyhand.sim.robot import RobotSpec, load_robot
from steadyhand.sim.rotations import quat_from_rot6d, rot6d_from_quat
from steadyhand.sim.scene import build_spec, check_home, compile, home_qpos
from steadyhand.sim.tasks import Conditions, Task, check_conditions, draw, make_task

DECISION_PERIOD = 0.1  # s
ACTION_SIZE = 10
SETTLE = 5  # decisions that success must last: what still moves may yet fall over, and letting go is part of the task


@dataclass(frozen=True)
class World:
    """What all episodes of a robot and a task share: the scene, the arm's model and the controller's parameters."""

    robot: RobotSpec
    task: Task | None
    model: mujoco.MjModel
    arm: ArmModel
    home: np.ndarray  # (nq,)

    @staticmethod
    def load(robot: str, task: str | None) -> "World":
        """Build the world of a robot (``load_robot``) and a task by name (None: a bare table)."""
        return World.build(load_robot(robot), task)

    @staticmethod
    def build(robot: RobotSpec, task: str | None) -> "World":
        """Build the world of a robot that is loaded already."""
        chosen = make_task(task) if task else None
        spec = build_spec(robot)
        if chosen is not None:
            if chosen.needs_gripper and robot.gripper is None:
                raise SteadyhandError(f"task '{task}' needs a gripper, robot '{robot.name}' has none; use --task none")
            chosen.build(spec, robot)
        model = compile(spec)
        home = home_qpos(model, robot)
        check_home(model, home, robot)
        return World(robot, chosen, model, robot.arm(), home)

    def twin(self, controller: str = "cartesian_impedance") -> Twin:
        """A new twin of this world, moved by a controller by name."""
        return Twin(self.model._address, make_controller(self.robot.gains, self.arm, controller))


def state_vector(observation: Observation) -> np.ndarray:
    """observation.state (16,): tool position, rot6d, gripper opening, external wrench."""
    return np.concatenate(
        [
            observation.position,
            rot6d_from_quat(observation.quaternion),
            [observation.gripper],
            observation.wrench,
        ]
    )


def reference_vector(observation: Observation) -> np.ndarray:
    """observation.reference (9,): position and rot6d of the pose that the controller tracks now.

    Joint friction and contact keep the tool beside it, so a policy that only saw the tool could not tell a hand that
    rests from one that pushes.
    """
    return np.concatenate([observation.reference_position, rot6d_from_quat(observation.reference_quaternion)])


@dataclass(frozen=True)
class Frame:
    """What is known at one decision, before it is taken. All arrays float64."""

    time: float  # s since the episode began
    state: np.ndarray  # (16,)
    joints: np.ndarray  # (2n,)
    reference: np.ndarray  # (9,) pose the controller tracks
    environment: np.ndarray  # (E,) what may be seen
    truth: np.ndarray  # (E,) what is so
    observation: Observation

    def policy_input(self) -> dict[str, np.ndarray]:
        """The columns a policy reads, float32."""
        return {
            "observation.state": self.state.astype(np.float32),
            "observation.joints": self.joints.astype(np.float32),
            "observation.reference": self.reference.astype(np.float32),
            "observation.environment_state": self.environment.astype(np.float32),
        }


class Episode:
    """One twin running a task: observe, request, let time pass, judge."""

    def __init__(self, world: World) -> None:
        if world.task is None:
            raise SteadyhandError("an episode needs a task; give one with --task, see `steadyhand tasks`")
        self.world = world
        self.task: Task = world.task
        self.twin = world.twin()
        self.ticks = round(DECISION_PERIOD / self.twin.timestep)
        self.reset(0)

    def reset(self, seed: int, conditions: Conditions | None = None) -> None:
        """Start the episode of this seed, which fixes scene, eyes and operator, whatever ran before.

        Args:
            seed: Of everything that is drawn.
            conditions: Replace what would be drawn, by their names in the task's ranges.
        """
        streams = np.random.SeedSequence(seed).spawn(3)
        scene, eyes, human = (np.random.default_rng(stream) for stream in streams)
        check_conditions(self.task.ranges, conditions or {})
        self.seed = seed
        self.conditions = draw(self.task.ranges, scene) | dict(conditions or {})
        self.instruction = self.task.instruction(self.conditions)
        begin = self.task.start(self.world.model, self.world.home, self.conditions)
        self.twin.reset(begin.qpos, begin.mocap, 1.0)
        self.memory = begin.memory
        self.perception = self.task.perception(eyes)
        self.operator = self.task.operator(human)
        self.time_limit = self.task.time_limit  # s; a supervised episode may set its own
        self.steps = 0
        self.progress = np.zeros(len(self.task.subtasks))  # best so far
        self._settled = 0

    def observe(self) -> Frame:
        """The frame of now. Call once per decision: eyes draw their errors from it."""
        observation, truth = self._look()
        return Frame(
            time=self.twin.time,
            state=state_vector(observation),
            joints=np.concatenate([observation.q, observation.dq]),
            reference=reference_vector(observation),
            environment=self.perception.see(truth),
            truth=truth,
            observation=observation,
        )

    def _look(self) -> tuple[Observation, np.ndarray]:
        observation = self.twin.observe()
        self.memory = self.task.remember(self.twin, observation, self.memory)
        return observation, self.task.truth(self.twin, self.memory)

    def request(self, action: np.ndarray) -> None:
        """Request an action (10,), decided now. Refused by the controller if it is not finite."""
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (ACTION_SIZE,):
            raise SteadyhandError(
                f"an action has {ACTION_SIZE} numbers (x y z, rot6d, gripper), got shape {action.shape}"
            )
        self.twin.set_reference(action[:3], quat_from_rot6d(action[3:9]), self.twin.time, float(action[9]))
        self.steps += 1

    def outcome(self) -> tuple[bool, str] | None:
        """(success, reason) once the episode is over, None while it runs. Call once after every decision."""
        observation, truth = self._look()
        late = self.twin.time >= self.time_limit - 1e-9
        self.progress = np.maximum(self.progress, self.task.progress(observation, truth))
        self._settled = self._settled + 1 if self.task.success(observation, truth) else 0
        if self._settled >= SETTLE or (late and self._settled):
            return True, "success"
        reason = self.task.failure(truth)
        if reason is None and late:
            reason = self.task.timeout_reason(observation, truth)
        return None if reason is None else (False, reason)
