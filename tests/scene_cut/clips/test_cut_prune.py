"""Clips do not outlive their table: what an earlier cut left is counted, and removed on request."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video
from tools.scene_cut import cut
from tools.table import read_table, write_table

THREE = '[["0", "0.4"], ["0.4", "0.8"], ["0.8", "1.2"]]'
ONE = '[["0", "0.4"]]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        make_video(tmp_path / f"{name}.mp4", 30, size=(96, 64), gop=10)
    return tmp_path


def run(folder: Path, cells: dict[str, str], *flags: str, table: str = "meta", clips: str = "clips") -> None:
    rows = {"path": [str(folder / f"{n}.mp4") for n in cells], "timestamp": list(cells.values())}
    rows["relpath"] = [f"{n}/{n}.mp4" for n in cells]
    meta = folder / f"{table}.csv"
    meta.unlink(missing_ok=True)
    write_table(pl.DataFrame(rows), meta)
    arguments = [str(meta), "--save_dir", str(folder / clips), "--mode", "copy", "--quiet", "--overwrite"]
    arguments += ["--num-workers", "0"]
    assert cut.main([*arguments, *flags]) == 0


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "clips").rglob("*.*") if p.suffix in (".mp4", ".mkv"))


def test_clips_of_an_earlier_cut_are_counted_and_pruned(folder, capsys):
    run(folder, {"a": THREE, "b": THREE})
    assert "earlier cuts" not in capsys.readouterr().err
    # Not ours: a copy under a name of a clip without the mark, one with other ending, a link, another name.
    theirs = folder / "clips" / "a" / "a_scene-7.mp4"
    shutil.copy(folder / "a.mp4", theirs)
    shutil.copy(folder / "clips" / "a" / "a_scene-0.mp4", folder / "clips" / "a" / "chosen.mp4")
    (folder / "clips" / "a" / "a_scene-9.mp4").symlink_to(folder / "clips" / "a" / "a_scene-0.mp4")
    before = names(folder)
    run(folder, {"a": ONE})
    assert "5 clips of earlier cuts that no table lists: they stay; --prune" in capsys.readouterr().err
    assert names(folder) == before
    run(folder, {"a": ONE}, "--prune")
    assert "5 clips of earlier cuts that no table lists: removed" in capsys.readouterr().err
    assert names(folder) == ["a_scene-0.mp4", "a_scene-7.mp4", "a_scene-9.mp4", "chosen.mp4"]
    run(folder, {"a": ONE}, "--prune")
    assert "earlier cuts" not in capsys.readouterr().err
    assert [Path(p).is_file() for p in read_table(folder / "meta_clips.csv")["path"]] == [True]


def test_clips_of_another_table_stay_as_long_as_it_is_there(folder, capsys):
    run(folder, {"a": THREE}, table="first")
    run(folder, {"b": ONE}, "--prune", table="second")
    assert (
        f"3 more clips in {folder / 'clips'} are those of {folder / 'first_clips.csv'}"
        in capsys.readouterr().err
    )
    assert len(names(folder)) == 4
    (folder / "first_clips.csv").unlink()
    run(folder, {"b": ONE}, "--prune", table="second")
    assert names(folder) == ["b_scene-0.mp4"]


def test_a_rank_prunes_what_no_rank_has_made(folder, monkeypatch, capsys):
    run(folder, {"a": THREE, "b": THREE})
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in (1, 0):
        monkeypatch.setenv("RANK", str(rank))
        run(folder, {"a": THREE, "b": ONE}, "--prune", "--output", str(folder / "new.csv"))
    assert len(names(folder)) == 6  # the first table is still there
    (folder / "meta_clips.csv").unlink()
    run(folder, {"a": THREE, "b": ONE}, "--prune", "--output", str(folder / "new.csv"))  # rank 0 has a
    assert len(names(folder)) == 6
    monkeypatch.setenv("RANK", "1")
    run(folder, {"a": THREE, "b": ONE}, "--prune", "--output", str(folder / "new.csv"))
    assert names(folder) == ["a_scene-0.mp4", "a_scene-1.mp4", "a_scene-2.mp4", "b_scene-0.mp4"]
