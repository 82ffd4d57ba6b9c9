"""The velocity field: a residual MLP over the flattened chunk, modulated by observation and time (FiLM)."""

import math

import torch
from torch import Tensor, nn

TIME_WAVES = 4  # low frequencies only: high ones make the field rough in time and samples miss the modes


class FilmBlock(nn.Module):
    """h + silu(scale * W norm(h) + shift), scale and shift from the condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)
        self.film = nn.Linear(width, 2 * width)

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        """Hidden (B, W) and condition (B, W) to hidden (B, W)."""
        scale, shift = self.film(condition).chunk(2, dim=-1)
        return hidden + nn.functional.silu((1 + scale) * self.mix(self.norm(hidden)) + shift)


class VelocityNetwork(nn.Module):
    """Velocity (B, H, A) at a noisy chunk (B, H, A), time (B,) in 0..1 and features (B, F)."""

    def __init__(self, features: int, horizon: int, actions: int, width: int, blocks: int) -> None:
        super().__init__()
        self.shape = (horizon, actions)
        self.observe = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.clock = nn.Linear(2 * TIME_WAVES + 1, width)
        self.enter = nn.Linear(horizon * actions, width)
        self.blocks = nn.ModuleList(FilmBlock(width) for _ in range(blocks))
        self.leave = nn.Linear(width, horizon * actions)

    def forward(self, chunk: Tensor, time: Tensor, features: Tensor) -> Tensor:
        """Velocity of the chunk at this time, under this observation."""
        return self.velocity(chunk, time, self.observe(features))

    def velocity(self, chunk: Tensor, time: Tensor, observed: Tensor) -> Tensor:
        """As forward, for an embedded observation (B, W): sampling embeds it once for all Euler steps."""
        condition = nn.functional.silu(observed + self.clock(_embed_time(time)))
        hidden = self.enter(chunk.flatten(1))
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.leave(hidden).unflatten(1, self.shape)


def _embed_time(time: Tensor) -> Tensor:
    """(B, 2 * TIME_WAVES + 1): the time itself and sine and cosine of half turns 1 .. TIME_WAVES."""
    angle = time[:, None] * math.pi * torch.arange(1, TIME_WAVES + 1, device=time.device)
    return torch.cat([time[:, None], angle.sin(), angle.cos()], dim=-1)
