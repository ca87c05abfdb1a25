"""Ranks that exchange results, under torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import atexit, os, weakref
groups = []
atexit.register(lambda: os.write(1, f"{os.environ['RANK']}: {groups[0]()}\\n".encode()))  # runs last
from tools.integrations.ranks import _group, on_every_rank
on_every_rank(lambda: 1)
groups.append(weakref.ref(_group()))
"""


def test_the_group_is_gone_before_python_ends(tmp_path: Path) -> None:
    """Threads of a group that is left to the end of the process abort it, in one run of eight."""
    (tmp_path / "script.py").write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    run = subprocess.run(
        [*torchrun, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert sorted(run.stdout.splitlines()) == ["0: None", "1: None"]
