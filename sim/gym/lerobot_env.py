"""The twin as a LeRobot environment: `lerobot-eval --env.type=steadyhand`, `lerobot-train --env.type=steadyhand`.

The observations of TwinEnv are called like the columns of datasets without "observation.", which is what LeRobot makes
of them, so no processor has to rename anything.
"""

from dataclasses import dataclass, field
from functools import partial

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.envs.utils import freeze_after_episode_end
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_IMAGES, OBS_STR

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import ACTION_SIZE
from steadyhand.sim.gym import env_id
from steadyhand.sim.gym.environment import TwinEnv
from steadyhand.sim.gym.options import SEEN, Options, observation_sizes
from steadyhand.sim.tasks import make_task

FPS = TwinEnv.metadata["render_fps"]


@EnvConfig.register_subclass("steadyhand")
@dataclass
class SteadyhandEnvConfig(EnvConfig):
    """What follows --env. on the command line; Options says what it means."""

    task: str | None = "peg_insertion"
    fps: int = FPS
    robot: str = "fr3"
    observations: list[str] = field(default_factory=lambda: list(SEEN))
    cameras: list[str] = field(default_factory=list)
    image_width: int = 224
    image_height: int = 224
    max_steps: int | None = None

    def __post_init__(self) -> None:
        """Check the options; the features follow from them."""
        if self.fps != FPS:
            raise SteadyhandError(f"--env.fps is {self.fps}; the twin decides {FPS} times a second, leave it out")
        self.features = policy_features(Options.checked(**self.gym_kwargs))
        self.features_map = {name: policy_key(name) for name in self.features}

    @property
    def package_name(self) -> str:
        """Where the environments are registered."""
        return "steadyhand.sim.gym"

    @property
    def gym_id(self) -> str:
        """Gymnasium's name, importing what registers it in whatever process it is made."""
        return f"{self.package_name}:{env_id(str(self.task))}"

    @property
    def gym_kwargs(self) -> dict:
        """What `gymnasium.make` is given beside the task."""
        return {
            "task": self.task,
            "robot": self.robot,
            "observations": tuple(self.observations),
            "cameras": tuple(self.cameras),
            "image_size": (self.image_width, self.image_height),
            "max_steps": self.max_steps,
            "render_mode": "rgb_array",
        }

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> dict[str, dict[int, VectorEnv]]:
        """{type: {0: vector environment}}; an episode that is over stands still until LeRobot starts the next ones.

        LeRobot's own version would go on with new episodes nobody looks at.
        """
        make = partial(gymnasium.make, self.gym_id, disable_env_checker=self.disable_env_checker, **self.gym_kwargs)
        makers = [freeze_after_episode_end(make)] * n_envs
        if use_async_envs and n_envs > 1:
            # Not forked: neither OpenGL nor torch's threads survive that.
            vector: VectorEnv = AsyncVectorEnv(makers, context="forkserver", autoreset_mode=AutoresetMode.SAME_STEP)
        else:
            vector = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
        return {self.type: {0: vector}}


def policy_features(options: Options) -> dict[str, PolicyFeature]:
    """The action and what is observed, as LeRobot describes them."""
    task, (width, height) = make_task(options.task), options.image_size
    sizes = observation_sizes(options.robot, task)
    features = {ACTION: PolicyFeature(FeatureType.ACTION, (ACTION_SIZE * len(task.mounts),))}
    for name in options.observations:
        kind = FeatureType.ENV if policy_key(name) == OBS_ENV_STATE else FeatureType.STATE
        features[name] = PolicyFeature(kind, (sizes[name],))
    for camera in options.cameras:
        features[f"{OBS_IMAGES}.{camera}"] = PolicyFeature(FeatureType.VISUAL, (height, width, 3))
    return features


def policy_key(name: str) -> str:
    """What a policy calls an observation or the action."""
    return name if name == ACTION or name.startswith(OBS_IMAGES) else f"{OBS_STR}.{name}"
