"""Which file names are taken for videos and which for images."""

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
"""Suffixes of files that are read with the video decoder; an animated GIF is a video."""

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
"""Suffixes of files that are read as one still picture."""


def is_image(path: str | Path) -> bool:
    """Tell from the suffix alone, in any case, whether a file is a still picture."""
    return Path(path).suffix.lower() in IMAGE_EXTENSIONS


def is_video(path: str | Path) -> bool:
    """Tell from the suffix alone, in any case, whether a file is a video."""
    return Path(path).suffix.lower() in VIDEO_EXTENSIONS
