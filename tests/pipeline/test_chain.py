"""Chains that run: what is done, skipped, done again and removed; tables are those of typed commands."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support import make_video
from tools.errors import UserError
from tools.pipeline import chain
from tools.pipeline.__main__ import main
from tools.table import read_table, write_table
from tools.table.sidecar import is_sidecar

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]

NUMBERS = """
[variables]
least = 2

[pipeline]
tables = "out put"

[[step]]
name = "rows"
run = "convert jsonl list.jsonl"

[[step]]
name = "kept"
run = "datautil"
options = { where = "number >= ${least}" }

[[step]]
name = "ordered"
run = "datautil"
options = { sort = "number" }
"""
"""A chain without media: rows with a number, those from 2 on, the largest first."""


def run(*words: str) -> int:
    return main(["chain.toml", *words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder in which the chain has run once: four files that are no videos, and their tables."""
    folder = tmp_path_factory.mktemp("finished")
    for number in range(4):
        (folder / f"{number}.mp4").write_text("x")
    rows = [json.dumps({"path": f"{number}.mp4", "number": number}) for number in range(4)]
    (folder / "list.jsonl").write_text("\n".join(rows))
    (folder / "chain.toml").write_text(NUMBERS)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run() == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(finished, tmp_path, monkeypatch) -> Path:
    """A copy of that folder to work in: what has been made is known there, too."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def numbers(name: str) -> list[str]:
    return read_table(f"out put/{name}.csv")["number"].to_list()


def tables() -> dict[str, tuple[bytes, int]]:
    """Bytes and time of each table, but of the first, which is written by every run."""
    found = sorted(path for path in Path("out put").glob("*.csv") if path.name != "rows.csv")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def outcomes(told: str) -> dict[str, list[str]]:
    """The lines of the table of results, by step."""
    lines = told[told.rindex("\nstep ") :].splitlines()[2:]
    return {line.split()[0]: line.split() for line in lines if line}


def test_a_second_run_skips_what_is_up_to_date(place, capfd):
    before = tables()
    assert numbers("ordered") == ["3", "2"]
    assert run() == 0
    told = capfd.readouterr()
    assert told.out == "out put/ordered.csv\n"
    assert outcomes(told.err) == {
        "rows": ["rows", "convert", "4", *outcomes(told.err)["rows"][-2:]],
        "kept": ["kept", "datautil", "4", "2", "up", "to", "date"],
        "ordered": ["ordered", "datautil", "2", "2", "up", "to", "date"],
    }
    assert tables() == before and list(before) == ["kept.csv", "ordered.csv"]


def test_what_an_option_changes_is_done_again_with_all_that_follows(place, capfd):
    assert run("--set", "least=3", "--dry-run") == 0
    plan = capfd.readouterr().out
    assert "2. kept: datautil rows.csv -> kept.csv: to do, its options, its input or its files" in plan
    assert "3. ordered: datautil kept.csv -> ordered.csv: to do, after kept" in plan
    assert re.search(r"rows\.csv -> kept\.csv: to do, .*, about [\d.]+ s by its last run\n", plan)
    assert numbers("ordered") == ["3", "2"]  # a dry run writes nothing
    assert run("--set", "least=3", "--to", "kept") == 0
    assert numbers("kept") == ["3"]
    assert not Path("out put/ordered.csv").exists()  # it was made of other rows
    assert run("--set", "least=3") == 0
    assert numbers("ordered") == ["3"]


def test_an_option_that_changes_no_row_changes_nothing_after_it(place, capfd):
    before = tables()
    assert run("--set", "least=1.5") == 0
    assert outcomes(capfd.readouterr().err)["ordered"][-3:] == ["up", "to", "date"]
    assert tables()["ordered.csv"] == before["ordered.csv"]


def test_files_behind_the_rows_and_in_the_command_line_count(place, capfd):
    assert run("--dry-run") == 0
    assert capfd.readouterr().out.count("up to date") == 2
    (place / "3.mp4").write_text("longer")
    assert run("--dry-run") == 0
    assert capfd.readouterr().out.count("up to date") == 0


def test_a_file_that_changes_while_a_step_runs_leaves_the_step_to_do(place, capfd, monkeypatch):
    real = chain.run_step

    def run_and_change(*given):
        code = real(*given)
        (place / "3.mp4").write_text("longer")
        return code

    monkeypatch.setattr(chain, "run_step", run_and_change)
    assert run("--from", "kept", "--to", "kept", "--set", "least=1") == 0
    assert run("--set", "least=1", "--dry-run") == 0
    assert "kept.csv: to do, its options, its input or its files have changed" in capfd.readouterr().out


def test_steps_may_be_chosen(place):
    Path("list.jsonl").unlink()  # which the first step would miss
    assert run("--from", "kept", "--to", "kept", "--set", "least=3") == 0
    assert numbers("kept") == ["3"]


def test_files_of_others_are_neither_replaced_nor_removed(place):
    Path("out put/ordered.csv").write_text("path,number\n3.mp4,by hand\n")
    with pytest.raises(UserError, match=r"ordered\.csv: is in the way, it was changed since"):
        run("--from", "ordered")
    Path("chain.toml").write_text(NUMBERS.replace('name = "ordered"', 'name = "mine"'))
    Path("out put/mine.csv").write_text("path,note\na.mp4,mine\n")
    with pytest.raises(UserError, match=r"mine\.csv: is in the way, this pipeline has not written it"):
        run("--from", "mine")
    assert "by hand" in Path("out put/ordered.csv").read_text()
    assert "mine" in Path("out put/mine.csv").read_text()
    assert run("--from", "mine", "--overwrite") == 0
    assert numbers("mine") == ["3", "2"]


def test_tables_of_steps_that_are_gone_are_removed(place):
    Path("out put/mine.csv").write_text("path\n")
    renamed = NUMBERS.replace('name = "ordered"', 'name = "last"')
    Path("chain.toml").write_text(renamed.replace("[pipeline]", '[pipeline]\nformat = "parquet"'))
    assert run() == 0
    left = {path.name for path in Path("out put").glob("*.*") if path.is_file()}
    made = ["kept.parquet", "last.parquet", "rows.parquet"]
    assert left == {*made, *(f"{name}.provenance.json" for name in made), "mine.csv"}
    assert pl.read_parquet("out put/last.parquet")["number"].to_list() == [3, 2]


def test_where_no_row_is_left_the_steps_after_it_say_so(place, capfd):
    assert run("--set", "least=9") == 1
    assert capfd.readouterr().err.endswith("error: chain.toml: no rows were left for ordered\n")
    assert numbers("kept") == [] and not Path("out put/ordered.csv").exists()


def test_a_step_that_fails_stops_the_chain_with_its_exit_code(place, capfd):
    Path("chain.toml").write_text(NUMBERS.replace('sort = "number"', 'sort = "nubmer"'))
    assert run() == 2
    told = capfd.readouterr().err
    (line,) = [line for line in told.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: chain.toml: step 'ordered': ") and "did you mean 'number'?" in line
    assert "step 'ordered' ended with exit code 2; the same command goes on with it" in told.splitlines()[-1]
    assert outcomes(told)["kept"] == ["kept", "datautil", "4", "2", "up", "to", "date"]
    assert run("--dry-run") == 0
    assert "3. ordered: datautil kept.csv -> ordered.csv: to do, it was interrupted" in capfd.readouterr().out


def test_a_damaged_state_is_said_and_stays(place):
    state = Path("out put/.vidsieve/chain.pipeline.json")
    for damaged in ('{"steps": {"rows": {"kee": 1}}}', "[" * 10, '{"steps": 3}'):
        state.write_text(damaged)
        with pytest.raises(UserError, match=r"chain\.pipeline\.json: cannot be read"):
            run()
        assert state.read_text() == damaged


def test_rows_and_hours_are_counted_also_in_tables_of_other_formats(place, capfd):
    write_table(pl.DataFrame({"path": ["0.mp4"], "number": [1], "duration": [1800.0]}), Path("own.parquet"))
    with_own = NUMBERS.replace('name = "kept"', 'name = "kept"\ninput = ["rows", "own.parquet"]')
    Path("chain.toml").write_text(with_own)
    assert run("--set", "least=1", "--from", "kept", "--to", "kept") == 0
    assert outcomes(capfd.readouterr().err)["kept"][2:5] == ["5", "4", "0.5"]


CLIPS = """
[variables]
videos = "my videos"
fmin = 1
ranks = 1

[pipeline]
tables = "out/tables"

[[step]]
name = "videos"
run = "convert video ${videos}"

[[step]]
name = "probed"
run = "datautil"
options = { info = true, fmin = "${fmin}", disable-parallel = true, quiet = true }

[[step]]
name = "cut"
run = "cut"
options = { save-dir = "out/my clips", prune = true, num-workers = 1, quiet = true }

[[step]]
name = "bright"
run = "technical"
ranks = "${ranks}"
options = { measures = ["luminance"], num-workers = 0, quiet = true }

[[step]]
name = "kept"
run = "datautil"
options = { where = "luminance > 60" }
"""

TYPED = [
    ("datasets.convert", "video", "my videos", "--output", "out/tables/videos.csv"),
    (
        "datasets.datautil",
        "out/tables/videos.csv",
        "--info",
        "--fmin",
        "1",
        "--output",
        "out/tables/probed.csv",
    ),
    (
        "scene_cut.cut",
        "out/tables/probed.csv",
        "--save_dir",
        "out/my clips",
        "--output",
        "out/tables/cut.csv",
    ),
    (
        *("scoring.technical.inference", "out/tables/cut.csv", "--measures", "luminance"),
        *("--num-workers", "0", "--output", "out/tables/bright.csv"),
    ),
    (
        *("datasets.datautil", "out/tables/bright.csv", "--where", "luminance > 60"),
        *("--output", "out/tables/kept.csv"),
    ),
]
"""The same, as a person types it."""


def gray(path: Path, level: int, frames: int) -> Path:
    return make_video(path, pictures=[np.full((64, 64, 3), level, np.uint8)] * frames)


@pytest.fixture(scope="module")
def typed(tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """A folder with videos, one of them damaged, and what the typed commands make of them."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "my videos").mkdir()
    gray(folder / "my videos" / "dark.mp4", 30, 12)
    gray(folder / "my videos" / "light one.mp4", 200, 25)
    (folder / "my videos" / "broken.mp4").write_text("no video")
    (folder / "chain.toml").write_text(CLIPS)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for module, *words in TYPED:
            assert importlib.import_module(f"tools.{module}").main(words) in (0, None)
        return folder, made()
    finally:
        os.chdir(before)


@pytest.fixture
def expected(typed, monkeypatch) -> dict[str, bytes]:
    """Work in that folder, in which nothing has been made yet: clips know the path of their video."""
    folder, made = typed
    shutil.rmtree(folder / "out")
    monkeypatch.chdir(folder)
    return made


def made() -> dict[str, bytes]:
    """The tables and clips of the folder; sidecars have the command, and when it was run."""
    found = [*Path("out/tables").glob("[!.]*"), *Path("out/my clips").glob("[!.]*")]
    return {str(path): path.read_bytes() for path in found if not is_sidecar(path)}


def test_clips_and_tables_are_those_of_typed_commands_whatever_the_ranks(expected, capfd):
    assert run("--set", "ranks=2") == 0
    told = capfd.readouterr().err
    assert made() == expected
    lines = outcomes(told)
    assert lines["probed"][-2:] == ["(unreadable", "1)"] and lines["probed"][2:4] == ["3", "2"]
    assert "what to do: python -m tools.failures out/tables/probed.csv\n" in told
    assert read_table("out/tables/kept.csv")["relpath"].to_list() == ["light one_scene-0.mp4"]
    assert run("--dry-run") == 0  # the number of ranks changes nothing
    assert capfd.readouterr().out.count("up to date") == 4


def test_a_chain_that_is_killed_at_any_step_goes_on_where_it_was(expected):
    state = Path("out/tables/.vidsieve/chain.pipeline.json")
    for step in ("cut", "bright"):
        # In turn the process alone is killed, whose command has to end with it, and both at once.
        started = subprocess.Popen(
            [sys.executable, "-m", "tools.pipeline", "chain.toml"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert started.stderr is not None
        for line in started.stderr:
            if line.startswith("== ") and f" {step}: " in line:
                break
        while not state.is_file() or not json.loads(state.read_bytes())["steps"].get(step, {}).get("begun"):
            assert started.poll() is None
        started.kill() if step == "cut" else os.killpg(started.pid, 9)
        started.wait()
    assert run() == 0
    assert made() == expected
    assert not list(Path("out").rglob("*.tmp*"))


def test_a_clip_of_a_video_that_a_bound_removes_is_removed(expected):
    assert run("--to", "cut") == 0
    clips = {path.name: path.stat().st_mtime_ns for path in Path("out/my clips").glob("[!.]*")}
    assert set(clips) == {"dark_scene-0.mp4", "light one_scene-0.mp4"}
    assert run("--to", "cut", "--set", "fmin=20") == 0
    left = {path.name: path.stat().st_mtime_ns for path in Path("out/my clips").glob("[!.]*")}
    assert left == {"light one_scene-0.mp4": clips["light one_scene-0.mp4"]}  # which was not cut again
