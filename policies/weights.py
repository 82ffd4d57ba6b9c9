"""How often training visits a frame, by who decided it. Every scheme ignores handover and rewind."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from steadyhand.data_collection.labels import INTERVENTION_SEGMENTS, Segment, human_mask
from steadyhand.data_collection.sidecar import load_sidecar
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.policies.frames import Frames


def _uniform(frames: Frames, _: Sequence[Path | str]) -> np.ndarray:
    """Every frame that somebody decided counts the same."""
    return (human_mask(frames.segment) | (frames.segment == Segment.POLICY)) * 1.0


def _iwr(frames: Frames, paths: Sequence[Path | str]) -> np.ndarray:
    """Intervention-weighted regression (Mandlekar et al. 2020): half of the visits go to interventions."""
    helped = np.isin(frames.segment, INTERVENTION_SEGMENTS)
    rest = (_uniform(frames, paths) > 0) & ~helped
    if not helped.any() or not rest.any():
        raise SteadyhandError("weights 'iwr' need frames with and without intervention; use uniform for demos alone")
    return helped / helped.sum() + rest / rest.sum()


def _rac(frames: Frames, paths: Sequence[Path | str]) -> np.ndarray:
    """Human frames (demo, recovery, correction), and the policy's own where it succeeded without help."""
    success = np.array([bool(row["success"]) for path in paths for row in load_sidecar(path)])
    helped = np.unique(frames.episode[np.isin(frames.segment, INTERVENTION_SEGMENTS)])
    alone = success[frames.episode] & ~np.isin(frames.episode, helped)
    return (human_mask(frames.segment) | (alone & (frames.segment == Segment.POLICY))) * 1.0


SCHEMES: dict[str, Callable[[Frames, Sequence[Path | str]], np.ndarray]] = {
    "uniform": _uniform,
    "iwr": _iwr,
    "rac": _rac,
}


def sample_weights(scheme: str, frames: Frames, paths: Sequence[Path | str]) -> np.ndarray:
    """Weights (N,) >= 0 that sum to one; `paths` are the datasets the frames come from."""
    if scheme not in SCHEMES:
        raise unknown("weights", scheme, SCHEMES)
    weights = SCHEMES[scheme](frames, paths)
    if weights.sum() == 0:
        raise SteadyhandError(f"weights '{scheme}' leave no frame to train on; record demonstrations or interventions")
    return weights / weights.sum()
