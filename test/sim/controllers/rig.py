"""What the physics tests share: a robot in the twin, a hand that pushes its tool, and traces of what it did."""

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from steadyhand.crisp_control._core import Controller, ControllerParams, References
from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters
from steadyhand.sim._native import Twin
from steadyhand.sim.env import World
from steadyhand.sim.robot import load_robot
from steadyhand.sim.scene import build_spec, compile, home_qpos

ROBOTS = ["fr3", "iiwa14", "gen3"]
DT = 0.001  # s, tick of the twin
AXES = ("x", "y", "z", "rx", "ry", "rz")


class Rig:
    """A robot's scene and model. friction=False takes dry friction out of the scene and out of the controllers."""

    def __init__(self, name: str, *, friction: bool = True, build=None) -> None:
        self.name, self.friction = name, friction
        if build is None:
            world = World.load(name, None)
            self.model, self.arm, self.robot, home = world.model, world.arm, world.robot, world.home
        else:  # build(spec, robot) adds to the scene
            self.robot = load_robot(name)
            spec = build_spec(self.robot)
            build(spec, self.robot)
            self.model, self.arm = compile(spec), self.robot.arm()
            home = home_qpos(self.model, self.robot)
        if not friction:
            self.model.dof_frictionloss[:] = 0.0
        self.home = home
        joints = [self.model.joint(joint) for joint in self.robot.joints]
        self.q_index = np.array([joint.qposadr[0] for joint in joints])
        self.v_index = np.array([joint.dofadr[0] for joint in joints])
        self.motors = np.array([self.model.actuator(joint).id for joint in self.robot.joints])
        self.tool = self.model.body(self.model.site("tool").bodyid[0])

    def params(self, controller: str = "cartesian_impedance", **values) -> ControllerParams:
        """The robot's parameters with some of them replaced."""
        params = load_parameters(self.name, self.arm, controller)
        if not self.friction:
            params.friction = np.zeros(self.arm.n)
            params.friction_compensation = 0.0
        for key, value in values.items():
            assert hasattr(params, key), key
            setattr(params, key, value)
        return params

    def controller(self, name: str = "cartesian_impedance", **values) -> Controller:
        return CONTROLLERS[name][0](self.arm, self.params(name, **values))

    def bench(self, controller: str = "cartesian_impedance", q=None, **values) -> "Bench":
        return Bench(self, self.controller(controller, **values), self.qpos(q))

    def qpos(self, q=None) -> np.ndarray:
        qpos = self.home.copy()
        if q is not None:
            qpos[self.q_index] = q
        return qpos

    def postures(self, count: int, seed: int = 0) -> list[np.ndarray]:
        """Home, and postures around it that touch nothing and keep clear of the joint limits (n,), rad."""
        rng, home = np.random.default_rng(seed), self.home[self.q_index]
        lower = np.maximum(self.arm.q_lower + 0.3, home - 1.0)
        upper = np.minimum(self.arm.q_upper - 0.3, home + 1.0)
        found, data = [home], mujoco.MjData(self.model)
        while len(found) < count:
            q = rng.uniform(lower, upper)
            data.qpos[:] = self.qpos(q)
            mujoco.mj_forward(self.model, data)
            smallest = np.linalg.svd(self.arm.jacobian(q), compute_uv=False)[-1]
            if data.ncon == 0 and self.arm.placement(q)[0][2] > 0.2 and smallest > 0.08:
                found.append(q)
        return found


@dataclass
class Trace:
    """One row per tick. Positions in m, quaternions xyzw."""

    time: np.ndarray  # (k,)
    position: np.ndarray  # (k, 3) of the tool
    quaternion: np.ndarray  # (k, 4)
    reference: np.ndarray  # (k, 3) that the controller steers to
    modes: list


class Bench:
    """A twin with a controller, references to send and a hand on the tool."""

    def __init__(self, rig: Rig, controller: Controller, qpos: np.ndarray) -> None:
        self.rig = rig
        self.twin = Twin(rig.model._address, controller)
        self.twin.reset(qpos)
        self.references = References()
        seen = self.twin.observe()
        self.start_position, self.start_quaternion = seen.position, seen.quaternion
        self._wrench = np.zeros(6)

    @property
    def time(self) -> float:
        return self.twin.time

    def send(self) -> None:
        self.twin.set_references(self.references)

    def ask_pose(self, position, quaternion=None, stamp=None) -> None:
        quaternion = self.start_quaternion if quaternion is None else quaternion
        self.references.set_pose(position, quaternion, self.time if stamp is None else stamp)
        self.send()

    def push(self, force=(0.0, 0.0, 0.0), torque=(0.0, 0.0, 0.0)) -> None:
        """A wrench at the tool's origin, base axes, N and Nm, until changed."""
        self._wrench = np.concatenate([force, torque])
        self._grip()

    def _grip(self) -> None:
        # MuJoCo takes it at the body's centre of mass, which turns with the tool.
        _, quaternion = self.twin.body_pose(self.rig.tool.name)
        lever = Rotation.from_quat(quaternion).apply(self.rig.tool.ipos)
        force, torque = self._wrench[:3], self._wrench[3:]
        self.twin.apply_wrench(self.rig.tool.name, np.concatenate([force, torque - np.cross(lever, force)]))

    def run(self, seconds: float, every: int = 20) -> None:
        """Lets time pass; the hand follows the tool's turning."""
        for _ in range(round(seconds / DT / every)):
            self.twin.step(every)
            self._grip()

    def settle(self, speed: float = 1e-5, at_most: float = 60.0) -> None:
        """Lets time pass until the tool has been slower than `speed` (m/s and rad/s) for half a second."""
        still = 0
        for _ in range(round(at_most / 0.1)):
            self.run(0.1)
            still = still + 1 if np.abs(self.twin.observe().twist).max() < speed else 0
            if still == 5:
                return
        raise AssertionError(f"still moving after {at_most} s: {self.twin.observe().twist}")

    def push_slowly(self, force=(0.0, 0.0, 0.0), torque=(0.0, 0.0, 0.0), seconds: float = 0.5) -> None:
        """Grows from what is there now to this wrench."""
        before, after = self._wrench, np.concatenate([force, torque])
        steps = round(seconds / 0.01)
        for i in range(steps):
            wrench = before + (i + 1) / steps * (after - before)
            self.push(wrench[:3], wrench[3:])
            self.run(0.01, 10)

    def moved(self, since=None) -> np.ndarray:
        """Way of the tool (6,) since the start or an earlier observation: m and rotation vector in rad, base axes."""
        position, quaternion = (self.start_position, self.start_quaternion)
        if since is not None:
            position, quaternion = since.position, since.quaternion
        seen = self.twin.observe()
        turned = Rotation.from_quat(seen.quaternion) * Rotation.from_quat(quaternion).inv()
        return np.concatenate([seen.position - position, turned.as_rotvec()])

    def record(self, seconds: float, request=None) -> Trace:
        """Every tick; request(tick) is called before each."""
        rows = []
        for tick in range(round(seconds / DT)):
            if request is not None:
                request(tick)
            self.twin.step(1)
            seen = self.twin.observe()
            rows.append((seen.time, seen.position, seen.quaternion, seen.reference_position, seen.status.mode))
        time, position, quaternion, reference, modes = zip(*rows, strict=True)
        return Trace(*(np.array(part) for part in (time, position, quaternion, reference)), list(modes))


class Loop:
    """Physics and controller tick by tick in Python: for what the twin does not show or would not let happen.

    firmware_gravity: the robot adds gravity itself, as an FR3 does. reported: part of the torque that its sensors show.
    """

    def __init__(self, rig: Rig, controller: Controller, q=None, firmware_gravity=False, reported=1.0) -> None:
        self.rig, self.controller, self.firmware_gravity = rig, controller, firmware_gravity
        self.data = mujoco.MjData(rig.model)
        self.data.qpos[:] = rig.qpos(q)
        if rig.robot.gripper is not None:
            self.data.ctrl[rig.model.actuator("gripper").id] = rig.robot.gripper.max_opening
        self.references = References()
        self.torque = reported * rig.arm.gravity(self.q)  # of the joints, as measured
        controller.reset(self.q, self.dq, self.torque, 0.0)

    @property
    def q(self) -> np.ndarray:
        return self.data.qpos[self.rig.q_index].copy()

    @property
    def dq(self) -> np.ndarray:
        return self.data.qvel[self.rig.v_index].copy()

    @property
    def kinetic_energy(self) -> float:
        return 0.5 * self.dq @ self.rig.arm.mass_matrix(self.q) @ self.dq

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        return self.rig.arm.placement(self.q)

    def tick(self) -> None:
        tau = self.controller.update(self.q, self.dq, self.torque, self.data.time, self.references, DT)
        self.torque = tau + self.rig.arm.gravity(self.q) if self.firmware_gravity else tau
        self.data.ctrl[self.rig.motors] = self.torque
        mujoco.mj_step(self.rig.model, self.data)


def rms_jerk(positions: np.ndarray) -> float:
    """RMS of the third finite difference of positions (k, 3) sampled every tick, m/s^3."""
    return float(np.sqrt((np.diff(positions, n=3, axis=0) ** 2).sum(axis=1).mean()) / DT**3)


def lag(path: np.ndarray, followed: np.ndarray, longest: int = 400) -> float:
    """Delay in s of `followed` (k, 3) behind `path` (k, 3): the shift that fits best, refined by a parabola."""
    core = path[longest:-longest]
    shifts = np.arange(-longest // 4, longest)
    cost = np.array([((followed[longest + s : longest + s + len(core)] - core) ** 2).sum() for s in shifts])
    best = int(np.argmin(cost))
    if 0 < best < len(cost) - 1:
        a, b, c = cost[best - 1 : best + 2]
        return float(shifts[best] + 0.5 * (a - c) / (a - 2 * b + c)) * DT
    return float(shifts[best]) * DT


class SmoothPath:
    """A random smooth path around a point: sines of up to 0.7 Hz, m."""

    def __init__(self, centre: np.ndarray, seed: int, size: float = 0.04) -> None:
        rng = np.random.default_rng(seed)
        self.centre = np.asarray(centre)
        self.frequency = rng.uniform(0.15, 0.7, (4, 3))
        self.amplitude = size * rng.uniform(0.3, 0.6, (4, 3)) * rng.choice([-1.0, 1.0], (4, 3))

    def __call__(self, time) -> np.ndarray:
        """(3,) at a time, (k, 3) at times (k,); starts at the centre at rest."""
        angle = 2.0 * np.pi * self.frequency * np.asarray(time, dtype=float)[..., None, None]
        return self.centre + (self.amplitude * np.sin(0.5 * angle) ** 2).sum(axis=-2)
