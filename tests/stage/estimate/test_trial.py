"""Dry runs of every per-row command: they say what the real run then does, and leave nothing behind."""

import dataclasses
import importlib
import json
import re
import tempfile
import time
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video
from tests.test_cli import RUNNABLE, TOOLS
from tools.datasets import datautil
from tools.errors import UserError
from tools.scene_cut import cut
from tools.scoring.technical import inference as technical
from tools.stage.estimate.trial import dry_run
from tools.stage.run_options import RunOptions
from tools.stage.stage import Stage
from tools.table import read_table, write_table

VIDEOS = 5

COMMANDS = {
    "scene_detect": "tools.scene_cut.scene_detect meta.csv --detector adaptive --stats-dir new",
    "cut": "tools.scene_cut.cut meta.csv --save_dir new",
    "vid_resize": "tools.datasets.transform vid_resize meta.csv --output-dir new --length 32",
    "vid_frame_extract": "tools.datasets.transform vid_frame_extract meta.csv --output-dir new",
    "vid_remux": "tools.datasets.transform vid_remux meta.csv --output-dir new",
    "first_frame": "tools.datasets.save_first_frame meta.csv --img-dir new",
    "check_integrity": "tools.datasets.check_integrity meta.csv",
    "technical": "tools.scoring.technical.inference meta.csv",
    "flow": "tools.scoring.optical_flow.inference meta.csv --method dis",
    "scoring": "tools.scoring.__main__ meta.csv --scores technical,dedup",
    "dedup": "tools.scoring.dedup.inference meta.csv",
    "camera_motion": "tools.caption.camera_motion.detect meta.csv",
    "caption_checks": "tools.caption.caption_checks meta.csv",
    "caption_api": "tools.caption.caption_api meta.csv --model m --base-url http://127.0.0.1:9/v1",
    "tag": "tools.caption.tag meta.csv --model m --base-url http://127.0.0.1:9/v1",
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for i in range(VIDEOS - 1):
        make_video(folder / f"{i}.mp4", 20, size=(96, 64))
    (folder / "broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture
def here(tmp_path, videos, monkeypatch) -> Path:
    """A folder with a table of the videos, in which commands are typed; the temporary folder is below it."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{file},a caption of {file.stem}" for file in sorted(videos.iterdir())]
    (tmp_path / "meta.csv").write_text("\n".join(["path,text", *rows]) + "\n")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


def type_in(command: str, *flags: str) -> int | None:
    module, *words = command.split()
    return importlib.import_module(module).main([*words, "--num-workers", "0", "--quiet", *flags])


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.rglob("*"))}


def is_table_of_all(line: str) -> bool:
    return line == f"reads meta.csv: {VIDEOS} rows"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_it_tells_and_leaves_nothing(command, here, capsys):
    (here / "tmp").rmdir()
    (here / "tmp").mkdir()
    before = everything(here)
    assert type_in(command, "--dry-run") == 0
    after = everything(here)
    assert {**after, str(here / "tmp"): 0} == {**before, str(here / "tmp"): 0}
    first, reads, writes, _, rows, *rest = capsys.readouterr().out.splitlines()
    assert (first, rows) == ("dry run: nothing is written", f"rows: {VIDEOS} to do")
    assert is_table_of_all(reads) and writes.startswith("writes meta_")
    assert rest[0].startswith(f"on trial: {VIDEOS} rows, ")
    assert re.fullmatch(r"work: [\d.e-]+ CPU hours, [\d.]+ (bytes|kB|MB) written", rest[-2])
    if "--model" in command:
        assert rest[-1] == "time: not estimated, a trial would send requests, which may cost money"
        assert re.match(r"requests: [\d,]+ tokens in, [\d,]+ tokens out at most \(", rest[-3])
    else:
        assert re.match(r"time: about [\d.]+ (s|min) \(to start [\d.]+ s, then [\d.]+ rows/s\)$", rest[-1])
        if "caption" not in command and "integrity" not in command:  # for which the file is no failure
            assert "1 failed: unreadable 1" in rest[0] and "broken.mp4: unreadable: " in rest[1]


def test_every_per_row_command_is_tried_here_or_needs_a_model():
    asking = {
        module
        for module in RUNNABLE
        if re.search(r"StageCommand|ServerCommand|add_stage_arguments", source_of(module))
    }
    tried = {command.split()[0] for command in COMMANDS.values()}
    with_models = {f"tools.scoring.{s}.inference" for s in ("aesthetic", "matching", "emscore", "quality")}
    with_models |= {"tools.scoring.ocr.inference", "tools.scoring.audio_similarity.inference"}
    with_models |= {"tools.caption.caption_llava"}
    same = {"tools.caption.caption_gpt4", "tools.caption.camera_motion_detect"}
    same |= {"tools.export.__main__"}  # its dry run explains every row, see tests/export
    assert asking - same == tried | with_models


def source_of(module: str) -> str:
    return TOOLS.joinpath(*module.split(".")[1:]).with_suffix(".py").read_text()


def test_it_counts_what_is_done_and_what_a_limit_leaves(here, capsys):
    assert type_in(COMMANDS["technical"], "--limit", "2") == 0
    assert read_table("meta_technical.csv").height == 2
    capsys.readouterr()
    for flags, rows in (
        ([], "2 done by an earlier run, 3 to do"),
        (["--limit", "1"], "2 done by an earlier run, 1 to do, 2 left by --limit"),
    ):
        assert type_in(COMMANDS["technical"], *flags, "--dry-run") == 0
        assert f"rows: {rows}" in capsys.readouterr().out.splitlines()
    assert type_in(COMMANDS["technical"]) == 0
    capsys.readouterr()
    assert type_in(COMMANDS["technical"], "--dry-run") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "complete already, nothing to do"


def test_what_would_end_the_run_ends_it_too(here):
    (here / "meta_technical.csv").write_text("path\nmine\n")
    with pytest.raises(UserError, match=r"meta_technical\.csv: is in the way"):
        technical.main(["meta.csv", "--dry-run"])
    with pytest.raises(UserError, match="no column 'path'"):
        (here / "other.csv").write_text("file\na\n")
        technical.main(["other.csv", "--dry-run"])
    with pytest.raises(UserError, match="--prune: not with --limit"):
        cut.main(["meta.csv", "--save_dir", "new", "--prune", "--limit", "1"])


def test_rows_that_all_fail_give_no_estimate(here, capsys):
    (here / "gone.csv").write_text("path\na.mp4\nb.mp4\n")
    assert technical.main(["gone.csv", "--dry-run", "--num-workers", "0"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "time: not estimated, every row on trial failed"


def test_json_has_the_numbers_alone(here, capsys):
    assert type_in(COMMANDS["technical"], "--dry-run", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["output"], found["rows"], found["todo"]) == ("meta_technical.csv", VIDEOS, VIDEOS)
    assert found["estimate"]["rows"] == VIDEOS and found["estimate"]["gpu_hours"] is None


def test_an_estimate_is_that_of_the_run(tmp_path, capsys):
    """By construction: 300 rows of 0 to 40 ms, of which the table says how long they are."""
    lengths = [i % 40 + 1 for i in range(290)] + [1000] * 10
    rows = pl.DataFrame({"path": ["x"] * 300, "id": list(map(str, range(300))), "num_frames": lengths})
    meta = write_table(rows.with_columns(resolution=pl.lit(1)), tmp_path / "meta.csv")
    dry_run(FramesStage(0.0002), meta, options=RunOptions(num_workers=0, progress=False), as_json=True)
    found = json.loads(capsys.readouterr().out)["estimate"]
    assert found["measured"] < 30
    # Sleeping takes a little longer than it should, on a busy machine more.
    assert 0.9 < found["seconds"] / (0.0002 * sum(lengths)) < 2.5
    assert found["cpu_hours"] * 3600 < found["seconds"] / 2


@dataclasses.dataclass
class FramesStage(Stage):
    """Sleeps so many seconds for each frame."""

    name = "frames"
    suffix = "_frames"
    required_columns = ("path", "num_frames")
    optional_columns = ("id",)
    output_columns = {"slept": pl.Float64}

    seconds: float = 0.0

    def prepare(self, row, frames):
        time.sleep(self.seconds * int(row["num_frames"]))
        return {"slept": 1.0}


def test_the_first_rank_alone_speaks(here, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, rows in (("1", 0), ("0", 1)):
        monkeypatch.setenv("RANK", rank)
        assert type_in(COMMANDS["technical"], "--dry-run") == 0
        assert capsys.readouterr().out.count("rows of rank 0 of 2: 3 to do") == rows


@pytest.mark.parametrize("flags", [["--limit", "2"], ["--dry-run"], ["--status"]])
def test_daft_has_neither(flags, here):
    with pytest.raises(UserError, match=f"^{flags[0]}: not with --engine daft"):
        technical.main(["meta.csv", "--engine", "daft", *flags])


def test_datautil_has_its_own(here, capsys):
    assert datautil.main(["meta.csv", "--info", "--dry-run"]) == 0
    assert not (here / "meta_info.csv").exists()
