"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real videos and model files that lie beside the project, see the data folder's own README."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the folder of real test data, {folder.name}, is not beside the project")
    return folder


@pytest.fixture(scope="session")
def videos_dir(data_dir: Path) -> Path:
    """The real videos, with their manifest.json."""
    return data_dir / "videos"
