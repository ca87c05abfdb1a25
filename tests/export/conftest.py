"""Packages that read exports, of which some cannot be installed beside this project's own."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def readers() -> Path:
    """The folder of litdata and mosaicml-streaming, at the end of the path of this process.

    scripts/test.sh puts them there without what they ask for: versions of transformers and numpy that are too
    old, and a torchvision that fits no torch for CPUs.
    """
    folder = Path(sys.prefix) / "readers"
    if not folder.is_dir():
        pytest.skip("litdata and mosaicml-streaming are not installed: scripts/test.sh does it")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder


@pytest.fixture(scope="session")
def streaming(readers: Path) -> ModuleType:
    """``streaming.base`` of MosaicML: `StreamingDataset` and `MDSWriter`.

    ``streaming`` itself also imports data sets of pictures, by way of torchvision; it is left out.
    """
    del readers
    package = types.ModuleType("streaming")
    found = importlib.util.find_spec("streaming")
    assert found is not None and found.submodule_search_locations is not None
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["streaming"] = package
    return importlib.import_module("streaming.base")
