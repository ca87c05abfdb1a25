"""Images: size without decoding, and pixels, turned upright according to their EXIF data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tools.base.disk import ALWAYS, disk_error
from tools.errors import MediaError
from tools.media.reading.container import check_file
from tools.media.reading.formats import IMAGE_FORMATS, unsupported_file
from tools.media.reading.limits import check_pixels

DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises on a damaged image, or on one with too many pixels."""

_lifting = threading.Lock()
_ORIENTATION = 0x0112
_PIECE = 1 << 20  # pixels that are converted at once
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


def read_image(path: str | Path) -> np.ndarray:
    """Decode an image, upright.

    Transparency is dropped, 16-bit gray is scaled to 8 bits; of an animation, the first picture is read.

    Args:
        path: The file.

    Returns:
        uint8, shape (height, width, 3), RGB.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable, too_large, decode.
    """
    with open_image(path) as image:
        try:
            image.load()
            orientation = image.getexif().get(_ORIENTATION, 1)
            width, height = image.size
            swapped = _CLOCKWISE.get(orientation, 0) % 180 == 90
            rgb = np.empty((width, height, 3) if swapped else (height, width, 3), np.uint8)
            stored = _as_stored(rgb, orientation)
            # Piece by piece: Pillow has 4 bytes for a pixel, and each step of its own would copy all of them.
            rows = max(1, _PIECE // width)
            for top in range(0, height, rows):
                piece = image.crop((0, top, width, min(height, top + rows))) if rows < height else image
                stored[top : top + rows] = _rgb(piece)
        except DAMAGE as error:
            raise MediaError("decode", path, str(error)) from None
        return rgb


def gray_image(rgb: np.ndarray) -> Image.Image:
    """Convert an array of shape (height, width, 3) to gray, as Pillow does, without a copy in colour."""
    height, width = rgb.shape[:2]
    gray = np.empty((height, width), np.uint8)
    rows = max(1, _PIECE // width)
    for top in range(0, height, rows):
        gray[top : top + rows] = np.asarray(Image.fromarray(rgb[top : top + rows]).convert("L"))
    return Image.fromarray(gray)


def _rgb(image: Image.Image) -> np.ndarray:
    """The pixels of an image: uint8, shape (height, width, 3)."""
    if image.mode.startswith("I;16") or image.mode == "I":
        gray = np.asarray(image).astype(np.int64) >> 8
        return np.clip(gray, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """A view of an upright picture, with rows and columns in the order in which the file stores them.

    Args:
        upright: Shape (height, width, ...).
        orientation: What the EXIF tag of this name says (CIPA DC-008, 4.6.4.1.6), 1 to 8.
    """
    view = upright[::-1] if orientation in (3, 4, 7, 8) else upright
    view = view[:, ::-1] if orientation in (2, 3, 6, 7) else view
    return view.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else view


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image and read its header; the only function that decides what Pillow may open.

    Yields:
        The image, which is closed when the block ends.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable, too_large.
    """
    check_file(path)
    try:
        with _own_limit():
            image = _identified(path)
    except UnidentifiedImageError:
        raise unsupported_file(path, "is not an image in a supported format") from None
    except DAMAGE as error:
        raise disk_error(path, error, ALWAYS) or MediaError("unreadable", path, str(error)) from None
    with image:
        check_pixels(path, *image.size, "it has")
        yield image


@contextmanager
def _own_limit() -> Iterator[None]:
    """Lift Pillow's limit on pixels while a header is read: `check_pixels` has the one that counts."""
    with _lifting:
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = theirs


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
