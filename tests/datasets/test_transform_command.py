"""The transform command: its forms, its tables, what fails, and what a kill and a second run leave."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support import (
    MEASURED_ON_FILE,
    NOT_MEASURED_ON_FILE,
    ffmpeg_frames,
    make_video,
    read_barcode,
)
from tools import cli
from tools.datasets import save_first_frame, transform
from tools.errors import UserError
from tools.table import merge_tables, read_table, write_table


@pytest.fixture()
def meta(tmp_path: Path) -> Path:
    """Two videos with the same stem, two images with the same stem, a broken image, and no file at all."""
    folder = tmp_path / "in"
    (folder / "s").mkdir(parents=True)
    make_video(folder / "a.mp4", 20, size=(192, 128))
    make_video(folder / "s" / "a.mkv", 30, size=(128, 192))
    rows, columns = np.mgrid[0:60, 0:80]
    image = Image.fromarray(np.stack([rows * 4, columns * 3, rows], 2).astype(np.uint8))
    image.save(folder / "p.jpg")
    image.save(folder / "s" / "p.png")
    (folder / "bad.jpg").write_bytes((folder / "p.jpg").read_bytes()[:700])
    names = ["a.mp4", "s/a.mkv", "p.jpg", "s/p.png", "bad.jpg", "none.mp4"]
    table = pl.DataFrame(
        {
            "path": [str(folder / name) for name in names],
            "id": ["a", "a", "p", "p", "bad", "none"],
            "text": ["None", "007", "NA", 'a "quoted", text', "", "x"],
            "height": ["1"] * 6,
            "aes": ["5.5"] * 6,
            "filesize": ["9"] * 6,
        }
    )
    return write_table(table, tmp_path / "meta.csv")


def run(method: str, meta: Path, *arguments: str) -> pl.DataFrame:
    """Run the old, positional form and read its table."""
    out = meta.parent / f"out_{method}"
    before = set(meta.parent.glob("meta_*.csv"))
    places = [str(meta), str(meta.parent / "in"), str(out)]
    code = transform.main([method, *places, "--num-workers", "0", "--quiet", *arguments])
    assert code == 0
    (made,) = [p for p in set(meta.parent.glob("meta_*.csv")) - before if ".failures" not in p.name]
    return read_table(made)


def failures(meta: Path) -> dict[str, str]:
    (listed,) = meta.parent.glob("meta_*.failures.csv")
    return {Path(row["path"]).name: row["kind"] for row in read_table(listed).to_dicts()}


def test_images_of_a_mixed_table(meta: Path) -> None:
    table = run("img_resize", meta, "--length", "30")
    assert (meta.parent / "meta_resized30.csv").exists()
    out = meta.parent / "out_img_resize"
    assert table["path"].to_list() == [None, None, str(out / "p.jpg"), str(out / "s" / "p.png"), None, None]
    assert table["original_path"][3] == str(meta.parent / "in" / "s" / "p.png")
    assert table["relpath"][3] == "s/p.png"
    assert (table["height"][2], table["width"][2], table["resolution"][2]) == ("30", "40", "1200")
    assert Image.open(table["path"][2]).size == (40, 30)
    assert table["text"].to_list() == read_table(meta)["text"].to_list()
    assert "filesize" not in table.columns and "aes" not in table.columns
    kinds = failures(meta)
    assert kinds == {
        "a.mp4": "bad_value",
        "a.mkv": "bad_value",
        "bad.jpg": "decode",
        "none.mp4": "bad_value",
    }


@pytest.mark.parametrize(
    ("method", "suffix", "size"),
    [
        ("img_resize_longer", "_resize-longer-40", (40, 30)),
        ("img_resize_shorter", "_resize-shorter-40", (53, 40)),
    ],
)
def test_the_later_names(meta: Path, method: str, suffix: str, size: tuple[int, int]) -> None:
    table = run(method, meta, "--length", "40")
    assert (meta.parent / f"meta{suffix}.csv").exists()
    assert Image.open(table["path"][2]).size == size


def test_quarters_do_not_depend_on_the_rest_of_the_table(meta: Path) -> None:
    table = run("img_rand_crop", meta)
    assert (meta.parent / "meta_rand_crop.csv").exists()
    assert "aes" not in table.columns
    assert (table["height"][2], table["width"][2]) == ("30", "40")
    rows = read_table(meta)
    alone = write_table(rows[[3]], meta.parent / "alone.csv")
    out = meta.parent / "other"
    transform.main(
        ["img_rand_crop", str(alone), str(meta.parent / "in"), str(out), "--quiet", "--disable-parallel"]
    )
    assert (out / "s" / "p.png").read_bytes() == Path(table["path"][3]).read_bytes()


PIECE_OF_SOURCE = ["scene", "start", "end", "start_frame", "end_frame", "mode", "snap_start"]


@pytest.mark.parametrize(
    ("method", "stale", "own"),
    [
        ("img_resize", MEASURED_ON_FILE, []),
        ("vid_resize", MEASURED_ON_FILE, []),
        ("vid_crop_center", MEASURED_ON_FILE, []),
        ("vid_frame_extract", [*MEASURED_ON_FILE, *PIECE_OF_SOURCE], ["source"]),
        # The packets stay, and so do pictures and sound; only one track of it, with times from 0 on.
        ("mkv_to_mp4", ["filesize", "timing", "audio_codec", "audio_tracks"], []),
        ("mp4_to_mp4", [], []),  # the bytes stay
    ],
)
def test_what_was_measured_on_the_old_file(meta: Path, method: str, stale: list[str], own: list[str]) -> None:
    given = [*MEASURED_ON_FILE, *NOT_MEASURED_ON_FILE, "source", *PIECE_OF_SOURCE]
    row = 2 if method.startswith("img") else 0
    table = read_table(meta)[[row]].with_columns(pl.lit("7").alias(name) for name in given)
    made = run(method, write_table(table, meta))
    assert [name for name in given if name not in made.columns] == [n for n in given if n in stale]
    kept = [name for name in given if name not in [*stale, *own, "id"]]
    assert made.select(kept).unique().row(0) == ("7",) * len(kept)


def test_every_frame_that_is_asked_for_has_a_row(meta: Path) -> None:
    table = run("vid_frame_extract", meta, "--points", "0", "0.25", "0.5", "1", "--image-format", "png")
    assert table.columns[:4] == ["path", "id", "relpath", "source"]
    expected = [(20, [0, 5, 10, 19]), (30, [0, 7, 15, 29])]  # int(p x frames), at most the last
    frames = [number for _, numbers in expected for number in numbers]
    assert [int(f) for f in table["frame"]] == frames
    assert [read_barcode(np.asarray(Image.open(path))) for path in table["path"]] == frames
    assert [float(t) for t in table["time"]] == pytest.approx([f / 25 for f in frames])
    assert [float(p) for p in table["point"]] == [0, 0.25, 0.5, 1] * 2
    assert table["id"][0] == "a_frame-0"
    assert table["relpath"][4] == "s/a_frame-0.png"
    assert table["text"].to_list() == ["None"] * 4 + ["007"] * 4
    assert "aes" not in table.columns
    rgb = np.asarray(Image.open(table["path"][1]))
    assert np.array_equal(rgb, ffmpeg_frames(meta.parent / "in" / "a.mp4", 192, 128)[5])
    assert failures(meta)["p.jpg"] == "no_video"


def test_frames_by_number_and_one_that_is_not_there(meta: Path) -> None:
    table = run("vid_frame_extract", meta, "--points-index", "3", "25", "-1")
    assert [int(f) for f in table["frame"]] == [3, 19, 3, 25, 29]
    assert failures(meta)["a.mp4"] == "too_short"


def test_squares(meta: Path) -> None:
    table = run("vid_crop_center", meta, "--crf", "10")
    assert (meta.parent / "meta_center-crop.csv").exists()
    assert table["path"][1] == str(meta.parent / "out_vid_crop_center" / "s" / "a.mp4")
    assert (table["height"][1], table["width"][1], table["num_frames"][1]) == ("128", "128", "30")
    assert len(ffmpeg_frames(Path(table["path"][1]), 128, 128)) == 30


def test_first_frames_have_names_of_their_own(meta: Path) -> None:
    inline = ["--num-workers", "0", "--quiet"]
    assert save_first_frame.main([str(meta), "--img-dir", str(meta.parent / "first"), *inline]) == 0
    table = read_table(meta.parent / "meta_first-frame.csv")
    assert [Path(p).name for p in table["first_frame_path"][:2]] == [
        "a_mp4_first_frame.jpg",
        "a_mkv_first_frame.jpg",
    ]
    assert [read_barcode(np.asarray(Image.open(p))) for p in table["first_frame_path"][:2]] == [0, 0]
    assert table["path"].to_list() == read_table(meta)["path"].to_list()


def test_the_forms_of_the_command_line(meta: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = str(meta.parent / "in"), str(meta.parent / "out")
    forms = [
        ["img_resize_longer", str(meta), folder, out, "--length", "40"],
        ["img_resize_longer", str(meta), "--length", "40", folder, out],
        ["img_resize_longer", str(meta), "--input-dir", folder, "--output-dir", out, "--length", "40"],
        ["--task", "img_resize_longer", "--meta_path", str(meta), "--input_dir", folder, "--output_dir", out],
    ]
    for form in forms:
        length = [] if "--length" in form else ["--length", "40"]
        assert transform.main([*form, *length, "--quiet"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == str(meta.parent / "meta_resize-longer-40.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which method"),
        (["img_resize"], "which table"),
        (["img_resize", "META"], "--output-dir"),
        (["img_shrink", "META", "in", "out"], "img_resize_longer"),
        (["img_resize", "META", "in", "out", "more"], "too many"),
        (["img_resize", "META", "in", "out", "--points", "0.5"], "no option --points"),
        (["vid_resize", "META", "in", "out", "--length", "35"], r"Invalid length \(35\)\. .* even numbers"),
        (["vid_resize", "META", "in", "out", "--crf", "60"], r"Invalid crf \(60\)\. .* from 0 to 51"),
        (["vid_crop_center", "META", "in", "out", "--size", "64x33"], r"Invalid height \(33\)"),
        (["vid_resize", "META", "in", "out", "--preset", "quick"], r"Invalid preset \(quick\)"),
        (["mkv_to_mp4", "META", "in", "out", "--audio-track", "?"], r"Invalid audio_track"),
        (
            ["vid_frame_extract", "META", "in", "out", "--points", "1.5"],
            r"Invalid points \(1\.5\)\. .* from 0 to 1",
        ),
    ],
)
def test_what_cannot_be_meant(meta: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        transform.main([str(meta) if a == "META" else a for a in arguments])


def test_the_options_of_methods_are_those_of_their_stages() -> None:
    """Each method takes the options of its own stage; a default is shown where all have the same."""
    names = {name: set(one.options()) for name, one in transform.METHODS.items()}
    assert names["img_resize"] == {"length", "quality"}
    assert names["mkv_to_mp4"] == {"audio_track"} and names["mp4_to_mp4"] == set()
    assert names["vid_crop_center"] - names["vid_resize"] == {"size"}
    lines = " ".join(cli.parser_of(transform.main).format_help().split())
    assert "--length PX pixels of the side (see methods)" in lines and "1 to 100 (95)" in lines


def test_a_square_window_is_the_same_as_its_size() -> None:
    square = transform.make_stage("vid_crop_center", "out", length=64)
    assert square.config() == transform.make_stage("vid_crop_center", "out", size=(64, 64)).config()
    assert square.config()["size"] == (64, 64) and "length" not in square.config()
    with pytest.raises(UserError, match="exclude each other"):
        transform.make_stage("vid_crop_center", "out", size=(64, 64), length=64)


def test_sources_are_never_written_over(meta: Path) -> None:
    before = {p: p.read_bytes() for p in (meta.parent / "in").rglob("*.*")}
    folder = str(meta.parent / "in")
    transform.main(["img_resize", str(meta), folder, folder, "--length", "20", "--quiet", "--overwrite"])
    assert {p: p.read_bytes() for p in (meta.parent / "in").rglob("*.*")} == before
    assert failures(meta)["p.jpg"] == "encode"


def test_rows_outside_the_input_folder_fail(meta: Path) -> None:
    out = meta.parent / "out"
    transform.main(["img_resize", str(meta), str(meta.parent / "in" / "s"), str(out), "--quiet"])
    assert failures(meta)["p.jpg"] == "bad_value"
    assert sorted(p.name for p in out.rglob("*.*")) == ["p.png"]


def test_ranks_write_the_same_files_and_rows(meta: Path) -> None:
    whole = run("img_rand_crop", meta)
    rows = {p.name: p.read_bytes() for p in (meta.parent / "out_img_rand_crop").rglob("*.*")}
    out = meta.parent / "ranks"
    command = [sys.executable, "-m", "tools.datasets.transform", "img_rand_crop", str(meta)]
    command += [str(meta.parent / "in"), str(out), "--output", str(meta.parent / "r.csv"), "--quiet"]
    for rank in (1, 0):
        environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}
        subprocess.run(command, env=environment, check=True, timeout=600, capture_output=True)
    merged = merge_tables([meta.parent / "r_part0.csv", meta.parent / "r_part1.csv"]).collect()
    assert merged["relpath"].to_list() == whole["relpath"].to_list()
    assert {p.name: p.read_bytes() for p in out.rglob("*.*")} == rows


def test_after_a_kill_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    paths = [str(make_video(tmp_path / "in" / f"{i}.mp4", 60, size=(320, 240))) for i in range(6)]
    meta = write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")
    command = [sys.executable, "-m", "tools.datasets.transform", "vid_resize", str(meta)]
    command += ["--input-dir", str(tmp_path / "in"), "--length", "120", "--num-workers", "1", "--quiet"]

    def out(name: str) -> dict[str, str]:
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / name).iterdir()}

    reference = [*command, "--output-dir", str(tmp_path / "a"), "--output", str(tmp_path / "a.csv")]
    subprocess.run(reference, check=True, timeout=600, capture_output=True)
    killed = [*command, "--output-dir", str(tmp_path / "b"), "--output", str(tmp_path / "b.csv")]
    slowly = ["nice", "-n", "19", *killed]  # so that it cannot end unseen on a machine with one core
    process = subprocess.Popen(slowly, start_new_session=True, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "b").glob("*.mp4")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "b.csv").exists()
    done = subprocess.run(killed, check=True, timeout=600, capture_output=True, text=True)
    assert "6 done" in done.stderr
    assert out("a") == out("b")
    Path(tmp_path / "b" / "3.mp4").unlink()
    again = subprocess.run(killed, check=True, timeout=600, capture_output=True, text=True)
    assert "5 by an earlier run" in again.stderr
    assert out("a") == out("b")
