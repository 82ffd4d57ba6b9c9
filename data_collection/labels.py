"""Who decided a frame: the segment labels that every recorded frame carries."""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np


class Segment(IntEnum):
    """Who held the arm when a frame was recorded. Recorded files hold the numbers: append, never reorder."""

    DEMO = 0  # a human demonstrates from the start of the episode
    POLICY = 1  # the policy decides
    HANDOVER = 2  # the arm holds still while its commands pass from the policy to the human or back
    REWIND = 3  # the arm goes back along its own recorded path
    RECOVERY = 4  # a human brings the arm back to a state the policy knows
    CORRECTION = 5  # a human finishes the sub-task from there


INTERVENTION_SEGMENTS = (Segment.RECOVERY, Segment.CORRECTION)
"""Segments in which a human helps a policy."""

HUMAN_SEGMENTS = (Segment.DEMO, *INTERVENTION_SEGMENTS)
"""Segments whose actions a human decided. In a handover and a rewind nobody does: the arm follows a rule."""


MODES = ("track", "hold", "damp", "reflex")
"""What the controller may be doing, by number. Recorded files hold the numbers: append, never reorder."""
UNKNOWN = -1
"""A mode nobody has told, or an action that is of no chunk."""


def frame_labels(
    segment: int,
    subtask: int = 0,
    chunk_index: int = UNKNOWN,
    modes: Sequence[int] = (UNKNOWN,),
    stamp: float = 0.0,
) -> dict[str, np.ndarray]:
    """The label columns of a frame.

    Args:
        segment: Who decided.
        subtask: How many sub-tasks are done.
        chunk_index: Place of the action in its chunk.
        modes: Of every arm's controller, numbers of MODES.
        stamp: When the decision was taken, s since the first one of the episode.
    """
    return {
        "segment": np.array([segment], np.int8),
        "intervention": np.array([segment in INTERVENTION_SEGMENTS]),
        "subtask": np.array([subtask], np.int16),
        "chunk_index": np.array([chunk_index], np.int16),
        "controller_status": np.array(modes, np.int8),
        "stamp": np.array([stamp], np.float32),
    }


def segment_names() -> list[str]:
    """Return the lower-case names in the order of their numbers."""
    return [segment.name.lower() for segment in Segment]


def human_mask(segments: np.ndarray) -> np.ndarray:
    """Tell which frames a human decided.

    Args:
        segments: Segment numbers, any shape.

    Returns:
        Booleans of the same shape.
    """
    return np.isin(segments, HUMAN_SEGMENTS)
