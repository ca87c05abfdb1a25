"""Fixtures for all tests."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A test run that a shell started in the background ignores Ctrl-C, and so would all its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
