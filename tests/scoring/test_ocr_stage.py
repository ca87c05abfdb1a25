"""The command: tables in and out, videos that are turned or broken, workers, resume."""

from __future__ import annotations

import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.support import make_video
from tools.scoring.ocr.scorer import OcrScorer
from tools.scoring.ocr.stage import OcrStage
from tools.stage.run_options import RunOptions
from tools.stage.runner import run_stage
from tools.stage.session import map_rows

pytest.importorskip("onnxruntime", reason="the extra ocr is not installed")
pytest.importorskip("rapidocr", reason="the extra ocr is not installed")

ROOT = Path(__file__).resolve().parents[2]
QUIET = RunOptions(num_workers=0, progress=False)


def page(*lines: str, size: tuple[int, int] = (480, 272)) -> np.ndarray:
    """Dark grey with lines of white letters."""
    picture = Image.new("RGB", size, (40, 44, 52))
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((24, 20 + 60 * number), line, font=ImageFont.load_default(24), fill="white")
    return np.asarray(picture)


SIGN = page('say "hello", then go', "a, b; c | d")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("ocr")
    empty = page()
    paths = {
        "title": make_video(folder / "title.mp4", pictures=[SIGN] * 3 + [empty] * 6),
        "late": make_video(folder / "late.mp4", pictures=[empty] * 8 + [SIGN]),
        "turned": make_video(folder / "turned.mp4", pictures=[SIGN] * 3 + [empty] * 6, rotation=90),
        "empty": make_video(folder / "empty.mp4", pictures=[empty] * 9),
        "image": folder / "image.png",
        "broken": folder / "broken.mp4",
        "missing": folder / "missing.mp4",
    }
    Image.fromarray(page("one line")).save(paths["image"])
    paths["broken"].write_text("no video\n")
    return paths


@pytest.fixture
def table(files, tmp_path) -> Path:
    pl.DataFrame({"path": [str(path) for path in files.values()], "id": list(files)}).write_csv(
        tmp_path / "meta.csv"
    )
    return tmp_path / "meta.csv"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.scoring.ocr.inference", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "RUST_BACKTRACE": "0"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_command_fills_a_table(table, files):
    done = command(table, "--text", "--num-workers", 2, "--quiet", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    output = Path(done.stdout.splitlines()[-1])
    assert output == table.with_name("meta_ocr.csv")
    with output.open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(files)  # every row, in its place
    assert list(rows["title"]) == ["path", "id", "ocr", "ocr_area", "ocr_text"]
    # what was drawn, by count and by letter; quotes and commas come through the CSV
    for name in ("title", "late", "turned"):
        assert rows[name]["ocr"] == "2", name
        assert rows[name]["ocr_text"] == 'say "hello", then go | a, b; c | d'
    assert rows["image"]["ocr"] == "1"
    assert rows["image"]["ocr_text"] == "one line"
    assert (rows["empty"]["ocr"], float(rows["empty"]["ocr_area"]), rows["empty"]["ocr_text"]) == ("0", 0, "")
    for name in ("broken", "missing"):
        assert (rows[name]["ocr"], rows[name]["ocr_area"], rows[name]["ocr_text"]) == ("", "", "")
    upright = float(rows["title"]["ocr_area"])
    assert 0.03 < upright < 0.2
    assert float(rows["turned"]["ocr_area"]) == pytest.approx(upright, rel=0.1)  # encoded on its side
    # nothing but the toolkit speaks
    assert len(done.stdout.splitlines()) == 1
    assert "WARNING" not in done.stderr
    assert "7 rows: 5 done, 2 failed" in done.stderr
    assert "missing 1" in done.stderr and "unreadable 1" in done.stderr


def test_workers_and_batches_change_nothing(table, tmp_path):
    texts = []
    for number, options in enumerate(
        (RunOptions(num_workers=2, batch_size=1, progress=False), dataclasses.replace(QUIET, batch_size=64))
    ):
        output = tmp_path / f"{number}.csv"
        run_stage(OcrStage(text=True, device="cpu"), table, output=output, options=options)
        texts.append(output.read_text())
    assert texts[0] == texts[1]


def test_a_row_is_what_its_frames_say_alone(files):
    """The stage against the library on frames that were drawn, never encoded."""
    scorer = OcrScorer(device="cpu")
    for name, images in {"title": [SIGN, page()], "empty": [page()], "image": [page("one line")]}.items():
        (values,) = map_rows(OcrStage(text=True, device="cpu"), [{"path": str(files[name])}], QUIET)
        drawn = scorer.score(images, text=True)
        assert (values["ocr"], values["ocr_text"]) == (drawn["ocr"], drawn["ocr_text"])
        assert values["ocr_area"] == pytest.approx(drawn["ocr_area"], rel=0.1)


def test_reading_the_words_does_not_change_the_numbers(files):
    rows = [{"path": str(files[name])} for name in ("title", "turned", "image", "empty")]
    plain = map_rows(OcrStage(device="cpu"), rows, QUIET)
    with_text = map_rows(OcrStage(text=True, device="cpu"), rows, QUIET)
    assert plain == [{name: v[name] for name in v if name != "ocr_text"} for v in with_text]


def test_which_frames_are_looked_at(files):
    """The sign stands in the last of nine frames only."""
    row = [{"path": str(files["late"])}]
    for flags, expected in {("--num-frames", "1"): 0, ("--sampling", "timestamps:0,0.32"): 2}.items():
        from tools.scoring.ocr.inference import COMMAND

        stage = COMMAND.make_stage(COMMAND.parser().parse_args(["meta.csv", "--device", "cpu", *flags]))
        assert map_rows(stage, row, QUIET)[0]["ocr"] == expected


def test_what_is_asked_tells_options_apart():
    stage = OcrStage(device="cpu")
    other = {
        "threshold": OcrStage(device="cpu", threshold=0.5),
        "limit_side": OcrStage(device="cpu", limit_side=960),
        "check": OcrStage(device="cpu", check="none"),
        "text": OcrStage(device="cpu", text=True),
    }
    for name, changed in other.items():
        assert {key for key in changed.config() if changed.config()[key] != stage.config()[key]} == {name}
    assert "device" not in stage.config()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--threshold", "2"), "Invalid threshold (2). Supported values are numbers from 0 to below 1"),
        (("--limit-side", "8"), "Invalid limit_side (8). Supported values are whole numbers from 32 on"),
        (("--check", "spelling"), "Invalid check (spelling). Supported values are reading, none"),
        (("--device", "tpu"), "device tpu: must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_what_cannot_be_asked(table, flags, message):
    done = command(table, *flags)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not table.with_name("meta_ocr.csv").exists()
