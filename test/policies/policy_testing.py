"""What the policy tests share: made-up LeRobot datasets, observations and settings."""

from pathlib import Path

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from steadyhand.data_collection.labels import frame_labels
from steadyhand.data_collection.schema import features
from steadyhand.data_collection.sidecar import ROW, SIDECAR, write_rows
from steadyhand.policies.flow import SteadyhandFlowConfig
from steadyhand.policies.flow.configuration_steadyhand_flow import find_geometry

DEMO, POLICY, HANDOVER, REWIND, RECOVERY, CORRECTION = range(6)  # as in recorded files

ENVIRONMENT = ["peg.x", "peg.y", "peg.z", *(f"peg.r{i}" for i in range(6)), "hole.x", "hole.y", "hole.z",
               "hole.cos_yaw", "hole.sin_yaw"]  # fmt: skip


def yaw_matrix(angle: float) -> np.ndarray:
    """Rotation matrix (3, 3) about z."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def random_matrix(random: np.random.Generator) -> np.ndarray:
    """A rotation matrix (3, 3), anywhere."""
    matrix = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return matrix * np.linalg.det(matrix)


def rot6d(matrix: np.ndarray) -> np.ndarray:
    """First two columns (6,)."""
    return matrix[:, :2].T.reshape(6)


def make_dataset(path: Path, segments: list[list[int]], success: list[bool] | None = None, seed: int = 0,
                 environment: bool = True) -> Path:  # fmt: skip
    """One episode per list of segments, one frame per segment; with `success`, also the sidecar."""
    random = np.random.default_rng(seed)
    columns = features(7, ENVIRONMENT if environment else ())
    dataset = LeRobotDataset.create("test/synthetic", fps=10, root=path, features=columns, use_videos=False)
    for episode in segments:
        for frame in _episode(random, episode, environment):
            dataset.add_frame(frame)
        dataset.save_episode()
    dataset.finalize()
    if success is not None:
        rows = [{name: None for name in ROW.names} | {"episode_index": i, "success": done, "rules": "{}"}
                for i, done in enumerate(success)]  # fmt: skip
        write_rows(rows, path / SIDECAR)
    return path


def _episode(random: np.random.Generator, segments: list[int], environment: bool):
    """Frames of a tool that closes in on the peg."""
    tool, turn = random.uniform(-0.1, 0.1, 3), random_matrix(random)
    peg, hole, yaw = random.uniform(-0.1, 0.1, 3), random.uniform(-0.1, 0.1, 3), random.uniform(-0.4, 0.4)
    for segment in segments:
        request = tool + 0.3 * (peg - tool)
        after = yaw_matrix(0.05) @ turn
        frame = {
            "observation.state": np.concatenate([tool, rot6d(turn), [1.0], random.normal(size=6)]),
            "observation.joints": np.zeros(14),
            "observation.reference": np.concatenate([tool + random.normal(scale=0.002, size=3), rot6d(turn)]),
            "action": np.concatenate([request, rot6d(after), [float(random.random() < 0.5)]]),
            **frame_labels(segment),
        }
        frame["action_applied"] = frame["action"]
        if environment:
            frame["observation.environment_state"] = np.concatenate(
                [peg, rot6d(turn), hole, [np.cos(yaw), np.sin(yaw)]]
            )
        yield {key: value.astype(np.float32) if value.dtype == np.float64 else value
               for key, value in frame.items()} | {"task": "synthetic"}  # fmt: skip
        tool, turn = request + random.normal(scale=0.001, size=3), after


def observation(rows: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random observations (rows, 2, ...)."""
    random = np.random.default_rng(seed)
    return {
        "observation.state": torch.from_numpy(random.normal(size=(rows, 2, 16)).astype(np.float32)),
        "observation.reference": torch.from_numpy(random.normal(size=(rows, 2, 9)).astype(np.float32)),
        "observation.environment_state": torch.from_numpy(random.normal(size=(rows, 2, 14)).astype(np.float32)),
    }


def flow_config() -> SteadyhandFlowConfig:
    """Settings for the made-up datasets."""
    positions, rotations = find_geometry(ENVIRONMENT)
    return SteadyhandFlowConfig(
        device="cpu",
        input_features={
            "observation.state": PolicyFeature(FeatureType.STATE, (16,)),
            "observation.reference": PolicyFeature(FeatureType.STATE, (9,)),
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (14,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (10,))},
        positions=positions,
        rotations=rotations,
    )
