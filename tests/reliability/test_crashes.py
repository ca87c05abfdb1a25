"""Kills at file operations that a seed chooses, for every command, and then the bytes of an unbroken run.

A fast form of scripts/crash_test.py: commands are forks of one process, and each is killed once.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.cases import NOT_KILLED, Case, all_cases, row_cases
from tests.reliability.outputs import Outputs
from tests.reliability.payments import CONCURRENCY, FORGETS, Payments
from tools.commands import COMMANDS
from tools.datasets.transform import METHODS

ROOT = Path(__file__).resolve().parents[2]
OTHERS = (
    "convert webdataset",
    "datautil info",
    "export webdataset",
    "pipeline",
    "split",
    "transform vid_resize",
)


def covered(cases: list[Case]) -> set[str]:
    """Modules that cases run."""
    return {case.words[0] for case in cases}


def test_every_command_is_a_case_or_says_why_not():
    """A new command that works row by row is one by itself; another one that writes has to be added."""
    cases = covered(all_cases())
    assert {command.name for command in COMMANDS if command.typed not in cases} == set(NOT_KILLED)
    scorers = {command.typed for command in COMMANDS if command.score}
    assert scorers <= covered(row_cases())
    transforms = {case.words[1] for case in all_cases() if case.words[0] == "tools.datasets.transform"}
    assert all(any(METHODS[name] is method for name in transforms) for method in METHODS.values())


class Payer:
    """A log of payments, and the journal of the run."""

    def __init__(self, folder: Path, run: str) -> None:
        self.log, self.journal = folder / "paid.txt", folder / "state" / "answers0.jsonl"
        self.run, self.payments = run, Payments(self.log, run)
        self.journal.parent.mkdir()

    def pay(self, *questions: str) -> None:
        with self.log.open("a") as file:
            file.writelines(f"{self.run} {question * 8}\nother {question * 8}\n" for question in questions)

    def store(self, *questions: str, torn: str = "") -> None:
        with self.journal.open("a") as file:
            file.writelines(f'{{"text": "[\\"{question * 8}\\"]"}}\n' for question in questions)
            file.write(torn * 8)

    def ended(self, killed: int) -> list[str]:
        return self.payments.after_run(self.journal.parent, killed)


@pytest.mark.parametrize("run", ["keeps", f"run{FORGETS}"])
def test_payments_of_a_run_that_stores_its_answers(tmp_path, run):
    payer = Payer(tmp_path, run)
    payer.pay(*"abcd")
    payer.store(*"ab", torn="c")  # c and d were under way
    assert payer.ended(killed=1) == []
    payer.pay(*("cdef" if run.endswith(FORGETS) else "ef"))
    payer.store(*"cdef")
    assert payer.ended(killed=0) == []
    assert payer.payments.in_the_end(expected("abcdef"), shared=0) == []


def test_payments_that_are_wrong(tmp_path):
    payer = Payer(tmp_path, "keeps")
    payer.pay(*"abcd")
    assert payer.ended(killed=1) == [f"4 paid answers are not stored, {CONCURRENCY} requests were cut off"]
    payer.store(*"abc")
    payer.ended(killed=0)
    payer.pay("a", "d", "f", "e")
    payer.store(*"def")
    assert payer.ended(killed=0) == ["paid again for the answer to aaaaaaaa, which was stored"]
    assert payer.payments.in_the_end(expected("abcdeg"), shared=0) == [
        "gggggggg was not asked",
        "no row asks ffffffff",
        "3 answers were paid for again, of 0 whose requests were cut off",
    ]


def test_a_run_that_is_not_cut_off_stores_all_its_answers(tmp_path):
    payer = Payer(tmp_path, f"run{FORGETS}")
    payer.pay(*"ab")
    payer.store("a")
    assert payer.ended(killed=0) == ["1 paid answers are not stored, 0 requests were cut off"]


def expected(questions: str) -> dict[str, int]:
    """What an uninterrupted run pays."""
    return dict.fromkeys([question * 8 for question in questions], 1)


def test_differences_between_runs_are_found(tmp_path):
    def run(name: str, files: dict[str, str]) -> Outputs:
        folder = tmp_path / name
        for path, content in files.items():
            (folder / "run" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "run" / path).write_text(content)
        (folder / "temporary").mkdir()
        return Outputs(folder / "run", folder / "temporary", lambda parts, name: b"", None)

    sidecar = '{"step": "%s", "steps": {"%s": {"command": ["--num-workers", "%d"], "run": %d}}, "a": %d}'
    good = {"a.csv": "1", "clips/a.mp4": "2", ".vidsieve/a.csv/rank0.jsonl": "state"}
    reference = run("reference", good | {"a.csv.provenance.json": sidecar % ("x1", "x1", 1, 5, 7)}).files()
    same = {"a.csv.provenance.json": sidecar % ("y2", "y2", 2, 6, 7)}
    assert run("same", good | same).faults(1, [reference]) == []
    changed = {"a.csv.provenance.json": sidecar % ("y2", "y2", 2, 6, 8), "b/.c.mp4.0.part": "", "a.csv": "3"}
    found = run("changed", {"clips/b.mp4": "2"} | changed)
    (tmp_path / "changed" / "temporary" / "x").touch()
    assert found.faults(1, [reference]) == [
        "temporary files are left: ['b/.c.mp4.0.part', 'TMPDIR/x']",
        "b/.c.mp4.0.part: should not be there",
        "clips/a.mp4: is missing",
        "clips/b.mp4: should not be there",
        "a.csv: differs from that of an uninterrupted run",
        "a.csv.provenance.json: differs from that of an uninterrupted run",
    ]


_ENDED = """
import random, signal, sys, time
from pathlib import Path
from tests.reliability.processes import Runner

folder = Path(sys.argv[1])
runner = Runner(folder, folder, {}, forks=False)
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.alarm(1)
try:
    runner.run(["timeit", "-n", "1", "import time; time.sleep(60)"], chance=random.Random(0))
except KeyboardInterrupt:
    until = time.monotonic() + 20
    while (left := runner._processes({})) and time.monotonic() < until:
        time.sleep(0.02)
    print("left:", left or "nothing")
"""


def test_a_test_that_is_ended_ends_what_it_has_started(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _ENDED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "left: nothing\n", done.stderr


def crash_test(folder: Path, names: list[str], *words: str) -> None:
    """Kill each command once."""
    command = [sys.executable, "scripts/crash_test.py", "--fork", "--each", "1", "--kills", str(len(names))]
    done = subprocess.run(
        [*command, *words, "--folder", str(folder), "--only", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_commands_that_are_killed_end_with_the_same_files(tmp_path):
    names = [*(case.name for case in row_cases() if not case.heavy), *OTHERS]
    crash_test(tmp_path, names)


@pytest.mark.slow
def test_commands_with_models_that_are_killed_end_with_the_same_files(tmp_path):
    crash_test(tmp_path, [case.name for case in row_cases() if case.heavy])
