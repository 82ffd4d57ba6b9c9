"""A twin in real time: the loop against the wall clock, the task's truth beside it."""

import logging
import time
from dataclasses import dataclass

import mujoco
import numpy as np

from steadyhand.crisp_control._core import References
from steadyhand.errors import SteadyhandError
from steadyhand.sim._native import Observation, RealtimeTwin
from steadyhand.sim.env import SETTLE_SECONDS, MountedArm, World, draw_episode

log = logging.getLogger(__name__)

SPEEDS = (0.1, 10.0)  # simulated seconds per second


def check_speed(speed: float) -> None:
    """Refuse a --speed outside SPEEDS."""
    if not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise SteadyhandError(f"--speed {speed} is not from {SPEEDS[0]:g} to {SPEEDS[1]:g}")


@dataclass(frozen=True)
class Instant:
    """What the loop published last. Never changed afterwards, so threads may share it."""

    observations: tuple[Observation, ...]  # one an arm; their time: s, Unix or (at another speed than 1) simulated
    qpos: np.ndarray  # (nq,)
    mocap: np.ndarray  # (7 nmocap,)

    @property
    def observation(self) -> Observation:
        """Of the first arm."""
        return self.observations[0]


class Shadow:
    """The scene as of an Instant, for whoever looks at it: the loop's own data may not be read while it runs."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.data = mujoco.MjData(model)

    def show(self, instant: Instant) -> None:
        """Place all bodies as they were."""
        self.data.qpos[:] = instant.qpos
        mocap = instant.mocap.reshape(-1, 7)
        self.data.mocap_pos[:], self.data.mocap_quat[:] = mocap[:, :3], mocap[:, 3:]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def body_pose(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Position and orientation (xyzw) of a body, as ``Twin.body_pose``."""
        body = self.data.body(name)
        return body.xpos.copy(), body.xquat[[1, 2, 3, 0]]


@dataclass(frozen=True)
class TaskView:
    """The task as of an Instant."""

    truth: np.ndarray  # (E,) where things are
    seen: np.ndarray  # (E,) what a policy may see of it
    success: bool  # reached at any time since the reset


class RealtimeArm:
    """One arm of a ``RealtimeWorld``: what it is, what it measures, and what is asked of it."""

    def __init__(self, world: "RealtimeWorld", index: int) -> None:
        """The arm with this index in the world."""
        self._world, self._index = world, index
        self.controller = world.controller
        self.references = References()
        """What is asked of the controller; ``send`` hands it over. Its numbering tells what is new."""

    @property
    def mounted(self) -> MountedArm:
        """Its robot and its place; its prefix is that of its frames."""
        return self._world.world.arms[self._index]

    @property
    def base_frame(self) -> str:
        """What its base frame is called in messages."""
        return self.mounted.mount.prefix + self.mounted.robot.base_frame

    def observation(self, instant: Instant) -> Observation:
        """Of this arm."""
        return instant.observations[self._index]

    def now(self) -> float:
        """The time of the loop's stamps, s."""
        return self._world.now()

    def send(self, gripper: float) -> None:
        """Hand over ``references`` (stamps as of ``now``) and an opening 0..1; only what is new in them asks again."""
        self._world.hand_over(self.references, gripper, self._index)

    def forget(self) -> None:
        """Ask for nothing any more."""
        self.references = References()
        self.send(1.0)


class RealtimeWorld:
    """A world whose twin runs in real time. Call it from one thread, which never delays the loop."""

    def __init__(self, world: World, seed: int, controller: str = "cartesian_impedance", speed: float = 1.0) -> None:
        """Prepare the episode of ``seed``; every reset counts the seed up. speed: as for ``RealtimeTwin``."""
        self.world, self.controller, self.speed = world, controller, speed
        self.arms = tuple(RealtimeArm(self, index) for index in range(len(world.arms)))
        self._twin = world.twin(controller)
        self._loop = RealtimeTwin(self._twin, speed)
        self._shadow = Shadow(world.model)
        self.seed = seed
        self._good_since: float | None = None
        self._twin.reset(*self._begin())

    def start(self) -> None:
        """Run the loop until ``stop``."""
        self._loop.start()
        while (first := self._loop.snapshot()) is None:
            time.sleep(0.001)
        self._instant = _instant(first)
        if self.statistics()["scheduler"] != "SCHED_FIFO":
            log.warning("no permission for SCHED_FIFO: the 1 kHz loop shares its core, single ticks may be late")

    def stop(self) -> None:
        """End the loop; stopping twice is fine."""
        self._loop.stop()

    def statistics(self) -> dict:
        """How well the loop keeps real time, see ``RealtimeTwin``."""
        return self._loop.statistics()

    def _begin(self) -> tuple[np.ndarray, np.ndarray, float, int]:
        """Draw the episode of the present seed, as ``Episode.reset`` does: what ``RealtimeTwin.reset`` takes."""
        self._success, self._good_since, self.instruction = False, None, ""
        if self.world.task is None:
            return self.world.home, self._twin.mocap, 1.0, self.seed
        drawn = draw_episode(self.world, self.seed)
        self.instruction, self._perception, self._memory = drawn.instruction, drawn.perception, drawn.start.memory
        return drawn.start.qpos, drawn.start.mocap, 1.0, self.seed

    def reset(self) -> None:
        """Start the next episode; returns when the loop has begun it."""
        ticks = self._ticks()
        self.seed += 1
        for arm in self.arms:  # the loop may not have read the last targets yet: they must not meet the new episode
            arm.forget()
        served = self._loop.reset(*self._begin())
        deadline = time.monotonic() + 1.0
        while served and self._ticks() >= ticks > 0:  # until the loop has counted from zero again
            served = time.monotonic() < deadline
            time.sleep(0.001)
        if not served:
            raise SteadyhandError("the loop of the twin takes no requests; it has stopped")

    def _ticks(self) -> int:
        return self.advance().observation.status.counters["ticks"]

    def pause(self, paused: bool) -> None:
        """Let the simulated time stand still, or go on."""
        self._loop.set_paused(paused)

    def now(self) -> float:
        """The time of the loop's stamps, s."""
        return time.time() if self.speed == 1.0 else self.advance().observation.time

    def hand_over(self, references: References, gripper: float, arm: int) -> None:
        """As ``RealtimeArm.send``, which to use."""
        self._loop.send_references(references, gripper, arm)

    def advance(self) -> Instant:
        """The newest instant; the same object as before if there is no newer one."""
        newest = self._loop.snapshot()
        if newest is not None:
            self._instant = _instant(newest)
        return self._instant

    def look(self, instant: Instant) -> TaskView | None:
        """Judge the task; None without one."""
        task = self.world.task
        if task is None:
            return None
        self._shadow.show(instant)
        self._memory = task.remember(self._shadow, instant.observations, self._memory)
        truth = task.truth(self._shadow, self._memory)
        self._judge(task.success(instant.observations, truth), instant.observation.time)
        return TaskView(truth, self._perception.see(truth), self._success)

    def _judge(self, good: bool, now: float) -> None:
        """Success has to last, as in an episode."""
        if not good:
            self._good_since = None
        elif self._good_since is None:
            self._good_since = now
        if self._good_since is not None and now - self._good_since >= SETTLE_SECONDS - 1e-6:
            self._success = True


def _instant(snapshot: tuple[list[Observation], np.ndarray, np.ndarray]) -> Instant:
    observations, qpos, mocap = snapshot
    return Instant(tuple(observations), qpos, mocap)
