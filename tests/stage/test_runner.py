"""The runner with real worker processes. The values are CRC-32 sums, known from zlib."""

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import polars as pl
import pytest

from tests.stage.stages import BytesStage, CrcStage
from tools.errors import UserError
from tools.stage.runner import RunOptions, map_rows, run_stage
from tools.table import expand_inputs, merge_tables, read_table, write_table

ROOT = Path(__file__).resolve().parents[2]
FAST = RunOptions(num_workers=0, progress=False)


@pytest.fixture
def meta(tmp_path) -> Path:
    """Thirteen files, one named twice, with ids and captions that must survive."""
    paths = []
    for i in range(13):
        path = tmp_path / f"f{i:02}.bin"
        path.write_bytes(bytes([i]) * (1 if i % 2 else 100_000))
        paths.append(str(path))
    paths.insert(5, paths[0])
    table = pl.DataFrame({"path": paths, "id": ["007"] * 14, "text": ["a,b", "None"] * 7})
    return write_table(table, tmp_path / "meta.csv")


def crcs(paths: list[str]) -> list[int | None]:
    return [zlib.crc32(Path(p).read_bytes()) if Path(p).exists() else None for p in paths]


def launch(meta, *flags, rank=0, world=1):
    env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(world), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.stage.stages", str(meta), *flags]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_values_come_at_the_end_of_untouched_rows(meta):
    result = run_stage(CrcStage(), meta, options=FAST)
    assert result.output == meta.with_name("meta_crc.csv")
    before, after = read_table(meta), read_table(result.output)
    assert after.columns == ["path", "id", "text", "crc", "tenth"]
    assert after.select(before.columns).equals(before)
    assert [int(c) for c in after["crc"]] == crcs(before["path"].to_list())
    assert [float(c) for c in after["tenth"]] == [c / 10 for c in crcs(before["path"].to_list())]


@pytest.mark.logs_errors
def test_bad_files_cost_their_own_rows(tmp_path):
    contents = ["fine", "hang", "crash", "exit", "memory", "bug", "bad batch", "good"]
    for name in contents:
        (tmp_path / name).write_text(name)
    paths = [str(tmp_path / name) for name in [*contents, "missing"]] + [None]
    meta = write_table(pl.DataFrame({"path": paths, "text": ["x"] * 10}), tmp_path / "meta.csv")
    options = RunOptions(num_workers=2, timeout=8, memory_gb=1, progress=False)
    result = run_stage(CrcStage(), meta, options=options)
    rows = read_table(result.output)
    assert rows["crc"].to_list() == [
        str(zlib.crc32(b"fine")),
        *[None] * 6,
        str(zlib.crc32(b"good")),
        None,
        None,
    ]
    failures = read_table(result.failures_file)
    assert failures["path"].to_list() == [*paths[1:7], paths[8], ""]
    assert failures["kind"].to_list() == [
        "timeout", "crash", "crash", "memory", "internal", "internal", "missing", "bad_value",
    ]  # fmt: skip
    assert "SIGSEGV" in failures["message"][1]


def test_failed_rows_can_be_dropped_and_tried_again(tmp_path, meta):
    lost = Path(read_table(meta)["path"][3])
    data = lost.read_bytes()
    lost.unlink()
    kept = run_stage(CrcStage(), meta, options=FAST)
    assert (kept.failed, read_table(kept.output)["crc"][3]) == (1, None)
    again = run_stage(CrcStage(), meta, options=FAST)
    assert again.already_complete
    assert again.failed == 1
    options = RunOptions(num_workers=0, on_error="drop", progress=False)
    dropped = run_stage(CrcStage(), meta, output=tmp_path / "dropped.csv", options=options)
    assert read_table(dropped.output).height == 13
    lost.write_bytes(data)
    options = RunOptions(num_workers=0, retry_failed=True, progress=False, overwrite=True)
    mended = run_stage(CrcStage(), meta, options=options)
    assert (mended.failed, mended.reused, mended.failures_file) == (0, 13, None)
    assert not meta.with_name("meta_crc.failures.csv").exists()


def test_a_complete_output_is_left_alone(meta):
    first = run_stage(CrcStage(), meta, options=FAST)
    bytes_before, time_before = first.output.read_bytes(), first.output.stat().st_mtime_ns
    second = run_stage(CrcStage(), meta, options=FAST)
    assert second.already_complete
    assert (first.output.read_bytes(), first.output.stat().st_mtime_ns) == (bytes_before, time_before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("option", "with other options"),
        ("input", "from another input"),
        ("output", "changed since"),
        ("file", "files that have changed"),
    ],
)
def test_an_output_made_otherwise_is_in_the_way(meta, change, message):
    stage = CrcStage()
    output = run_stage(stage, meta, options=FAST).output
    match change:
        case "option":
            stage = CrcStage(salt=1)
        case "input":
            write_table(read_table(meta).head(9), meta)
        case "output":
            output.write_text("path,crc\nmine,1\n")
        case "file":
            Path(read_table(meta)["path"][2]).write_bytes(b"new")
    before = output.read_bytes()
    with pytest.raises(UserError, match=rf"meta_crc\.csv: is in the way.*{message}.*--overwrite"):
        run_stage(stage, meta, options=FAST)
    assert output.read_bytes() == before
    result = run_stage(stage, meta, options=RunOptions(num_workers=0, overwrite=True, progress=False))
    paths = read_table(meta)["path"].to_list()
    assert [int(c) for c in read_table(result.output)["crc"]] == [
        zlib.crc32(Path(p).read_bytes(), stage.salt) for p in paths
    ]
    assert result.reused == {"option": 0, "input": 9, "output": 14, "file": 13}[change]


def test_a_column_that_is_there_is_computed_anew(tmp_path, meta):
    old = write_table(read_table(meta).with_columns(pl.lit("old").alias("crc")), tmp_path / "old.csv")
    table = read_table(run_stage(CrcStage(), old, options=FAST).output)
    assert table.columns == ["path", "id", "text", "crc", "tenth"]
    assert [int(c) for c in table["crc"]] == crcs(table["path"].to_list())


def test_one_row_may_become_many(tmp_path, monkeypatch):
    for name, data in {"a": b"\x01\x02", "b": b"", "c": b"\x00\x03", "d": b"\x04"}.items():
        (tmp_path / name).write_bytes(data)
    table = pl.DataFrame(
        {"path": [str(tmp_path / n) for n in "abcd"], "id": list("abcd"), "text": list("wxyz")}
    )
    meta = write_table(table, tmp_path / "meta.csv")
    alone = run_stage(BytesStage(), meta, output=tmp_path / "alone.csv", options=FAST)
    rows = read_table(alone.output)
    assert rows.select("text", "byte").rows() == [("w", "1"), ("w", "2"), ("y", "3"), ("z", "4")]
    assert rows.columns == ["byte", "path", "text"]
    assert read_table(alone.failures_file).rows() == [(str(tmp_path / "c"), "bad_value", "a zero byte")]
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        run_stage(BytesStage(), meta, output=tmp_path / "parts.csv", options=FAST)
    merged = write_table(merge_tables(expand_inputs([tmp_path / "parts_part*.csv"])), tmp_path / "merged.csv")
    assert merged.read_bytes() == alone.output.read_bytes()


@pytest.mark.parametrize(("text", "message"), [("id\n1\n", "no column 'path'"), ("path,id\n", "has no rows")])
def test_a_table_without_work_is_an_error(tmp_path, text, message):
    (tmp_path / "meta.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        run_stage(CrcStage(), tmp_path / "meta.csv", options=FAST)
    assert [p.name for p in tmp_path.iterdir()] == ["meta.csv"]


def test_ranks_share_out_the_rows_and_their_parts_merge_to_the_same_bytes(tmp_path, meta):
    alone = run_stage(CrcStage(), meta, output=tmp_path / "alone.csv", options=FAST).output
    for worlds in (3, 2):  # then with fewer: the third part goes
        runs = [launch(meta, rank=rank, world=worlds) for rank in range(worlds)]
        assert [run.wait() for run in runs] == [0] * worlds
        parts = expand_inputs([tmp_path / "meta_crc_part*.csv"])
        assert len(parts) == worlds
        merged = write_table(merge_tables(parts), tmp_path / "merged.csv")
        assert merged.read_bytes() == alone.read_bytes()


def test_a_torn_line_and_foreign_lines_in_the_ledger_are_passed_over(meta):
    first = run_stage(CrcStage(), meta, options=FAST)
    ledger = meta.parent / ".vidsieve" / "meta_crc.csv" / "rank0.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    expected = first.output.read_bytes()
    first.output.unlink()
    ledger.write_bytes(b"".join(lines[:4]) + b'{"ask": 1}\nnot json\n' + lines[4][:-20])
    result = run_stage(CrcStage(), meta, options=FAST)
    assert result.reused == 4 + 1  # the first row stands twice in the table
    assert result.output.read_bytes() == expected


def test_the_command_tells_what_it_did(meta):
    run = launch(meta, "--strict", "--quiet")
    out, err = run.communicate()
    assert (run.returncode, out) == (0, f"{meta.with_name('meta_crc.csv')}\n")
    rows, crc, tenth, speed = err.splitlines()
    assert rows == "14 rows: 14 done"
    known = sorted(crcs(read_table(meta)["path"].to_list()))
    assert crc == f"crc: min {known[0]}, median {(known[6] + known[7]) / 2:.0f}, max {known[13]}"
    assert tenth.startswith(f"tenth: min {known[0] / 10:.0f}, median ")
    assert re.fullmatch(r"[\d.]+ (s|min), [\d.]+ rows/s", speed)
    Path(read_table(meta)["path"][3]).unlink()
    run = launch(meta, "--strict", "--quiet", "--overwrite")
    out, err = run.communicate()
    assert run.returncode == 1
    assert "14 rows: 13 done (13 by an earlier run), 1 failed: missing 1; see" in err


def test_map_rows_keeps_the_order(meta):
    rows = read_table(meta).to_dicts()
    outcomes = map_rows(CrcStage(), rows, RunOptions(num_workers=2, progress=False))
    assert [o["crc"] for o in outcomes] == crcs([r["path"] for r in rows])
