"""Features of two pictures look at themselves and at each other, within windows that shift."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

_SHUT = -100.0  # added to the score of two places that are no neighbours in the picture


class FeatureTransformer(nn.Module):
    """Blocks of self-attention, cross-attention and a feed-forward net, the same for both pictures.

    Args:
        dim: Channels of the features.
        num_layers: Blocks; in every second one the windows are shifted by half their size.
    """

    def __init__(self, dim: int = 128, num_layers: int = 6) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerBlock(dim) for _ in range(num_layers))

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, splits: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Let the features of two pictures take note of each other.

        Args:
            first: Shape (B, dim, H, W).
            second: The same shape.
            splits: Windows across, and down; must divide H and W.

        Returns:
            Features of the same shapes.
        """
        height, width = first.shape[-2:]
        window = height // splits, width // splits
        position = position_embedding(*window, like=first)
        both = torch.cat([first, second]) + position.repeat(1, splits, splits)
        both = both.permute(0, 2, 3, 1).contiguous()
        shut = shifted_window_mask(height, width, splits, first.device)
        for number, layer in enumerate(self.layers):
            other = torch.cat(both.chunk(2)[::-1])
            both = layer(both, other, splits, shut if number % 2 else None)
        first, second = both.permute(0, 3, 1, 2).contiguous().chunk(2)
        return first, second


class TransformerBlock(nn.Module):
    """Self-attention, then cross-attention with a feed-forward net."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.self_attn = AttentionLayer(dim)
        self.cross_attn_ffn = AttentionLayer(dim, feed_forward=True)

    def forward(
        self, source: torch.Tensor, target: torch.Tensor, splits: int, shut: torch.Tensor | None
    ) -> torch.Tensor:
        """Shapes (B, H, W, dim); with `shut` the windows are shifted."""
        source = self.self_attn(source, source, splits, shut)
        return self.cross_attn_ffn(source, target, splits, shut)


class AttentionLayer(nn.Module):
    """Single-head attention in windows; its message is normalised and added."""

    def __init__(self, dim: int, feed_forward: bool = False) -> None:
        super().__init__()
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj = nn.Linear(dim, dim, bias=False)
        self.merge = nn.Linear(dim, dim, bias=False)
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = None
        if feed_forward:
            self.mlp = nn.Sequential(
                nn.Linear(2 * dim, 8 * dim, bias=False), nn.GELU(), nn.Linear(8 * dim, dim, bias=False)
            )
            self.norm2 = nn.LayerNorm(dim)

    def forward(
        self, source: torch.Tensor, target: torch.Tensor, splits: int, shut: torch.Tensor | None
    ) -> torch.Tensor:
        """Shapes (B, H, W, dim); with `shut` the windows are shifted."""
        query, key, value = (
            split_windows(x, splits, shifted=shut is not None)
            for x in (self.q_proj(source), self.k_proj(target), self.v_proj(target))
        )
        mask = None if shut is None else shut.to(query.dtype)
        message = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        message = merge_windows(message, source.shape, splits, shifted=shut is not None)
        message = self.norm1(self.merge(message))
        if self.mlp is not None:
            message = self.norm2(self.mlp(torch.cat([source, message], dim=-1)))
        return source + message


def split_windows(x: torch.Tensor, splits: int, *, shifted: bool) -> torch.Tensor:
    """From (B, H, W, C) to (B, splits², places of a window, C), the picture rolled by half a window first."""
    batch, height, width, channels = x.shape
    h, w = height // splits, width // splits
    if shifted:
        x = x.roll((-(h // 2), -(w // 2)), dims=(1, 2))
    x = x.view(batch, splits, h, splits, w, channels).transpose(2, 3)
    return x.reshape(batch, splits * splits, h * w, channels)


def merge_windows(windows: torch.Tensor, shape: torch.Size, splits: int, *, shifted: bool) -> torch.Tensor:
    """Undo `split_windows`; ``shape`` is (B, H, W, C)."""
    batch, height, width, channels = shape
    h, w = height // splits, width // splits
    x = windows.view(batch, splits, splits, h, w, channels).transpose(2, 3).reshape(shape)
    return x.roll((h // 2, w // 2), dims=(1, 2)) if shifted else x


def shifted_window_mask(height: int, width: int, splits: int, device: torch.device) -> torch.Tensor:
    """What to add to the scores in shifted windows: those at the border hold opposite ends of the picture.

    Liu et al., Swin Transformer, 2021.

    Returns:
        Shape (splits², L, L), where L is the number of places of a window.
    """

    def halves(length: int) -> torch.Tensor:
        """Which end of the picture a place came from, along one axis: only in the last window both occur."""
        window = length // splits
        return (torch.arange(length, device=device) >= length - window // 2).long()

    region = 2 * halves(height)[:, None] + halves(width)
    windows = split_windows(region[None, :, :, None], splits, shifted=False)[0, :, :, 0]
    return torch.where(windows[:, :, None] == windows[:, None, :], 0.0, _SHUT)


def position_embedding(height: int, width: int, *, like: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of the place in a window, which is one turn high and wide (Carion et al., 2020).

    Args:
        height: Places down.
        width: Places across.
        like: Features, shape (B, C, …), that it will be added to.

    Returns:
        Shape (C, height, width): first half of the channels for y, second for x; at least fp32.
    """
    half = like.shape[1] // 2
    kind = {"dtype": torch.promote_types(like.dtype, torch.float32), "device": like.device}
    channel = torch.arange(half, device=like.device)
    period = 10000.0 ** (2 * (channel // 2).to(kind["dtype"]) / half)

    def waves(length: int) -> torch.Tensor:
        angle = torch.arange(1, length + 1, **kind) / (length + 1e-6) * 2 * math.pi
        angle = angle / period[:, None]
        return torch.where(channel[:, None] % 2 == 0, angle.sin(), angle.cos())

    down = waves(height)[:, :, None].expand(half, height, width)
    across = waves(width)[:, None, :].expand(half, height, width)
    return torch.cat([down, across])
