"""Runs that are killed, at every moment that leaves another state on disk, and what comes after."""

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import polars as pl
import pytest

from tests.stage.kill_sweep import SCENARIOS
from tests.stage.stages import CrcStage
from tools.stage.runner import RunOptions, run_stage
from tools.table import expand_inputs, merge_tables, read_table, write_table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def meta(tmp_path) -> Path:
    """Thirteen files, the first of them named twice; by its columns all are as long, so none is first."""
    for i in range(13):
        (tmp_path / f"f{i:02}.bin").write_bytes(bytes([i]) * (1 if i % 2 else 100_000))
    paths = sorted(str(p) for p in tmp_path.glob("*.bin"))
    columns = {"path": [*paths, paths[0]], "id": ["007"] * 14, "num_frames": [9] * 14, "resolution": [4] * 14}
    return write_table(pl.DataFrame(columns), tmp_path / "meta.csv")


def start(meta, *flags, rank=0, world=1):
    env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(world), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.stage.stages", str(meta), *flags]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished_rows(meta) -> int:
    files = (meta.parent / ".vidsieve" / "meta_crc.csv").glob("rank*.jsonl")
    return sum(file.read_bytes().count(b"\n") for file in files)


def wait_for_rows(meta, rows, runs):
    end = time.monotonic() + 60
    while finished_rows(meta) < rows:
        assert time.monotonic() < end
        assert any(run.poll() is None for run in runs), "it ended before it could be killed"
        time.sleep(0.02)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_before_any_file_operation_is_made_good(tmp_path, scenario):
    command = [sys.executable, "-m", "tests.stage.kill_sweep", str(tmp_path), scenario]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) >= 10


@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 2), (3, 2), (2, 1)])
def test_a_killed_run_goes_on_with_any_number_of_ranks(meta, before, after):
    options = RunOptions(num_workers=0, progress=False)
    alone = run_stage(CrcStage(), meta, output=meta.with_name("alone.csv"), options=options).output
    for rows in (2, 6):
        flags = ("--hold", f"f{rows:02}.bin", "--num_workers=1")  # f00 to f01 finish, then f02 to f05
        runs = [start(meta, *flags, rank=rank, world=before) for rank in range(before)]
        wait_for_rows(meta, rows, runs)
        for run in runs:
            os.kill(run.pid, signal.SIGKILL)
            run.communicate()
        assert finished_rows(meta) == rows
    runs = [start(meta, "--num_workers=0", rank=rank, world=after) for rank in range(after)]
    told = b"".join(run.communicate()[1] for run in runs)
    assert [run.returncode for run in runs] == [0] * after, told
    assert b"by an earlier run" in told
    assert finished_rows(meta) <= 13 + after  # one more where two ranks have the file that is named twice
    output = meta.with_name("meta_crc.csv")
    if after > 1:
        parts = expand_inputs([str(meta.with_name("meta_crc_part*.csv"))])
        output = write_table(merge_tables(parts), meta.with_name("merged.csv"))
    assert output.read_bytes() == alone.read_bytes()
    crcs = [zlib.crc32(Path(path).read_bytes()) for path in read_table(meta)["path"]]
    assert read_table(output)["crc"].to_list() == [str(crc) for crc in crcs]


def test_slow_rows_are_safe_soon_after_they_finish(meta):
    run = start(meta, "--delay", "1.5", "--num_workers=1", "--bs", "64")
    wait_for_rows(meta, 1, [run])
    # One row after the other, each a second and a half, and a batch could take them all.
    assert finished_rows(meta) <= 3
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()


def test_under_torchrun_a_rank_of_bad_files_alone_does_not_stop_the_others(meta):
    table = read_table(meta)
    for path in table["path"][1::2]:
        Path(path).unlink()
    alone = run_stage(
        CrcStage(),
        meta,
        output=meta.with_name("alone.csv"),
        options=RunOptions(num_workers=0, progress=False),
    )
    assert 0 < alone.failed < 14
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "tests.stage.stages", str(meta), "--delay", "0.1", "--num_workers", "4"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    parts = expand_inputs([str(meta.with_name("meta_crc_part*.csv"))])
    assert len(parts) == 2
    merged = write_table(merge_tables(parts), meta.with_name("merged.csv"))
    assert merged.read_bytes() == alone.output.read_bytes()
