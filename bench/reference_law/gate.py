"""What is asked of the arm, what of it is believed, and for how long."""

from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

Pose = tuple[np.ndarray, np.ndarray]  # position (3,) m and rotation matrix (3, 3), in the base


class Mode(IntEnum):
    """How far a reference is still trusted."""

    TRACK = 0
    HOLD = 1
    DAMP = 2
    REFLEX = 3


def between(start: Pose, end: Pose, part: float) -> Pose:
    """The pose ``part`` of the way along the straight line and the shortest turn."""
    turn = pin.exp3(part * pin.log3(end[1] @ start[1].T))
    return start[0] + part * (end[0] - start[0]), turn @ start[1]


class Message(SimpleNamespace):
    """Content, and ``stamp``: when it was decided (s)."""


NOTHING = Message(stamp=np.nan, times=np.full(1, np.nan), q=np.zeros(0), tau=np.zeros(0))


class Requests:
    """The newest message of every kind; the same setters as the core's References."""

    def __init__(self) -> None:
        self.pose = self.chunk = self.joint = self.wrench = self.stiffness = NOTHING

    def set_pose(self, position: np.ndarray, quaternion_xyzw: np.ndarray, stamp: float) -> None:
        """A tool pose: m, unit quaternion."""
        self.pose = Message(position=position, quaternion=np.asarray(quaternion_xyzw), stamp=stamp)

    def set_chunk(self, times: np.ndarray, positions: np.ndarray, quaternions: np.ndarray, stamp: float) -> None:
        """A path of timed poses: (k,) s, (k, 3) m, (k, 4)."""
        self.chunk = Message(times=np.asarray(times), positions=positions, quaternions=quaternions, stamp=stamp)

    def set_joint(self, q: np.ndarray, stamp: float) -> None:
        """Joint positions (n,), rad."""
        self.joint = Message(q=q, tau=self.joint.tau, stamp=stamp)

    def set_torque(self, tau: np.ndarray, stamp: float) -> None:
        """Joint torques to feel (n,), Nm."""
        self.joint = Message(q=self.joint.q, tau=tau, stamp=stamp)

    def set_wrench(self, wrench: np.ndarray, stamp: float) -> None:
        """Feed-forward (6,), base axes, N and Nm."""
        self.wrench = Message(wrench=wrench, stamp=stamp)

    def set_stiffness(self, stiffness: np.ndarray, stamp: float) -> None:
        """Stiffness to change to (6,), N/m and Nm/rad."""
        self.stiffness = Message(stiffness=stiffness, stamp=stamp)


class Gate:
    """Judges each message once: in time, newer than the last of its channel, and sane.

    The age that decides the mode counts from ``valid_until``: the stamp, or for a chunk the earlier of its last pose
    and ``chunk_horizon`` after its stamp.
    """

    def __init__(self, n: int, q_lower: np.ndarray, q_upper: np.ndarray) -> None:
        self.n, self.q_lower, self.q_upper = n, q_lower, q_upper
        self.reset()

    def reset(self) -> None:
        """Nothing was asked yet."""
        self._seen: dict[str, Message] = {}
        self._accepted: dict[str, tuple[float, float]] = {}  # channel -> stamp, valid_until
        self.counters: Counter[str] = Counter()

    def mode(self, now: float, p: SimpleNamespace, channel: str = "motion") -> Mode:
        """By the age of the channel's last accepted message; before the first one the arm holds."""
        if channel not in self._accepted:
            return Mode.HOLD
        overdue = now - self._accepted[channel][1]
        return Mode.DAMP if overdue > p.damp_after else Mode.HOLD if overdue > p.hold_after else Mode.TRACK

    def _judge(self, kind: str, channel: str, message: Message, valid_until: float, now: float,
               p: SimpleNamespace, fault: Callable[[], str | None]) -> bool:  # fmt: skip
        if message is NOTHING or self._seen.get(kind) is message:
            return False
        self._seen[kind] = message
        stamp = message.stamp
        if not np.isfinite(stamp):
            verdict = "refused_not_finite"
        elif stamp > now + p.future_tolerance:
            verdict = "refused_from_the_future"
        elif channel in self._accepted and stamp <= self._accepted[channel][0]:
            verdict = "refused_older_than_last"
        elif problem := fault():
            verdict = f"refused_{problem}"
        elif now - valid_until > p.hold_after:
            verdict = "refused_expired"
        else:
            verdict = "accepted"
            self._accepted[channel] = stamp, valid_until
        self.counters[verdict] += 1
        return verdict == "accepted"

    @staticmethod
    def _bad_pose(position: np.ndarray, quaternion: np.ndarray) -> str | None:
        if not (np.isfinite(position).all() and np.isfinite(quaternion).all()):
            return "not_finite"
        return "not_unit_quaternion" if abs(np.linalg.norm(quaternion) - 1.0) > 1e-3 else None

    @staticmethod
    def _jump(start: Pose, end: Pose, p: SimpleNamespace) -> str | None:
        far = np.linalg.norm(end[0] - start[0]) > p.max_jump_linear
        turned = np.linalg.norm(pin.log3(end[1] @ start[1].T)) > p.max_jump_angular
        return "jump" if far or turned else None

    def pose(self, message: Message, tracked: Pose, now: float, p: SimpleNamespace) -> Pose | None:
        """The pose, if it is new and believed."""

        def fault() -> str | None:
            return self._bad_pose(message.position, message.quaternion) or self._jump(tracked, to_pose(message), p)

        return to_pose(message) if self._judge("pose", "motion", message, message.stamp, now, p, fault) else None

    def chunk(self, message: Message, tracked: Pose, now: float, p: SimpleNamespace) -> "Chunk | None":
        """The path, if it is new and believed."""
        valid_until = min(message.times[-1], message.stamp + p.chunk_horizon)

        def fault() -> str | None:
            for i, time in enumerate(message.times):
                if not np.isfinite(time):
                    return "not_finite"
                if problem := self._bad_pose(message.positions[i], message.quaternions[i]):
                    return problem
                if i and time <= message.times[i - 1]:
                    return "not_increasing"
                poses = Chunk(message, slice(max(i - 1, 0), i + 1)).poses
                if problem := self._jump(poses[0], poses[-1], p):
                    return problem
            return self._jump(tracked, Chunk(message).at(now), p)

        return Chunk(message) if self._judge("chunk", "motion", message, valid_until, now, p, fault) else None

    def joints(self, message: Message, channel: str, tracked: np.ndarray, now: float, p: SimpleNamespace,
               short_way: Callable[[np.ndarray], np.ndarray]) -> bool:  # fmt: skip
        """Whether joint positions are new and believed."""

        def fault() -> str | None:
            if len(message.q) != self.n:
                return "wrong_size"
            if not np.isfinite(message.q).all():
                return "not_finite"
            if (message.q < self.q_lower).any() or (message.q > self.q_upper).any():
                return "out_of_range"
            return "jump" if np.abs(short_way(message.q - tracked)).max() > p.max_jump_angular else None

        return self._judge("joint", channel, message, message.stamp, now, p, fault)

    def torque(self, message: Message, now: float, p: SimpleNamespace) -> bool:
        """Whether joint torques are new and believed."""

        def fault() -> str | None:
            return "wrong_size" if len(message.tau) != self.n else _not_finite(message.tau)

        return self._judge("joint", "motion", message, message.stamp, now, p, fault)

    def wrench(self, message: Message, now: float, p: SimpleNamespace) -> bool:
        """Whether a wrench is new and believed."""
        return self._judge("wrench", "wrench", message, message.stamp, now, p, lambda: _not_finite(message.wrench))

    def stiffness(self, message: Message, now: float, p: SimpleNamespace) -> bool:
        """Whether a stiffness is new and believed."""

        def fault() -> str | None:
            K = message.stiffness
            return _not_finite(K) or ("out_of_range" if K.min() < 0.0 or (p.stiffness_maximum < K).any() else None)

        return self._judge("stiffness", "stiffness", message, message.stamp, now, p, fault)


def _not_finite(values: np.ndarray) -> str | None:
    return None if np.isfinite(values).all() else "not_finite"


def to_pose(message: Message) -> Pose:
    """Position and rotation matrix of a pose message."""
    return np.asarray(message.position), Rotation.from_quat(message.quaternion).as_matrix()


class Chunk:
    """A path of timed poses: the first before it begins, straight lines in between, the last after it ended."""

    def __init__(self, message: Message, part: slice = slice(None)) -> None:
        rotations = Rotation.from_quat(message.quaternions[part]).as_matrix()
        self.times = message.times[part]
        self.poses: list[Pose] = list(zip(np.asarray(message.positions[part]), rotations, strict=True))

    def at(self, time: float) -> Pose:
        """The pose at ``time`` (s)."""
        after = int(np.searchsorted(self.times, time, side="right"))
        if after in (0, len(self.times)):
            return self.poses[min(after, len(self.times) - 1)]
        start, end = self.times[after - 1], self.times[after]
        return between(self.poses[after - 1], self.poses[after], (time - start) / (end - start))
