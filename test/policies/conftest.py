"""Datasets and a trained policy that several tests share."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from policy_testing import CORRECTION, DEMO, HANDOVER, POLICY, RECOVERY, make_dataset

from steadyhand.policies.train import TrainConfig, TrainResult, train

SEGMENTS = [[DEMO] * 30, [POLICY] * 10 + [HANDOVER] * 2 + [RECOVERY] * 6 + [CORRECTION] * 8, [POLICY] * 20]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """A demonstration, an episode with an intervention, and an unaided success."""
    return make_dataset(tmp_path_factory.mktemp("data") / "mixed", SEGMENTS, success=[True, True, True])


@pytest.fixture(scope="session")
def trained(dataset, tmp_path_factory) -> TrainResult:
    """A short run."""
    output = tmp_path_factory.mktemp("run") / "out"
    return train(TrainConfig((dataset,), output, steps=40, batch_size=32, progress=False))
