"""The LAION aesthetic predictor: five linear layers with nothing between them, hence one dot product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import UserError
from tools.models.tensors import read_tensors

if TYPE_CHECKING:
    import torch

_LAYERS = (0, 2, 4, 6, 7)  # the numbers between them are dropouts, which do nothing after training
_KEYS = tuple(f"layers.{index}.{kind}" for index in _LAYERS for kind in ("weight", "bias"))


@dataclass(frozen=True)
class AestheticHead:
    """The predictor as one affine map.

    Attributes:
        weight: float64, shape (D,).
        bias: Added to the dot product.
    """

    weight: np.ndarray
    bias: float

    @property
    def embed_dim(self) -> int:
        """Length of the features it takes (768: those of CLIP ViT-L/14)."""
        return len(self.weight)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Scores of image features.

        Args:
            features: Shape (N, D), each row of length 1.

        Returns:
            float64, shape (N,): about 1 to 10. Each depends on its own row alone, to the last bit.
        """
        features = np.ascontiguousarray(features, dtype=np.float64)
        if features.ndim != 2 or features.shape[1] != self.embed_dim:
            raise ValueError(f"Invalid features {features.shape}. Supported are (N, {self.embed_dim}).")
        return (features * self.weight).sum(axis=1) + self.bias  # no matrix product: its sums depend on N


def load_head(path: str | Path) -> AestheticHead:
    """Load ``sac+logos+ava1-l14-linearMSE.pth`` and fold its layers.

    Args:
        path: State dict of five linear layers, named ``layers.0``, ``.2``, ``.4``, ``.6`` and ``.7``.

    Raises:
        UserError: The file cannot be read, has other keys, or its shapes do not fit together.
    """
    state = read_tensors(path, "a state dict of an aesthetic head", _KEYS[0])
    if set(state) != set(_KEYS):
        found = ", ".join(sorted(state)[:12])
        raise UserError(
            f"{path}: not the aesthetic head: found {found or 'nothing'}; expected {', '.join(_KEYS)}"
        )
    try:
        return fold_linear_layers(
            [(state[w], state[b]) for w, b in zip(_KEYS[::2], _KEYS[1::2], strict=True)]
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path}: the layers of this head do not fit together ({error})") from error


def fold_linear_layers(layers: list[tuple[torch.Tensor, torch.Tensor]]) -> AestheticHead:
    """Multiply out W_n(… W_1(x) + b_1 …) + b_n, in float64.

    Args:
        layers: Weight (out, in) and bias (out,) of each, in order; the last has one output.
    """
    weight = np.eye(layers[0][0].shape[1])
    bias = np.zeros(len(weight))
    for matrix, offset in layers:
        matrix, offset = matrix.double().numpy(), offset.double().numpy()
        if offset.shape != (len(matrix),):
            raise ValueError(f"bias of shape {offset.shape} for {len(matrix)} outputs")
        weight, bias = matrix @ weight, matrix @ bias + offset
    if len(weight) != 1:
        raise ValueError(f"{len(weight)} outputs instead of 1")
    return AestheticHead(weight[0], float(bias[0]))
