"""Which tables have files in a folder: a list beside it, which counts a table as long as it is needed.

A table counts as long as it, or a part of it, exists; so does one that has not been written yet, because its
run has not finished or was killed.
"""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path
from typing import Any

from tools.base.disk import sync_names, sync_open
from tools.stage.shards import STATE_FOLDER, state_of
from tools.table import split_part, table_extension, table_stem

RECEIPTS = "receipts"
"""In the first line of a file of names: the receipts of earlier runs."""


def list_beside(folder: Path) -> Path:
    """The list of the tables that have files in a folder, one a line.

    It is beside the folder, which then has only the files in it; or in the folder, where nothing can be
    written beside it.
    """
    folder = folder.resolve()
    state = folder.parent / STATE_FOLDER
    inside = folder / f"{STATE_FOLDER}.tables"
    if inside.exists() or not os.access(state if state.is_dir() else folder.parent, os.W_OK):
        return inside
    return state / f"{folder.name}.tables"


def listed_tables(listed: Path) -> set[Path]:
    """The tables in the list of a folder."""
    try:
        lines = listed.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {Path(json.loads(line) if line.startswith('"') else line) for line in lines if line}


def remember_table(listed: Path, table: Path) -> None:
    """Put a table on the list of a folder."""
    table = absolute_table(table)
    if table not in listed_tables(listed):
        line = json.dumps(str(table)) if {"\n", "\r"} & set(str(table)) else table
        with listed.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"\n{line}")  # after a torn line, too
            file.flush()
            sync_open(file.fileno())
        sync_names([listed.parent])


def is_alive(table: Path) -> bool:
    """Whether a table exists, a part of it, or a run that has not written it yet.

    A run has ended when there is a receipt that was not there when it reserved its names.
    """
    if parts_of(table):
        return True
    try:
        with names_file(table).open(encoding="ascii") as lines:
            header = json.loads(lines.readline())
        return header.get(RECEIPTS) == receipts_of(table)
    except (OSError, ValueError, AttributeError):
        return False


def receipts_of(table: Path) -> list[list[Any]]:
    """The receipts of a table by name and number of the file: one that is written anew has another number."""
    return sorted([file.name, file.stat().st_ino] for file in state_of(table).glob("*.receipt.json"))


def parts_of(table: Path) -> list[Path]:
    """A table, or the parts of it that ranks have written."""
    if table.is_file():
        return [table]
    pattern = f"{glob.escape(table_stem(table))}_part*{table_extension(table)}"
    return [part for part in table.parent.glob(pattern) if split_part(part) is not None]


def absolute_table(table: Path) -> Path:
    """The absolute path of a table; of links only those in its folder are followed."""
    return table.parent.resolve() / table.name


def names_file(table: Path) -> Path:
    """The file with the names that a table has reserved, see `tools.stage.names.owners`."""
    return state_of(table) / "names.jsonl"
