"""What the network sees and says: observations become features, tool poses become deltas and back.

Layout of `observation.reference`: position 0:3 (m), rotation 6-D 3:9 of the pose the controller tracks.
Layout of `observation.state`: position 0:3 (m), rotation 6-D 3:9, gripper 9, wrench 10:16 (N, Nm, base axes).
Layout of `action`: position 0:3, rotation 6-D 3:9, gripper 9. Rotation 6-D is the first two columns of R.
"""

from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from steadyhand.policies.flow.configuration_steadyhand_flow import SteadyhandFlowConfig

METRES = 0.1  # natural unit of a distance: features of a table-top task come out near one
IDENTITY_6D = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def matrix_from_rot6d(rotation: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of (..., 6) by Gram-Schmidt on the two columns."""
    first = normalize(rotation[..., :3], dim=-1)
    second = rotation[..., 3:]
    second = normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def rot6d_from_matrix(matrix: Tensor) -> Tensor:
    """The first two columns (..., 6) of (..., 3, 3)."""
    return torch.cat([matrix[..., :, 0], matrix[..., :, 1]], dim=-1)


def matrix_from_yaw(yaw: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) about z of (cos, sin) pairs (..., 2)."""
    cos, sin = normalize(yaw, dim=-1).unbind(-1)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=-1).unflatten(-1, (3, 3))


def encode_actions(actions: Tensor, state: Tensor) -> Tensor:
    """Tool poses (B, H, 10) relative to the measured tool (B, S).

    Position difference in base axes,
    R_action R_tool^T as rotation 6-D minus that of no rotation, gripper as is.
    """
    turn = matrix_from_rot6d(actions[..., 3:9]) @ matrix_from_rot6d(state[:, None, 3:9]).mT
    rest = actions.new_tensor(IDENTITY_6D)
    return torch.cat([actions[..., :3] - state[:, None, :3], rot6d_from_matrix(turn) - rest, actions[..., 9:]], dim=-1)


def decode_actions(deltas: Tensor, state: Tensor) -> Tensor:
    """Inverse of encode_actions; the rotations come out orthonormal and the gripper within 0..1."""
    turn = matrix_from_rot6d(deltas[..., 3:9] + deltas.new_tensor(IDENTITY_6D))
    rotation = rot6d_from_matrix(turn @ matrix_from_rot6d(state[:, None, 3:9]))
    gripper = deltas[..., 9:].clamp(0.0, 1.0)
    return torch.cat([deltas[..., :3] + state[:, None, :3], rotation, gripper], dim=-1)


def observation_features(
    state: Tensor, reference: Tensor, environment: Tensor | None, config: SteadyhandFlowConfig
) -> Tensor:
    """Features (B, F) of state (B, T, S), reference (B, T, 9), environment (B, T, E): newest frame and its changes."""
    frames = _frame_features(state, reference, environment, config)
    return torch.cat([frames[:, -1], (frames[:, 1:] - frames[:, :-1]).flatten(1)], dim=-1)


def _frame_features(
    state: Tensor, reference: Tensor, environment: Tensor | None, config: SteadyhandFlowConfig
) -> Tensor:
    """Features (B, T, F) of frames: tool, wrench, environment, all pairs of points and orientations."""
    force, torque = config.wrench_scales
    parts = [
        state[..., :3] / METRES,
        state[..., 3:10],
        torch.tanh(state[..., 10:13] / force),
        torch.tanh(state[..., 13:16] / torque),
    ]
    points = [state[..., :3], reference[..., :3]]
    turns = [matrix_from_rot6d(state[..., 3:9]), matrix_from_rot6d(reference[..., 3:9])]
    if environment is not None:
        parts.append(environment)
        points += [environment[..., index] for index in config.positions]
        turns += [_matrix(environment[..., index]) for index in config.rotations]
    for first, second in combinations(points, 2):
        difference = second - first
        parts += [difference / METRES, *(torch.tanh(difference / scale) for scale in config.fine_scales)]
    parts += [rot6d_from_matrix(first.mT @ second) for first, second in combinations(turns, 2)]
    return torch.cat(parts, dim=-1)


def _matrix(values: Tensor) -> Tensor:
    """Rotation matrices of rotation 6-D (..., 6) or of a yaw (..., 2)."""
    return matrix_from_yaw(values) if values.shape[-1] == 2 else matrix_from_rot6d(values)
