"""Exports read back by `tools.datasets.convert`: the same clips, captions and numbers, by construction."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video, run_command
from tools.datasets.convert import read_source
from tools.datasets.sources import SourceOptions
from tools.export.__main__ import main

CAPTIONS = {
    "x.y.mp4": 'A "dog", x',
    "ü 狗.mp4": "狗 läuft",
    "NA.mp4": "NA",
    "007.mp4": "123",
    "a/s.mp4": "None",
    "b/s.mp4": "true",
    "m.mov": "1e5",
}
COLUMNS = ["path", "width", "height", "num_frames", "fps", "text"]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    rows = []
    for number, (name, caption) in enumerate(CAPTIONS.items()):
        (folder / name).parent.mkdir(exist_ok=True)
        path = make_video(folder / name, 4 + number, size=(64, 48))
        rows.append((str(path), 64, 48, 4 + number, 25.0, caption))
    pl.DataFrame(rows, schema=COLUMNS, orient="row").write_csv(folder / "meta.csv")
    return folder / "meta.csv"


def contents(paths: pl.Series) -> list[str]:
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def zipped(folder: Path) -> str:
    """A shard of the folder, compressed by gzip."""
    shard = folder / "shards" / "000000.tar"
    target = folder / "zipped.tar.gz"
    target.write_bytes(gzip.compress(shard.read_bytes()))
    return str(target)


PLACES = {
    "videofolder": ("videofolder", str),
    "jsonl": ("videofolder", lambda folder: str(folder / "train" / "metadata.jsonl")),
    "webdataset": ("webdataset", str),
    "tar.gz": ("webdataset", zipped),
    "lance": ("lance", lambda folder: str(folder / "shards")),
}


@pytest.mark.parametrize("kind", PLACES)
def test_what_is_exported_is_read_back(kind, table, tmp_path):
    preset, place = PLACES[kind]
    if kind == "lance":
        pytest.importorskip("lance", reason="pylance (extra: lance) is not installed")
    done = run_command(main, table, "--for", preset, "-o", tmp_path / "out", "--num-workers", 0)
    assert done.returncode == 0, done.stderr
    source = "webdataset" if kind == "tar.gz" else kind
    extract = str(tmp_path / "clips") if source in ("webdataset", "lance") else None
    found = read_source(source, [place(tmp_path / "out")], SourceOptions(extract=extract))
    assert not found.failures
    expected = pl.read_csv(table, infer_schema=False)
    numbers = ["width", "height", "num_frames", "fps"]
    assert contents(found.table["path"]) == contents(expected["path"])
    assert found.table["text"].to_list() == list(CAPTIONS.values())
    assert "caption" not in found.table.columns
    assert (
        found.table.select(pl.col(numbers).cast(pl.Float64)).rows()
        == expected.select(pl.col(numbers).cast(pl.Float64)).rows()
    )
    assert found.table["source_path"].to_list() == expected["path"].to_list()
    assert found.table["key"].to_list()[:4] == ["x_y", "ü_狗", "NA", "007"]


@pytest.mark.parametrize("kind", ["videofolder", "webdataset"])
def test_splits_are_read_back(kind, table, tmp_path):
    split = ("--split", "train:0.5,val:0.5", "--seed", 3)
    run_command(main, table, "--for", kind, "-o", tmp_path / "out", "--num-workers", 0, *split)
    extract = str(tmp_path / "clips") if kind == "webdataset" else None
    found = read_source(kind, [str(tmp_path / "out")], SourceOptions(extract=extract)).table
    clips = pl.read_csv(f"{tmp_path / 'out'}_clips.csv", infer_schema=False)
    written = dict(zip(contents(clips["path"]), clips["relpath"].str.split("/").list.first(), strict=True))
    names = {"train": "train", "val": "validation"}
    assert found["split"].to_list() == [names[written[digest]] for digest in contents(found["path"])]
    assert len(found) == len(CAPTIONS) and set(found["split"]) == {"train", "validation"}
