"""File name extensions of videos and of images."""

from __future__ import annotations

from pathlib import Path

VIDEO_EXTENSIONS: tuple[str, ...] = (
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".vob",
    ".ts",
    ".m2ts",
    ".mts",
    ".mxf",
    ".wmv",
    ".asf",
    ".flv",
    ".f4v",
    ".ogv",
    ".3gp",
    ".3g2",
    ".gif",
)
"""Files that are read with the video decoder; an animated GIF is a video."""

IMAGE_EXTENSIONS: tuple[str, ...] = (
    ".jpg",
    ".jpeg",
    ".png",
    ".ppm",
    ".bmp",
    ".pgm",
    ".tif",
    ".tiff",
    ".webp",
)
"""Files that are read as one image."""


_IMAGES_BEGIN = (
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"\x89PNG\r\n\x1a\n", ".png"),
    (8, b"WEBP", ".webp"),
    (0, b"II*\0", ".tif"),
    (0, b"MM\0*", ".tif"),
)
"""Where an image has which bytes, and its extension."""


def image_extension(head: bytes) -> str | None:
    """The extension of an image by the first 16 bytes of its file; None for anything else."""
    return next((name for at, mark, name in _IMAGES_BEGIN if head[at:].startswith(mark)), None)


def is_image(path: str | Path) -> bool:
    """Whether a file is an image, by its extension alone, in upper or lower case."""
    return Path(path).suffix.lower() in IMAGE_EXTENSIONS


def is_video(path: str | Path) -> bool:
    """Whether a file is a video, by its extension alone, in upper or lower case."""
    return Path(path).suffix.lower() in VIDEO_EXTENSIONS
