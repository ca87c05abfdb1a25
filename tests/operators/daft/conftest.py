"""Files to score."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.operators.dataflow_files import drifting_pictures
from tests.support import make_video


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


@pytest.fixture
def table(tmp_path) -> Path:
    """A table of 23 small files for `tests.operators.daft.stages.SizeStage`; its paths are relative."""
    odd = {0: b"bug", 5: b"crash", 9: b"half", 11: b""}
    for number in range(22):
        (tmp_path / f"{number}.bin").write_bytes(odd.get(number, b"x" * number))
    ids = [f"{number:03}" for number in range(23)]
    meta = tmp_path / "meta.csv"
    pl.DataFrame({"id": ids, "path": [f"{n}.bin" for n in range(23)], "fps": ["25.0"] * 23}).write_csv(meta)
    return meta
