"""Run a pipeline again whenever files are added to the folders that it begins with."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tools.datasets.scan import find_files
from tools.errors import DiskError, UserError
from tools.pipeline.chain import Chain
from tools.program import complain

Seen = dict[str, tuple[int, int]]
"""Files, with size and modification time."""


def watch(chain: Chain, lock: int, every: float) -> None:
    """Run the chain now, and again whenever its folders have changed and been still since; never returns.

    A file that is still being copied changes from one look to the next, so it waits until it is whole. A step
    that fails is reported, and tried again with the next change.

    Args:
        chain: The chain.
        lock: See `tools.pipeline.running.run_step`.
        every: Seconds between two looks.

    Raises:
        UserError: There is nothing to watch.
        DiskError: The disk is full, or cannot be written.
    """
    places = watched(chain)
    if not places:
        raise UserError(f"{chain.document.path}: --watch: no step begins with a folder or file that is there")
    done: Seen | None = None
    before: Seen = {}
    while True:
        now = look(places)
        if now and now != done and (done is None or now == before):
            _run(chain, lock)
            names = ", ".join(map(str, places))
            print(f"watching {names}: new files go through alone; Ctrl-C ends it", file=sys.stderr)
            done = now
        before = now
        time.sleep(every)


def _run(chain: Chain, lock: int) -> None:
    try:
        if chain.run(lock) == 0:
            print(*chain.made(), sep="\n", flush=True)
    except DiskError:
        raise
    except UserError as error:
        complain(str(error))


def watched(chain: Chain) -> list[Path]:
    """Folders and files that steps begin with; those that the chain makes itself are none."""
    own = {
        Path(word.partition("=")[2]).absolute() for step in chain.steps for word in step.line if "=" in word
    }
    found: dict[Path, None] = {}
    for step in chain.chosen:
        if not step.does.reads_tables:
            for word in step.line:
                path = Path(word)
                if not word.startswith("--") and path.exists() and path.absolute() not in own:
                    found[path] = None
    return list(found)


def look(places: Iterable[Path]) -> Seen:
    """The files in some folders, as `tools.datasets.scan.find_files` finds them."""
    seen: Seen = {}
    for place in places:
        try:
            files = [place] if place.is_file() else find_files(place, None)
        except UserError:  # no file yet, or the folder is not there at the moment
            continue
        for file in files:
            with suppress(OSError):
                found = file.stat()
                seen[str(file)] = found.st_size, found.st_mtime_ns
    return seen
