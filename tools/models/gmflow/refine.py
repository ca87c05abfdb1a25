"""Step by step corrections of a flow, and its enlargement to full size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Refinement(nn.Module):
    """One step, as in RAFT (Teed and Deng, 2020): what flow and correlation say, a gated unit, a correction.

    Args:
        correlations: Values that tell how well the surroundings of a place fit.
        enlarge: Factor from the flow's size to that of the picture.
    """

    def __init__(self, correlations: int, enlarge: int) -> None:
        super().__init__()
        self.encoder = MotionEncoder(correlations)
        self.gru = SeparableGRU()
        self.flow_head = FlowHead()
        self.mask = nn.Sequential(
            nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 9 * enlarge**2, 1)
        )

    def forward(
        self, hidden: torch.Tensor, context: torch.Tensor, correlation: torch.Tensor, flow: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step.

        Args:
            hidden: Shape (B, 128, H, W).
            context: Shape (B, 128, H, W).
            correlation: Shape (B, correlations, H, W).
            flow: Shape (B, 2, H, W).

        Returns:
            The new hidden state, and the correction of the flow.
        """
        hidden = self.gru(hidden, torch.cat([context, self.encoder(flow, correlation)], dim=1))
        return hidden, self.flow_head(hidden)


class MotionEncoder(nn.Module):
    """Flow and correlation become 128 channels, the last two of which are the flow itself."""

    def __init__(self, correlations: int) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(correlations, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(64 + 192, 126, 3, padding=1)

    def forward(self, flow: torch.Tensor, correlation: torch.Tensor) -> torch.Tensor:
        """Shape (B, 128, H, W)."""
        fit = F.relu(self.convc2(F.relu(self.convc1(correlation))))
        motion = F.relu(self.convf2(F.relu(self.convf1(flow))))
        both = F.relu(self.conv(torch.cat([fit, motion], dim=1)))
        return torch.cat([both, flow.to(both.dtype)], dim=1)


class SeparableGRU(nn.Module):
    """A gated recurrent unit of convolutions along rows, then one along columns."""

    def __init__(self) -> None:
        super().__init__()
        self.convz1, self.convr1, self.convq1 = (
            nn.Conv2d(384, 128, (1, 5), padding=(0, 2)) for _ in range(3)
        )
        self.convz2, self.convr2, self.convq2 = (
            nn.Conv2d(384, 128, (5, 1), padding=(2, 0)) for _ in range(3)
        )

    def forward(self, hidden: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """From (B, 128, H, W) and (B, 256, H, W) to a new hidden state."""
        hidden = self._step(hidden, x, self.convz1, self.convr1, self.convq1)
        return self._step(hidden, x, self.convz2, self.convr2, self.convq2)

    @staticmethod
    def _step(
        hidden: torch.Tensor, x: torch.Tensor, update: nn.Module, reset: nn.Module, candidate: nn.Module
    ) -> torch.Tensor:
        both = torch.cat([hidden, x], dim=1)
        keep = torch.sigmoid(reset(both)) * hidden
        new = torch.tanh(candidate(torch.cat([keep, x], dim=1)))
        return torch.lerp(hidden, new, torch.sigmoid(update(both)))


class FlowHead(nn.Module):
    """From a hidden state to a correction of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(128, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """From (B, 128, H, W) to (B, 2, H, W)."""
        return self.conv2(F.relu(self.conv1(hidden)))


def enlarge_flow(flow: torch.Tensor, mask: torch.Tensor, factor: int) -> torch.Tensor:
    """Each pixel of the large flow is a convex combination of 3 x 3 of the small one (Teed and Deng, 2020).

    Args:
        flow: Shape (B, 2, H, W), in pixels of that grid.
        mask: Shape (B, 9 factor², H, W): the weights before the softmax.
        factor: Of the size, and hence of the values.

    Returns:
        Shape (B, 2, factor H, factor W), in pixels of that grid.
    """
    batch, _, height, width = flow.shape
    weights = mask.view(batch, 1, 9, factor, factor, height, width).softmax(2)
    around = F.unfold(factor * flow, 3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    large = (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3)
    return large.reshape(batch, 2, factor * height, factor * width)
