"""Clips in one folder that several tables are cut into: each table's stay its own, whoever comes later.

Every source shows its own numbers, so what a clip shows (decoded by the ffmpeg program) tells whose it is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.support import barcode_picture, ffmpeg_frames, make_video, read_barcode
from tools.scene_cut import cut
from tools.scene_cut.clips.cutting import CutOptions, cut_clips
from tools.table import read_table, write_table

WHOLE = '[["0", "0.8"]]'
HALVES = '[["0", "0.4"], ["0.4", "0.8"]]'
COPY = ("--mode", "copy")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Videos of the same name in x, y and z; frame i shows i, 100 + i and 200 + i."""
    for first, name in enumerate("xyz"):
        (tmp_path / name).mkdir()
        pictures = [barcode_picture(100 * first + i, 192, 128) for i in range(20)]
        make_video(tmp_path / name / "a.mp4", pictures=pictures, gop=5, b_frames=0)
    return tmp_path


def table(folder: Path, name: str, *rows: tuple[str, str]) -> Path:
    meta = folder / f"{name}.csv"
    meta.unlink(missing_ok=True)
    paths, cells = [str(folder / path) for path, _ in rows], [cell for _, cell in rows]
    return write_table(pl.DataFrame({"path": paths, "timestamp": cells}), meta)


def run(meta: Path, *flags: str) -> int:
    arguments = [str(meta), "--save_dir", str(meta.parent / "clips"), "--quiet", "--num-workers", "0"]
    return cut.main([*arguments, *flags])


def shown(clips: Path) -> dict[str, list[int | None]]:
    """What the frames of each clip of a table show."""
    return {
        Path(path).name: [read_barcode(frame) for frame in ffmpeg_frames(Path(path), 192, 128)]
        for path in read_table(clips)["path"]
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "clips").rglob("*") if p.suffix in (".mp4", ".mkv")}


@pytest.mark.parametrize("flags", [(), COPY, ("--mode", "smart"), ("--engine", "ffmpeg")])
def test_sources_of_the_same_name_in_two_tables(folder: Path, capsys, flags: tuple[str, ...]) -> None:
    one, two = table(folder, "one", ("x/a.mp4", HALVES)), table(folder, "two", ("y/a.mp4", HALVES))
    assert run(one, *flags) == 0
    first = contents(folder)
    assert run(two, *flags) == 0
    assert "1 sources have clips with digits in their names" in capsys.readouterr().err
    assert {name: contents(folder)[name] for name in first} == first
    assert list(shown(folder / "one_clips.csv").values()) == [[*range(10)], [*range(10, 20)]]
    theirs = shown(folder / "two_clips.csv")
    assert list(theirs.values()) == [[*range(100, 110)], [*range(110, 120)]]
    assert all(name.startswith("a_") and not name.startswith("a_scene") for name in theirs)
    everything = contents(folder)
    for meta in (one, two, one):
        assert run(meta, *flags) == 0
        assert "complete already" in capsys.readouterr().err
    assert contents(folder) == everything


def test_other_scenes_of_the_same_source(folder: Path, capsys) -> None:
    assert run(table(folder, "one", ("x/a.mp4", HALVES)), *COPY) == 0
    first = contents(folder)
    assert run(table(folder, "two", ("x/a.mp4", WHOLE)), *COPY, "--overwrite") == 0
    assert {name: contents(folder)[name] for name in first} == first
    assert list(shown(folder / "two_clips.csv").values()) == [[*range(20)]]
    assert run(table(folder, "three", ("x/a.mp4", '[["0.2", "0.4"]]')), *COPY) == 0
    assert list(shown(folder / "three_clips.csv").values()) == [[*range(5, 10)]]
    assert list(shown(folder / "two_clips.csv").values()) == [[*range(20)]]


def test_tables_that_cut_the_same_share_their_clips(folder: Path) -> None:
    one, two = table(folder, "one", ("x/a.mp4", HALVES)), table(folder, "two", ("x/a.mp4", '[["0", "0.4"]]'))
    run(one, *COPY)
    first = contents(folder)
    run(two, *COPY)
    assert contents(folder) == first and len(first) == 2  # a part of the scenes is no other cut
    # One of them is cut anew with other options: the other one's clip stays.
    assert run(one, *COPY, "--drop-audio", "--overwrite") == 0
    assert {name: contents(folder)[name] for name in first} == first
    assert not set(shown(folder / "one_clips.csv")) & set(first)
    # Alone, a table replaces its own clips, under their names.
    run(one, "--overwrite")
    run(one, "--crf", "30", "--overwrite")
    assert len(contents(folder)) == 4


def test_a_source_that_has_changed_does_not_cost_another_table_its_clips(folder: Path) -> None:
    one, two = table(folder, "one", ("x/a.mp4", WHOLE)), table(folder, "two", ("x/a.mp4", WHOLE))
    run(one, *COPY)
    run(two, *COPY)
    first = contents(folder)
    make_video(folder / "x" / "a.mp4", 30, gop=5)
    assert run(two, *COPY, "--overwrite") == 1
    assert contents(folder) == first
    (failure,) = read_table(folder / "two_clips.failures.csv").to_dicts()
    assert failure["kind"] == "encode" and "belongs to another table" in failure["message"]


def test_the_users_own_files_stay(folder: Path) -> None:
    meta = table(folder, "one", ("x/a.mp4", HALVES))
    (folder / "clips").mkdir()
    own = folder / "clips" / "a_scene-1.mp4"
    own.write_bytes(b"my own")
    left = folder / "clips" / "a_scene-0.mp4.part"
    left.write_bytes(b"a download of mine")
    for flags in (COPY, (*COPY, "--overwrite", "--retry-failed")):
        assert run(meta, *flags) == 0
        assert own.read_bytes() == b"my own" and left.read_bytes() == b"a download of mine"
        assert list(shown(folder / "one_clips.csv")) == ["a_scene-0.mp4"]
        assert "not cut here" in read_table(folder / "one_clips.failures.csv")["message"][0]


def test_a_clip_that_was_replaced_is_not_taken_for_ones_own(folder: Path, capsys) -> None:
    meta = table(folder, "one", ("x/a.mp4", WHOLE))
    run(meta, *COPY)
    clip = folder / "clips" / "a_scene-0.mp4"
    made = clip.read_bytes()
    clip.write_bytes((folder / "y" / "a.mp4").read_bytes())
    assert run(meta, *COPY) == 1
    assert "complete already" not in capsys.readouterr().err
    assert clip.read_bytes() == (folder / "y" / "a.mp4").read_bytes()
    clip.unlink()
    assert run(meta, *COPY, "--retry-failed") == 0
    assert clip.read_bytes() == made


def test_two_runs_at_once(folder: Path) -> None:
    """Two tables with sources of one name, one with the same work as another, and a command twice."""
    metas = [table(folder, f"t{i}", (f"{d}/a.mp4", HALVES)) for i, d in enumerate("xyx")]
    metas.append(metas[0])
    command = [sys.executable, "-m", "tools.scene_cut.cut", "--save_dir", str(folder / "clips"), "--quiet"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen([*command, str(meta)], **quiet) for meta in metas]
    said = [process.communicate(timeout=300)[1] for process in runs]
    for process, meta, text in zip(runs, metas, said, strict=True):
        if process.returncode:  # told in one line, and right when it is run again
            assert process.returncode == 2, text
            assert "running already" in text or "just taken names" in text
            assert len(text.strip().splitlines()) == 1
            assert run(meta) == 0
    firsts = [next(iter(shown(folder / f"t{i}_clips.csv").values())) for i in range(3)]
    assert firsts == [[*range(n, n + 10)] for n in (0, 100, 0)]
    assert not list((folder / "clips").glob("*.part"))


def test_a_refused_run_leaves_the_files_of_the_one_at_work(folder: Path) -> None:
    from tools.media.writing.output_files import unfinished_file

    meta = table(folder, "one", ("x/a.mp4", HALVES))
    run(meta, *COPY)
    with unfinished_file(folder / "clips" / "a_scene-0.mp4") as part:  # another process would hold it just so
        run(table(folder, "two", ("x/a.mp4", HALVES)), *COPY)
        assert part.exists()
        with pytest.raises(Exception, match="in the way"):
            run(meta, *COPY, "--drop-audio")
        assert part.exists()
    left = folder / "clips" / "a_scene-0.mp4.0123abcd.part"
    left.write_bytes(b"of a run that was killed")
    run(table(folder, "three", ("x/a.mp4", HALVES)), *COPY)
    assert not left.exists()


def test_prune_leaves_what_others_are_at(folder: Path, monkeypatch) -> None:
    one = table(folder, "one", ("x/a.mp4", HALVES))
    run(one, *COPY)
    # Its table names clips by a path that means something in its own folder alone.
    monkeypatch.chdir(folder)
    assert cut.main(["one.csv", "--save_dir", "clips", "--output", "near.csv", "--quiet", *COPY]) == 0
    (folder / "one_clips.csv").unlink()
    # The table of a run that was killed is not there yet.
    two = table(folder, "two", ("y/a.mp4", HALVES))
    run(two, *COPY)
    for file in [folder / "two_clips.csv", *(folder / ".vidsieve" / "two_clips.csv").glob("*.receipt.json")]:
        file.unlink()
    before = contents(folder)
    monkeypatch.chdir("/")
    three = table(folder, "three", ("z/a.mp4", WHOLE))
    assert run(three, *COPY, "--prune") == 0
    assert {name: contents(folder)[name] for name in before} == before
    (folder / "near.csv").unlink()
    assert run(three, *COPY, "--prune", "--overwrite") == 0
    assert len(contents(folder)) == 3  # those of the table that was removed are gone


def test_after_a_kill_the_names_and_the_table_are_those_of_a_run_that_was_not(folder: Path) -> None:
    run(table(folder, "one", ("x/a.mp4", HALVES)), *COPY)
    two = table(folder, "two", ("y/a.mp4", HALVES), ("z/a.mp4", HALVES))
    run(two, *COPY)
    whole = (folder / "two_clips.csv").read_bytes(), contents(folder)
    # As a kill leaves it between the rows: the ledger knows one, the table is not there.
    state = folder / ".vidsieve" / "two_clips.csv"
    for file in [folder / "two_clips.csv", *state.glob("*.receipt.json")]:
        file.unlink()
    ledger = state / "rank0.jsonl"
    ledger.write_text(ledger.read_text().splitlines(keepends=True)[0])
    run(table(folder, "four", ("y/a.mp4", WHOLE)), *COPY)  # another one that would like the names comes by
    assert run(two, *COPY) == 0
    assert (folder / "two_clips.csv").read_bytes() == whole[0]
    assert {name: contents(folder)[name] for name in whole[1]} == whole[1]


def test_the_library_replaces_clips_of_the_same_source_alone(folder: Path, monkeypatch) -> None:
    (mine,) = cut_clips(folder / "x" / "a.mp4", None, folder / "clips", options=CutOptions(mode="copy")).clips
    before = mine.path.read_bytes()
    for overwrite in (False, True):
        result = cut_clips(folder / "y" / "a.mp4", None, folder / "clips", overwrite=overwrite)
        assert "the clip of another source" in result.failures[0].message
        assert mine.path.read_bytes() == before
    monkeypatch.chdir(folder)  # the same source by another name
    (again,) = cut_clips("x/../x/a.mp4", None, folder / "clips").clips
    assert again.path == mine.path and mine.path.read_bytes() != before
