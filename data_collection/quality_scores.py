"""How good recorded episodes look, compared with the others that do the same; nothing here is a proof.

Every figure is computed per class of segments (demonstration, policy, recovery, correction) and compared within it:
recoveries are shorter, rougher and less alike than demonstrations, and are not to be punished for that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from steadyhand.data_collection.labels import HUMAN_SEGMENTS, Segment
from steadyhand.data_collection.quality_data import ACTION, ENVIRONMENT, STATE, NotApplicableError, Recorded, runs
from steadyhand.data_collection.quality_estimators import (
    information_terms,
    log_dimensionless_jerk,
    principal,
    ranks,
    spectral_arc_length,
    standardised,
)
from steadyhand.data_collection.schema import POSE_NAMES

CLASSES = (*HUMAN_SEGMENTS, Segment.POLICY)  # handovers and rewinds follow a rule
LEAST_FRAMES = 4  # of a class in an episode, one after the other
LEAST_EPISODES = 6  # with a class, to compare them
NEIGHBOURS = 10
FOLDS = 10
CHUNK = 4  # actions in a row whose information about the state is measured
COMPONENTS = 6  # of states and of chunks: KSG needs few dimensions
BATCH = 2000  # frames among which information is estimated at once
MOST_FRAMES = 20_000  # of a class; more are thinned out evenly
SLOW = 0.1  # of the class's median speed: less counts as a pause
POWER = 8  # between the mean (1) and the worst of the ranks


@dataclass(frozen=True)
class Part:
    """The frames of one class in one episode: stretches (start, stop) of positions in `Group`'s arrays."""

    episode: int
    stretches: tuple[tuple[int, int], ...]

    @property
    def rows(self) -> np.ndarray:
        """All of them."""
        return np.concatenate([np.arange(start, stop) for start, stop in self.stretches])


@dataclass(frozen=True)
class Group:
    """All frames of one class, arrays with a row per frame.

    Attributes:
        parts: The episodes that have it.
        fps: Frames per second.
        motion: (N, D) what moves: tool positions in m, or the standardised state.
        command: (N, D) the same of the action.
        state: (N, A) what a decision can depend on.
        action: (N, B) what was decided, relative to the state where both are of one kind; standardised.
    """

    parts: list[Part]
    fps: float
    motion: np.ndarray
    command: np.ndarray
    state: np.ndarray
    action: np.ndarray

    @property
    def thinned(self) -> list[np.ndarray]:
        """For every part its rows, so many left out evenly that about MOST_FRAMES remain."""
        return [part.rows[:: -(-len(self.state) // MOST_FRAMES)] for part in self.parts]

    @cached_property
    def neighbourhood(self) -> np.ndarray:
        """(2, episodes): mean squared deviation of actions, mean distance of states; neighbours from other episodes."""
        rows = self.thinned
        fold = np.arange(len(rows)) % min(FOLDS, len(rows))
        result = np.zeros((2, len(rows)))
        for number in range(fold.max() + 1):
            others = np.concatenate([rows[i] for i in np.flatnonzero(fold != number)])
            tree = cKDTree(self.state[others])
            for i in np.flatnonzero(fold == number):
                distance, near = tree.query(self.state[rows[i]], k=min(NEIGHBOURS, len(others)))
                expected = self.action[others[near]].mean(axis=1)
                result[:, i] = ((self.action[rows[i]] - expected) ** 2).mean(), distance.mean()
        return result


@dataclass(frozen=True)
class Score:
    """One episode.

    Attributes:
        episode: Its number.
        frames: Of its frames those that were compared.
        score: 0 (best) to 1, see `combine`; of several classes weighted by their frames; None if nothing could be
            compared.
        classes: Class -> metric -> value, more is worse; None where nothing moves that could be measured.
    """

    episode: int
    frames: int
    score: float | None
    classes: dict[str, dict[str, float | None]]


def score(recorded: Recorded) -> tuple[list[Score], dict[str, str]]:
    """Score every episode.

    Returns:
        A score per episode; and for each class that could not be compared, why.
    """
    for name in (STATE, ACTION):
        if name not in recorded.columns:
            raise NotApplicableError(f"no column '{name}'")
    episodes = range(len(recorded.rows))
    values: dict[int, dict[str, dict[str, float | None]]] = {episode: {} for episode in episodes}
    weighted: dict[int, list[tuple[int, float]]] = {episode: [] for episode in episodes}
    skipped = {}
    for segment in CLASSES:
        name = segment.name.lower()
        group = make_group(recorded, segment)
        if group is None or len(group.parts) < LEAST_EPISODES:
            if (recorded.segments == segment).any():
                count = len(group.parts) if group else 0
                skipped[name] = f"{count} episodes with {LEAST_FRAMES} frames in a row, needed: {LEAST_EPISODES}"
            continue
        metrics = {metric: measure(group) for metric, measure in METRICS.items()}
        combined = combine(metrics)
        for i, part in enumerate(group.parts):
            known = {metric: float(column[i]) for metric, column in metrics.items()}
            values[part.episode][name] = {m: value if np.isfinite(value) else None for m, value in known.items()}
            weighted[part.episode].append((len(part.rows), float(combined[i])))
    scores = []
    for episode in episodes:
        total = sum(frames for frames, _ in weighted[episode])
        mean = sum(frames * value for frames, value in weighted[episode]) / total if total else None
        scores.append(Score(episode, total, mean, values[episode]))
    return scores, skipped


def worst_first(scores: list[Score]) -> list[Score]:
    """Those that have a score, the worst first."""
    return sorted((entry for entry in scores if entry.score is not None), key=lambda entry: -(entry.score or 0.0))


def combine(metrics: dict[str, np.ndarray]) -> np.ndarray:
    """(episodes,) power mean of the ranks: a fault shows in a few metrics, never in all, so the worst count most."""
    table = np.array([ranks(column) for column in metrics.values()])
    return np.nanmean(table**POWER, axis=0) ** (1 / POWER)


def make_group(recorded: Recorded, segment: Segment) -> Group | None:
    """The frames of a class; None without any."""
    chosen, parts, count = [], [], 0
    for episode, frames in enumerate(recorded.frames):
        stretches = []
        for start, stop in runs(recorded.segments[frames] == segment) if len(frames) else ():
            if recorded.segments[frames[start]] == segment and stop - start >= LEAST_FRAMES:
                chosen.append(frames[start:stop])
                stretches.append((count, count + stop - start))
                count += stop - start
        if stretches:
            parts.append(Part(episode, tuple(stretches)))
    if not parts:
        return None
    rows = np.concatenate(chosen)
    state, action = (recorded.finite(name)[rows] for name in (STATE, ACTION))
    return Group(parts, recorded.fps, *_signals(recorded, rows, state, action))


def _signals(
    recorded: Recorded, rows: np.ndarray, state: np.ndarray, action: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """motion, command, state and action of a `Group`."""
    names = {STATE: recorded.names(STATE), ACTION: recorded.names(ACTION)}
    relative = action.copy()
    if recorded.arms:
        for arm in recorded.arms:
            for axis in POSE_NAMES:
                relative[:, names[ACTION].index(arm + axis)] -= state[:, names[STATE].index(arm + axis)]
        motion, command = (
            values[:, [names[column].index(arm + axis) for arm in recorded.arms for axis in "xyz"]]
            for column, values in ((STATE, state), (ACTION, action))
        )
        state = state[:, recorded.posture]
    else:
        if state.shape == action.shape and names[STATE] == names[ACTION]:
            relative = action - state
        motion, command = standardised(state), standardised(action)
    if ENVIRONMENT in recorded.columns:
        state = np.hstack([state, recorded.finite(ENVIRONMENT)[rows]])
    return motion, command, principal(state, state.shape[1]), standardised(relative)


def _per_stretch(group: Group, measure: Callable[[int, int], float]) -> np.ndarray:
    """(episodes,) mean over the stretches of each part, weighted by their lengths."""
    return np.array(
        [
            np.average(
                [measure(*ends) for ends in part.stretches], weights=[stop - start for start, stop in part.stretches]
            )
            for part in group.parts
        ]
    )


def _speed(group: Group, start: int, stop: int) -> np.ndarray:
    return np.linalg.norm(np.diff(group.motion[start:stop], axis=0), axis=1) * group.fps


def _roughness(group: Group) -> np.ndarray:
    return _per_stretch(group, lambda *ends: -spectral_arc_length(_speed(group, *ends), group.fps))


def _jerk(group: Group) -> np.ndarray:
    rough = _per_stretch(group, lambda start, stop: log_dimensionless_jerk(group.command[start:stop], group.fps))
    return np.where(np.isfinite(rough), rough, np.nan)


def _duration(group: Group) -> np.ndarray:
    return _against_median(np.array([len(part.rows) for part in group.parts], dtype=float))


def _path(group: Group) -> np.ndarray:
    lengths = [sum(_speed(group, *ends).sum() for ends in part.stretches) / group.fps for part in group.parts]
    return _against_median(np.array(lengths))


def _against_median(values: np.ndarray) -> np.ndarray:
    """How many times the median, as ln: being quick is no fault."""
    return np.log(np.maximum(values, 1e-9) / max(float(np.median(values)), 1e-9))


def _pause(group: Group) -> np.ndarray:
    """The share of time in which nothing moves."""
    usual = np.median(np.concatenate([_speed(group, *ends) for part in group.parts for ends in part.stretches]))
    return _per_stretch(group, lambda *ends: float((_speed(group, *ends) < SLOW * usual).mean()))


def _deviation(group: Group) -> np.ndarray:
    """Mean squared distance of actions from what others did in the nearest states, in variances.

    An episode's part in the action variance of Belkhale, Cui and Sadigh, "Data Quality in Imitation Learning", 2023;
    the compatibility of Gandhi et al., "Eliciting Compatible Demonstrations for Multi-Human Imitation Learning", 2022,
    with neighbours instead of an ensemble of policies.
    """
    return group.neighbourhood[0]


def _strangeness(group: Group) -> np.ndarray:
    """Mean distance of states to the nearest ones of other episodes: small where states are alike (Belkhale 2023)."""
    return group.neighbourhood[1]


def _information(group: Group) -> np.ndarray:
    """Mutual information of state and action chunk that an episode lacks, nat (DemInf; PCA instead of autoencoders)."""
    state = principal(group.state, COMPONENTS)
    end = np.concatenate([np.full(stop - start, stop - 1) for part in group.parts for start, stop in part.stretches])
    following = np.minimum(np.arange(len(state))[:, None] + np.arange(CHUNK), end[:, None])
    chunk = principal(group.action[following].reshape(len(state), -1), COMPONENTS)
    used = np.random.default_rng(0).permutation(np.concatenate(group.thinned))
    terms = np.full(len(state), np.nan)
    for batch in np.array_split(used, -(-len(used) // BATCH)):
        terms[batch] = information_terms(state[batch], chunk[batch])
    low, high = np.nanpercentile(terms, [1, 99])
    return np.array([-np.nanmean(np.clip(terms[part.rows], low, high)) for part in group.parts])


METRICS: dict[str, Callable[[Group], np.ndarray]] = {
    "roughness": _roughness,
    "jerk": _jerk,
    "duration": _duration,
    "path": _path,
    "pause": _pause,
    "deviation": _deviation,
    "strangeness": _strangeness,
    "information": _information,
}
