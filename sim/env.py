"""Episodes on the twin: one robot, one task, decisions at the policy's rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from steadyhand.crisp_control._core import ArmModel
from steadyhand.crisp_control.parameters import make_controller
from steadyhand.errors import SteadyhandError
from steadyhand.sim._native import MAX_DELAY, Observation, SensorModel, Twin
from steadyhand.sim.mount import SINGLE, Mount
from steadyhand.sim.robot import RobotSpec, load_robot
from steadyhand.sim.robot_file import SensorSpec
from steadyhand.sim.rotations import quat_from_rot6d, rot6d_from_quat
from steadyhand.sim.scene import build_spec, check_home, compile, home_qpos
from steadyhand.sim.tasks import Conditions, Perception, Start, Task, check_conditions, draw, make_task

DECISION_PERIOD = 0.1  # s
ACTION_SIZE = 10
CONTROLLER = "cartesian_impedance"  # of every episode
PUSH_SECONDS = 0.2
SETTLE = 5  # decisions that success must last: what still moves may yet fall over, and letting go is part of the task
SETTLE_SECONDS = (SETTLE - 1) * DECISION_PERIOD  # from the first to the last of them


@dataclass(frozen=True)
class MountedArm:
    """One arm of a world."""

    robot: RobotSpec
    mount: Mount
    model: ArmModel


@dataclass(frozen=True)
class Disturbance:
    """What goes wrong in every episode of a world, see steadyhand.sim.perturbation. As it is here: nothing."""

    latency: float = 0.0  # s until a decision acts; it keeps the stamp of what it was decided from
    push: float = 0.0  # N, on every tool, PUSH_SECONDS long, sideways, at a moment of its own
    wording: int = 0  # of the instruction


@dataclass(frozen=True)
class World:
    """What all episodes of robots and a task share: the scene, the arms' models and the controllers' parameters."""

    arms: tuple[MountedArm, ...]
    task: Task | None
    model: mujoco.MjModel
    home: np.ndarray  # (nq,)
    disturbance: Disturbance = Disturbance()

    @staticmethod
    def load(robot: str, task: str | None) -> "World":
        """Build the world of a robot (``load_robot``) and a task by name (None: a bare table)."""
        return World.build(load_robot(robot), task)

    @staticmethod
    def build(robot: RobotSpec, task: str | None) -> "World":
        """Build the world of a robot that is loaded already, once for every arm that the task needs."""
        chosen = make_task(task) if task else None
        mounts = chosen.mounts if chosen is not None else SINGLE
        robots = [robot] * len(mounts)
        if chosen is not None and chosen.needs_gripper and robot.gripper is None:
            raise SteadyhandError(f"task '{task}' needs a gripper, robot '{robot.name}' has none; use --task none")
        model = compile(_scene(robots, mounts, chosen))
        home = home_qpos(model, robots, mounts)
        for arm, mount in zip(robots, mounts, strict=True):
            check_home(model, home, arm, mount)
        arms = tuple(MountedArm(arm, mount, arm.arm()) for arm, mount in zip(robots, mounts, strict=True))
        return World(arms, chosen, model, home)

    @property
    def robot(self) -> RobotSpec:
        """The first arm's robot."""
        return self.arms[0].robot

    @property
    def arm(self) -> ArmModel:
        """The first arm's model."""
        return self.arms[0].model

    def scene_xml(self) -> str:
        """The scene of a task as MJCF, for a reader: meshes are named, not contained."""
        spec = _scene([arm.robot for arm in self.arms], [arm.mount for arm in self.arms], self.task)
        compile(spec)
        return spec.to_xml()

    @property
    def objects(self) -> list[int]:
        """Numbers of the bodies that are no part of an arm nor of the room."""
        model = self.model
        joints = [arm.mount.prefix + name for arm in self.arms for name in arm.robot.joints]
        roots = {int(model.body_rootid[model.joint(name).bodyid[0]]) for name in joints}
        links = {arm.mount.prefix + link for arm in self.arms for link in arm.robot.urdf.links}
        others = [body for body in range(1, model.nbody) if int(model.body_rootid[body]) not in roots]
        return [body for body in others if model.body(body).name not in links]

    @property
    def action_size(self) -> int:
        """Numbers of an action: 10 for every arm."""
        return ACTION_SIZE * len(self.arms)

    def twin(self, controller: str = CONTROLLER) -> Twin:
        """A new twin of this world, every arm moved by a controller by name, with the senses of its robot file."""
        dt = self.model.opt.timestep
        return Twin(
            self.model._address,
            [
                (
                    arm.mount.prefix,
                    make_controller(arm.robot.gains, arm.model, controller),
                    sensor_model(arm.robot.sensors, dt),
                )
                for arm in self.arms
            ],
        )


def _scene(robots: Sequence[RobotSpec], mounts: Sequence[Mount], task: Task | None) -> mujoco.MjSpec:
    spec = build_spec(robots, mounts=mounts)
    if task is not None:
        task.build(spec, robots[0])
    return spec


def draw_push(force: float, time_limit: float, rng: np.random.Generator) -> tuple[float, np.ndarray] | None:
    """When a push of this force (N) begins, in the first half of an episode, and the force (3,); None without."""
    if force == 0.0:
        return None
    begin, angle = rng.uniform(0.0, time_limit / 2), rng.uniform(0.0, 2 * np.pi)
    return begin, force * np.array([np.cos(angle), np.sin(angle), 0.0])


def sensor_model(spec: SensorSpec, timestep: float) -> SensorModel:
    """How senses err, for a twin with this time step in s."""
    model = SensorModel()
    for name, value in vars(spec).items():
        if name.endswith("_delay"):
            if round(value / timestep) > MAX_DELAY:
                raise SteadyhandError(f"sensors: {name} is {value} s; allowed: 0 to {MAX_DELAY * timestep:g} s")
            value = round(value / timestep)
        setattr(model, name, value)
    return model


def state_vector(*observations: Observation) -> np.ndarray:
    """observation.state (16 for every arm): tool position, rot6d, gripper opening, external wrench."""
    parts = [(o.position, rot6d_from_quat(o.quaternion), [o.gripper], o.wrench) for o in observations]
    return np.concatenate([part for arm in parts for part in arm])


def reference_vector(*observations: Observation) -> np.ndarray:
    """observation.reference (9 for every arm): position and rot6d of the pose that the controller tracks now.

    Joint friction and contact keep the tool beside it, so a policy that only saw the tool could not tell a hand that
    rests from one that pushes.
    """
    parts = [(o.reference_position, rot6d_from_quat(o.reference_quaternion)) for o in observations]
    return np.concatenate([part for arm in parts for part in arm])


def joint_vector(*observations: Observation) -> np.ndarray:
    """observation.joints (2n for every arm): positions, velocities."""
    return np.concatenate([part for o in observations for part in (o.q, o.dq)])


@dataclass(frozen=True)
class Frame:
    """What is known at one decision, before it is taken. All arrays float64; of two arms one after the other."""

    time: float  # s since the episode began
    state: np.ndarray  # (16,) for every arm
    joints: np.ndarray  # (2n,) for every arm
    reference: np.ndarray  # (9,) for every arm: pose the controller tracks
    environment: np.ndarray  # (E,) what may be seen
    truth: np.ndarray  # (E,) what is so
    observations: tuple[Observation, ...]  # one an arm

    @property
    def observation(self) -> Observation:
        """Of the first arm."""
        return self.observations[0]

    def policy_input(self) -> dict[str, np.ndarray]:
        """The columns a policy reads, float32."""
        return {
            "observation.state": self.state.astype(np.float32),
            "observation.joints": self.joints.astype(np.float32),
            "observation.reference": self.reference.astype(np.float32),
            "observation.environment_state": self.environment.astype(np.float32),
        }


@dataclass(frozen=True)
class Drawn:
    """All that a seed decides about an episode of a world."""

    conditions: dict[str, float | str]
    instruction: str
    start: Start
    perception: Perception
    human: np.random.Generator  # of the operator
    fate: np.random.Generator  # of what disturbs


def draw_episode(world: World, seed: int, conditions: Conditions | None = None) -> Drawn:
    """Draw the episode of a seed; conditions replace what would be drawn, by their names in the task's ranges."""
    task = world.task
    assert task is not None
    scene, eyes, human, fate = (np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(4))
    check_conditions(task.ranges, conditions or {})
    drawn = draw(task.ranges, scene) | dict(conditions or {})
    instruction = task.instruction(drawn, world.disturbance.wording)
    start = task.start(world.model, world.home, drawn)
    return Drawn(drawn, instruction, start, task.perception(eyes), human, fate)


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
        drawn = draw_episode(self.world, seed, conditions)
        self.seed, self.conditions, self.instruction = seed, drawn.conditions, drawn.instruction
        self.twin.reset(drawn.start.qpos, drawn.start.mocap, 1.0, seed)
        self.memory = drawn.start.memory
        self.perception = drawn.perception
        self.operator = self.task.operator(drawn.human)
        self.time_limit = self.task.time_limit  # s; a supervised episode may set its own
        self.steps = 0
        self._push = draw_push(self.world.disturbance.push, self.time_limit, drawn.fate)
        self.progress = np.zeros(len(self.task.subtasks))  # best so far
        self._settled = 0
        self._looked: tuple[float, tuple[tuple[Observation, ...], np.ndarray]] | None = None

    def observe(self) -> Frame:
        """The frame of now. Call once per decision: eyes draw their errors from it."""
        observations, truth = self.look()
        return Frame(
            time=self.twin.time,
            state=state_vector(*observations),
            joints=joint_vector(*observations),
            reference=reference_vector(*observations),
            environment=self.perception.see(truth),
            truth=truth,
            observations=observations,
        )

    def look(self) -> tuple[tuple[Observation, ...], np.ndarray]:
        """What the robot measures, one an arm, and the truth, now. Looking again before time passes costs nothing."""
        if self._looked is None or self._looked[0] != self.twin.time:
            observations = tuple(self.twin.observe(arm) for arm in range(len(self.twin)))
            self.memory = self.task.remember(self.twin, observations, self.memory)
            self._looked = self.twin.time, (observations, self.task.truth(self.twin, self.memory))
        return self._looked[1]

    def request(self, action: np.ndarray) -> None:
        """Request an action (10 for every arm), decided now. Refused by the controller if it is not finite."""
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (self.world.action_size,):
            raise SteadyhandError(
                f"an action has {self.world.action_size} numbers (x y z, rot6d, gripper of every arm), "
                f"got shape {action.shape}"
            )
        for arm, one in enumerate(action.reshape(-1, ACTION_SIZE)):
            pose = one[:3], quat_from_rot6d(one[3:9])
            self.twin.set_reference(*pose, self.twin.time, float(one[9]), arm, self.world.disturbance.latency)
        if self._push is not None:
            self._apply_push(*self._push)
        self.steps += 1

    def _apply_push(self, begin: float, force: np.ndarray) -> None:
        acts = begin <= self.twin.time < begin + PUSH_SECONDS
        for arm in self.world.arms:
            body = arm.mount.prefix + arm.robot.tool_frame
            self.twin.apply_wrench(body, np.append(force, np.zeros(3)) if acts else np.zeros(6))

    @property
    def subtasks_done(self) -> list[str]:
        """Names of the sub-tasks that were done at any time since the reset."""
        return [name for name, best in zip(self.task.subtasks, self.progress, strict=True) if best >= 1.0]

    def outcome(self) -> tuple[bool, str] | None:
        """(success, reason) once the episode is over, None while it runs. Call once after every decision."""
        observations, truth = self.look()
        late = self.twin.time >= self.time_limit - 1e-9
        self.progress = np.maximum(self.progress, self.task.progress(observations, truth))
        self._settled = self._settled + 1 if self.task.success(observations, truth) else 0
        if self._settled >= SETTLE or (late and self._settled):
            return True, "success"
        reason = self.task.failure(truth)
        if reason is None and late:
            reason = self.task.timeout_reason(observations, truth)
        return None if reason is None else (False, reason)
