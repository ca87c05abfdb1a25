"""What makes a step stale: one thing is changed at a time, and changed back."""

import os
from pathlib import Path

import polars as pl
import pytest

from tools.pipeline.document import read_document
from tools.pipeline.freshness import key_of, with_weights
from tools.pipeline.plan import plan_steps
from tools.table import write_table

CHAIN = """
[variables]
recipe = "ours.toml"

[[step]]
name = "kept"
run = "datautil"
input = ["own.parquet"]
options = { recipe = "${recipe}" }
"""

RECIPE = '[recipe]\ntitle = "ours"\n\n[[step]]\nname = "long"\nwhere = "duration >= 2"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A table of two files, a recipe, and a chain with both."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.mp4").write_text(name)
    Path("chain.toml").write_text(CHAIN)
    Path("ours.toml").write_text(RECIPE)
    Path("theirs.toml").write_text(RECIPE)
    table(["a.mp4", "b.mp4"])


def table(paths):
    write_table(pl.DataFrame({"path": paths, "duration": [3.0] * len(paths)}), "own.parquet")


def key(*settings):
    (step,) = plan_steps(read_document("chain.toml", settings))
    return key_of(step)


def test_a_key_is_the_same_until_something_changes():
    before = key()
    assert key() == before and before is not None
    assert key("recipe=theirs.toml") != before
    Path("ours.toml").write_text(RECIPE.replace("2", "3"))  # a file that an option names
    assert key() != before
    Path("ours.toml").write_text(RECIPE)
    assert key() == before
    found = Path("a.mp4").stat()
    times = found.st_atime_ns, found.st_mtime_ns
    os.utime("a.mp4", ns=(times[0], times[1] + 1))
    assert key() != before
    os.utime("a.mp4", ns=times)
    Path("b.mp4").write_text("bb")
    assert key() != before


def test_tables_of_lists_of_files_and_files_that_are_not_there_have_a_key():
    table([["a.mp4", "b.mp4"], ["none.mp4"]])
    before = key()
    assert before is not None
    Path("none.mp4").touch()
    assert key() != before


def test_addresses_have_none():
    table(["a.mp4", "https://example.com/b.mp4"])
    assert key() is None
    table([Path("a.mp4").absolute().as_uri()])
    assert key() is not None


def test_weights_count_where_a_model_takes_part(monkeypatch):
    Path("own.pth").write_text("one")
    monkeypatch.setenv("VIDSIEVE_AESTHETIC", "own.pth")
    before = with_weights("key")
    assert with_weights("key") == before != with_weights("other")
    Path("own.pth").write_text("three")
    assert with_weights("key") != before
