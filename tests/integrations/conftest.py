"""Weights and videos."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integrations.dataflow.dataflow_files import Weights, drifting_pictures
from tests.scoring.clip_files import SmallClip
from tests.support import make_video


@pytest.fixture(scope="session")
def native() -> None:
    """Daft runs in this process, and its workers beside it; a runner is set once for a process."""
    pytest.importorskip("daft").set_runner_native()


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Weights:
    return Weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def weights_environment(weights, monkeypatch) -> None:
    """The weights are where the toolkit looks for ViT-L/14 and its head."""
    for name, value in weights.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> SmallClip:
    """Random weights, in whose ``environment`` the toolkit finds ViT-B/32, and a small vocabulary."""
    made = SmallClip(tmp_path_factory.mktemp("clip"))
    made.environment["VIDSIEVE_CLIP_VIT_B_32"] = made.environment.pop("VIDSIEVE_CLIP_VIT_L_14")
    return made


@pytest.fixture
def clip_environment(clip, monkeypatch) -> None:
    """That is the environment."""
    for name, value in clip.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    """48 frames, 24 per second; what is shown changes all the time."""
    path = tmp_path_factory.mktemp("video") / "video1.mp4"
    return make_video(path, fps=24, pictures=drifting_pictures(48))


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> list[str]:
    """Four videos that score differently, one that is none, and one that is not there."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [
        make_video(folder / f"{n}.mp4", fps=24, pictures=drifting_pictures(20 + n, seed=n)) for n in range(4)
    ]
    paths.insert(2, folder / "broken.mp4")
    paths[2].write_bytes(b"no video")
    return [str(path) for path in (*paths, folder / "missing.mp4")]
