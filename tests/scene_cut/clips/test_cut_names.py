"""Names of clips: told apart, and never outside the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import make_video
from tools.errors import MediaError
from tools.scene_cut.clips.cutting import cut_clips
from tools.scene_cut.clips.names import clip_folder, clip_name, clip_stems


def test_a_stem_alone_is_kept() -> None:
    assert clip_stems(["a/x.mp4", "b/y.tar.mp4"]) == ["x", "y.tar"]
    assert clip_name("x", 3) == "x_scene-3.mp4"


def test_extensions_tell_apart() -> None:
    assert clip_stems(["a/x.mp4", "a/x.MKV", "z.mp4"]) == ["x_mp4", "x_mkv", "z"]


def test_paths_tell_apart_where_extensions_do_not() -> None:
    paths = ["a/x.mp4", "b/x.mp4", "c/x.mkv"]
    stems = clip_stems(paths)
    assert len(set(stems)) == 3 and all(s.startswith("x_") for s in stems)
    assert stems[2] == "x_mkv"
    assert dict(zip(paths, stems, strict=True)) == dict(
        zip(paths[::-1], clip_stems(paths[::-1]), strict=True)
    )


def test_a_made_name_does_not_hit_a_given_one() -> None:
    stems = clip_stems(["a/x.mp4", "a/x.mkv", "q/x_mkv.avi"])
    assert len(set(stems)) == 3


def test_the_same_file_twice_gives_two_sets_of_clips() -> None:
    stems = clip_stems(["a/x.mp4", "a/x.mp4"])
    assert len(set(stems)) == 2


def test_folders_of_relpath_tell_apart() -> None:
    assert clip_stems(["r/a/x.mp4", "r/b/x.mp4"], ["a/x.mp4", "b/x.mp4"]) == ["x", "x"]


def test_long_names_fit_and_stay_apart(tmp_path: Path) -> None:
    long = "n" * 240
    stems = clip_stems([f"a/{long}1.mp4", f"a/{long}2.mp4", f"a/{'m' * 230}{'x' * 20}.mp4"])
    assert len(set(stems)) == 3
    for stem in stems:
        (tmp_path / (clip_name(stem, 12345) + ".part")).touch()


def test_rows_without_a_path_have_no_name() -> None:
    assert clip_stems([None, "", "x.mp4"]) == ["", "", "x"]


@pytest.mark.parametrize("relpath", ["../x.mp4", "/etc/x.mp4", "a/../../x.mp4", "a\0b/x.mp4", "..//x.mp4"])
def test_relpath_does_not_lead_out(tmp_path: Path, relpath: str) -> None:
    source = make_video(tmp_path / "x.mp4", 3)
    save_dir = tmp_path / "deep" / "clips"
    with pytest.raises(MediaError) as caught:
        cut_clips(source, None, save_dir, relpath=relpath)
    assert (caught.value.kind, caught.value.path) == ("bad_value", str(source))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["x.mp4"]


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    source = make_video(tmp_path / "x.mp4", 3)
    outside, save_dir = tmp_path / "outside", tmp_path / "clips"
    outside.mkdir()
    save_dir.mkdir()
    (save_dir / "a").symlink_to(outside)
    with pytest.raises(MediaError) as caught:
        cut_clips(source, None, save_dir, relpath="a/b/x.mp4")
    assert caught.value.kind == "bad_value"
    # A link in the place of the half-written file, or of the clip, is replaced and not followed.
    (save_dir / "x_scene-0.mp4.part").symlink_to(outside / "victim")
    assert len(cut_clips(source, None, save_dir).clips) == 1
    assert list(outside.iterdir()) == []
    (save_dir / "x_scene-0.mp4").unlink()
    (save_dir / "x_scene-0.mp4").symlink_to(outside / "victim")
    assert len(cut_clips(source, None, save_dir, overwrite=True).clips) == 1
    assert list(outside.iterdir()) == []


def test_relpath_that_stays_inside(tmp_path: Path) -> None:
    assert clip_folder(tmp_path, "a/./b/x.mp4") == tmp_path / "a" / "b"
    assert clip_folder(tmp_path, "x.mp4") == clip_folder(tmp_path, None) == tmp_path


def test_odd_file_names(tmp_path: Path) -> None:
    for name in ("a:b.mp4", "-x.mp4", "sp ace.mp4", "%d.mp4", "ü\nü.mp4", "https:x.mp4"):
        source = make_video(tmp_path / "plain.mp4", 3)
        source = source.rename(tmp_path / name)
        (clip,) = cut_clips(source, None, tmp_path / "clips").clips
        assert clip.path.is_file() and clip.path.name == f"{name[:-4]}_scene-0.mp4"


def test_a_file_of_the_users_is_not_replaced(tmp_path: Path) -> None:
    source = make_video(tmp_path / "x.mp4", 3)
    own = tmp_path / "x_scene-0.mp4"
    own.write_bytes(b"precious")
    result = cut_clips(source, None, tmp_path)
    assert result.failures[0].kind == "encode" and own.read_bytes() == b"precious"
    assert len(cut_clips(source, None, tmp_path, overwrite=True).clips) == 1
    assert own.read_bytes() != b"precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    source = make_video(tmp_path / "x.mp4", 3)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert cut_clips(source, None, closed).failures[0].kind == "encode"
