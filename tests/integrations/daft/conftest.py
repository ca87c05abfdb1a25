"""A table of small files."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.integrations.daft.stages import SizeStage
from tools.stage.runner import RunOptions, run_stage
from tools.table import read_table, write_table

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def table(tmp_path, monkeypatch) -> Path:
    """A table of 23 small files for `SizeStage`, in the current folder; its paths are relative."""
    make_table(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # workers of Daft's have the current folder only
    monkeypatch.chdir(tmp_path)
    return tmp_path / "meta.csv"


@pytest.fixture(scope="session")
def sizes(tmp_path_factory) -> pl.DataFrame:
    """What one process makes of it."""
    folder = tmp_path_factory.mktemp("sizes")
    make_table(folder)
    rows = read_table(folder / "meta.csv").with_columns(path=f"{folder}/" + pl.col("path"))
    meta = write_table(rows, folder / "absolute.csv")
    run_stage(SizeStage(), meta, options=RunOptions(num_workers=0, progress=False))
    found = read_table(folder / "absolute_size.csv")
    return found.with_columns(
        path=pl.col("path").str.split("/").list.last(),
        size=pl.col("size").cast(pl.Int64),
        third=pl.col("third").cast(pl.Float64),
    )


def make_table(folder: Path) -> None:
    """What is in a file decides what goes wrong with it; one file is not there."""
    odd = {0: b"bug", 9: b"half", 11: b""}
    for number in range(22):
        (folder / f"{number}.bin").write_bytes(odd.get(number, b"x" * number))
    ids = [f"{number:03}" for number in range(23)]
    meta = pl.DataFrame({"id": ids, "path": [f"{n}.bin" for n in range(23)], "fps": ["25.0"] * 23})
    meta.write_csv(folder / "meta.csv")
