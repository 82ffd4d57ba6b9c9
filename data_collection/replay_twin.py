"""A recorded episode in the twin: the same scene, the same decisions, and how far the tool departs from its old path.

Two things can be replayed. `requested`: the actions go to the controller at the times of their decisions, as when they
were recorded. `applied`: the controller is led along what it tracked then, with almost no interpolation of its own.
On ROS an action acts when its message arrives, some ms after its decision and never twice alike; what the controller
made of it is recorded, the arrival is not. So `applied` follows a path from ROS more closely.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters
from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.replay_source import Recording
from steadyhand.errors import SteadyhandError
from steadyhand.sim._native import Twin
from steadyhand.sim.env import CONTROLLER, Episode, World, sensor_model
from steadyhand.sim.rotations import quat_from_rot6d

FEED = 0.005  # s between two poses of a path that is tracked, and the controller's smoothing of them
NEAR = 0.005, 0.05  # m, rad: how far from the first recorded pose a replay may begin
APPROACH = 0.1, 0.5  # m/s, rad/s on the way there
REST = 0.5  # s to come to rest there


@dataclass
class Replayed:
    """How a replay went.

    Attributes:
        times: (N,) s since the first decision.
        error: (N, A) distance of the tool from where it was before each decision, m.
        turn: (N, A) angle between both orientations, rad.
        aside: (N, A) distance of the recorded position from the replayed path: error without what is only early or
            late, m.
        segments: (N,) segment numbers.
        moved: Distance from the reset to the first recorded pose where the replay had to go there first, else 0, m.
        success: Whether the task was done; None without a task.
        scenes: qpos and mocap at every decision.
    """

    times: np.ndarray
    error: np.ndarray
    turn: np.ndarray
    aside: np.ndarray
    segments: np.ndarray
    moved: float
    success: bool | None
    scenes: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def by_segment(self) -> dict[str, tuple[float, float, float]]:
        """RMS and maximum of the error (m) and maximum of the turn (rad), of all and of every segment."""
        chosen = {"all": np.full(len(self.times), True)}
        for segment in np.unique(self.segments):
            chosen[Segment(int(segment)).name.lower()] = self.segments == segment
        return {
            name: (
                float(np.sqrt((self.error[rows] ** 2).mean())),
                float(self.error[rows].max()),
                float(self.turn[rows].max()),
            )
            for name, rows in chosen.items()
        }


class TwinReplay:
    """Replays episodes of one robot and task."""

    def __init__(self, world: World, follow: str) -> None:
        """Prepare a twin. follow: requested or applied."""
        self._world, self._follow = world, follow
        self._episode = Episode(world) if world.task is not None else None
        self._twin = _tracking_twin(world) if follow == "applied" else world.twin(CONTROLLER)
        if self._episode is not None:
            self._episode.twin = self._twin

    def run(self, recording: Recording, seed: int) -> Replayed:
        """Replay an episode in the scene of a seed."""
        if recording.arms != len(self._world.arms):
            raise SteadyhandError(
                f"{recording.name} has {recording.arms} arms, the twin of this task {len(self._world.arms)}; "
                "choose another --task"
            )
        if self._follow == "applied" and recording.tracked is None:
            raise SteadyhandError(
                f"{recording.name} has no columns 'observation.reference' and 'action_applied'; use --follow requested"
            )
        self._reset(seed)
        moved = self._approach(recording)
        poses, scenes = self._play(recording)
        places, quaternions = (np.array([[pose[part] for pose in arms] for arms in poses]) for part in (0, 1))
        error = np.linalg.norm(places[:-1] - recording.measured[:, :, :3], axis=2)
        turn = angle(quat_from_rot6d(recording.measured[:, :, 3:9]), quaternions[:-1])
        success = None if self._episode is None else self._success
        aside = np.minimum(error, beside(recording.measured[:, :, :3], places))
        return Replayed(recording.times, error, turn, aside, recording.segments, moved, success, scenes)

    def _reset(self, seed: int) -> None:
        self._success = False
        if self._episode is not None:
            self._episode.reset(seed)
        else:
            self._twin.reset(self._world.home, self._twin.mocap, 1.0, seed)

    def _tool(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(o.position, o.quaternion) for o in map(self._twin.observe, range(len(self._twin)))]

    def _step_to(self, time: float) -> None:
        """Let it be this time, in s since the reset."""
        ticks = round((time - self._twin.time) / self._twin.timestep)
        if ticks > 0:
            self._twin.step(ticks)

    def _approach(self, recording: Recording) -> float:
        """Go to the first recorded pose, unless the episode began at the reset; returns the distance in m."""
        start, ways = self._tool(), []
        goals = recording.measured[0] if recording.tracked is None else recording.tracked[0]
        duration = 0.0
        for (position, quaternion), first, goal in zip(start, recording.measured[0], goals, strict=True):
            distance = float(np.linalg.norm(first[:3] - position))
            turned = float(angle(quat_from_rot6d(first[3:9]), quaternion))
            duration = max(duration, distance / APPROACH[0], turned / APPROACH[1])
            knots = Rotation.from_quat([quaternion, quat_from_rot6d(goal[3:9])])
            ways.append((distance, turned, position, goal[:3], knots))
        if all(way[0] <= NEAR[0] and way[1] <= NEAR[1] for way in ways):
            self._began = self._twin.time
            return 0.0
        begin, end = self._twin.time, self._twin.time + duration
        while self._twin.time < end + REST - 0.5 * self._twin.timestep:
            part = min((self._twin.time - begin + FEED) / duration, 1.0)
            for arm, (_, _, origin, goal, knots) in enumerate(ways):
                quaternion = Slerp([0.0, 1.0], knots)(part).as_quat()
                gripper = recording.measured[0, arm, 9]
                self._twin.set_reference(origin + part * (goal - origin), quaternion, self._twin.time, gripper, arm)
            self._step_to(self._twin.time + FEED)
        self._began = self._twin.time
        return max(way[0] for way in ways)

    def _play(self, recording: Recording) -> tuple[list[list[tuple]], list[tuple[np.ndarray, np.ndarray]]]:
        """Replay all decisions; the tools' poses before each and a period after the last, and the scenes."""
        poses, scenes = [], []
        path = None if self._follow == "requested" else _Path(recording)
        ends = recording.ends
        for i, begin in enumerate(ends):
            self._step_to(self._began + begin)
            poses.append(self._tool())
            if i and self._episode is not None:
                outcome = self._episode.outcome()
                self._success |= outcome is not None and outcome[0]
            if i == len(recording.times):
                break
            scenes.append((self._twin.qpos, self._twin.mocap))
            if path is None:
                self._request(recording.action[i])
            else:
                self._lead(path, recording.action[i, :, 9], ends[i + 1])
        return poses, scenes

    def _request(self, action: np.ndarray) -> None:
        """Request an action (A, 10), decided now."""
        for arm, one in enumerate(action):
            self._twin.set_reference(one[:3], quat_from_rot6d(one[3:9]), self._twin.time, float(one[9]), arm)

    def _lead(self, path: "_Path", openings: np.ndarray, end: float) -> None:
        """Lead the controller along the path until a time of the recording."""
        while (now := self._twin.time - self._began) < end - 0.5 * self._twin.timestep:
            for arm, opening in enumerate(openings):
                position, quaternion = path.at(now + FEED, arm)  # the controller is that late
                self._twin.set_reference(position, quaternion, self._twin.time, float(opening), arm)
            self._step_to(self._began + min(now + FEED, end))


class _Path:
    """What the controller tracked, between its recorded poses."""

    def __init__(self, recording: Recording) -> None:
        assert recording.tracked is not None
        self._end = recording.ends[-1]
        self._position = CubicSpline(recording.ends, recording.tracked[:, :, :3])
        quaternions = quat_from_rot6d(recording.tracked[:, :, 3:9])
        self._turn = [Slerp(recording.ends, Rotation.from_quat(one)) for one in np.moveaxis(quaternions, 1, 0)]

    def at(self, time: float, arm: int) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and quaternion (4,) xyzw of an arm."""
        time = min(time, self._end)
        return self._position(time)[arm], self._turn[arm](time).as_quat()


def _tracking_twin(world: World) -> Twin:
    """As ``World.twin``, with a controller that follows closely: what it is given has been smoothed already."""
    arms = []
    for arm in world.arms:
        parameters = load_parameters(arm.robot.gains, arm.model, CONTROLLER)
        parameters.smoothing_time = FEED
        controller = CONTROLLERS[CONTROLLER][0](arm.model, parameters)
        arms.append((arm.mount.prefix, controller, sensor_model(arm.robot.sensors, world.model.opt.timestep)))
    return Twin(world.model._address, arms)


def angle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angle (rad) between quaternions (..., 4) xyzw."""
    return 2.0 * np.arccos(np.clip(np.abs(np.sum(first * second, axis=-1)), 0.0, 1.0))


def beside(points: np.ndarray, path: np.ndarray, reach: int = 1) -> np.ndarray:
    """Distance (N, A) of points (N, A, 3) from a path (N + 1, A, 3), as far as `reach` knots before and after.

    The path is straight between its knots.
    """
    nearest = np.full(points.shape[:2], np.inf)
    count = len(points)
    for offset in range(-reach, reach):
        at = np.clip(np.arange(count) + offset, 0, count - 1)
        start, way = path[at], path[at + 1] - path[at]
        length = np.maximum((way**2).sum(axis=2, keepdims=True), 1e-18)
        part = np.clip(((points - start) * way).sum(axis=2, keepdims=True) / length, 0.0, 1.0)
        nearest = np.minimum(nearest, np.linalg.norm(start + part * way - points, axis=2))
    return nearest
