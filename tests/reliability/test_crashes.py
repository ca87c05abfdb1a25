"""Kills at file operations that a seed chooses, for every command, and then the bytes of an unbroken run.

A fast form of scripts/crash_test.py: commands are forks of one process, and each is killed once.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.cases import row_cases

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ("convert webdataset", "datautil info", "export webdataset", "pipeline", "split")
pytestmark = pytest.mark.slow


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


def test_commands_that_are_killed_end_with_the_same_files(tmp_path):
    names = [*(case.name for case in row_cases() if not case.heavy), *OTHERS]
    crash_test(tmp_path, names)


def test_commands_with_models_that_are_killed_end_with_the_same_files(tmp_path):
    crash_test(tmp_path, [case.name for case in row_cases() if case.heavy])
