"""Preprocessing of images for CLIP, exactly as in openai/CLIP.

Other CLIPs may have been trained with other preprocessing, see `Pictures`. The crop is computed with PIL and
stays uint8, so that it is small when sent between processes; normalisation is float32 arithmetic and can
run on the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Mean of the channels R, G, B of CLIP's training images, in the range 0 to 1 (openai/CLIP)."""
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Standard deviation of the channels R, G, B of CLIP's training images (openai/CLIP)."""


_MOST_PIXELS = 1 << 26  # that a picture is scaled to as a whole


@dataclass(frozen=True)
class Pictures:
    """Preprocessing of a CLIP.

    Attributes:
        mean: Mean of the channels R, G, B that is subtracted, in the range 0 to 1.
        std: Standard deviation of the channels, by which they are divided.
        interpolation: ``bicubic`` or ``bilinear``, antialiased.
        squash: Scale both sides to the square; False scales the shorter one, and takes the centre.
    """

    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    interpolation: str = "bicubic"
    squash: bool = False


OPENAI_PICTURES = Pictures()
"""Preprocessing of OpenAI's models, and of most of open_clip's."""


def clip_crop(
    image: Image.Image | np.ndarray, size: int = 224, pictures: Pictures = OPENAI_PICTURES
) -> np.ndarray:
    """Scale the shorter side to ``size`` (bicubic, antialiased) and take the square in the centre.

    The longer side is cut down to a whole pixel and the crop's offset is rounded half to even: a crop that is
    off by one pixel moves an aesthetic score by more than half precision does.

    Args:
        image: A PIL image of any mode, or uint8 H x W x 3 in RGB.
        size: Side of the square in pixels.
        pictures: Preprocessing of the CLIP.

    Returns:
        uint8, ``size`` x ``size`` x 3, RGB.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"Invalid image ({image.dtype} {image.shape}). Supported are uint8 H x W x 3.")
        image = Image.fromarray(image)
    width, height = image.size
    shorter = min(width, height)
    scaled = (int(size * width / shorter), int(size * height / shorter))
    if pictures.squash:
        scaled = size, size
    left, top = round((scaled[0] - size) / 2), round((scaled[1] - size) / 2)
    resampling = Image.Resampling[pictures.interpolation.upper()]
    if scaled[0] * scaled[1] > _MOST_PIXELS:  # a picture thousands of times as long as high: the crop alone
        (x, right, across), (y, bottom, down) = (
            _source_of(start, size, side, side_scaled)
            for start, side, side_scaled in zip((left, top), image.size, scaled, strict=True)
        )
        window = image.crop((x, y, right, bottom)).convert("RGB")
        # Pillow's box has 24 bits for a number, so it is counted from near it.
        box = (left * across - x, top * down - y, (left + size) * across - x, (top + size) * down - y)
        return np.asarray(window.resize((size, size), resampling, box))
    if scaled != image.size:
        image = image.resize(scaled, resampling)
    return np.asarray(image.crop((left, top, left + size, top + size)).convert("RGB"))


def _source_of(start: int, size: int, side: int, scaled: int) -> tuple[int, int, float]:
    """The pixels of a side that decide `size` pixels of the scaled side from `start` on; and their ratio."""
    factor = side / scaled
    margin = 3 * math.ceil(max(1.0, factor))  # bicubic takes two on each side
    first = max(0, math.floor(start * factor) - margin)
    return first, min(side, math.ceil((start + size) * factor) + margin), factor


def normalize_crops(crops: torch.Tensor, pictures: Pictures = OPENAI_PICTURES) -> torch.Tensor:
    """Scale to 0..1 and standardise each channel with its mean and standard deviation.

    Args:
        crops: uint8, shape (N, S, S, 3), on any device.
        pictures: Preprocessing of the CLIP.

    Returns:
        float32, shape (N, 3, S, S), on the same device.
    """
    import torch

    mean = torch.tensor(pictures.mean, device=crops.device).view(1, 3, 1, 1)
    std = torch.tensor(pictures.std, device=crops.device).view(1, 3, 1, 1)
    return crops.permute(0, 3, 1, 2).contiguous().float().div_(255).sub_(mean).div_(std)


def clip_preprocess(image: Image.Image | np.ndarray, size: int = 224) -> torch.Tensor:
    """What openai/CLIP's ``preprocess`` gives for one image: float32, shape (3, ``size``, ``size``)."""
    import torch

    return normalize_crops(torch.from_numpy(clip_crop(image, size).copy())[None])[0]
