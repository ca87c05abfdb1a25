"""A compacted ledger says the same as before, with one line for each row; a kill leaves it whole.

What it says is read by the ledger as it was before there were compactions, from a copy of the whole file.
"""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

from tools.errors import MediaError
from tools.stage.ledger import Ledger, compaction
from tools.stage.ledger.files import LedgerFiles, sealed

CONFIG = {"stage": "s", "version": 1, "config": {}}
KEYS = {f"k{i}" for i in range(30)}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(compaction, "SMALLEST", 0)


def said(folder, rank=0):
    found = LedgerFiles(folder / f"rank{rank}.jsonl", _ask(folder), KEYS)
    return {key: str(value) for key, value in found.outcomes.items()}, found.damaged


def _ask(folder):
    return json.loads((folder / "ask").read_text())


def make(folder, seed, runs=12, ranks=3):
    """A history of runs in which ranks finish rows, and strike some out."""
    draw = random.Random(seed)
    folder.mkdir()
    for number in range(runs):
        for rank in range(ranks):
            with Ledger(folder, rank, {**CONFIG, "version": draw.choice([1, 1, 1, 2])}, KEYS) as ledger:
                (folder / "ask").write_text(json.dumps(ledger._config))
                mine = draw.sample(sorted(KEYS), 10)
                ledger.forget(mine[: draw.randint(0, 10)])
                for key in mine[: draw.randint(0, 10)]:
                    failed = MediaError("timeout", key, f"run {number}")
                    ledger.add([(key, draw.choice([{"n": number + rank / 10}, failed]))])
    with (folder / "rank0.jsonl").open("ab") as file:
        file.write(b'{"damaged\n')


@pytest.mark.parametrize("seed", range(12))
def test_says_the_same(tmp_path, monkeypatch, seed):
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "SMALLEST", 1 << 40)
        make(tmp_path / "l", seed)
    before, damaged = said(tmp_path / "l")
    sizes = [len((tmp_path / f"l/rank{r}.jsonl").read_bytes().splitlines()) for r in range(3)]
    for rank in (1, 2, 0):
        with Ledger(tmp_path / "l", rank, CONFIG, KEYS):
            pass
        assert said(tmp_path / "l") == (before, damaged)
    after = [len((tmp_path / f"l/rank{r}.jsonl").read_bytes().splitlines()) for r in range(3)]
    # At most a line for each row and config, the damaged one, and the report about it.
    assert all(lines <= 2 * len(KEYS) + 2 for lines in after)
    assert sum(after) < sum(sizes)


def test_a_file_with_few_replaced_lines_is_left(tmp_path):
    with Ledger(tmp_path, 0, CONFIG, KEYS) as ledger:
        ledger.add((key, {"n": 1}) for key in KEYS)
        ledger.forget(["k1"])
    status = (tmp_path / "rank0.jsonl").stat()
    with Ledger(tmp_path, 0, CONFIG, KEYS):
        assert (tmp_path / "rank0.jsonl").stat().st_ino == status.st_ino


def test_locked_and_appended_to_after_a_compaction(tmp_path):
    with Ledger(tmp_path, 0, CONFIG, KEYS) as ledger:
        for number in range(5):
            ledger.add([("k1", {"n": number})])
    with Ledger(tmp_path, 0, CONFIG, KEYS) as ledger:
        assert ledger.outcomes["k1"] == {"n": 4}
        ledger.add([("k2", {"n": 9})])
        second = "from tests.stage.ledger.test_compaction import *; from pathlib import Path; import sys;"
        second += "Ledger(Path(sys.argv[1]), 0, CONFIG, KEYS)"
        other = subprocess.run([sys.executable, "-c", second, str(tmp_path)], capture_output=True, text=True)
        assert "is running already" in other.stderr
    assert len((tmp_path / "rank0.jsonl").read_bytes().splitlines()) == 2
    with Ledger(tmp_path, 0, CONFIG, KEYS) as ledger:
        assert dict(ledger.outcomes) == {"k1": {"n": 4}, "k2": {"n": 9}}


@pytest.mark.parametrize("moment", ["fsync", "flock", "rename"])
def test_a_kill_leaves_the_old_file_or_the_new(tmp_path, moment):
    line = {"ask": "x", "run": 1, "values": {"n": 1}}
    for number in range(20):
        with (tmp_path / "rank0.jsonl").open("ab") as file:
            file.write(sealed({**line, "row": f"k{number % 5}"}))
    code = f"""
import os, signal, sys, fcntl
from pathlib import Path
from tools.stage.ledger import compaction as module
module.SMALLEST = 0
def die(*args): os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == "fsync": os.fsync = die
if {moment!r} == "flock": fcntl.flock = die
if {moment!r} == "rename": Path.replace = die
path = Path(sys.argv[1])
module.compact(path, os.open(path, os.O_RDWR | os.O_APPEND))
"""
    before = (tmp_path / "rank0.jsonl").read_bytes()
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "rank0.jsonl")])
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "rank0.jsonl").read_bytes() == before
    file = os.open(tmp_path / "rank0.jsonl", os.O_RDWR | os.O_APPEND)
    os.close(compaction.compact(tmp_path / "rank0.jsonl", file))
    assert len((tmp_path / "rank0.jsonl").read_bytes().splitlines()) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["rank0.jsonl"]
