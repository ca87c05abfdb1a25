"""The whole network: flow at an eighth of the size, at a quarter, and six corrections."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tools.models.gmflow.backbone import Backbone
from tools.models.gmflow.matching import (
    CorrelationVolume,
    FlowPropagation,
    global_matching,
    local_matching,
    warp,
)
from tools.models.gmflow.refine import Refinement, enlarge_flow
from tools.models.gmflow.transformer import FeatureTransformer

MULTIPLE = 32
"""Height and width of pictures must be multiples of this: a quarter of them is split into eight windows."""

_SPLITS = (2, 8)  # windows across at an eighth and at a quarter of the size
_MATCHING_RADIUS = 4
_PROPAGATION_RADIUS = 1
_CORRELATION_RADIUS = 4
_REFINEMENTS = 6
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class GMFlow(nn.Module):
    """GMFlow with two scales and six refinements.

    Xu et al., Unifying Flow, Stereo and Depth Estimation, 2023, https://arxiv.org/abs/2211.05783. Its
    parameters have the names of the published ``gmflow-scale2-regrefine6`` checkpoints. Settings that a
    checkpoint does not hold are those it was trained with: shifted windows, 2 and 8 across; global matching,
    then within 4 pixels; propagation everywhere, then within 1 pixel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.transformer = FeatureTransformer()
        self.feature_flow_attn = FlowPropagation()
        self.refine_proj = nn.Conv2d(128, 256, 1)
        self.refine = Refinement((2 * _CORRELATION_RADIUS + 1) ** 2, enlarge=4)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Optical flow from the first pictures to the second.

        Args:
            first: float32, shape (B, 3, H, W), RGB from 0 to 255; H and W multiples of `MULTIPLE`.
            second: The same shape.

        Returns:
            float32, shape (B, 2, H, W): how far each pixel moves to the right and down, in pixels.
        """
        pictures = torch.cat([first, second]) / 255
        mean, std = pictures.new_tensor(_MEAN), pictures.new_tensor(_STD)
        coarse, fine = self.backbone((pictures - mean[:, None, None]) / std[:, None, None])
        flow = self._coarse_flow(*coarse.chunk(2))
        flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
        first, second = fine.chunk(2)
        features, flow = self._fine_flow(first, second, flow)
        return self._refined(first, second, features, flow)

    def _coarse_flow(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        first, second = self.transformer(first, second, _SPLITS[0])
        with _full_precision(first):
            flow = global_matching(_wide(first), _wide(second))
            return self.feature_flow_attn.everywhere(_wide(first), flow)

    def _fine_flow(
        self, first: torch.Tensor, second: torch.Tensor, flow: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with _full_precision(first):
            second = warp(_wide(second), flow)
        first, second = self.transformer(first, second.to(first.dtype), _SPLITS[1])
        with _full_precision(first):
            flow = flow + local_matching(_wide(first), _wide(second), _MATCHING_RADIUS)
            flow = self.feature_flow_attn.nearby(_wide(first), flow, _PROPAGATION_RADIUS)
        return first, flow

    def _refined(
        self, first: torch.Tensor, second: torch.Tensor, features: torch.Tensor, flow: torch.Tensor
    ) -> torch.Tensor:
        with _full_precision(first):
            volume = CorrelationVolume(_wide(first), _wide(second))
        start, context = self.refine_proj(features).chunk(2, dim=1)
        start, context = torch.tanh(start), torch.relu(context)
        for _ in range(_REFINEMENTS):  # each begins from the same state: so the weights were trained
            correlation = volume.around(flow, _CORRELATION_RADIUS)
            hidden, correction = self.refine(start, context, correlation, flow)
            flow = flow + _wide(correction)
        return enlarge_flow(flow, _wide(self.refine.mask(hidden)), 4)


def _full_precision(like: torch.Tensor) -> torch.autocast:
    """Coordinates need all their digits: autocast, where it is on, is switched off for matching."""
    return torch.autocast(like.device.type, enabled=False)


def _wide(x: torch.Tensor) -> torch.Tensor:
    """In fp32 when it was less."""
    return x.float() if x.dtype.itemsize < 4 else x
