"""How pictures are prepared for a CLIP in the Hugging Face format, as its preprocessor_config.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.errors import UserError
from tools.models.clip_preprocess import CLIP_MEAN, CLIP_STD, Pictures
from tools.models.hub import read_json

PICTURES_NAME = "preprocessor_config.json"

_RESAMPLING = {2: "bilinear", 3: "bicubic", "bilinear": "bilinear", "bicubic": "bicubic"}  # PIL's numbers


def read_pictures(folder: Path, image_size: int) -> Pictures:
    """Read how pictures are prepared; as for OpenAI's models where nothing is said.

    Args:
        folder: Folder of the model.
        image_size: Side in pixels of the squares that the model takes.

    Raises:
        UserError: The file cannot be read, or says what is not done here.
    """
    path = folder / PICTURES_NAME
    if not path.is_file():
        return Pictures()
    said = read_json(path)
    try:
        return _pictures(said, image_size)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: pictures cannot be prepared as it says ({error})") from None


def _pictures(said: dict[str, Any], image_size: int) -> Pictures:
    for name in ("do_resize", "do_rescale", "do_normalize"):
        if not said.get(name, True):
            raise ValueError(f"{name} is false")
    if abs(said.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise ValueError(f"rescale_factor is {said['rescale_factor']}")
    size, crop = said.get("size", image_size), said.get("crop_size", image_size)
    squash = isinstance(size, dict) and "shortest_edge" not in size
    cropped = said.get("do_center_crop", True)
    for value in (*_sides(size), *(_sides(crop) if cropped else ())):
        if value != image_size:
            raise ValueError(f"size or crop_size is {value}, the model takes {image_size}")
    if not squash and not cropped:
        raise ValueError("do_center_crop is false")
    return Pictures(
        tuple(said.get("image_mean", CLIP_MEAN)),
        tuple(said.get("image_std", CLIP_STD)),
        _RESAMPLING[said.get("resample", 3)],
        squash,
    )


def _sides(size: Any) -> tuple[int, ...]:
    return tuple(size.values()) if isinstance(size, dict) else (size,)
