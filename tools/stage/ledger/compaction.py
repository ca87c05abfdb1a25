"""Compaction of a ledger file: lines that later lines of the same file replace are taken out.

A row that is processed again, with ``--retry-failed`` say, leaves three lines: its first outcome, the line
that strikes it out, and its second outcome. Only the last line about a row counts within a file, whatever the
other files hold, for the numbers of runs only grow in it. So taking out the others changes no result.
"""

from __future__ import annotations

import fcntl
import os
import sys
from array import array
from contextlib import suppress
from pathlib import Path

import numpy as np

from tools.base.disk import cannot_write, remove_quietly
from tools.stage.ledger.files import unsealed

SMALLEST = 1 << 20
"""Bytes; a smaller file is left as it is."""

_AFTER_ROW = b', "run": '  # what follows the config and the row in a line
_SHARE = 0.5  # of the lines; where fewer are replaced, the file is left as it is


def compact(path: Path, file: int) -> int:
    """Write a ledger file anew without replaced lines, if it has many. A kill leaves the old file or the new.

    Lines that cannot be read stay, so that they are counted as ever.

    Args:
        path: The file of this rank.
        file: It, opened and locked by this process.

    Returns:
        The file to go on with, opened for appending and locked: another one if it was written anew, and then
        the old one is closed.

    Raises:
        UserError: The disk is full, for example.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)  # of a run that was killed
        if os.fstat(file).st_size < SMALLEST or not _may_pay(path):
            return file
        last, lines = _last_lines(path)
        if len(last) > lines * (1 - _SHARE):
            return file
        return _write(path, new, file, last)
    except OSError as error:
        remove_quietly(new)
        raise cannot_write(path, error, "the ledger") from None


def _may_pay(path: Path) -> bool:
    """Whether many lines are about the same rows, by how they begin: none is read in full, no key is kept."""
    with path.open("rb") as lines:
        heads = array("q", (hash(data[: data.find(_AFTER_ROW)]) for data in lines))
    return len(np.unique(np.frombuffer(heads, np.int64))) <= len(heads) * (1 - _SHARE)


def _about(data: bytes) -> tuple[str, ...] | None:
    """What a line is about; None for one that cannot be read."""
    try:
        line = unsealed(data)
        return ("told",) if "told" in line else (sys.intern(str(line["ask"])), str(line["row"]))
    except (ValueError, LookupError, TypeError):
        return None


def _last_lines(path: Path) -> tuple[set[int], int]:
    """Numbers of the lines that count, and how many lines there are."""
    last: dict[tuple[str, ...], int] = {}
    others: list[int] = []
    number = -1
    with path.open("rb") as lines:
        for number, data in enumerate(lines):
            about = _about(data)
            if about is None:
                others.append(number)
            else:
                last[about] = number
    return {*last.values(), *others}, number + 1


def _write(path: Path, new: Path, file: int, wanted: set[int]) -> int:
    target = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with path.open("rb") as lines, os.fdopen(os.dup(target), "ab") as kept:
            kept.writelines(data for number, data in enumerate(lines) if number in wanted)
        os.fsync(target)  # before the name: a file without its lines would lose finished rows
        new.replace(path)
    except BaseException:
        os.close(target)
        raise
    os.close(file)
    return target
