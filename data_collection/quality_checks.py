"""Hard facts about recorded episodes: every check passes, asks for a look (REVIEW) or for exclusion (EXCLUDE).

Only what is certainly broken excludes: data that is missing, not finite, out of order or contradicts itself. What may
have a reason asks for a look. A check whose columns a dataset lacks is not applicable, which is said and no fault.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from steadyhand.data_collection.labels import INTERVENTION_SEGMENTS, Segment, human_mask
from steadyhand.data_collection.quality_data import ACTION, STATE, Found, NotApplicableError, Recorded, Verdict, runs
from steadyhand.data_collection.quality_robot import check_robot
from steadyhand.data_collection.quality_video import check_videos

GAP = 1.5  # periods between two frames from which one is missing
JITTER = 0.1  # periods that a stamp may be off
LOST = 0.05  # share of dropped frames beyond which an episode is not what happened any more
STILL_TIME = 3.0  # s without motion that ask for a look
STILL = 0.01  # of a column's robust range per second: less is no motion
CONSTANT = 1e-4  # a smaller range of a value, in its unit, is noise
JUMP = 5.0  # times the 99th percentile of the dataset's steps
LIKE = 0.002  # mean distance, in standard deviations, below which two episodes are the same
SHAPE_POINTS = 32  # to which episodes are resampled to be compared


class Finding(NamedTuple):
    """What a check found in an episode."""

    episode: int
    check: str
    verdict: Verdict
    what: str


def check(
    recorded: Recorded, more: Mapping[str, Callable[[Recorded], Found]] | None = None
) -> tuple[list[Finding], dict[str, str]]:
    """Run every check.

    Args:
        recorded: The dataset.
        more: Further checks by name.

    Returns:
        Findings in the order of episodes; and for each check that was not applicable, why.
    """
    findings, skipped = [], {}
    for name, run in {**CHECKS, **(more or {})}.items():
        try:
            findings += [Finding(episode, name, verdict, what) for episode, verdict, what in run(recorded)]
        except NotApplicableError as missing:
            skipped[name] = str(missing)
    return sorted(findings), skipped


def verdicts(findings: list[Finding], episodes: int) -> list[Verdict]:
    """The worst of each episode."""
    worst = [Verdict.PASS] * episodes
    for finding in findings:
        worst[finding.episode] = max(worst[finding.episode], finding.verdict)
    return worst


def _counts(recorded: Recorded) -> Found:
    """Rows against metadata, and whether they are numbered as they should be."""
    for episode, (row, frames) in enumerate(zip(recorded.rows, recorded.frames, strict=True)):
        if len(frames) != row["length"]:
            yield episode, Verdict.EXCLUDE, f"{len(frames)} rows, the metadata says {row['length']}"
        elif not len(frames):
            yield episode, Verdict.EXCLUDE, "no rows"
        elif not np.array_equal(recorded.columns["frame_index"][frames], np.arange(len(frames))):
            yield episode, Verdict.EXCLUDE, "frame_index does not count up from 0"


def _finite(recorded: Recorded) -> Found:
    for name in recorded.observed:
        if not np.issubdtype(recorded.columns[name].dtype, np.floating):
            continue
        bad = ~np.isfinite(recorded.values(name))
        for episode, frames in enumerate(recorded.frames):
            if bad[frames].any():
                at = recorded.names(name)[int(np.flatnonzero(bad[frames].any(axis=0))[0])]
                count = int(bad[frames].any(axis=1).sum())
                yield episode, Verdict.EXCLUDE, f"{name} is not finite in {count} frames, first at '{at}'"


def _stamps(recorded: Recorded) -> Found:
    """Order, gaps and jitter of the time stamps."""
    for episode, frames in enumerate(recorded.frames):
        steps = np.diff(recorded.columns["timestamp"][frames].astype(np.float64)) * recorded.fps
        if not len(steps):
            continue
        if not (steps > 0).all():
            yield episode, Verdict.EXCLUDE, "time stamps do not increase"
        elif (steps > GAP).any():
            missing = int(np.round(steps[steps > GAP] - 1).sum())
            yield episode, Verdict.EXCLUDE, f"{missing} frames missing: a gap of {steps.max() / recorded.fps:.2f} s"
        elif (worst := np.abs(steps - 1).max()) > JITTER:
            yield episode, Verdict.REVIEW, f"stamps jitter by {1000 * worst / recorded.fps:.0f} ms"


def _dropped(recorded: Recorded) -> Found:
    if recorded.sidecar is None:
        raise NotApplicableError("no sidecar of Steadyhand says what the recorder dropped")
    for episode, row in enumerate(recorded.sidecar):
        if lost := row["dropped_frames"]:
            much = lost > LOST * max(1, recorded.rows[episode]["length"])
            yield episode, Verdict.EXCLUDE if much else Verdict.REVIEW, f"the recorder dropped {lost} frames"


def _still(recorded: Recorded) -> Found:
    """Long stretches in which nothing that was observed moves."""
    state = _moving(recorded, STATE)
    least = STILL / recorded.fps
    for episode, frames in enumerate(recorded.frames):
        if len(frames) < 2:
            continue
        still = np.abs(np.diff(state[frames], axis=0)).max(axis=1) < least
        longest = max((stop - start for start, stop in runs(still) if still[start]), default=0) / recorded.fps
        if longest > STILL_TIME:
            yield episode, Verdict.REVIEW, f"nothing moves for {longest:.1f} s"


def _moving(recorded: Recorded, column: str) -> np.ndarray:
    """A column (frames, size) in units of its 1st to 99th percentile; wrenches and constant values are left out."""
    if column not in recorded.columns:
        raise NotApplicableError(f"no column '{column}'")
    values = recorded.finite(column)
    if column == STATE:
        values = values[:, recorded.posture]
    low, high = np.percentile(values, [1, 99], axis=0)
    used = high - low > CONSTANT
    return values[:, used] / (high - low)[used] if used.any() else np.zeros((len(values), 1))


def _jumps(recorded: Recorded) -> Found:
    """Steps of the action far beyond what is usual in the dataset."""
    if ACTION not in recorded.columns:
        raise NotApplicableError(f"no column '{ACTION}'")
    action = recorded.values(ACTION)
    steps = [np.abs(np.diff(action[frames], axis=0)) for frames in recorded.frames]
    usual = np.zeros(action.shape[1])
    for i, column in enumerate(np.concatenate(steps).T):
        moved = column[np.isfinite(column) & (column > 0)]  # a gripper's few steps are no outliers
        usual[i] = np.percentile(moved, 99) if len(moved) else np.inf
    for episode, step in enumerate(steps):
        times = np.where(np.isfinite(step), step, 0.0) / usual
        if times.size and times.max() > JUMP:
            frame, at = np.unravel_index(np.argmax(times), times.shape)
            what = f"{recorded.names(ACTION)[at]} jumps by {step[frame, at]:.3g} at frame {frame + 1}"
            yield episode, Verdict.REVIEW, f"{what}, {times.max():.0f} times the usual"


def _constant(recorded: Recorded) -> Found:
    """A state or action that never changes in an episode, although it does in others: a dead sensor or device."""
    watched = [name for name in (STATE, "observation.joints", ACTION) if name in recorded.columns]
    if not watched:
        raise NotApplicableError(f"no column '{STATE}' or '{ACTION}'")
    for name in watched:
        values = recorded.values(name)
        if np.ptp(values, axis=0).max() == 0:
            for episode in range(len(recorded.rows)):
                yield episode, Verdict.EXCLUDE, f"{name} is the same in the whole dataset"
            continue
        for episode, frames in enumerate(recorded.frames):
            if len(frames) > 1 and np.ptp(values[frames], axis=0).max() == 0:
                yield episode, Verdict.EXCLUDE, f"{name} never changes"


def _duplicates(recorded: Recorded) -> Found:
    """Episodes that were copied, or repeat another one closely."""
    parts = [_moving(recorded, name) for name in (STATE, ACTION)]
    values = np.hstack([part / np.maximum(part.std(axis=0), 1e-9) for part in parts])
    known = [episode for episode, frames in enumerate(recorded.frames) if len(frames) > 1]
    shapes = [_resampled(values[recorded.frames[episode]]) for episode in known]
    lengths = [len(recorded.frames[episode]) for episode in known]
    for i, j in sorted(cKDTree(np.reshape(shapes, (len(known), -1))).query_pairs(LIKE)) if known else ():
        first, second = recorded.frames[known[i]], recorded.frames[known[j]]
        if lengths[i] == lengths[j] and np.array_equal(values[first], values[second]):
            yield known[j], Verdict.EXCLUDE, f"a copy of episode {known[i]}"
        elif abs(lengths[i] - lengths[j]) <= 0.1 * max(lengths[i], lengths[j]):
            yield known[j], Verdict.REVIEW, f"almost the same as episode {known[i]}"


def _resampled(values: np.ndarray) -> np.ndarray:
    """(frames, size) at SHAPE_POINTS equal parts of its time; scaled so that distances are root mean squares."""
    at = np.linspace(0, len(values) - 1, SHAPE_POINTS)
    low = np.minimum(at.astype(int), len(values) - 2)
    between = values[low] + (at - low)[:, None] * (values[low + 1] - values[low])
    return between.ravel() / np.sqrt(between.size)


def _task(recorded: Recorded) -> Found:
    for episode, row in enumerate(recorded.rows):
        if not any(str(text).strip() for text in row.get("tasks") or ()):
            yield episode, Verdict.REVIEW, "no task text"


def _labels(recorded: Recorded) -> Found:
    """Segments known, consistent with `intervention`, and with the sidecar's count of human frames."""
    if "segment" not in recorded.columns:
        raise NotApplicableError("no column 'segment'")
    helping = recorded.columns.get("intervention")
    for episode, frames in enumerate(recorded.frames):
        segments = recorded.segments[frames]
        if not np.isin(segments, list(Segment)).all():
            strange = sorted(set(segments.tolist()) - set(Segment))[0]
            yield episode, Verdict.EXCLUDE, f"segment {strange} is unknown"
            continue
        expected = np.isin(segments, INTERVENTION_SEGMENTS)
        if helping is not None and (wrong := int((helping[frames].astype(bool) != expected).sum())):
            yield episode, Verdict.EXCLUDE, f"intervention contradicts segment in {wrong} frames"
        human = recorded.sidecar[episode]["human_frames"] if recorded.sidecar is not None else None
        if human is not None and human != (count := int(human_mask(segments).sum())):
            yield episode, Verdict.EXCLUDE, f"{count} human frames, the sidecar says {human}"


CHECKS: dict[str, Callable[[Recorded], Found]] = {
    "counts": _counts,
    "video": check_videos,
    "finite": _finite,
    "stamps": _stamps,
    "dropped": _dropped,
    "still": _still,
    "jumps": _jumps,
    "reach": check_robot,
    "constant": _constant,
    "duplicates": _duplicates,
    "task": _task,
    "labels": _labels,
}
