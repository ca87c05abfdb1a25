"""Names of clips: never outside the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import make_video
from tools.errors import MediaError
from tools.scene_cut.clips.cutting import cut_clips
from tools.scene_cut.clips.names import clip_folder, clip_name


def test_the_name_of_a_clip() -> None:
    assert clip_name("x", 3) == "x_scene-3.mp4"


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
