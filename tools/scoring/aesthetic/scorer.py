"""LAION aesthetic score of pictures: CLIP image feature, scaled to length 1, through a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import UserError
from tools.media.workers.pool import usable_cores
from tools.scoring.clip_features import image_features

if TYPE_CHECKING:
    from PIL import Image

    from tools.models.clip import CLIPEncoder
    from tools.models.clip_checkpoint import CLIPCheckpoint


class AestheticScorer:
    """Scores pictures with CLIP ViT-L/14 and the head ``sac+logos+ava1-l14-linearMSE``.

    Schuhmann, https://github.com/christophschuhmann/improved-aesthetic-predictor. A picture's score does not
    depend on the pictures scored with it.

    Args:
        clip: Name, file or folder of a CLIP, see `find_clip`; or one that is loaded
            already, to which the arguments after `head` do not apply.
        head: File of the head; by default what `tools.models.weights.find_weights` finds.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` (GPU: fp16; CPU: bf16 where it has instructions for it, else fp32), ``fp32``,
            ``bf16`` or ``fp16``.
        compile: Run CLIP through ``torch.compile``.
        threads: Pictures computed at a time on a CPU; by default one for each core that this rank may use.
        backend: ``auto``, ``openvino`` or ``pytorch``, see `tools.models.clip_openvino.choose_clip_backend`.

    Raises:
        UserError: Weights are missing, wrong, or do not fit each other.
    """

    def __init__(
        self,
        clip: str | Path | CLIPCheckpoint | CLIPEncoder = "ViT-L/14",
        head: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        threads: int | None = None,
        backend: str = "auto",
    ) -> None:
        from tools.models.aesthetic_head import load_head
        from tools.models.clip import CLIPEncoder, load_clip
        from tools.models.weights import find_weights

        self.head = load_head(find_weights("aesthetic", head).path)
        if not isinstance(clip, CLIPEncoder):
            clip = load_clip(
                clip,
                device=device,
                precision=precision,
                compile=compile,
                threads=threads or usable_cores(),
                backend=backend,
            )
        self.clip = clip
        if self.clip.embed_dim != self.head.embed_dim:
            raise UserError(
                f"the aesthetic head takes features of {self.head.embed_dim} numbers, this CLIP gives "
                f"{self.clip.embed_dim}; the head was trained on ViT-L/14"
            )

    def score(self, images: Sequence[Image.Image | np.ndarray]) -> np.ndarray:
        """Score pictures.

        Args:
            images: PIL images, or uint8 arrays of shape (H, W, 3) in RGB; sizes may differ.

        Returns:
            float32, shape (N,): about 1 to 10; 5.5 is fair, 6.5 good.
        """
        return self.score_features(image_features(self.clip, images)).astype(np.float32)

    def score_features(self, features: np.ndarray) -> np.ndarray:
        """Score pictures by their features.

        Args:
            features: float64, shape (N, D), each of length 1.

        Returns:
            float64, shape (N,).
        """
        return self.head(features)
