import numpy as np

from steadyhand.data_collection.labels import HUMAN_SEGMENTS, Segment, human_mask, segment_names


def test_numbers_are_those_of_recorded_files():
    assert segment_names() == ["demo", "policy", "handover", "rewind", "recovery", "correction"]
    assert [int(segment) for segment in Segment] == [0, 1, 2, 3, 4, 5]


def test_human_mask_keeps_the_shape():
    segments = np.array([[0, 1, 2], [3, 4, 5]], np.int8)
    assert human_mask(segments).tolist() == [[True, False, False], [False, True, True]]
    assert human_mask(np.array(HUMAN_SEGMENTS)).all()
