"""Stems of the files that are made for the rows of a table: no two rows in a folder share one."""

from __future__ import annotations

from pathlib import Path

from tools.stage.names.file_stems import file_stems


def test_a_stem_alone_is_kept() -> None:
    assert file_stems(["a/x.mp4", "b/y.tar.mp4"]) == ["x", "y.tar"]


def test_extensions_tell_apart() -> None:
    assert file_stems(["a/x.mp4", "a/x.MKV", "z.mp4"]) == ["x_mp4", "x_mkv", "z"]


def test_paths_tell_apart_where_extensions_do_not() -> None:
    paths = ["a/x.mp4", "b/x.mp4", "c/x.mkv"]
    stems = file_stems(paths)
    assert len(set(stems)) == 3 and all(s.startswith("x_") for s in stems)
    assert stems[2] == "x_mkv"
    assert dict(zip(paths, stems, strict=True)) == dict(
        zip(paths[::-1], file_stems(paths[::-1]), strict=True)
    )


def test_a_made_name_does_not_hit_a_given_one() -> None:
    stems = file_stems(["a/x.mp4", "a/x.mkv", "q/x_mkv.avi"])
    assert len(set(stems)) == 3


def test_the_same_file_twice_gives_two_stems() -> None:
    stems = file_stems(["a/x.mp4", "a/x.mp4"])
    assert len(set(stems)) == 2


def test_folders_of_relpath_tell_apart() -> None:
    assert file_stems(["r/a/x.mp4", "r/b/x.mp4"], ["a/x.mp4", "b/x.mp4"]) == ["x", "x"]


def test_long_names_fit_and_stay_apart(tmp_path: Path) -> None:
    long = "n" * 240
    stems = file_stems([f"a/{long}1.mp4", f"a/{long}2.mp4", f"a/{'m' * 230}{'x' * 20}.mp4"])
    assert len(set(stems)) == 3
    for stem in stems:
        (tmp_path / f"{stem}_scene-12345.mp4.part").touch()


def test_rows_without_a_path_have_no_name() -> None:
    assert file_stems([None, "", "x.mp4"]) == ["", "", "x"]
