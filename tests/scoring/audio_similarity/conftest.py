"""A small CLAP, a small CLIP and videos with known sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.media.sounds import noise, save_sound, sine, video_with_sound
from tests.models.clap_files import SmallClap
from tests.support import make_video


@pytest.fixture(scope="session")
def small_clap(tmp_path_factory) -> SmallClap:
    """Random weights; it hears 2 seconds at 16 kHz."""
    return SmallClap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> dict[str, Path]:
    """Videos of 25 frames per second, and two files with sound alone."""
    folder = tmp_path_factory.mktemp("films")
    parts = np.concatenate([noise(1.5, seed=1), sine(1.5, 700.0), noise(1.5, seed=2)], axis=1)
    quiet = np.concatenate([noise(2.5, seed=3), np.zeros((1, 96_000), np.float32)], axis=1)
    return {
        "parts": video_with_sound(folder / "parts.mov", parts, num_frames=111),  # 4.44 s
        "short": video_with_sound(folder / "short.mp4", sine(1.0, 300.0), num_frames=25),
        "half": video_with_sound(folder / "half.mkv", noise(2.2, seed=4), num_frames=150),  # 6 s of picture
        "quiet": video_with_sound(folder / "quiet.mov", quiet, num_frames=111),
        "silent": video_with_sound(folder / "silent.mp4", np.zeros((1, 96_000), np.float32)),
        "mute": make_video(folder / "mute.mp4", 30),
        "wav": save_sound(folder / "sound.wav", sine(3.0, 900.0)),
        "flat": save_sound(folder / "flat.wav", np.zeros((1, 48_000), np.float32)),
    }
