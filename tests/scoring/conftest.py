"""A small CLIP, and files to score with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.scoring.clip_files import SmallClip
from tests.support import make_video


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory) -> SmallClip:
    """Random weights and a small vocabulary."""
    return SmallClip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def clip_environment(small_clip, monkeypatch) -> SmallClip:
    """The same, where the toolkit looks for ViT-L/14."""
    for name, value in small_clip.environment.items():
        monkeypatch.setenv(name, value)
    return small_clip


@pytest.fixture(scope="session")
def media(tmp_path_factory) -> dict[str, Path]:
    """Two videos (25 frames per second; 50 and 23 frames) and two images."""
    folder = tmp_path_factory.mktemp("media")
    files = {
        "long": make_video(folder / "long.mp4", 50),
        "short": make_video(folder / "short.mp4", 23, size=(128, 160)),
    }
    rng = np.random.default_rng(2)
    for name, size in (("wide", (120, 50, 3)), ("high", (40, 90, 3))):
        files[name] = folder / f"{name}.png"
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size[:2], Image.BICUBIC).save(files[name])
    return files
