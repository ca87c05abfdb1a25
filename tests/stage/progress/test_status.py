"""--status of runs at work, killed, stopped and finished; what is right is what the test has made happen."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stage import stages
from tools.errors import UserError
from tools.stage.ledger.files import sealed
from tools.stage.progress import status_file
from tools.stage.progress.status import EXIT_CODES, read_status, state_of_run, totals
from tools.stage.progress.status_file import Count, StatusFile, read_record
from tools.stage.runner import RunOptions, run_stage
from tools.stage.shards import Shard

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def meta(tmp_path) -> Path:
    """Eight files that are all as long, of which the first is missing."""
    for i in range(1, 8):
        (tmp_path / f"f{i}").write_bytes(b"abc")
    lines = ["path,num_frames,resolution", *(f"{tmp_path / f'f{i}'},1,1" for i in range(8))]
    (tmp_path / "meta.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "meta.csv"


def start(meta, *flags, rank=0, world=1):
    env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(world)}
    command = [sys.executable, "-m", "tests.stage.stages", str(meta), *flags]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def status(meta, capsys, *flags) -> tuple[int, str]:
    code = stages.main([str(meta), "--status", *flags])
    return code, capsys.readouterr().out


def wait_for(meta, done):
    end = time.monotonic() + 60
    while sum(rank.done for rank in read_status(meta.with_name("meta_crc.csv"))) < done:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_before_the_first_run_nothing_is_known(meta, capsys):
    code, told = status(meta, capsys)
    assert (code, told) == (5, f"{meta.with_name('meta_crc.csv')}: no run is known\n")
    assert not (meta.parent / ".vidsieve").exists()


def test_a_run_at_work_then_killed_then_finished(meta, capsys):
    run = start(meta, "--hold", "f3", "--num_workers=1")
    try:
        wait_for(meta, 3)
        code, told = status(meta, capsys)
        first, second = told.splitlines()
        assert code == 3
        assert first.startswith(f"{meta.with_name('meta_crc.csv')}: running, 3 of 8 rows, ")
        assert first.endswith("1 failure: missing 1")
        assert f", process {run.pid}, for " in second
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    code, told = status(meta, capsys)
    assert code == 4 and ": killed, 3 of 8 rows, " in told and "1 failure: missing 1" in told
    assert told.splitlines()[-1] == "  the same command goes on with what is left"
    stages.main([str(meta), "--num_workers=0", "--quiet"])
    capsys.readouterr()
    code, told = status(meta, capsys)
    assert code == 0 and ": finished, 8 of 8 rows, 1 failure: missing 1\n" in told


def test_a_run_that_was_stopped_says_why(meta, capsys):
    run = start(meta, "--hold", "f3", "--num_workers=1")
    wait_for(meta, 3)
    run.terminate()
    assert run.wait(timeout=60) == 143
    code, told = status(meta, capsys)
    assert code == 4 and ": stopped before the end, 3 of 8 rows" in told
    assert "  rank 0: stopped by SIGTERM\n" in told


def test_an_error_that_ends_a_run_is_told(meta, capsys, monkeypatch):
    def fails(self):
        raise UserError("no model here")

    monkeypatch.setattr(stages.CrcStage, "setup", fails)
    with pytest.raises(UserError):
        run_stage(stages.CrcStage(), meta, options=RunOptions(num_workers=0, progress=False))
    code, told = status(meta, capsys)
    assert code == 4 and "0 of 8 rows" in told and "  rank 0: no model here\n" in told


def test_each_rank_and_its_machine(meta, capsys, monkeypatch):
    run = start(meta, "--hold", "f3", "--num_workers=1", rank=1, world=2)  # of f1, f3, f5, f7 the first
    try:
        wait_for(meta, 1)
        code, told = status(meta, capsys)
    finally:
        run.kill()
        run.wait()
    assert code == 3
    assert ": running, 1 of 4 rows" in told.splitlines()[0]
    assert told.splitlines()[1] == "  rank 0 of 2: not begun"
    assert told.splitlines()[2].startswith("  rank 1 of 2: running, 1 of 4 rows, ")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        run_stage(stages.CrcStage(), meta, options=RunOptions(num_workers=0, progress=False))
    code, told = status(meta, capsys, "--json")
    found = json.loads(told)
    assert (code, found["state"], found["done"], found["rows"]) == (0, "finished", 8, 8)
    assert found["failures"] == {"missing": 1}
    ranks = [(rank["rank"], rank["done"], rank["now"], rank["state"]) for rank in found["ranks"]]
    assert ranks == [(0, 4, 4, "finished"), (1, 4, 3, "finished")]


def record(folder, rank=0, world=1, **changes):
    (folder / f"rank{rank}.jsonl").touch()
    made = StatusFile(folder, Shard(rank, world), rows=9, earlier=2, failures={"decode": 1})
    made.publish(Count(7, 3, 1, 60.0), **changes)


@pytest.fixture
def state(tmp_path):
    """The folder of the ledger of table.csv."""
    (tmp_path / ".vidsieve" / "table.csv").mkdir(parents=True)
    return tmp_path / ".vidsieve" / "table.csv"


def test_what_the_ledger_got_after_the_record_counts(state, tmp_path):
    record(state)
    lines = [
        {"row": "a", "values": {"x": 1}},
        {"row": "b", "failure": ["timeout", "p", "long"]},
        {"row": "c", "again": True},
        {"row": "d", "values": {"x": 1, "failures": [["no_audio", "none"]]}},
    ]
    (state / "rank0.jsonl").write_bytes(b"".join(map(sealed, lines)) + b'{"row": "e", "values"')
    (rank,) = read_status(tmp_path / "table.csv")
    assert (rank.state, rank.done, rank.now, rank.rows) == ("killed", 8, 6, 9)
    assert rank.failures == {"decode": 1, "timeout": 1, "no_audio": 1}


def test_on_another_machine_without_locks_silence_tells(state, tmp_path, monkeypatch):
    monkeypatch.setattr("tools.stage.progress.status.is_locked", lambda ledger: None)
    record(state, node="elsewhere")
    (rank,) = read_status(tmp_path / "table.csv")
    assert (rank.state, EXIT_CODES[rank.state]) == ("running", 3)
    now = time.time()
    monkeypatch.setattr("tools.stage.progress.status.time.time", lambda: now + 120)
    (rank,) = read_status(tmp_path / "table.csv")
    assert (rank.state, EXIT_CODES[rank.state]) == ("silent", 3)
    record(state, pid=2**22 + 1)  # here, and there is no such process
    assert read_status(tmp_path / "table.csv")[0].state == "killed"
    record(state, pid=os.getpid())
    assert read_status(tmp_path / "table.csv")[0].state == "running"


def test_ranks_of_an_earlier_run_are_left_out(state, tmp_path):
    for rank in range(3):
        record(state, rank, 3, begun=1000.0)
    for rank in range(2):
        record(state, rank, 2, state=status_file.FINISHED)
    ranks = read_status(tmp_path / "table.csv")
    assert [(rank.rank, rank.world) for rank in ranks] == [(0, 2), (1, 2)]
    assert state_of_run(ranks) == "finished" and totals(ranks)["rows"] == 18


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_is_set_changes_no_number(state, tmp_path, monkeypatch, jump):
    """By hours, between two records of a run and before it is read; the run took no time at all."""
    now = time.time()
    with (state / "rank0.jsonl").open("w") as ledger, StatusFile(state, Shard(0, 1), rows=8) as written:
        fcntl.flock(ledger, fcntl.LOCK_EX)  # as a run at work
        monkeypatch.setattr(time, "time", lambda: now + jump)
        written.publish(Count(8, 4, 0, 60.0))
        ran = read_record(state, 0)["ran"]
        (rank,) = read_status(tmp_path / "table.csv")
        assert 0 < ran <= rank.seconds < 60
        assert 0 < rank.left <= 60
        monkeypatch.setattr(time, "time", lambda: now - 1e6)  # back, after the record
        (rank,) = read_status(tmp_path / "table.csv")
        assert ran <= rank.seconds < 60
        assert 0 < rank.left <= 60


def test_a_clock_that_is_set_back_hides_no_later_run(state, tmp_path):
    record(state, 0, 3, begun=2e9, number=1)
    record(state, 0, 2, begun=1e9, number=2)
    record(state, 1, 3, begun=2e9, number=1)
    assert [rank.world for rank in read_status(tmp_path / "table.csv")] == [2, 2]


@pytest.mark.parametrize("damage", [b"", b"garbage\n", b'{"rank": 0}\n'])
def test_a_damaged_record_is_none(state, tmp_path, damage):
    record(state)
    (state / "rank0.status").write_bytes(damage)
    assert read_record(state, 0) is None
    assert read_status(tmp_path / "table.csv") == []


def test_a_shorter_record_over_a_longer_one_is_whole(state):
    record(state, why="x" * 500)
    record(state, why="short")
    assert read_record(state, 0)["why"] == "short"


def test_json_alone_is_an_error(meta):
    with pytest.raises(UserError, match="--json goes with"):
        stages.main([str(meta), "--json"])
