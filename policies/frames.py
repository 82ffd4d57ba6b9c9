"""Training data in memory: the frames of LeRobot datasets and the chunks that start on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.reading import load_columns
from steadyhand.data_collection.schema import read_info
from steadyhand.errors import SteadyhandError
from steadyhand.policies.flow.configuration_steadyhand_flow import OBS_REFERENCE

STATE, REFERENCE, ENVIRONMENT, ACTION = OBS_STATE, OBS_REFERENCE, OBS_ENV_STATE, "action"


@dataclass(frozen=True)
class Chunks:
    """What training sees, one row for each frame that starts a chunk.

    state (M, T, S), reference (M, T, 9) and environment (M, T, E): the last T frames, the episode's first repeated at
    its start;
    actions (M, H, 10): requested tool poses, the last valid one repeated; valid (M, H); start (M,): frames.
    """

    state: Tensor
    reference: Tensor
    environment: Tensor | None
    actions: Tensor
    valid: Tensor
    start: Tensor


@dataclass(frozen=True)
class Frames:
    """All frames of one or several datasets, episode after episode.

    state (N, S), reference (N, 9), environment (N, E) or None, action (N, 10), segment (N,), episode (N,) unique over
    datasets.
    """

    state: np.ndarray
    reference: np.ndarray
    environment: np.ndarray | None
    action: np.ndarray
    episode: np.ndarray
    segment: np.ndarray

    def chunks(self, n_obs_steps: int, horizon: int, weights: np.ndarray | None = None) -> Chunks:
        """Chunks that start on the frames of positive weight (on all frames without weights).

        A chunk ends with its episode, before a frame of weight zero, and where the decider changes between
        policy and human: what the human did next is not what the policy's frame asked for.
        """
        weights = np.ones(len(self.episode)) if weights is None else weights
        number = np.arange(len(self.episode))
        start = number[weights > 0]
        run = np.cumsum(self._breaks(weights > 0))
        target = np.minimum(start[:, None] + np.arange(horizon), _last_of_run(run)[start][:, None])
        valid = start[:, None] + np.arange(horizon) == target
        first = _first_of_run(self.episode)[start][:, None]
        seen = np.maximum(start[:, None] + np.arange(1 - n_obs_steps, 1), first)
        return Chunks(
            state=torch.from_numpy(self.state[seen]),
            reference=torch.from_numpy(self.reference[seen]),
            environment=None if self.environment is None else torch.from_numpy(self.environment[seen]),
            actions=torch.from_numpy(self.action[target]),
            valid=torch.from_numpy(valid),
            start=torch.from_numpy(start),
        )

    def _breaks(self, used: np.ndarray) -> np.ndarray:
        """(N,) bool: true where a chunk must not run on from the frame before."""
        kind = np.where(used, self.segment == Segment.POLICY, -1)
        breaks = np.ones(len(self.episode), dtype=bool)
        breaks[1:] = (self.episode[1:] != self.episode[:-1]) | (kind[1:] != kind[:-1])
        return breaks


def _first_of_run(labels: np.ndarray) -> np.ndarray:
    """(N,) for every element the index of the first of its run of equal labels."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse]


def _last_of_run(labels: np.ndarray) -> np.ndarray:
    """(N,) for every element the index of the last of its run of equal labels."""
    return len(labels) - 1 - _first_of_run(labels[::-1])[::-1]


def read_features(path: Path | str) -> dict[str, dict]:
    """The columns of a dataset by name, as in its meta/info.json; refuses one without what the policy needs."""
    features = read_info(path)["features"]
    for name in (STATE, REFERENCE, ACTION):
        if name not in features:
            raise SteadyhandError(
                f"dataset '{path}' has no column '{name}'; the policy needs {STATE}, {REFERENCE} and {ACTION}: "
                "leave that dataset out, or record it anew with `steadyhand record`"
            )
    return features


def load_frames(paths: Sequence[Path | str], excluded: Sequence[Sequence[int]] | None = None) -> Frames:
    """Read LeRobot datasets, refuse values that are not finite; without a column `segment` all are demo.

    Args:
        paths: Dataset folders.
        excluded: Episodes to leave out, for every dataset, see `data_collection.exclusion.read_exclusions`.
    """
    features = [read_features(path) for path in paths]
    optional = [name for name in (ENVIRONMENT, "segment") if any(name in known for known in features)]
    recorded = load_columns(paths, [STATE, REFERENCE, ACTION, *optional])
    columns = recorded.columns
    episode = np.repeat(np.arange(len(recorded.start)), recorded.stop - recorded.start)
    if excluded is not None:
        places = zip(recorded.source, recorded.episode_index, strict=True)
        kept = np.array([index not in excluded[source] for source, index in places])[episode]
        if not kept.any():
            raise SteadyhandError("--exclude leaves no episode to train on; shorten the list")
        episode, columns = episode[kept], {name: values[kept] for name, values in columns.items()}
    for name in columns.keys() - {"segment"}:
        bad = episode[~np.isfinite(columns[name]).all(axis=1)]
        if len(bad):
            where = f"episode {recorded.episode_index[bad[0]]} of '{paths[recorded.source[bad[0]]]}'"
            raise SteadyhandError(f"column '{name}' is not finite in {where}; leave that dataset out")
    return Frames(
        state=columns[STATE].astype(np.float32),
        reference=columns[REFERENCE].astype(np.float32),
        environment=columns[ENVIRONMENT].astype(np.float32) if ENVIRONMENT in columns else None,
        action=columns[ACTION].astype(np.float32),
        episode=episode,
        segment=columns.get("segment", np.full(len(episode), Segment.DEMO)),
    )
