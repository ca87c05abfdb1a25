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
    ".ts",
    ".m2ts",
    ".wmv",
    ".flv",
    ".3gp",
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


def is_image(path: str | Path) -> bool:
    """Whether a file is an image, by its extension alone, in upper or lower case."""
    return Path(path).suffix.lower() in IMAGE_EXTENSIONS


def is_video(path: str | Path) -> bool:
    """Whether a file is a video, by its extension alone, in upper or lower case."""
    return Path(path).suffix.lower() in VIDEO_EXTENSIONS
