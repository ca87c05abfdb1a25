"""New files in one folder that several tables are transformed into: each table's stay its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support import barcode_picture, ffmpeg_frames, make_video, read_barcode
from tools.datasets import save_first_frame, transform
from tools.media.writing.output_files import unfinished_file
from tools.table import read_table, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """In x and y an image, and a video whose frame i shows i and 100 + i."""
    for first, name in enumerate("xy"):
        (tmp_path / name).mkdir()
        pictures = [barcode_picture(100 * first + i, 192, 128) for i in range(10)]
        make_video(tmp_path / name / "a.mp4", pictures=pictures, gop=5)
        Image.fromarray(pictures[7]).save(tmp_path / name / "a.png")
    return tmp_path


def table(folder: Path, name: str, path: str) -> Path:
    meta = folder / f"{name}.csv"
    meta.unlink(missing_ok=True)
    return write_table(pl.DataFrame({"path": [str(folder / path)]}), meta)


def run(meta: Path, method: str, *flags: str) -> int:
    arguments = [method, str(meta), "--output-dir", str(meta.parent / "out"), "--quiet", "--num-workers", "0"]
    return transform.main([*arguments, "--output", str(meta.with_name(f"{meta.stem}_out.csv")), *flags])


def first_frame(meta: Path, *flags: str) -> int:
    arguments = [str(meta), "--img-dir", str(meta.parent / "out"), "--quiet", "--num-workers", "0"]
    return save_first_frame.main(
        [*arguments, "--output", str(meta.with_name(f"{meta.stem}_out.csv")), *flags]
    )


def number(meta: Path) -> int | None:
    """What the first picture of a table's new file shows, as the ffmpeg program or Pillow decodes it."""
    row = read_table(meta.with_name(f"{meta.stem}_out.csv")).to_dicts()[0]
    path = Path(row.get("first_frame_path") or row["path"])
    if path.suffix != ".mp4":
        return read_barcode(np.asarray(Image.open(path).convert("RGB")))
    return read_barcode(ffmpeg_frames(path, int(row["width"]), int(row["height"]))[0])


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "out").rglob("*") if p.is_file()}


WAYS: dict[str, tuple[Callable[..., int], str, tuple[str, ...], tuple[int, int]]] = {
    "img_resize": (run, "a.png", ("img_resize", "--length", "96"), (7, 107)),
    "vid_resize": (run, "a.mp4", ("vid_resize", "--length", "96"), (0, 100)),
    "mp4_to_mp4": (run, "a.mp4", ("mp4_to_mp4",), (0, 100)),
    "vid_remux": (run, "a.mp4", ("vid_remux",), (0, 100)),
    "vid_frame_extract": (run, "a.mp4", ("vid_frame_extract", "--points-index", "3"), (3, 103)),
    "first_frame": (run, "a.mp4", ("first_frame", "--image-format", "png"), (0, 100)),
    "save_first_frame": (first_frame, "a.mp4", (), (0, 100)),
}


@pytest.mark.parametrize("way", WAYS)
def test_sources_of_the_same_name_in_two_tables(folder: Path, capsys, way: str) -> None:
    work, name, arguments, shows = WAYS[way]
    one, two = table(folder, "one", f"x/{name}"), table(folder, "two", f"y/{name}")
    assert work(one, *arguments) == 0
    first = contents(folder)
    assert len(first) == 1
    assert work(two, *arguments, "--overwrite") == 0
    assert {name: contents(folder)[name] for name in first} == first
    assert (number(one), number(two)) == shows
    both = contents(folder)
    for meta in (one, two):
        assert work(meta, *arguments) == 0
        assert "complete already" in capsys.readouterr().err.splitlines()[-1]
    assert contents(folder) == both and len(both) == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_users_own_file_stays(folder: Path, way: str) -> None:
    work, name, arguments, _ = WAYS[way]
    one = table(folder, "one", f"x/{name}")
    work(one, *arguments)
    (place,) = (folder / "out").iterdir()
    for file in (folder / "one_out.csv", *(folder / ".vidsieve" / "one_out.csv").iterdir()):
        file.unlink()  # as if nothing had been made yet
    place.write_bytes(b"my own")
    for flags in ((), ("--overwrite",)):
        assert work(one, *arguments, *flags) == 1
        assert contents(folder) == {place.name: b"my own"}
        (failure,) = read_table(folder / "one_out.failures.csv").to_dicts()
        assert failure["kind"] == "encode" and "move it away" in failure["message"]
        (folder / "one_out.csv").unlink(missing_ok=True)


def test_a_table_replaces_its_own_and_nothing_that_was_put_in_their_place(folder: Path) -> None:
    one = table(folder, "one", "x/a.png")
    run(one, "img_resize", "--length", "96")
    assert run(one, "img_resize", "--length", "64", "--overwrite") == 0
    (place,) = (folder / "out").iterdir()
    assert Image.open(place).size == (96, 64)
    place.write_bytes(b"put here by hand")
    assert run(one, "img_resize", "--length", "96", "--overwrite") == 1
    assert place.read_bytes() == b"put here by hand"


def test_other_options_of_another_table_and_the_same(folder: Path, capsys) -> None:
    one, two, three = (table(folder, name, "x/a.png") for name in ("one", "two", "three"))
    run(one, "img_resize", "--length", "96")
    first = contents(folder)
    run(two, "img_resize", "--length", "96")
    assert contents(folder) == first  # the same of the same source: one file for both
    run(three, "img_resize", "--length", "64", "--overwrite")
    assert {name: contents(folder)[name] for name in first} == first
    assert read_table(folder / "three_out.csv")["width"].to_list() == ["96"]
    # The shared one stays when one of its tables is made anew.
    run(one, "img_resize", "--length", "48", "--overwrite")
    assert {name: contents(folder)[name] for name in first} == first
    assert run(two, "img_resize", "--length", "96") == 0
    assert "complete already" in capsys.readouterr().err


def test_what_was_replaced_is_not_complete(folder: Path, capsys) -> None:
    one = table(folder, "one", "x/a.mp4")
    first_frame(one)
    (place,) = (folder / "out").iterdir()
    place.write_bytes(b"put here by hand")
    assert first_frame(one) == 1
    assert "complete already" not in capsys.readouterr().err
    assert place.read_bytes() == b"put here by hand"


def test_half_written_files_of_others_stay(folder: Path) -> None:
    one = table(folder, "one", "x/a.png")
    run(one, "img_resize", "--length", "96")
    with unfinished_file(folder / "out" / "a.png") as part:
        left = folder / "out" / "a.png.0123abcd.part"
        left.write_bytes(b"of a run that was killed")
        mine = folder / "out" / ".a.png.new"
        mine.write_bytes(b"my own")
        run(one, "img_resize", "--length", "64", "--overwrite")
        assert part.exists() and mine.exists() and not left.exists()
