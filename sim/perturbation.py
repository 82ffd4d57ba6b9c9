"""Worlds that differ from what a policy knows: worse senses, late decisions, pushes, other weights, other light.

Every axis changes one thing by one number, and does nothing at its nominal value. A perturbed world is a World like any
other: episodes, environments and recordings run in it as they do in the nominal one.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import mujoco
import numpy as np

from steadyhand.errors import SteadyhandError, unknown
from steadyhand.sim.env import World
from steadyhand.sim.robot_file import SensorSpec

# Of one unit of sensor_noise: chosen to be of the size that encoders, torque and wrist sensors have, not measured.
NOISE = SensorSpec(q_noise=2e-5, dq_noise=2e-3, tau_noise=0.05, force_noise=0.1, torque_noise=0.005)
PAYLOAD_RADIUS = 0.03  # m, of the ball that a payload weighs like
EVERYTHING, PICTURES, WORDS = "everything", "pictures", "words"


@dataclass(frozen=True)
class Axis:
    """One way in which a world may differ."""

    low: float
    nominal: float
    high: float
    unit: str
    what: str
    apply: Callable[[World, float], World]
    felt_by: str = EVERYTHING  # PICTURES and WORDS reach only policies that see pictures, or read the instruction


def perturbed(world: World, values: Mapping[str, float]) -> World:
    """The world with these axes at these values; the world itself stays as it is."""
    for name, value in values.items():
        axis = find_axis(name)
        if not axis.low <= value <= axis.high:
            raise SteadyhandError(f"perturbation '{name}' is {value:g}; allowed: {axis.low:g} to {axis.high:g}")
        world = axis.apply(world, value)
    return world


def find_axis(name: str) -> Axis:
    """An axis by name; SteadyhandError lists the names if there is none."""
    if name not in AXES:
        raise unknown("perturbation", name, AXES)
    return AXES[name]


def _edited(world: World, edit: Callable[[mujoco.MjModel], None]) -> World:
    model = copy.copy(world.model)
    edit(model)
    return replace(world, model=model)


def _sensor_noise(world: World, scale: float) -> World:
    def noisier(spec: SensorSpec) -> SensorSpec:
        more = {key.name: scale * getattr(NOISE, key.name) for key in fields(NOISE) if key.name.endswith("_noise")}
        return replace(spec, **{name: float(np.hypot(getattr(spec, name), value)) for name, value in more.items()})

    arms = (replace(arm, robot=replace(arm.robot, sensors=noisier(arm.robot.sensors))) for arm in world.arms)
    return replace(world, arms=tuple(arms))


def _latency(world: World, seconds: float) -> World:
    return replace(world, disturbance=replace(world.disturbance, latency=seconds))


def _push(world: World, force: float) -> World:
    return replace(world, disturbance=replace(world.disturbance, push=force))


def _friction(world: World, factor: float) -> World:
    def edit(model: mujoco.MjModel) -> None:
        model.geom_friction[:, 0] *= factor

    return _edited(world, edit)


def _joint_friction(world: World, factor: float) -> World:
    def edit(model: mujoco.MjModel) -> None:
        for arm in world.arms:
            for name in arm.robot.joints:
                model.dof_frictionloss[model.joint(arm.mount.prefix + name).dofadr[0]] *= factor

    return _edited(world, edit)


def _object_mass(world: World, factor: float) -> World:
    own = world.objects

    def edit(model: mujoco.MjModel) -> None:
        model.body_mass[own] *= factor
        model.body_inertia[own] *= factor
        mujoco.mj_setConst(model, mujoco.MjData(model))

    return _edited(world, edit)


def _payload(world: World, mass: float) -> World:
    if mass and any(arm.robot.force_torque_link for arm in world.arms):
        # The sensor takes off what hangs on it, so it would know of the payload.
        raise SteadyhandError("perturbation 'payload' is for arms without force_torque_link; leave it out")

    def edit(model: mujoco.MjModel) -> None:
        for arm in world.arms:
            body = model.body(arm.mount.prefix + arm.robot.tool_frame).id
            model.body_mass[body] += mass
            model.body_inertia[body] += 0.4 * mass * PAYLOAD_RADIUS**2
        mujoco.mj_setConst(model, mujoco.MjData(model))

    return _edited(world, edit)


def _camera_shift(world: World, distance: float) -> World:
    """Every camera moves sideways and up in its own picture."""

    def edit(model: mujoco.MjModel) -> None:
        for camera in range(model.ncam):
            shift = np.zeros(3)
            mujoco.mju_rotVecQuat(shift, np.array([distance, distance, 0.0]) / np.sqrt(2.0), model.cam_quat[camera])
            model.cam_pos[camera] += shift

    return _edited(world, edit)


def _light(world: World, factor: float) -> World:
    def edit(model: mujoco.MjModel) -> None:
        model.light_diffuse[:] *= factor
        for part in (model.vis.headlight.ambient, model.vis.headlight.diffuse):
            part[:] *= factor

    return _edited(world, edit)


def _wording(world: World, index: float) -> World:
    count = len(world.task.wordings) if world.task is not None else 1
    return replace(world, disturbance=replace(world.disturbance, wording=int(index) % count))


AXES = {
    "sensor_noise": Axis(0, 0, 20, "x", "noise of joints, torques and wrist sensor, in typical units", _sensor_noise),
    "latency": Axis(0, 0, 0.4, "s", "from seeing to the decision's effect", _latency),
    "push": Axis(0, 0, 40, "N", "one sideways push of the tool for 0.2 s at a random moment", _push),
    "friction": Axis(0.3, 1, 2, "x", "sliding friction of all surfaces", _friction),
    "joint_friction": Axis(0, 1, 3, "x", "friction in the arm's joints", _joint_friction),
    "object_mass": Axis(0.3, 1, 5, "x", "mass of the task's objects", _object_mass),
    "payload": Axis(0, 0, 0.5, "kg", "weight at the tool that the controller does not know of", _payload),
    "camera_shift": Axis(0, 0, 0.1, "m", "every camera, sideways and up", _camera_shift, PICTURES),
    "light": Axis(0.2, 1, 2, "x", "brightness of all lights", _light, PICTURES),
    "wording": Axis(0, 0, 9, "", "which wording of the instruction is used, counted round", _wording, WORDS),
}
