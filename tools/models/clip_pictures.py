"""Preprocessing of a CLIP in the Hugging Face format, from its preprocessor_config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.errors import UserError
from tools.models.clip_preprocess import CLIP_MEAN, CLIP_STD, Pictures
from tools.models.hub import read_json

PICTURES_NAME = "preprocessor_config.json"

_RESAMPLING = {2: "bilinear", 3: "bicubic", "bilinear": "bilinear", "bicubic": "bicubic"}  # PIL's numbers


def read_pictures(folder: Path, image_size: int) -> Pictures:
    """Read the preprocessing of a model; without the file, that of OpenAI's models.

    Args:
        folder: Folder of the model.
        image_size: Side in pixels of the squares that the model takes.

    Raises:
        UserError: The file cannot be read, or is not supported.
    """
    path = folder / PICTURES_NAME
    if not path.is_file():
        return Pictures()
    config = read_json(path)
    try:
        return _pictures(config, image_size)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: pictures cannot be prepared as it says ({error})") from None


def _pictures(config: dict[str, Any], image_size: int) -> Pictures:
    for name in ("do_resize", "do_rescale", "do_normalize"):
        if not config.get(name, True):
            raise ValueError(f"{name} is false")
    if abs(config.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise ValueError(f"rescale_factor is {config['rescale_factor']}")
    size, crop = config.get("size", image_size), config.get("crop_size", image_size)
    squash = isinstance(size, dict) and "shortest_edge" not in size
    cropped = config.get("do_center_crop", True)
    for value in (*_sides(size), *(_sides(crop) if cropped else ())):
        if value != image_size:
            raise ValueError(f"size or crop_size is {value}, the model takes {image_size}")
    if not squash and not cropped:
        raise ValueError("do_center_crop is false")
    return Pictures(
        tuple(config.get("image_mean", CLIP_MEAN)),
        tuple(config.get("image_std", CLIP_STD)),
        _RESAMPLING[config.get("resample", 3)],
        squash,
    )


def _sides(size: Any) -> tuple[int, ...]:
    return tuple(size.values()) if isinstance(size, dict) else (size,)
