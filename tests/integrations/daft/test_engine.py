"""A stage over a table on Daft's native runner: parts, what stands in the way, resuming, object storage."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.integrations.daft.stages import DyingStage, SizeStage, WeightlessStage
from tests.stage.stages import BytesStage
from tools.errors import UserError
from tools.integrations.daft.engine import DaftOptions, run_on_daft
from tools.scoring.__main__ import main as scores_command
from tools.stage.runner import RunOptions, run_stage
from tools.table import merge_tables, read_table

daft = pytest.importorskip("daft", reason="Daft is not installed: pip install 'vidsieve[daft]'")
fsspec = pytest.importorskip("fsspec", reason="fsspec comes with Daft")
ROOT = Path(__file__).resolve().parents[3]
QUIET = RunOptions(num_workers=0, progress=False)
pytestmark = pytest.mark.usefixtures("native")


def run(table, stage=None, *, part_rows=5, options=QUIET, **more):
    return run_on_daft(
        stage or SizeStage(), table, options=options, where=DaftOptions(part_rows=part_rows), **more
    )


def parts(folder) -> list[Path]:
    return sorted(Path(folder).glob("*"))


@pytest.mark.logs_errors
def test_the_parts_hold_what_one_process_writes(table, sizes):
    result = run(table)
    folder = table.with_name("meta_size.parquet")
    assert str(result.output) == str(folder)
    assert [file.name for file in parts(folder)] == [f"part-{n:05d}.parquet" for n in range(5)]
    frame = pl.read_parquet(parts(folder))
    assert frame["_row"].to_list() == list(range(23))
    columns = ["id", "path", "size", "third"]
    assert frame.select(columns).rows() == sizes.select(columns).rows()
    assert frame["fps"].dtype == pl.Float64  # the contract's type, as in other Parquet outputs
    errors = dict(frame.filter(pl.col("size_error").is_not_null()).select("path", "size_error").rows())
    assert errors == {
        "0.bin": "internal: stage size: KeyError: 'bug'",
        "9.bin": "decode: half of it",  # it has its values all the same
        "22.bin": "missing: no such file",
    }
    assert (result.rows, result.failed, len(result.failures)) == (23, 2, 3)
    assert result.remarks == {"empty": 1}
    # listed beside it, as by a single process
    listed = read_table(table.with_name("meta_size.failures.csv")).rows()
    run_stage(SizeStage(), table, options=QUIET)
    assert listed == read_table(table.with_name("meta_size.failures.csv")).rows()


def test_datautil_merges_the_parts(table, sizes):
    run(table)
    merged = merge_tables(parts(table.with_name("meta_size.parquet"))[::-1]).collect()
    assert merged.columns == [*sizes.columns, "size_error"]
    assert merged["id"].to_list() == sizes["id"].to_list()
    with pytest.raises(UserError, match="part 3/5: missing"):
        merge_tables([p for p in parts(table.with_name("meta_size.parquet")) if "00003" not in p.name])


def test_a_run_goes_on_where_it_was_stopped(table, sizes):
    run(table)
    folder = table.with_name("meta_size.parquet")
    whole = {file.name: file.read_bytes() for file in parts(folder)}
    assert run(table).already_complete
    for name in ("part-00001.parquet", "part-00004.parquet"):
        (folder / name).unlink()
    kept = (folder / "part-00000.parquet").stat().st_mtime_ns
    again = run(table, part_rows=7)  # the parts that are there decide how rows are dealt out
    assert (again.reused, again.failed, again.already_complete) == (15, 2, False)
    assert {file.name: file.read_bytes() for file in parts(folder)} == whole
    assert (folder / "part-00000.parquet").stat().st_mtime_ns == kept


def test_failed_rows_are_done_again_when_asked(table, sizes):
    run(table)
    (table.parent / "22.bin").write_bytes(b"here now")
    assert run(table).already_complete
    options = {
        kinds: RunOptions(num_workers=0, progress=False, retry_failed=kinds) for kinds in ("crash", "all")
    }
    assert run(table, options=options["crash"]).already_complete
    result = run(table, options=options["all"])
    assert result.failed == 1
    assert pl.read_parquet(parts(result.output))["size"][22] == 8


def test_rows_whose_worker_was_killed_are_done_again_unasked(table, sizes):
    (table.parent / "12.bin").write_bytes(b"killed")
    assert [failure.kind for failure in run(table).failures].count("killed") == 1
    (table.parent / "spare").touch()
    result = run(table)
    assert (result.already_complete, [f.kind for f in result.failures].count("killed")) == (False, 0)
    assert pl.read_parquet(parts(result.output))["size"][12] == 6


def test_failed_rows_can_be_dropped_and_are_still_listed(table, sizes):
    result = run(table, options=RunOptions(num_workers=0, progress=False, on_error="drop"))
    frame = pl.read_parquet(parts(result.output))
    assert frame["_row"].to_list() == [n for n in range(23) if n not in (0, 9, 22)]
    assert (result.failed, len(result.failures)) == (2, 3)
    assert len(read_table(result.failures_file)) == 3


def test_what_was_made_otherwise_is_not_mixed_in(table, sizes):
    run(table)
    other = SizeStage(precision="fp16")
    with pytest.raises(UserError, match=r"precision fp32, now fp16.*--overwrite"):
        run(table, other)
    pl.concat([read_table(table), read_table(table)[:1]]).write_csv(table)
    with pytest.raises(UserError, match="another input"):
        run(table)
    strange = table.with_name("strange.parquet")
    strange.mkdir()
    (strange / "part-00000.parquet").write_bytes(b"?")
    with pytest.raises(UserError, match="not by this command"):
        run(table, output=strange)


def test_a_cut_off_receipt_is_no_receipt(table, sizes):
    run(table)
    receipt = table.parent / ".vidsieve" / "meta_size.parquet" / "receipt.json"
    assert set(json.loads(receipt.read_text())) == {"made", "part_rows", "config"}
    receipt.write_text("{")
    with pytest.raises(UserError, match="in the way"):
        run(table)
    assert run(table, options=RunOptions(num_workers=0, progress=False, overwrite=True)).reused == 0


def test_object_storage(table, sizes):
    """fsspec's own storage in memory stands for S3: the same calls, and nothing on the disk."""
    storage = fsspec.filesystem("memory")
    absolute = read_table(table).with_columns(path=f"{table.parent}/" + pl.col("path"))
    storage.pipe_file("/bucket/meta.csv", absolute.write_csv().encode())
    try:
        result = run("memory://bucket/meta.csv")
        assert result.output == "memory://bucket/meta_size.parquet"
        names = sorted(storage.ls("/bucket/meta_size.parquet", detail=False))
        assert [name.rpartition("/")[2] for name in names] == [f"part-{n:05d}.parquet" for n in range(5)]
        frame = pl.concat([pl.read_parquet(io.BytesIO(storage.cat_file(name))) for name in names])
        assert frame["third"].to_list() == sizes["third"].to_list()
        assert storage.cat_file("/bucket/meta_size.failures.csv").count(b"\n") == 4
        assert run("memory://bucket/meta.csv").already_complete
        with pytest.raises(UserError, match=r"none\.csv: cannot read the table: there is no such object"):
            run("memory://bucket/none.csv")
    finally:
        storage.rm("/bucket", recursive=True)


def test_what_the_workers_lack_is_one_line(table, sizes):
    with pytest.raises(UserError, match=r"^weights of size: not found at /nowhere; download them$"):
        run(table, WeightlessStage())
    assert not parts(table.with_name("meta_size.parquet"))


def test_a_worker_that_is_lost_costs_what_it_was_at(table, sizes, caplog):
    marker = table.with_name("killed")
    stage = DyingStage(victim="13.bin", marker=str(marker))
    result = run(table, stage, part_rows=3, options=RunOptions(num_workers=0, progress=False))
    frame = pl.read_parquet(parts(result.output))
    assert frame["_row"].to_list() == list(range(23))
    assert frame["third"].to_list() == sizes["third"].to_list()
    assert marker.exists()
    assert "workers were lost; going on with" in caplog.text


def test_a_run_whose_workers_always_die_ends_with_one_line(table, sizes):
    with pytest.raises(UserError, match=r"broke off 3 times .* parts that are finished are kept"):
        run(
            table, DyingStage(victim="1.bin"), part_rows=30, options=RunOptions(num_workers=0, progress=False)
        )


def test_only_scores_run_there(table):
    with pytest.raises(UserError, match="stage bytes"):
        run(table, BytesStage())


def test_the_command_with_several_scores(clips, tmp_path):
    meta = tmp_path / "meta.jsonl"
    meta.write_text("".join(json.dumps({"path": path, "n": n}) + "\n" for n, path in enumerate(clips)))
    flags = [
        str(meta),
        "--scores",
        "technical,flow",
        "--flow.method",
        "dis",
        "--technical.measures",
        "sharpness",
    ]
    flags += ["--num-workers", "1", "--quiet"]
    command = [sys.executable, "-m", "tools.scoring", *flags, "--engine", "daft"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "meta_technical_flow.parquet"
    assert ran.stdout.splitlines()[-1] == str(folder)
    assert "6 rows: 4 done, 2 failed: " in ran.stderr
    scores_command(flags)
    expected = read_table(tmp_path / "meta_technical_flow.jsonl")
    found = pl.read_parquet(parts(folder))
    assert found.select(expected.columns).rows() == expected.rows()
    assert found["flow"].null_count() == 2


def test_ctrl_c_ends_the_command_as_any_other(clips, tmp_path):
    """Threads of Daft's, which go on, once aborted the process while Python ended: code -6, a core dump."""
    pl.DataFrame({"path": clips * 20}).write_csv(tmp_path / "meta.csv")
    flags = ["--measures", "sharpness", "--quiet", "--engine", "daft", "--part-rows", "1"]
    command = [sys.executable, "-m", "tools.scoring.technical.inference", str(tmp_path / "meta.csv"), *flags]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    folder = tmp_path / "meta_technical.parquet"
    until = time.monotonic() + 120
    while not (folder.is_dir() and parts(folder)) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert told.splitlines()[-1] == "error: interrupted; run the same command again to go on"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--ray", "auto"], "--ray: only with --engine daft"),
        (["--engine", "daft", "--ray", "127.0.0.1:1"], "--ray 127.0.0.1:1: no Ray cluster can be reached"),
        (["--engine", "daft", "--gpus", "64"], "64 GPUs each"),
        (["--engine", "spark"], "invalid choice"),
    ],
)
def test_the_command_tells_what_is_wrong(table, flags, said):
    command = [sys.executable, "-m", "tools.scoring.technical.inference", str(table), *flags]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert ran.stderr.strip().splitlines()[-1].startswith("error: ")
