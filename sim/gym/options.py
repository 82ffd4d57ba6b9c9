"""What can be asked of an environment, checked before anything is built, and the spaces that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from gymnasium import spaces

from steadyhand.errors import SteadyhandError, unknown
from steadyhand.sim.env import ACTION_SIZE, DECISION_PERIOD
from steadyhand.sim.point_cloud import CloudSpec
from steadyhand.sim.robot import load_robot
from steadyhand.sim.tasks import Task, make_task

PRIVILEGED = "privileged_state"
WRENCH = "wrench"
SEEN = ("state", "joints", "reference", "environment_state")  # what policies get to see, the columns of datasets
OBSERVATIONS = (*SEEN, PRIVILEGED, WRENCH)
SIGHTS = ("cameras", "depth", "segmentation", "point_cloud")  # options that name cameras
RENDER_MODES = ("rgb_array",)
STATE_SIZE, REFERENCE_SIZE, WRENCH_SIZE = 16, 9, 6
REACH = 1.5  # m, of the action space; the controller's safety has the last word anyway


@dataclass(frozen=True)
class Options:
    """Everything `gymnasium.make` takes."""

    task: str
    robot: str = "fr3"
    observations: Sequence[str] = SEEN  # of OBSERVATIONS
    cameras: Sequence[str] = ()  # whose colour pictures are observed
    depth: Sequence[str] = ()  # cameras whose depth is
    segmentation: Sequence[str] = ()  # cameras that tell the bodies apart
    point_cloud: Sequence[str] = ()  # cameras whose depth is fused into one cloud; needs open3d
    cloud: CloudSpec = field(default_factory=CloudSpec)  # what becomes of it
    image_size: Sequence[int] = (224, 224)  # width, height of the pictures that are observed
    seed: int | None = None  # of the first episode, unless reset names another
    max_steps: int | None = None  # decisions; None: as many as the task's time limit holds
    render_mode: str | None = None

    @classmethod
    def checked(cls, **given) -> "Options":
        """Options from keywords; SteadyhandError for a name or a value that does not exist."""
        names = [entry.name for entry in fields(cls)]
        for name in given:
            if name not in names:
                raise unknown("option", name, names)
        if "task" not in given:
            raise SteadyhandError(
                "an environment needs a task; give task='peg_insertion' or another, see `steadyhand tasks`"
            )
        options = cls(**given)
        options._check_names()
        options._check_numbers()
        return options

    @property
    def steps(self) -> int:
        """Decisions after which an episode is cut off."""
        return self.max_steps or round(make_task(self.task).time_limit / DECISION_PERIOD)

    @property
    def watching(self) -> tuple[str, ...]:
        """Names of all cameras that are needed, each once."""
        return tuple(dict.fromkeys(name for option in SIGHTS for name in getattr(self, option)))

    def _check_names(self) -> None:
        make_task(self.task)
        if self.render_mode is not None and self.render_mode not in RENDER_MODES:
            raise unknown("render_mode", self.render_mode, RENDER_MODES)
        for option in ("observations", *SIGHTS):
            if isinstance(getattr(self, option), str):
                raise SteadyhandError(f"{option} is the word '{getattr(self, option)}'; give a list of words")
        for name in self.observations:
            if name not in OBSERVATIONS:
                raise unknown("observation", name, OBSERVATIONS, "pictures: cameras=['front']")
        if not self.observations and not self.watching:
            raise SteadyhandError("an environment needs observations or cameras; give at least one")

    def _check_numbers(self) -> None:
        for option, least in (("seed", 0), ("max_steps", 1)):
            value = getattr(self, option)
            if value is not None and not (_whole(value) and value >= least):
                raise SteadyhandError(f"{option} is {value!r}; give a whole number from {least}, or None")
        if not isinstance(self.cloud, CloudSpec):
            raise SteadyhandError(f"cloud is {self.cloud!r}; give a CloudSpec of steadyhand.sim.point_cloud")
        if len(self.image_size) != 2 or not all(_whole(pixels) for pixels in self.image_size):
            raise SteadyhandError(f"image_size is {self.image_size!r}; give width and height in pixels")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def observation_sizes(robot: str, task: Task) -> dict[str, int]:
    """How many numbers each of OBSERVATIONS has."""
    joints, objects, arms = 2 * len(load_robot(robot).joints), len(task.environment_names), len(task.mounts)
    sizes = (STATE_SIZE * arms, joints * arms, REFERENCE_SIZE * arms, objects, objects, WRENCH_SIZE * arms)
    return dict(zip(OBSERVATIONS, sizes, strict=True))


def observation_space(options: Options) -> spaces.Dict:
    """One float32 vector per observation, and what the cameras see.

    Below "pixels" (height, width, 3) uint8, below "depth" (height, width) float32 in m, below "segmentation" (height,
    width) int32 per camera; "point_cloud" (points, 3 or 6) float32 in m.
    """
    sizes, (width, height) = observation_sizes(options.robot, make_task(options.task)), options.image_size
    space: dict[str, spaces.Space] = {
        name: spaces.Box(-np.inf, np.inf, (sizes[name],), np.float32) for name in options.observations
    }
    for key, cameras, sight in (
        ("pixels", options.cameras, spaces.Box(0, 255, (height, width, 3), np.uint8)),
        ("depth", options.depth, spaces.Box(0.0, np.inf, (height, width), np.float32)),
        ("segmentation", options.segmentation, spaces.Box(-1, np.iinfo(np.int32).max, (height, width), np.int32)),
    ):
        if cameras:
            space[key] = spaces.Dict(dict.fromkeys(cameras, sight))
    if options.point_cloud:
        space["point_cloud"] = spaces.Box(-np.inf, np.inf, options.cloud.shape, np.float32)
    return spaces.Dict(space)


def action_space(arms: int = 1) -> spaces.Box:
    """Tool position (m) in the base frame, the first two columns of its rotation matrix, gripper 0 closed .. 1 open."""
    high = np.ones(ACTION_SIZE, np.float32)
    high[:3] = REACH
    low = -high
    low[-1] = 0.0
    return spaces.Box(np.tile(low, arms), np.tile(high, arms), dtype=np.float32)
