"""The flow policy: it learns both modes; its statistics, average and sampling are what they say."""

import pytest
import torch
from policy_testing import flow_config, observation

from steadyhand.errors import SteadyhandError
from steadyhand.policies.flow.modeling_steadyhand_flow import SteadyhandFlowPolicy
from steadyhand.policies.flow.network import VelocityNetwork
from steadyhand.policies.frames import load_frames


def test_learns_two_modes():
    """Half of the chunks are +1, half -1: samples must be near one of them, each half of the time."""
    torch.manual_seed(0)
    policy = SteadyhandFlowPolicy(flow_config())
    policy.network = VelocityNetwork(features=1, horizon=2, actions=1, width=64, blocks=2)
    optimizer = torch.optim.AdamW(policy.network.parameters(), lr=2e-3)
    for _ in range(600):
        target = torch.randint(2, (256, 1, 1)).float().mul(2).sub(1).expand(-1, 2, -1)
        valid, noise = torch.ones(256, 2, dtype=torch.bool), torch.randn(256, 2, 1)
        loss = policy.flow_loss(torch.zeros(256, 1), target, valid, noise, torch.rand(256)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    chunk = torch.randn(2000, 2, 1)
    with torch.no_grad():
        for step in range(10):
            chunk = chunk + policy.network(chunk, torch.full((2000,), step / 10), torch.zeros(2000, 1)) / 10
    near = (chunk.abs() - 1).abs().amax(dim=(1, 2)) < 0.3
    assert near.float().mean() > 0.85
    assert 0.4 < (chunk[near, 0, 0] > 0).float().mean() < 0.6


def test_normalisation_comes_back(dataset):
    policy = SteadyhandFlowPolicy(flow_config())
    frames = load_frames([dataset])
    policy.fit(frames)
    chunks = frames.chunks(2, 16)
    normal = policy.normalize_actions(chunks.actions, chunks.state[:, -1])
    back = policy.restore_actions(normal, chunks.state[:, -1])
    torch.testing.assert_close(back, chunks.actions, rtol=0, atol=1e-5)
    valid = chunks.valid[:, 0]
    assert normal[valid, 0, :3].mean(0).abs().max() < 1e-4
    torch.testing.assert_close(normal[valid, 0, :3].std(0, correction=0), torch.ones(3), rtol=1e-3, atol=0)


def test_no_statistics_is_refused():
    policy = SteadyhandFlowPolicy(flow_config())
    with pytest.raises(SteadyhandError, match="no statistics"):
        policy.normalize_features(torch.zeros(1, len(policy.feature_mean)))


def test_padding_does_not_matter(dataset):
    """The loss is the same whatever stands behind the end of the episode."""
    policy = fitted(dataset)
    features, noise, time = torch.randn(4, len(policy.feature_mean)), torch.randn(4, 16, 10), torch.rand(4)
    valid = torch.arange(16)[None] < torch.tensor([[1], [4], [9], [16]])
    target = torch.randn(4, 16, 10, requires_grad=True)
    loss = policy.flow_loss(features, target, valid, noise, time)
    at = time[:, None, None]
    velocity = policy.network((1 - at) * noise + at * target, time, features)
    error = (velocity - (target - noise)).square().mean(-1)
    expected = torch.stack([row[keep].mean() for row, keep in zip(error, valid, strict=True)])
    torch.testing.assert_close(loss, expected)


def test_average_is_the_hand_computed_one(dataset):
    """decay = min(0.999, (1 + n) / (10 + n)), n counting from 0."""
    policy = fitted(dataset)
    weight, average = policy.network.leave.bias, policy.average.leave.bias
    expected = average.double().clone()
    for count in range(5):
        with torch.no_grad():
            weight.add_(1.0)
        policy.update()
        decay = (1 + count) / (10 + count)
        expected = decay * expected + (1 - decay) * weight.detach().double()
    torch.testing.assert_close(average.double(), expected, rtol=1e-6, atol=1e-6)


def test_the_average_acts(dataset):
    policy = fitted(dataset)
    batch, noise = observation(4), torch.randn(4, 16, 10)
    before = policy.predict_action_chunk(batch, noise)
    with torch.no_grad():
        policy.network.leave.bias.add_(100.0)
    torch.testing.assert_close(policy.predict_action_chunk(batch, noise), before, rtol=0, atol=0)


def test_forward_weighs_samples(dataset):
    """LeRobot's sample weights ask for one loss a sample."""
    policy = fitted(dataset)
    batch = observation(6) | {
        "action": torch.randn(6, 16, 10),
        "action_is_pad": torch.zeros(6, 16, dtype=torch.bool),
    }
    losses, _ = policy.forward(batch, reduction="none")
    assert losses.shape == (6,)
    assert policy.forward(batch)[0].shape == ()


def test_select_action_plays_the_chunk(dataset):
    """LeRobot's loop: the first K actions of the chunk, then a new one from the last frames."""
    policy = fitted(dataset)
    noise = torch.randn(2, 16, 10)
    frames = [{key: value[:, 0] for key, value in observation(2, seed).items()} for seed in range(5)]
    first = {key: torch.stack([value, value], 1) for key, value in frames[0].items()}
    later = {key: torch.stack([frames[3][key], frames[4][key]], 1) for key in first}
    actions = [policy.select_action(frame, noise=noise) for frame in frames]
    expected = [
        *policy.predict_action_chunk(first, noise)[:, :4].unbind(1),
        policy.predict_action_chunk(later, noise)[:, 0],
    ]
    torch.testing.assert_close(actions, expected)


def fitted(dataset) -> SteadyhandFlowPolicy:
    torch.manual_seed(0)
    policy = SteadyhandFlowPolicy(flow_config())
    policy.fit(load_frames([dataset]))
    return policy
