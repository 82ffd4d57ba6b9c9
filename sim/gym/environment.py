"""One task of the twin behind Gymnasium's interface; the episode is the one of `steadyhand eval`."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import gymnasium
import numpy as np

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import DECISION_PERIOD, Episode, Frame, World
from steadyhand.sim.gym.options import PRIVILEGED, RENDER_MODES, WRENCH, Options, action_space, observation_space
from steadyhand.sim.point_cloud import body_numbers, fuse, load_open3d, thin
from steadyhand.sim.render import Renderer, body_names, camera_id, check_size
from steadyhand.sim.video import SIZE

# Seeds of episodes nobody chose: far from those of demonstrations and evaluations.
DRAWN_SEEDS = 2**32, 2**62

# Environments of one process share what their episodes share, as long as one of them is open.
_worlds: WeakValueDictionary[tuple[str, str], World] = WeakValueDictionary()


class TwinEnv(gymnasium.Env):
    """Decisions at the policy's rate; see docs/environments.md and Options.

    reset(seed=S) starts the episode S, the one that `steadyhand eval --seed S` begins with, to the last bit.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": round(1 / DECISION_PERIOD)}  # noqa: RUF012

    def __init__(self, **options: Any) -> None:
        """Build the world of a robot and a task; options: the fields of Options."""
        self.options = Options.checked(**options)
        world = _world(self.options.robot, self.options.task)
        for camera in self.options.watching:
            camera_id(world.model, camera)
        if self.options.point_cloud:
            body_numbers(world.model, self.options.cloud.bodies)
            load_open3d()
        check_size(world.model, *self.options.image_size)
        self.render_mode = self.options.render_mode
        self.observation_space = observation_space(self.options)
        self.action_space = action_space(len(world.arms))
        self._episode: Episode | None = Episode(world)
        self._next_seed = self.options.seed
        self._renderers: dict[tuple[int, int], Renderer] = {}
        self._over = ""
        # LeRobot asks for these and task_description.
        self.task = self.episode.task.name
        self._max_episode_steps = self.options.steps

    @property
    def task_description(self) -> str:
        """What the episode under way asks for."""
        return self.episode.instruction

    @property
    def episode(self) -> Episode:
        """The episode under way, for drivers and scripted operators."""
        if self._episode is None:
            raise SteadyhandError("this environment is closed; make a new one")
        return self._episode

    @property
    def body_names(self) -> list[str]:
        """Names of the bodies by their numbers in "segmentation"."""
        return body_names(self.episode.world.model)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Start the episode of this seed; without one, of a seed that is drawn. Gymnasium's options are not used."""
        seed, self._next_seed = self._next_seed if seed is None else seed, None
        super().reset(seed=seed)
        self.episode.reset(int(self.np_random.integers(*DRAWN_SEEDS)) if seed is None else seed)
        if self.options.max_steps is not None:
            self.episode.time_limit = self.options.max_steps * DECISION_PERIOD
        self._over = ""
        self.frame = self.episode.observe()
        return self._observation(self.frame), self._info(False, "")

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """Request an action (10,), let a decision period pass and judge.

        Returns:
            Observation, reward (1 on success), terminated (success, or failed for good), truncated (out of time), info.
        """
        if self._over:
            raise SteadyhandError(f"the episode is over ({self._over}); call reset")
        episode = self.episode
        episode.request(action)
        episode.twin.step(episode.ticks)
        success, self._over = episode.outcome() or (False, "")
        self.frame = episode.observe()
        terminated = success or (bool(self._over) and episode.task.failure(self.frame.truth) is not None)
        truncated = bool(self._over) and not terminated
        return self._observation(self.frame), float(success), terminated, truncated, self._info(success, self._over)

    def render(self) -> np.ndarray | None:
        """Return the front camera's picture (360, 480, 3) uint8; None without render_mode."""
        twin = self.episode.twin
        return self._renderer(SIZE).render(twin.qpos, "front", twin.mocap) if self.render_mode else None

    def close(self) -> None:
        """Free the twin and the OpenGL contexts; closing twice is fine."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        self._episode = None

    def _observation(self, frame: Frame) -> dict[str, Any]:
        columns = {name.removeprefix("observation."): value for name, value in frame.policy_input().items()}
        columns[PRIVILEGED] = frame.truth.astype(np.float32)
        columns[WRENCH] = np.concatenate([arm.wrench for arm in frame.observations]).astype(np.float32)
        seen: dict[str, Any] = {name: columns[name] for name in self.options.observations}
        return seen | self._sights() if self.options.watching else seen

    def _sights(self) -> dict[str, Any]:
        """What the cameras see, each camera drawn once for all that is made of it."""
        options, twin, renderer = self.options, self.episode.twin, self._renderer(self.options.image_size)
        data, spec = renderer.pose(twin.qpos, twin.mocap), options.cloud
        views = {}
        for name in options.watching:
            fused = name in options.point_cloud
            rgb = name in options.cameras or (fused and spec.colours)
            bodies = name in options.segmentation or (fused and bool(spec.bodies))
            views[name] = renderer.view(data, name, rgb, name in options.depth or fused, bodies)
        seen: dict[str, Any] = {}
        if options.cameras:
            seen["pixels"] = {name: views[name].rgb for name in options.cameras}
        if options.depth:
            seen["depth"] = {name: views[name].depth for name in options.depth}
        if options.segmentation:
            seen["segmentation"] = {name: views[name].bodies for name in options.segmentation}
        if options.point_cloud:
            seen["point_cloud"] = thin(fuse({name: views[name] for name in options.point_cloud}, data, spec), spec)
        return seen

    def _info(self, success: bool, reason: str) -> dict[str, Any]:
        # LeRobot and others read is_success.
        return {"success": success, "is_success": success, "reason": reason, "seed": self.episode.seed}

    def _renderer(self, size: Sequence[int]) -> Renderer:
        # Not opened in __init__: AsyncVectorEnv makes an environment before it forks, and OpenGL survives no fork.
        width, height = size
        if (width, height) not in self._renderers:
            self._renderers[width, height] = Renderer(self.episode.world.model, width, height)
        return self._renderers[width, height]


def _world(robot: str, task: str) -> World:
    world = _worlds.get((robot, task))
    if world is None:
        world = _worlds[robot, task] = World.load(robot, task)
    return world
