"""From a picture to features at an eighth and a quarter of its size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Backbone(nn.Module):
    """Six residual blocks with instance normalisation, and one convolution that is applied at two strides.

    Args:
        dim: Channels of the features.
    """

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.layer1 = nn.Sequential(ResidualBlock(64, 64), ResidualBlock(64, 64))
        self.layer2 = nn.Sequential(ResidualBlock(64, 96, stride=2), ResidualBlock(96, 96))
        self.layer3 = nn.Sequential(ResidualBlock(96, 128), ResidualBlock(128, 128))
        self.conv2 = nn.Conv2d(128, dim, 1)
        self.trident_conv = SharedConv(dim)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of normalised pictures.

        Args:
            images: Shape (B, 3, H, W).

        Returns:
            Shapes (B, dim, H / 8, W / 8) and (B, dim, H / 4, W / 4).
        """
        x = F.relu(F.instance_norm(self.conv1(images)))
        x = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return self.trident_conv(x, stride=2), self.trident_conv(x, stride=1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut; the first may halve the size."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.downsample = None
        if channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride), nn.InstanceNorm2d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (B, channels_in, H, W) to (B, channels, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(F.instance_norm(self.conv1(x)))
        x = F.relu(F.instance_norm(self.conv2(x)))
        return F.relu(shortcut + x)


class SharedConv(nn.Module):
    """One 3 x 3 kernel for all scales (Li et al., Scale-Aware Trident Networks, 2019)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, dim, 3, 3))

    def forward(self, x: torch.Tensor, stride: int) -> torch.Tensor:
        """Convolve with a stride."""
        return F.conv2d(x, self.weight, stride=stride, padding=1)
