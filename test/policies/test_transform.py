"""Identities of poses and features."""

import numpy as np
import torch
from policy_testing import ENVIRONMENT, flow_config, random_matrix, rot6d, yaw_matrix

from steadyhand.policies.flow import transform
from steadyhand.policies.flow.configuration_steadyhand_flow import find_geometry


def poses(random: np.random.Generator, *shape: int) -> torch.Tensor:
    """Random tool poses (*shape, 10)."""
    count = int(np.prod(shape))
    rotations = np.stack([rot6d(random_matrix(random)) for _ in range(count)])
    rows = np.concatenate([random.normal(size=(count, 3)), rotations, random.uniform(size=(count, 1))], axis=1)
    return torch.from_numpy(rows).reshape(*shape, 10)


def test_actions_come_back():
    random = np.random.default_rng(0)
    actions, state = poses(random, 8, 5), poses(random, 8)
    back = transform.decode_actions(transform.encode_actions(actions, state), state)
    torch.testing.assert_close(back, actions, rtol=0, atol=1e-12)


def test_staying_is_zero():
    state = poses(np.random.default_rng(1), 4)
    deltas = transform.encode_actions(state[:, None], state)
    torch.testing.assert_close(deltas[..., :9], torch.zeros(4, 1, 9, dtype=torch.float64), rtol=0, atol=1e-12)


def test_deltas_do_not_depend_on_where_the_tool_is():
    """The same push and turn from another place gives the same delta: that is what makes data reusable."""
    random = np.random.default_rng(2)
    push, turn = random.normal(size=3), yaw_matrix(0.3)
    deltas = []
    for _ in range(2):
        position, rotation = random.normal(size=3), random_matrix(random)
        state = torch.tensor(np.concatenate([position, rot6d(rotation), [1.0]]))[None]
        action = torch.tensor(np.concatenate([position + push, rot6d(turn @ rotation), [0.5]]))[None, None]
        deltas.append(transform.encode_actions(action, state))
    torch.testing.assert_close(*deltas, rtol=0, atol=1e-12)


def test_decoded_rotations_are_orthonormal_and_gripper_in_range():
    state = poses(np.random.default_rng(3), 16)
    actions = transform.decode_actions(torch.randn(16, 4, 10, dtype=torch.float64), state)
    matrix = transform.matrix_from_rot6d(actions[..., 3:9])
    identity = torch.eye(3, dtype=torch.float64).expand_as(matrix)
    torch.testing.assert_close(matrix.mT @ matrix, identity, rtol=0, atol=1e-12)
    torch.testing.assert_close(transform.rot6d_from_matrix(matrix), actions[..., 3:9], rtol=0, atol=1e-12)
    assert actions[..., 9].min() >= 0
    assert actions[..., 9].max() <= 1


def test_geometry_is_found_by_name():
    positions, rotations = find_geometry(ENVIRONMENT)
    assert positions == [[0, 1, 2], [9, 10, 11]]
    assert rotations == [[3, 4, 5, 6, 7, 8], [12, 13]]
    assert find_geometry(["temperature", "door.angle", "lid.x"]) == ([], [])


def test_a_millimetre_between_objects_is_visible():
    """Moving the hole by 1 mm moves some feature by far more than the floor of the normalisation."""
    config = flow_config()
    state = torch.zeros(1, 2, 16, dtype=torch.float64)
    environment = torch.zeros(1, 2, 14, dtype=torch.float64)
    moved = environment.clone()
    moved[..., 9] += 0.001
    reference = torch.zeros(1, 2, 9, dtype=torch.float64)
    change = transform.observation_features(state, reference, moved, config) - transform.observation_features(
        state, reference, environment, config
    )
    assert change.abs().max() > 0.7  # tanh(1)


def test_features_show_the_change_between_frames():
    """Of a tool at rest the second half, the change, is zero."""
    config = flow_config()
    state, reference = torch.randn(3, 1, 16).repeat(1, 2, 1), torch.randn(3, 1, 9).repeat(1, 2, 1)
    features = transform.observation_features(state, reference, torch.ones(3, 2, 14), config)
    newest, change = features.chunk(2, dim=1)
    assert newest.abs().sum() > 0
    assert change.abs().max() == 0


def test_a_hand_that_pushes_looks_unlike_one_that_rests():
    """Same tool, same objects: only the pose the controller tracks is 5 mm lower."""
    config = flow_config()
    state, environment = torch.randn(1, 2, 16), torch.ones(1, 2, 14)
    resting = state[..., :9].clone()
    pushing = resting.clone()
    pushing[..., 2] -= 0.005
    change = transform.observation_features(state, pushing, environment, config) - transform.observation_features(
        state, resting, environment, config
    )
    assert change.abs().max() > 0.7  # tanh(1)


def test_features_see_the_tracked_pose_from_the_tool():
    """Without objects the last features are: where it is from the tool, coarse and fine, and how it is turned."""
    config, random = flow_config(), np.random.default_rng(4)
    push, turn = np.array([0.004, -0.02, 0.001]), yaw_matrix(0.3)
    for _ in range(2):  # wherever the tool is
        position, rotation = random.normal(size=3), random_matrix(random)
        state = torch.tensor(np.concatenate([position, rot6d(rotation), [1.0], np.zeros(6)]))[None, None]
        reference = torch.tensor(np.concatenate([position + push, rot6d(rotation @ turn)]))[None, None]
        seen = transform.observation_features(state, reference, None, config)[0, 16:]
        scales = config.fine_scales
        expected = [push / transform.METRES, *(np.tanh(push / scale) for scale in scales), rot6d(turn)]
        torch.testing.assert_close(seen, torch.tensor(np.concatenate(expected)), rtol=0, atol=1e-9)
