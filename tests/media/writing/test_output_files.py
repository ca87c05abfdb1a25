"""Where files may be made: whatever cells, names and ids say, inside the folder and nowhere else."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.integrations.dataflow.dataflow_files import Memory
from tests.support import make_video
from tools.datasets import save_first_frame, transform
from tools.datasets.transforms.targets import plan_targets, target_path
from tools.errors import MediaError
from tools.integrations.dataflow.frame_folders import claim_folder, find_folder, picture_folder
from tools.media.writing.output_files import (
    finished_name,
    move_finished,
    remove_unfinished,
    safe_join,
    unfinished_file,
)
from tools.operators import VideoFrameFilter
from tools.scene_cut import cut, scene_detect
from tools.scene_cut.clips.names import clip_name, clip_path
from tools.scene_cut.shots.stats import stats_names
from tools.stage.names.file_stems import file_stems
from tools.table import read_table, write_table

PIECES = ["..", ".", "", "a", "a.mp4", "...mp4", "..mp4", ".mp4", " ", "a ", "a.", "\0", "\n", "link", "out"]
PIECES += ["x" * 255, "ü" * 127, "\udcff", "\ud800", "-", "~", "%", "C:", "CON", "video.json", "file"]
NAMES = st.one_of(st.text(max_size=12), st.lists(st.sampled_from(PIECES), max_size=6).map("/".join))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, in it a link that leads out and a file where folders would have to be."""
    ground = tmp_path_factory.mktemp("ground")
    for name in ("deep/er/folder", "out"):
        (ground / name).mkdir(parents=True)
    (ground / "out" / "secret").write_text("untouched")
    (ground / "deep/er/folder/link").symlink_to(ground / "out")
    (ground / "deep/er/folder/file").write_text("a file")
    return ground


def outside(ground: Path) -> list[str]:
    """All that stands outside the folder."""
    assert (ground / "out" / "secret").read_text() == "untouched"
    folders = [ground, ground / "out", ground / "deep", ground / "deep/er"]
    return sorted(str(path.relative_to(ground)) for folder in folders for path in folder.iterdir())


OUTSIDE = ["deep", "deep/er", "deep/er/folder", "out", "out/secret"]


def write_there(place: Path) -> None:
    """Make a file as all commands do; the disk takes every name that `safe_join` gives."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):  # one of the folders is a file: told for its own row
        return
    with unfinished_file(place) as part:
        part.write_text("new")
        if not place.is_dir():
            move_finished(part, place, replace=True)
            place.unlink()


@settings(max_examples=200, deadline=None)
@given(inside=NAMES)
@example(inside="../../..")
@example(inside="/etc/passwd")
@example(inside="link/new")
@example(inside="a/../../../out/new")
@example(inside="a\0b")
@example(inside="\ud800.mp4")
@example(inside="é" * 114)
@example(inside="x" * 227)
@example(inside="a/" * 1200 + "a")
@example(inside="/".join(["é" * 100] * 30))
def test_whatever_a_cell_says(ground: Path, inside: str) -> None:
    folder = ground / "deep/er/folder"
    try:
        place = safe_join(folder, inside, "source")
    except MediaError as error:
        assert error.kind == "bad_value" and error.path == "source" and error.message.isprintable()
    else:
        assert os.path.normpath(place).startswith(f"{folder}/")
        try:
            write_there(place)
        except OSError as error:
            assert error.strerror == "File name too long" and len(os.fsencode(place)) > 4000
    assert outside(ground) == OUTSIDE


@settings(max_examples=60, deadline=None)
@given(path=NAMES, relpath=st.none() | NAMES, clip=NAMES)
@example(path="v/...mp4", relpath=None, clip="..")
@example(path="v/..mp4", relpath="..", clip=".")
@example(path="v/a.mp4", relpath="../../..", clip="../up")
def test_every_way_to_a_path(ground: Path, path: str, relpath: str | None, clip: str) -> None:
    """The paths of clips, new files, statistics and frame folders, from any source, relpath and id."""
    folder = str(ground / "deep/er/folder")
    others = ["v/a.mp4", "w/a.mp4"]
    (stem, *_) = file_stems([path, *others], [relpath, "a.mp4", "a.mp4"])

    def target(extension: str | None) -> Path:
        planned = plan_targets([path, *others], [relpath, None, None], extension=extension)[0]
        return target_path(planned, path, output_dir=folder, input_dir=None)

    ways = {
        "clip": lambda: clip_path(folder, relpath, clip_name(stem, 12345), path),
        "new file": lambda: target(None),
        "video": lambda: target(".mp4"),
        "statistics": lambda: safe_join(folder, stats_names([path, *others])[0] or "", path),
        "pictures": lambda: Path(picture_folder(folder, clip), "frame_000000.jpg"),
        "frame folder": lambda: Path(claim_folder(folder, path), "picture.jpg"),
    }
    for way in ways.values():
        try:
            place = way()
        except MediaError as error:
            assert error.kind in ("bad_value", "encode")
            continue
        assert os.path.normpath(place).startswith(f"{folder}/")
        write_there(place)
        assert outside(ground) == OUTSIDE
    find_folder(folder, path, shared=False)


def test_long_names_are_shortened_or_told(tmp_path: Path) -> None:
    assert safe_join(tmp_path, "x" * 227, "s").name == "x" * 227
    with pytest.raises(MediaError, match="more than 227 bytes"):
        safe_join(tmp_path, "x" * 228, "s")
    with pytest.raises(MediaError, match="more than 227 bytes"):
        safe_join(tmp_path, f"{'é' * 114}/a", "s")  # two bytes each
    assert len(os.fsencode(claim_folder(str(tmp_path), f"v/{'n' * 251}.mp4").rpartition("/")[2])) <= 227


def test_links_in_a_ring(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(MediaError) as caught:
        safe_join(tmp_path, "a/x.mp4", "s", create=True)
    assert caught.value.kind in ("bad_value", "encode")


def test_unfinished_files_have_names_of_their_own(tmp_path: Path) -> None:
    with unfinished_file(tmp_path / "a.mp4") as one, unfinished_file(tmp_path / "a.mp4") as two:
        assert one != two and finished_name(one.name) == finished_name(two.name) == "a.mp4"
        with unfinished_file(one) as inner:
            assert finished_name(inner.name) == "a.mp4"
        remove_unfinished(tmp_path, lambda name: True)  # both are being written
        assert one.exists() and two.exists()
        two.write_text("two")
        move_finished(two, tmp_path / "a.mp4", replace=False)
        with pytest.raises(FileExistsError):
            move_finished(one, tmp_path / "a.mp4", replace=False)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "two"


def test_what_a_killed_run_left(tmp_path: Path) -> None:
    left = [tmp_path / f"{name}.0123abcd.part" for name in ("a.mp4", "b.mp4")]
    own = [tmp_path / name for name in ("a.mp4.part", "a.mp4.0123abcd", "a.mp4.xyz.part", "a.part")]
    for file in (*left, *own):
        file.touch()
    (tmp_path / "a.mp4.11111111.part").symlink_to(own[0])
    with left[1].open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        remove_unfinished(tmp_path, lambda name: name in ("a.mp4", "b.mp4"))
        assert not left[0].exists() and left[1].exists()
    remove_unfinished(tmp_path, lambda name: name == "a.mp4")
    assert left[1].exists()
    assert all(file.exists() for file in own)


def test_a_lock_of_a_writer_that_is_dying_is_waited_for(tmp_path: Path) -> None:
    part = tmp_path / "a.mp4.0123abcd.part"
    part.touch()
    with part.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        released = threading.Timer(0.3, fcntl.flock, (held, fcntl.LOCK_UN))
        released.start()
        remove_unfinished(tmp_path, lambda name: True, patience=30)
        released.join()
    assert not part.exists()


BAD = ["../../../up.mp4", "/tmp/absolute.mp4", "a\0b/x.mp4", "link/x.mp4", f"{'x' * 256}/x.mp4", "file/x.mp4"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Videos and images called ``...mp4`` and the like, and in the output folder a link and a file."""
    for name in ("...mp4", "..mp4", " .mp4", "a..mp4", "line\nfeed.mp4", "ü" * 120 + ".mp4", "good.mp4"):
        (tmp_path / "in").mkdir(exist_ok=True)
        make_video(tmp_path / "plain.mp4", 5, size=(64, 64), b_frames=0).rename(tmp_path / "in" / name)
        picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
        picture.save(tmp_path / "in" / f"{name.removesuffix('.mp4')}.png", format="PNG")
    for name in ("elsewhere", "in/deep/out"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "in/deep/out/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/deep/out/file").write_text("mine")
    return tmp_path


def table(folder: Path, extension: str) -> Path:
    """Each file by its own name, and the good one once for each bad relpath. Parquet holds zero bytes."""
    names = [*sorted(p.name for p in (folder / "in").glob(f"*{extension}")), f"...none{extension}"]
    rows = [(str(folder / "in" / name), name) for name in names]
    rows += [(str(folder / "in" / f"good{extension}"), bad) for bad in BAD]
    rows.append((str(folder / "in" / f"zero\0byte{extension}"), f"x/zero{extension}"))
    return write_table(pl.DataFrame(rows, schema=["path", "relpath"], orient="row"), folder / "meta.parquet")


COMMANDS = {
    "cut": (cut, ["--mode", "copy", "--save_dir", "OUT"], ".mp4"),
    "vid_remux": (transform, ["vid_remux", "--output-dir", "OUT"], ".mp4"),
    "mp4_to_mp4": (transform, ["mp4_to_mp4", "--output-dir", "OUT"], ".mp4"),
    "img_resize": (transform, ["img_resize", "--length", "4", "--output-dir", "OUT"], ".png"),
    "img_rand_crop": (transform, ["img_rand_crop", "--output-dir", "OUT"], ".png"),
    "vid_frame_extract": (transform, ["vid_frame_extract", "--output-dir", "OUT"], ".mp4"),
    "save_first_frame": (save_first_frame, ["--img-dir", "OUT"], ".mp4"),
    "stats": (scene_detect, ["--detector", "content", "--stats-dir", "OUT"], ".mp4"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_name_costs_its_row_and_nothing_else(folder: Path, command: str) -> None:
    module, words, extension = COMMANDS[command]
    meta, out = table(folder, extension), folder / "in/deep/out"
    before = {p for p in folder.rglob("*") if not p.is_relative_to(out)}
    arguments = [str(out) if word == "OUT" else word for word in words]
    arguments += ["--quiet", "--num-workers", "0", "--output", str(folder / "made.parquet")]
    at = 1 if module is transform else 0
    assert module.main([*arguments[:at], str(meta), *arguments[at:]]) == 0
    made = {p for p in folder.rglob("*") if not p.is_relative_to(out)} - before
    assert {p.relative_to(folder).parts[0] for p in made if ".vidsieve" not in p.parts} == {
        "made.parquet",
        "made.parquet.provenance.json",
        "made.failures.csv",
    }
    assert (out / "file").read_text() == "mine"
    failures = read_table(folder / "made.failures.csv")
    wrong = 0 if command == "stats" else len(BAD)  # it does not look at relpath
    assert failures["kind"].to_list().count("bad_value") >= wrong - 1  # a file in the way of a folder: encode
    assert failures.height == wrong + 2  # and the one that is not there, and the one with a zero byte
    new = [p for p in out.rglob("*") if p.is_file() and p.name != "file" and not p.is_symlink()]
    assert len({p.name for p in new}) >= 7  # all the others


def test_pictures_of_clips_stay_in_their_folder(folder: Path) -> None:
    names = ["...mp4", "..mp4", " .mp4", "line\nfeed.mp4", "ü" * 120 + ".mp4", "good.mp4"]
    names += ["zero\0byte.mp4", "none.mp4"]
    clips = [{"id": name, "frame_start": 0, "frame_end": 5} for name in ("a", "..", ".", "x/../../y", "z\0")]
    rows = [{"video": str(folder / "in" / name), "video_clips": {"clips": clips}} for name in names]
    (folder / "..elsewhere").mkdir()
    before = {p for p in folder.rglob("*") if not p.is_relative_to(folder / "in/deep/out")}
    storage = Memory(rows)
    VideoFrameFilter(output_dir=str(folder / "in/deep/out"), num_workers=0).run(storage)
    assert {p for p in folder.rglob("*") if not p.is_relative_to(folder / "in/deep/out")} == before
    exports = storage.frame["video_frame_export"]
    saved = [[clip["saved"] for clip in export["clips"]] for export in exports]
    assert saved == [[0] * 5] * 2 + [[3, 0, 0, 0, 0]] * 4 + [[0] * 5] * 2
    for export in exports:
        assert all(c["saved"] or c["error"].startswith(("bad_value", "missing")) for c in export["clips"])


def test_what_another_run_clears_away_meanwhile_is_made_again(tmp_path: Path) -> None:
    """It may come between the creation of a file and its lock."""
    ended = threading.Event()

    def clear() -> None:
        while not ended.is_set():
            remove_unfinished(tmp_path, lambda name: True)

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        for _ in range(1000):
            with unfinished_file(tmp_path / "a.mp4") as part:
                part.stat()
    finally:
        ended.set()
        thread.join()
