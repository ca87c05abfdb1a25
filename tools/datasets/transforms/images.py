"""Resize and crop one image file, upright, in its own format and colours."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageOps

from tools.base.disk import copy_file, raising_disk_errors
from tools.errors import MediaError
from tools.media.reading.extensions import is_image
from tools.media.reading.images import DAMAGE, open_image

JPEG_QUALITY = 95
"""Quality of JPEG (without chroma subsampling) and WebP files, unless asked otherwise."""
QUADRANTS = ("top-left", "top-right", "bottom-left", "bottom-right")
"""The quarters of a picture, in the order of their numbers."""

_ORIENTATION = 0x0112
_FORMATS = {"JPEG": "JPEG", "MPO": "JPEG"} | {name: name for name in ("PNG", "PPM", "BMP", "TIFF", "WEBP")}


def resized(length: int, *, longer: bool) -> Callable[[Image.Image], Image.Image]:
    """A function that scales a picture down so that one side has `length` pixels; smaller ones stay.

    Bicubic, with smoothing; transparent pixels lend no colour to their neighbours.

    Args:
        length: Pixels.
        longer: The longer side instead of the shorter one.
    """

    def resize(image: Image.Image) -> Image.Image:
        side = max(image.size) if longer else min(image.size)
        if side <= length:
            return image
        # The side itself is exact, the other one is rounded and at least one pixel.
        width, height = (length if s == side else max(1, round(s * length / side)) for s in image.size)
        if image.mode in ("P", "PA", "1"):  # numbers of colours cannot be averaged
            image = image.convert("RGBA" if image.has_transparency_data else _without_palette(image))
        return image.resize((width, height), Image.Resampling.BICUBIC)

    return resize


def quadrant(number: int) -> Callable[[Image.Image], Image.Image]:
    """A function that cuts out a quarter of a picture; an odd row or column in the middle is left out.

    Args:
        number: Index into `QUADRANTS`.
    """

    def crop(image: Image.Image) -> Image.Image:
        width, height = image.width // 2, image.height // 2
        if not width or not height:
            raise ValueError(f"{image.width}x{image.height} pixels have no quarters")
        left = 0 if number % 2 == 0 else image.width - width
        top = 0 if number < 2 else image.height - height
        return image.crop((left, top, left + width, top + height))

    return crop


def choose_quadrant(name: str, seed: int) -> int:
    """Choose a quarter by chance, for a file alone: neither order nor workers nor other rows matter.

    Args:
        name: What the file is called below the folder of the data set, so that moving it changes nothing.
        seed: Another seed, another choice.

    Returns:
        Index into `QUADRANTS`.
    """
    return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()[0] % len(QUADRANTS)


def transform_image(
    source: str | Path,
    target: Path,
    change: Callable[[Image.Image], Image.Image],
    *,
    quality: int = JPEG_QUALITY,
) -> tuple[int, int]:
    """Write a changed image, in the format of its source and with its colour profile, upright.

    An image that `change` leaves as it is, and that is upright, is copied byte for byte. Other EXIF data is
    not kept; of an animation only the first picture is.

    Args:
        source: The image.
        target: Where to; any name.
        change: From upright picture to new picture.
        quality: Of JPEG and WebP, 1 to 100.

    Returns:
        Width and height of the new image.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable, decode; bad_value when it is no image
            or has nothing to crop; encode.
    """
    if not is_image(source):
        raise MediaError("bad_value", source, "is no image")
    with open_image(source) as image:
        form, profile = _FORMATS.get(image.format or ""), image.info.get("icc_profile")
        upright = image.getexif().get(_ORIENTATION, 1) in (0, 1)
        try:
            image.load()
            picture = image if upright else ImageOps.exif_transpose(image)
        except DAMAGE as error:
            raise MediaError("decode", source, str(error)) from None
        try:
            changed = change(picture)
        except ValueError as error:
            raise MediaError("bad_value", source, str(error)) from None
        try:
            if changed is image:
                copy_file(source, target)
            elif form is None:
                raise MediaError("encode", source, f"cannot write {image.format} files")
            else:
                save_image(changed, target, form, quality=quality, profile=profile)
        except (OSError, ValueError) as error:
            raise MediaError("encode", source, str(error)) from None
        return changed.size


def save_image(
    image: Image.Image, target: Path, form: str, *, quality: int = JPEG_QUALITY, profile: bytes | None = None
) -> None:
    """Save an image with the settings that all methods share.

    Args:
        image: The picture.
        target: Where to; any name.
        form: JPEG, PNG, PPM, BMP, TIFF or WEBP.
        quality: Of JPEG and WebP, 1 to 100.
        profile: ICC profile.

    Raises:
        DiskError: The disk refuses.
    """
    options: dict[str, object] = {"icc_profile": profile} if profile else {}
    if form == "JPEG":
        options |= {"quality": quality, "subsampling": 0}
    elif form == "WEBP":
        options |= {"quality": quality}
    elif form == "TIFF":
        options |= {"compression": "tiff_deflate"}
    # Nothing else of the source goes along unseen: its EXIF data says another size and another turn.
    image.info = {name: value for name, value in image.info.items() if name == "transparency"}
    encoded = io.BytesIO()  # Pillow takes a file that a full disk cut short for a whole one
    image.save(encoded, format=form, **options)
    with raising_disk_errors(target):
        target.write_bytes(encoded.getbuffer())


def _without_palette(image: Image.Image) -> str:
    return "L" if image.mode == "1" else "RGB"
