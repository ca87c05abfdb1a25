"""Several scores in one run: the values of the separate commands, from one decode of each file."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tools.errors import MediaError, UserError
from tools.media.reading.decoders import pyav
from tools.media.reading.timeline import scan as scanning
from tools.scoring import __main__ as command
from tools.scoring.fused import FusedStage
from tools.scoring.scorers import SCORERS, make_scorer, typed_options
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.stage.stage import FAILURES, Stage
from tools.table import merge_tables, read_table, write_table

SCORES = ("match", "flow", "quality", "technical")
FLAGS = {
    "flow": ["--method", "dis"],
    "quality": ["--prompts", "quality", "warm", "--num-frames", "4"],
    "technical": ["--measures", "sharpness,static_ratio,fade"],
}
ROOT = Path(__file__).resolve().parents[2]
OPTIONS = RunOptions(num_workers=0, progress=False)


@pytest.fixture
def meta(clip_environment, media, tmp_path) -> Path:
    paths = [*map(str, media.values()), str(tmp_path / "gone.mp4")]
    texts = ["a good photo of the cat", "the dog", "", "slowly bright", "no file"]
    return write_table(pl.DataFrame({"path": paths, "text": texts}), tmp_path / "meta.csv")


def own_flags(names=SCORES) -> list[str]:
    """The flags of each score with its name before them."""
    prefixed = []
    for name in names:
        for word in FLAGS.get(name, []):
            prefixed.append(f"--{name}.{word[2:]}" if word.startswith("--") else word)
    return prefixed


def test_together_as_alone(meta):
    shared = ["--device", "cpu", "--num-workers", "1", "--quiet"]
    assert command.main([str(meta), "--scores", ",".join(SCORES), *own_flags(), *shared]) == 0
    together = meta.with_name("meta_match_flow_quality_technical.csv").rename(meta.with_name("together.csv"))
    failed = meta.with_name("meta_match_flow_quality_technical.failures.csv")
    failed = failed.rename(meta.with_name("together.failures.csv"))
    (meta.parent / ".vidsieve").rename(meta.parent / "state of the fused run")
    one_after_the_other = meta
    messages = []
    for name in SCORES:
        module = importlib.import_module(SCORERS[name].module)
        flags = [*FLAGS.get(name, []), "--num-workers", "0", "--quiet"]
        assert module.main([str(one_after_the_other), *flags]) == 0
        suffix = make_scorer(name, typed_options(name, FLAGS.get(name, []))).suffix
        one_after_the_other = one_after_the_other.with_name(f"{one_after_the_other.stem}{suffix}.csv")
        failures = read_table(one_after_the_other.with_name(f"{one_after_the_other.stem}.failures.csv"))
        messages += failures.select("path", "kind").rows()
    separate = read_table(one_after_the_other)
    assert one_after_the_other.name == "meta_match_flow_quality_technical.csv"
    found = read_table(together)
    assert found.columns == separate.columns
    assert found.equals(separate)
    assert set(read_table(failed).select("path", "kind").rows()) == set(messages)
    assert found["match"].null_count() == 2  # no text, no file
    assert found["flow"].null_count() == 3  # images do not move


def test_ranks_of_torchrun_write_what_one_process_writes(meta, clip_environment, monkeypatch):
    monkeypatch.setenv("VIDSIEVE_CLIP_VIT_B_32", str(clip_environment.weights))
    scores = (*SCORES, "emscore")
    flags = ["--scores", ",".join(scores), *own_flags(), "--emscore.candidate-column", "text"]
    flags += ["--device", "cpu", "--quiet"]
    alone = meta.with_name("alone.csv")
    assert command.main([str(meta), *flags, "--num-workers", "0", "--output", str(alone)]) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "tools.scoring"]
    done = subprocess.run(
        [sys.executable, *torchrun, str(meta), *flags, "--num-workers", "1", "--bs", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    parts = [meta.with_name(f"meta_{'_'.join(scores)}_part{rank}.csv") for rank in range(2)]
    assert sorted(done.stdout.split()) == [str(part) for part in parts]
    merged = write_table(merge_tables(parts), meta.with_name("merged.csv"))
    assert merged.read_bytes() == alone.read_bytes()


def test_each_file_is_decoded_once(clip_environment, media, monkeypatch):
    decoded, scanned = [], []

    class Counted(pyav.Decoder):
        def __enter__(self):
            decoded.append(self.path)
            return super().__enter__()

    monkeypatch.setattr(pyav, "Decoder", Counted)
    scan = scanning.index_opened
    monkeypatch.setattr(
        scanning, "index_opened", lambda path, *opened: (scanned.append(path), scan(path, *opened))[1]
    )
    stages = tuple(make_scorer(name, typed_options(name, FLAGS.get(name, []))) for name in SCORES)
    videos = [str(media["long"]), str(media["short"])]
    outcomes = map_rows(FusedStage(stages=stages), [{"path": p, "text": "the cat"} for p in videos], OPTIONS)
    assert not any(isinstance(outcome, MediaError) or outcome[FAILURES] for outcome in outcomes)
    assert decoded == scanned == videos


@dataclasses.dataclass
class Picky(Stage):
    """Fails where it is told to: while it prepares, or while it scores."""

    name = "picky"
    suffix = "_picky"
    output_columns = {"picky": pl.Int64}
    column: str = "picky"

    def prepare(self, row, frames):
        if row["path"].startswith("bug"):
            raise KeyError("bug")
        if row["path"].startswith("bad"):
            raise MediaError("bad_value", row["path"], "bad")
        return row["path"]

    def score(self, batch):
        if any(path.startswith("heavy") for path in batch):
            raise RuntimeError("too heavy")
        return [{"picky": len(path)} for path in batch]


@dataclasses.dataclass
class Easy(Picky):
    name = "easy"
    suffix = "_easy"
    output_columns = {"easy": pl.Int64}

    def prepare(self, row, frames):
        return row["path"]

    def score(self, batch):
        return [{"easy": 1} for _ in batch]


@pytest.mark.logs_errors
def test_a_score_that_fails_costs_the_others_nothing(monkeypatch):
    monkeypatch.setattr(
        "tools.scoring.fused.read_requests", lambda path, wanted, decoder: [[] for _ in wanted]
    )
    names = ["good", "bug.mp4", "bad.mp4", "heavy.mp4", "fine"]
    outcomes = map_rows(FusedStage(stages=(Picky(), Easy())), [{"path": name} for name in names], OPTIONS)
    assert [(o["picky"], o["easy"]) for o in outcomes] == [(4, 1), (None, 1), (None, 1), (None, 1), (4, 1)]
    assert [[kind for kind, _ in o[FAILURES]] for o in outcomes] == [
        [], ["internal"], ["bad_value"], ["internal"], []
    ]  # fmt: skip
    assert outcomes[2][FAILURES] == [["bad_value", "picky: bad"]]
    with pytest.raises(UserError, match="more than one adds the column picky"):
        FusedStage(stages=(Picky(), Picky()))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scores", "aes,nope"], rf"Invalid score \(nope\). Supported values are {', '.join(SCORERS)}"),
        (["--scores", "flow,flow"], "flow is given twice"),
        (["--scores", ","], "name at least one of aes"),
        (["--scores", "flow", "--ocr.threshold", "1"], "--ocr.threshold: ocr is not among the --scores"),
        (["--scores", "flow", "--method", "dis"], "unknown flag --method; a score's own flags are written"),
        (["--scores", "flow", "--flow.bs", "3"], "--flow.batch-size: is no option of the score"),
        (["--scores", "flow", "dis"], "unexpected argument dis"),
    ],
)
def test_bad_input_is_one_line(meta, flags, message):
    with pytest.raises(UserError, match=message) as caught:
        command.main([str(meta), *flags])
    assert "\n" not in str(caught.value)


def test_flags_of_a_score_are_checked_by_its_own_parser(meta):
    with pytest.raises(UserError, match=r"optical_flow\.inference --help"):
        command.main([str(meta), "--scores", "flow", "--flow.method", "nope"])
