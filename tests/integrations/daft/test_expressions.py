"""Scorers as expressions, on Daft's native runner; the values are those of the commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.integrations.daft.stages import ClockStage, SizeStage
from tests.media.sounds import noise, sine, video_with_sound
from tests.models.clap_files import SmallClap
from tools.commands import SCORERS
from tools.errors import MediaError, UserError
from tools.integrations.daft.stage_udf import StageWorker
from tools.operators.daft import (
    ocr_score,
    optical_flow_score,
    score,
    score_with,
    technical_score,
    video_aesthetic_score,
    video_audio_similarity,
    video_emscore,
    video_quality_score,
    video_text_match,
)
from tools.scoring.audio_similarity.inference import main as audio_command
from tools.scoring.dedup.stage import FingerprintStage
from tools.scoring.emscore.inference import main as emscore_command
from tools.scoring.matching.inference import main as matching_command
from tools.scoring.optical_flow.inference import main as flow_command
from tools.scoring.quality.inference import main as quality_command
from tools.scoring.technical.inference import main as technical_command
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.stage.spec import StageSpec
from tools.table import read_table

daft = pytest.importorskip("daft", reason="Daft is not installed: pip install 'vidsieve[daft]'")
col = daft.col
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("native")


@pytest.fixture
def commanded(clips, weights_environment, tmp_path):
    """What a command writes for the clips."""

    def run(command, column: str, *flags: str) -> list[float | None]:
        meta = tmp_path / "meta.csv"
        pl.DataFrame({"path": clips, "text": ["a dog"] * len(clips)}).write_csv(meta)
        output = tmp_path / f"{column}.csv"
        command([str(meta), "--output", str(output), "--num-workers", "1", "--quiet", *flags])
        return [None if cell is None else float(cell) for cell in read_table(output)[column]]

    return run


def test_clip_scores_are_those_of_the_commands(clips, commanded):
    frame = daft.from_pydict({"video": clips, "caption": ["a dog"] * len(clips)})
    frame = frame.with_column(
        "scores",
        video_quality_score(col("video"), prompts=("quality", "sharpness"), num_frames=3, num_workers=1),
    )
    frame = frame.with_column("match", video_text_match(col("video"), col("caption"), num_workers=0))
    found = frame.to_pydict()
    assert found["match"] == commanded(matching_command, "match")
    flags = ("--prompts", "quality", "sharpness", "--num-frames", "3", "--overwrite")
    for column in ("quality", "quality_sharpness"):
        assert [row[column] for row in found["scores"]] == commanded(quality_command, column, *flags)
    assert len({value for value in found["match"] if value is not None}) == 4
    errors = [row["error"] for row in found["scores"]]
    assert [error and error.partition(":")[0] for error in errors] == [
        *(None, None, "unreadable", None, None),
        "missing",
    ]


def test_captions_and_references_are_those_of_the_command(clips, commanded):
    frame = daft.from_pydict({"video": clips, "a": ["a dog"] * len(clips), "b": ["the cat"] * len(clips)})
    options = {"clip_model": "ViT-L/14", "num_workers": 0}
    frame = frame.with_column("alone", video_emscore(col("video"), col("a"), **options))
    frame = frame.with_column("scores", video_emscore(col("video"), col("a"), col("b"), **options))
    found = frame.to_pydict()
    expected = commanded(emscore_command, "emscore", "--clip-model", "ViT-L/14")
    assert found["alone"] == expected
    assert [row["emscore"] for row in found["scores"]] == expected
    both = [row["emscore_both"] for row in found["scores"]]
    assert [value is None for value in both] == [value is None for value in expected]
    assert {row["emscore_ref"] for row in found["scores"] if row["emscore"] is not None} != {None}


def test_sound_is_that_of_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDSIEVE_CLAP", str(SmallClap(tmp_path / "clap").folder))
    sounds = {"noise": noise(2.0), "sine": sine(2.0, 300.0)}
    videos = [str(video_with_sound(tmp_path / f"{name}.mp4", sound)) for name, sound in sounds.items()]
    meta = tmp_path / "meta.csv"
    pl.DataFrame({"path": videos, "text": ["a dog", "a dog"]}).write_csv(meta)
    assert audio_command([str(meta), "--num-workers", "0", "--quiet"]) == 0
    expected = read_table(tmp_path / "meta_audio.csv")["audio_match"].cast(pl.Float64).to_list()
    frame = daft.from_pydict({"video": videos, "caption": ["a dog", "a dog"]})
    score = video_audio_similarity(col("video"), col("caption"), num_workers=0)
    assert frame.with_column("score", score).to_pydict()["score"] == expected
    assert len(set(expected)) == 2


def test_scores_without_weights_and_of_bytes(clips, commanded):
    files = [Path(clip).read_bytes() if Path(clip).exists() else None for clip in clips]
    frame = daft.from_pydict({"bytes": files, "kind": ["mp4"] * len(clips)})
    frame = frame.with_column(
        "flow", optical_flow_score(col("bytes"), method="dis", format="mp4", num_workers=0)
    )
    frame = frame.with_column(
        "sharpness", technical_score(col("bytes"), measures="sharpness", format=col("kind"), num_workers=0)
    )
    found = frame.to_pydict()
    assert found["flow"] == commanded(flow_command, "flow", "--method", "dis")
    assert [value is None for value in found["sharpness"]] == [False, False, True, False, False, True]


def test_scores_by_name_are_those_of_the_commands(clips, commanded):
    frame = daft.from_pydict({"video": clips})
    frame = frame.with_column("flow", score("flow", col("video"), column="flow", method="dis", num_workers=0))
    frame = frame.with_column(
        "technical", score("technical", col("video"), measures="sharpness", num_workers=0)
    )
    frame = frame.with_column("dedup", score("dedup", col("video"), num_workers=0, batch_size=8))
    found = frame.to_pydict()
    assert found["flow"] == commanded(flow_command, "flow", "--method", "dis")
    sharpness = commanded(technical_command, "sharpness", "--measures", "sharpness")
    assert [row["sharpness"] for row in found["technical"]] == sharpness
    outcomes = map_rows(FingerprintStage(), [{"path": clip} for clip in clips], RunOptions(num_workers=0))
    prints = [None if isinstance(one, MediaError) else one["fingerprint"] for one in outcomes]
    assert [row["fingerprint"] for row in found["dedup"]] == prints and len(set(prints)) == 5
    assert [bool(row["error"]) for row in found["dedup"]] == [one is None for one in prints]


FIRST_COLUMNS = {"technical": "sharpness", "audio": "audio_match", "dedup": "fingerprint"}


@pytest.mark.parametrize("name", SCORERS)
def test_every_score_has_an_expression_without_weights(name, monkeypatch, tmp_path):
    """Its columns, as the pages of the commands name them, are known before weights are needed."""
    monkeypatch.setenv("PRETRAINED_MODELS", str(tmp_path))
    frame = daft.from_pydict({"video": ["a.mp4"], "caption": ["a dog"]})
    told = frame.with_column("told", score(name, col("video"), col("caption"))).schema()["told"].dtype
    first, *_, last = told.fields
    assert first == FIRST_COLUMNS.get(name, name) and last == "error"


def test_a_batch_keeps_the_values_of_its_good_rows(table, sizes):
    (table.parent / "5.bin").write_bytes(b"crash")  # its worker dies, not the actor
    paths = sizes["path"].to_list()
    thirds = [None if path == "5.bin" else third for path, third in sizes.select("path", "third").rows()]
    frame = daft.from_pydict({"path": paths, "id": [str(n) for n in range(23)]})
    single = score_with(StageSpec(SizeStage), path=col("path"), id=col("id"), column="third", num_workers=1)
    assert frame.with_column("third", single).to_pydict()["third"] == thirds
    struct = score_with(SizeStage(), path=col("path"), num_workers=1, batch_size=10)
    told = frame.with_column("told", struct).to_pydict()["told"]
    assert [row["third"] for row in told] == thirds
    errors = {path: row["error"] for path, row in zip(paths, told, strict=True) if row["error"]}
    assert errors == {
        "0.bin": "internal: stage size: KeyError: 'bug'",
        "5.bin": "crash: the worker process died (exit code 3)",
        "9.bin": "decode: half of it",  # its values are there all the same
        "22.bin": "missing: no such file",
    }


@pytest.mark.parametrize(
    "cell",
    [7, 2.5, {"a": "5.bin"}, ["5.bin"], np.zeros((2, 2, 3), np.uint8)],
    ids=["int", "float", "struct", "list", "picture"],
)
def test_a_column_that_holds_no_videos_is_named(cell):
    worker = StageWorker(StageSpec(SizeStage), ("path", "id"))
    with pytest.raises(UserError, match=rf"holds a {type(cell).__name__} .* is for paths or bytes"):
        worker.outcomes([["5.bin", cell], ["0", "1"]])


def test_nan_is_no_path(table):
    frame = daft.from_pydict({"path": [float("nan")], "id": ["0"]})
    told = frame.with_column("told", score_with(SizeStage(), path=col("path"), id=col("id"), num_workers=1))
    assert [row["error"] for row in told.to_pydict()["told"]] == [
        "bad_value: the cell of column path is empty"
    ]


def test_decoding_goes_on_while_the_model_works_and_workers_stay():
    frame = daft.from_pydict({"path": [str(number) for number in range(128)]})
    score = score_with(ClockStage(), path=col("path"), num_workers=1, batch_size=64)
    rows = frame.with_column("clock", score).to_pydict()["clock"]
    assert len({row["process"] for row in rows}) == 1  # two batches, one actor
    busy = [row["prepared"] for row in rows]
    overlap = sum(max(0.0, min(b, d) - max(a, c)) for a, b in busy for c, d in (r["scored"] for r in rows))
    scoring = sum(row["scored"][1] - row["scored"][0] for row in rows)
    assert overlap > 0.4 * scoring  # of each batch all but the last quarter can overlap
    starts = sorted(start for start, _ in busy)
    assert max(b - a for a, b in pairwise(starts[8:])) < 1.5  # no new workers for a batch


def test_two_workers_share_the_rows():
    frame = daft.from_pydict({"path": [str(number) for number in range(40)]})
    score = score_with(ClockStage(), path=col("path"), num_workers=0, batch_size=4, max_concurrency=2)
    rows = frame.with_column("clock", score).to_pydict()["clock"]
    assert len({row["process"] for row in rows}) == 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: video_quality_score(col("p"), prompts="nonsense"), "nonsense"),
        (lambda: video_quality_score(col("p"), frames=3), r"Invalid option \(frames\)"),
        (lambda: video_aesthetic_score("p"), r"path: must be an expression like col\('p'\), not str"),
        (lambda: video_aesthetic_score(col("p"), batch_size=0), r"batch_size \(0\)"),
        (lambda: video_aesthetic_score(col("p"), gpus=512), r"512 GPUs each .* this machine has"),
        (lambda: score("beauty", col("p")), r"Invalid score \(beauty\). Supported values are aes, flow"),
        (lambda: score("match", col("p")), "match: reads the column text, which is not given"),
        (lambda: score("flow", col("p"), method="fast"), r"Invalid method \(fast\)"),
        (
            lambda: score("flow", col("p"), metod="dis"),
            r"Invalid option \(metod\). Supported values",
        ),
        (lambda: score("audio", col("p"), hflip=True), "hflip is for --mode labels"),
        (lambda: score_with(SizeStage(), path=col("p"), column="sice"), r"sice.* size, third"),
    ],
)
def test_what_is_wrong_is_told_before_the_run(make, said):
    with pytest.raises(UserError, match=said):
        make()


def test_names_are_loaded_when_asked_for():
    code = (
        "import sys, tools.operators.daft as d; assert 'daft' not in sys.modules; "
        "assert d.ocr_score and d.las_udf; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with pytest.raises(AttributeError):
        import tools.operators.daft

        tools.operators.daft.no_such_score  # noqa: B018


def test_regions_of_text_are_counted(clips):
    pytest.importorskip("rapidocr", reason="rapidocr is not installed: pip install 'vidsieve[ocr]'")
    frame = daft.from_pydict({"path": clips[:1]})
    found = frame.with_column("ocr", ocr_score(col("path"), num_workers=0, num_frames=1))
    assert found.schema()["ocr"].dtype == daft.DataType.int64()
    assert found.to_pydict()["ocr"] == [0]  # smooth noise has no text


def test_without_daft_the_message_names_the_extra(tmp_path):
    code = (
        "import sys\n"
        "sys.modules['daft'] = None  # as if it were not there\n"
        "from tools.operators.daft import video_quality_score as v\n"
        "from tools.errors import UserError\n"
        "try:\n    v(None)\nexcept UserError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "pip install 'vidsieve[daft]'" in run.stdout, run.stderr


def test_the_example_of_the_page(clips, tmp_path):
    page = (ROOT / "docs" / "daft.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    (tmp_path / "example.py").write_text(code)  # no main guard: workers must not run it again
    pl.DataFrame({"path": clips[:3]}).write_csv(tmp_path / "meta.csv")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    cells = [line.strip("│").split("┆") for line in run.stdout.splitlines() if line.startswith("│")]
    rows = cells[3:]  # below names, a line, and types
    assert len(rows) == 3
    assert all(float(row[1]) >= 0 and float(row[2]) >= 0 for row in rows[:2])
    assert "unreadable: " in rows[2][3]
