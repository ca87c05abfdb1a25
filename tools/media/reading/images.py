"""Images: size without decoding, and pixels, turned upright according to their EXIF data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tools.base.disk import ALWAYS, disk_error
from tools.errors import MediaError
from tools.media.reading.container import check_file
from tools.media.reading.formats import IMAGE_FORMATS, unsupported_file

DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises on a damaged image, or on one with too many pixels."""

_ORIENTATION = 0x0112
_CLOCKWISE = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}


def image_info(path: str | Path) -> tuple[tuple[int, int], str, int]:
    """Read the header of an image.

    Returns:
        Displayed width and height, the format in lower case, degrees clockwise of its EXIF orientation.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable.
    """
    with open_image(path) as image:
        rotation = _CLOCKWISE.get(image.getexif().get(_ORIENTATION, 1), 0)
        width, height = image.size
        size = (height, width) if rotation % 180 else (width, height)
        return size, (image.format or "").lower(), rotation


def read_image(path: str | Path, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode an image, upright.

    Transparency is dropped, 16-bit gray is scaled to 8 bits; of an animation, the first picture is read.

    Args:
        path: The file.
        size: Width and height to scale to (bicubic).

    Returns:
        uint8, shape (height, width, 3), RGB.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable, decode.
    """
    with open_image(path) as image:
        try:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16") or upright.mode == "I":
                gray = np.asarray(upright).astype(np.int64) >> 8
                upright = Image.fromarray(np.clip(gray, 0, 255).astype(np.uint8))
            rgb = upright.convert("RGB")
        except DAMAGE as error:
            raise MediaError("decode", path, str(error)) from None
        return np.asarray(rgb.resize(size, Image.Resampling.BICUBIC) if size else rgb)


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image and read its header; the only function that decides what Pillow may open.

    Yields:
        The image, which is closed when the block ends.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable.
    """
    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = _identified(path)
    except UnidentifiedImageError:
        raise unsupported_file(path, "is not an image in a supported format") from None
    except DAMAGE as error:
        raise disk_error(path, error, ALWAYS) or MediaError("unreadable", path, str(error)) from None
    with image:
        yield image


def _identified(path: str | Path) -> Image.Image:
    """Open an image; plugins beyond Pillow's five basic ones are loaded only if none of these reads it."""
    Image.preinit()
    try:
        return Image.open(path, formats=_known())
    except UnidentifiedImageError:
        Image.init()
        return Image.open(path, formats=_known())


def _known() -> list[str]:
    """The formats that may be opened, of those whose plugins are loaded."""
    return [name for name in IMAGE_FORMATS if name in Image.OPEN]
