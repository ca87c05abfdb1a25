"""The progress bar: on a terminal from row 0 on, one for all ranks; sparse lines elsewhere."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.errors import MediaError
from tools.stage import progress as module
from tools.stage.estimate.sample import Rates
from tools.stage.progress import Progress, spell_rate, spell_seconds
from tools.stage.progress.status_file import Count, StatusFile
from tools.stage.shards import Shard

ROOT = Path(__file__).resolve().parents[3]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def wait_for(text: str, stream: io.StringIO) -> None:
    end = time.monotonic() + 30
    while text not in stream.getvalue():
        assert time.monotonic() < end, stream.getvalue()
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "_REFRESH", 0.02)


def test_a_terminal_shows_the_rows_before_the_first_is_done(monkeypatch, quick):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with Progress(40, "aes") as progress:
        assert "aes:   0%" in terminal.getvalue() and "0/40 " in terminal.getvalue()
        progress.count([("a", {}), ("b", MediaError("empty", "b", "no bytes"))])
        wait_for("2/40 ", terminal)
        assert "failed=1" in terminal.getvalue()
        progress.count([("c", {})] * 38)
    assert "40/40 " in terminal.getvalue().splitlines()[-1]


def test_a_file_gets_sparse_lines_and_of_a_short_run_none(monkeypatch, quick):
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    with Progress(3, "aes") as progress:
        progress.count([("a", {})])
    assert log.getvalue() == ""
    monkeypatch.setattr(module, "_FIRST_LINE", 0.0)
    with Progress(3, "aes") as progress:
        wait_for("aes: 0 of 3 rows\n", log)
        progress.count([("a", {}), ("b", MediaError("empty", "b", "no bytes"))])
        time.sleep(0.2)
    _, last = log.getvalue().splitlines()
    assert re.fullmatch(r"aes: 2 of 3 rows, [\d.]+ rows/s, [\d.]+ s left, 1 failed", last)


def test_quiet_and_further_ranks_show_none(monkeypatch, quick):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with Progress(3, "aes", shown=False):
        pass
    monkeypatch.setenv("RANK", "1")
    with Progress(3, "aes"):
        pass
    assert terminal.getvalue() == ""


def test_ranks_of_one_launcher_add_up(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    first, second, third = (StatusFile(tmp_path, Shard(rank, 3)) for rank in range(3))
    assert first.label(first.others()) == "rank 0 of 3"
    for status, count in ((first, Count(4, 0)), (second, Count(5, 2, 1, 7.5))):
        (tmp_path / f"rank{0 if status is first else 1}.jsonl").touch()
        status.publish(count)
    assert first.others() == {1: Count(5, 2, 1, 7.5)}
    assert first.label(first.others()) == "2 of 3 ranks"
    (tmp_path / "rank2.jsonl").touch()
    third.publish(Count(3, 3, 0, 0.0))
    assert first.label(first.others()) == "3 ranks"


def publish(folder, rank, world, count):
    (folder / f"rank{rank}.jsonl").touch()
    StatusFile(folder, Shard(rank, world)).publish(count)


def test_counts_of_another_launcher_are_not_added(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "yesterday")
    publish(tmp_path, 1, 2, Count(9, 9))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "today")
    assert StatusFile(tmp_path, Shard(0, 2)).others() == {}
    publish(tmp_path, 1, 4, Count(9, 9))
    assert StatusFile(tmp_path, Shard(0, 2)).others() == {}
    assert StatusFile(tmp_path, Shard(0, 4)).others() == {1: Count(9, 9)}
    publish(tmp_path, 2, 4, Count(5, 5))  # on another machine: there are two ranks on each
    assert StatusFile(tmp_path, Shard(0, 4)).others() == {1: Count(9, 9)}
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert StatusFile(tmp_path, Shard(0, 2)).others() == {}


def test_the_time_left_follows_the_work_and_not_the_rows(monkeypatch):
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)
    clock = 100.0
    progress = Progress(100, "aes", shown=False, cost=1000.0)
    with progress:
        clock = 110.0
        progress.advance(10, cost=900.0)
        assert progress.left() == pytest.approx(10.0)  # by half of both: a tenth, and nine tenths
        progress.rates = Rates(0.0, 1.0)
        assert progress.left() == pytest.approx(10 / 9)
        progress.rates = Rates(1.0, 0.0)
        assert progress.left() == pytest.approx(90.0)
        progress.advance(90, cost=100.0)
        assert progress.left() == 0.0


def test_two_ranks_share_one_bar_on_a_terminal(tmp_path):
    lines = ["path"]
    for i in range(11):
        (tmp_path / f"f{i}").write_text(str(i))
        lines.append(str(tmp_path / f"f{i}"))
    meta = tmp_path / "meta.csv"
    meta.write_text("\n".join(lines) + "\n")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tests.stage.stages", str(meta), "--num-workers", "0", "--delay", "0.3"]
    runs = []
    for rank in range(2):
        env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        runs.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=theirs))
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # both have ended
            break
        if not piece:
            break
        shown += piece
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    states = re.findall(r"(crc, [^:\r]*): +\d+%.*? (\d+)/(\d+) ", shown.decode())
    assert ("crc, 2 ranks", "11") in {(label, rows) for label, _, rows in states}
    assert not any("rank 1 of" in label for label, _, _ in states)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (12, "12 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h"), (200_000, "2.3 days")],
)
def test_times_are_short(seconds, text):
    assert spell_seconds(seconds) == text


def test_speeds_are_short():
    assert [spell_rate(r) for r in (0.01254, 3.4567, 1234.5)] == [
        "0.0125 rows/s",
        "3.46 rows/s",
        "1234 rows/s",
    ]
