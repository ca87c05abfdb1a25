"""Where the places of one picture lie in the other: correlation of features, and what follows from it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_IMPOSSIBLE = -1e9  # score of a place outside the picture


def places(like: torch.Tensor) -> torch.Tensor:
    """Coordinates of the pixels of (B, C, H, W): shape (2, H, W), x first; type and device stay the same."""
    height, width = like.shape[-2:]
    down = torch.arange(height, dtype=like.dtype, device=like.device)
    across = torch.arange(width, dtype=like.dtype, device=like.device)
    y, x = torch.meshgrid(down, across, indexing="ij")
    return torch.stack([x, y])


def warp(features: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Fetch features from where the flow points to; 0 outside.

    Args:
        features: Shape (B, C, H, W).
        flow: Shape (B, 2, H, W), in pixels of that grid.
    """
    height, width = features.shape[-2:]
    target = places(flow) + flow
    extent = target.new_tensor([width - 1, height - 1])
    return F.grid_sample(features, 2 * target.permute(0, 2, 3, 1) / extent - 1, align_corners=True)


def global_matching(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Flow to the mean of all places, weighted by the softmax of their correlation.

    Args:
        first: Shape (B, C, H, W).
        second: The same shape.

    Returns:
        Shape (B, 2, H, W).
    """
    batch, channels, height, width = first.shape
    scores = first.flatten(2).transpose(1, 2) @ second.flatten(2) / channels**0.5
    grid = places(first)
    target = scores.softmax(-1) @ grid.flatten(1).T
    return target.transpose(1, 2).view(batch, 2, height, width) - grid


def local_matching(first: torch.Tensor, second: torch.Tensor, radius: int) -> torch.Tensor:
    """As `global_matching`, but over the places at most ``radius`` away, and within the picture."""
    channels, height, width = first.shape[1:]
    scores = local_correlation(first, second, radius) / channels**0.5
    step = torch.arange(-radius, radius + 1, device=first.device)
    y = torch.arange(height, device=first.device)[:, None] + step
    x = torch.arange(width, device=first.device)[:, None] + step
    inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[:, None, :]
    scores = scores.masked_fill(~inside.flatten(2), _IMPOSSIBLE)
    offsets = torch.stack([step.repeat(len(step)), step.repeat_interleave(len(step))], dim=1)
    return (scores.softmax(-1) @ offsets.to(scores.dtype)).permute(0, 3, 1, 2)


def local_correlation(first: torch.Tensor, second: torch.Tensor, radius: int) -> torch.Tensor:
    """Dot products of the features of each place with those around the same place in the other picture.

    Whole rows are multiplied with rows, and the narrow band that is wanted is taken out: more arithmetic than
    needed, but little memory to move.

    Args:
        first: Shape (B, C, H, W).
        second: The same shape.
        radius: Largest distance in x and in y.

    Returns:
        Shape (B, H, W, (2 radius + 1)²), y major; 0 for places outside the picture.
    """
    batch, channels, height, width = first.shape
    side = 2 * radius + 1
    padded = F.pad(second, (radius, radius, radius, radius)).permute(0, 2, 3, 1)
    rows = padded.unfold(1, side, 1).permute(0, 1, 4, 2, 3)  # batch, H, side, W + 2 radius, C
    rows = rows.reshape(batch, height, side * (width + 2 * radius), channels)
    products = first.permute(0, 2, 3, 1) @ rows.transpose(2, 3)
    products = products.view(batch, height, width, side, width + 2 * radius)
    band = torch.arange(width, device=first.device)[:, None] + torch.arange(side, device=first.device)
    band = band[:, None, :].expand(batch, height, width, side, side)
    return products.gather(-1, band).flatten(3)


class CorrelationVolume:
    """Correlation of every place of one picture with every place of the other (Teed and Deng, RAFT, 2020).

    It is computed once; looking up a neighbourhood then moves single numbers, where sampling the features
    would move all channels.

    Args:
        first: Shape (B, C, H, W).
        second: The same shape.
    """

    def __init__(self, first: torch.Tensor, second: torch.Tensor) -> None:
        self._grid = places(first)
        scale = first.shape[1] ** -0.5
        self._volume = (first * scale).flatten(2).transpose(1, 2) @ second.flatten(2)

    def around(self, flow: torch.Tensor, radius: int) -> torch.Tensor:
        """Correlation with the places around the one that the flow points to, between pixels bilinear.

        Args:
            flow: Shape (B, 2, H, W).
            radius: Largest distance in x and in y, in whole pixels.

        Returns:
            Shape (B, (2 radius + 1)², H, W), y major; 0 outside the picture.
        """
        batch, _, height, width = flow.shape
        target = self._grid + flow
        corner = target.floor()
        fraction = (target - corner).flatten(2)[..., None, None]
        step = torch.arange(-radius, radius + 2, device=flow.device)
        x = corner[:, 0].flatten(1).long()[..., None, None] + step
        y = corner[:, 1].flatten(1).long()[..., None, None] + step[:, None]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        number = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        values = self._volume.gather(2, number.flatten(2)).view(number.shape) * inside
        values = values[..., :-1].lerp(values[..., 1:], fraction[:, 0])
        values = values[..., :-1, :].lerp(values[..., 1:, :], fraction[:, 1])
        return values.flatten(2).transpose(1, 2).reshape(batch, -1, height, width)


class FlowPropagation(nn.Module):
    """Flow is averaged over places with similar features: what is hidden takes it from what is seen."""

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)

    def everywhere(self, features: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """Average over the whole picture.

        Args:
            features: Shape (B, C, H, W).
            flow: Shape (B, 2, H, W).
        """
        query = self.q_proj(features.flatten(2).transpose(1, 2))
        key = self.k_proj(query)  # of the query, not of the features: so the weights were trained
        scores = query @ key.transpose(1, 2) / features.shape[1] ** 0.5
        return (scores.softmax(-1) @ flow.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(flow)

    def nearby(self, features: torch.Tensor, flow: torch.Tensor, radius: int) -> torch.Tensor:
        """Average over the places at most ``radius`` away; those outside the picture count as still."""
        last = features.permute(0, 2, 3, 1)
        query, key = self.q_proj(last).permute(0, 3, 1, 2), self.k_proj(last).permute(0, 3, 1, 2)
        weights = (local_correlation(query, key, radius) / features.shape[1] ** 0.5).softmax(-1)
        side = 2 * radius + 1
        around = F.unfold(flow, side, padding=radius).view(*flow.shape[:2], side * side, *flow.shape[2:])
        return (weights.permute(0, 3, 1, 2)[:, None] * around).sum(2)
