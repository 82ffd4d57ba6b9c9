"""The spoiled demonstrations of `steadyhand bench curation` are spoiled as they say, and known as such."""

import numpy as np
import pytest

from steadyhand.bench.curation import SPOILS, STALL, collect
from steadyhand.data_collection.dataset import load_columns, load_sidecar
from steadyhand.sim.rotations import yaw_of

SEEDS = range(900, 904)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curation") / "data"
    kinds = collect("peg_insertion", SEEDS, 1, folder)
    frames = load_columns([folder], ["action"])
    actions = [frames.columns["action"][a:b] for a, b in zip(frames.start, frames.stop, strict=True)]
    assert [row["seed"] for row in load_sidecar(folder)] == list(SEEDS)
    return dict(zip(kinds, actions, strict=True))


def test_every_kind_is_as_it_says(recorded):
    assert set(recorded) == {"", *SPOILS}
    held = {kind: (np.diff(actions, axis=0) == 0).all(axis=1).sum() for kind, actions in recorded.items()}
    assert STALL[0] - 1 <= held.pop("stall") <= STALL[1]
    assert set(held.values()) == {0}
    steps = {kind: np.abs(np.diff(actions[:, :3], 3, axis=0)).mean() for kind, actions in recorded.items()}
    assert steps["noise"] > 3 * steps[""]
    turned = {kind: abs(yaw_of(actions[len(actions) // 2, 3:9])) for kind, actions in recorded.items()}
    assert turned.pop("contrary") > 0.7 > max(turned.values())
