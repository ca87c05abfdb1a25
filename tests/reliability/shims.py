"""Ways to let a system behave badly for one command: see also `shim.c`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of `shim.c`, compiled."""
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, source, "-ldl"], check=True)
    except FileNotFoundError:
        pytest.skip("there is no C compiler (package gcc)")
    return library


def start(
    words: list[str], folder: Path, *, rank: tuple[int, int] | None = None, **environment: object
) -> subprocess.Popen[str]:
    """Start a command in a session of its own.

    Args:
        words: What is typed after ``python -m``.
        folder: Its current folder.
        rank: The number of its rank, and how many there are.
        environment: Further variables.
    """
    env: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT)}
    env |= {name: str(value) for name, value in environment.items()}
    if rank is not None:
        env |= {"RANK": str(rank[0]), "WORLD_SIZE": str(rank[1])}
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command: its exit code, and what it has said."""
    _, said = process.communicate(timeout=200)
    return process.returncode, said


def run(words: list[str], folder: Path, **options: object) -> tuple[int, str]:
    """`start` and `finish`."""
    return finish(start(words, folder, **options))  # type: ignore[arg-type]


def outcome(folder: Path) -> dict[str, bytes]:
    """The files that a user sees, by name; without sidecars, which say when, and the state of runs."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".provenance" not in path.name)
    names = ((str(path.relative_to(folder)), path) for path in files)
    return {name: path.read_bytes() for name, path in names if ".vidsieve" not in name}
