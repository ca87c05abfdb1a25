"""Tables of a chain: parts as one table, and files that are no step of it."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tools.columns import PART_COLUMN, ROW_COLUMN
from tools.errors import UserError
from tools.report.chain.losses import is_rejected_table
from tools.table import is_failures_file, merge_tables, split_part, table_stem
from tools.table.files import column_names
from tools.table.formats import FORMATS, format_of
from tools.table.sidecar import is_sidecar

_OUTCOMES = ("_intact", "_broken")  # of check_integrity: halves of a table
_RATINGS = {"path", "id", "rating", "keep", "reason", "defects", "note", "rater", "time"}
_ATLAS = "projection_x"


@dataclass(frozen=True)
class ChainTable:
    """A table in one file, or in the parts that ranks wrote.

    Attributes:
        path: Its name, without a part.
        files: The files it is in.
        columns: Its columns, without those of parts.
    """

    path: Path
    files: tuple[Path, ...]
    columns: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Its name without the extension."""
        return table_stem(self.path)

    @property
    def ranks(self) -> list[int | None]:
        """The ranks that wrote its parts; ``[None]`` where it is in one file."""
        if self.files == (self.path,):
            return [None]
        return [part[1] for part in map(split_part, self.files) if part]

    @property
    def modified(self) -> int:
        """When it was changed last, in nanoseconds."""
        return max(file.stat().st_mtime_ns for file in self.files)

    def frame(self) -> pl.LazyFrame:
        """Its rows. Raises UserError when a part is missing, or it cannot be read."""
        return merge_tables(self.files)


@dataclass
class Found:
    """What is among some files.

    Attributes:
        tables: Tables that may be steps, in the order of the files.
        rejected: Tables of rejected rows.
        notes: Files that were left out, and why.
    """

    tables: list[ChainTable] = field(default_factory=list)
    rejected: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def tables_among(files: Sequence[Path]) -> Found:
    """Tables that a user has named: all are steps but failures files and, beside others, rejected rows.

    Raises:
        UserError: One cannot be read, or is named twice.
    """
    repeated = next((file for file in files if list(files).count(file) > 1), None)
    if repeated is not None:
        raise UserError(f"{repeated}: the table is named twice; each is one step of the chain")
    steps = [file for file in files if not is_failures_file(file)] or list(files)
    columns = {file: column_names(file) for file in steps}
    found = Found(rejected=[file for file in steps if is_rejected_table(columns[file])])
    if len(found.rejected) == len(steps):
        found.rejected = []
    found.tables = _whole_tables({f: columns[f] for f in steps if f not in found.rejected})
    return found


def tables_in(folder: Path) -> Found:
    """Tables of a folder; the folders in it are not looked into.

    Files that cannot be steps are left out: failures files, sidecars, rejected rows, ratings, tables without
    rows of files, and what cannot be read.
    """
    found = Found()
    columns: dict[Path, list[str]] = {}
    for file in sorted(folder.iterdir()):
        if not _may_be_table(file):
            continue
        try:
            names = column_names(file)
        except UserError as error:
            found.notes.append(f"left out, as it cannot be read: {error}")
            continue
        if is_rejected_table(names):
            found.rejected.append(file)
        elif "path" not in names and "id" not in names:
            found.notes.append(f"left out, as it has neither path nor id: {file.name}")
        elif (
            not (set(names) <= _RATINGS and set(names) & {"rating", "keep", "defects"})
            and _ATLAS not in names
        ):
            columns[file] = names
    whole = {file for file in columns if PART_COLUMN not in columns[file]}
    parts = {file for file in columns if (part := split_part(file)) and part[0] in whole}
    found.tables = _whole_tables({f: names for f, names in columns.items() if f not in parts - whole})
    return found


def _may_be_table(file: Path) -> bool:
    if file.name.startswith(".") or not file.is_file() or is_failures_file(file) or is_sidecar(file):
        return False
    try:
        return format_of(file) in FORMATS.values()
    except UserError:
        return False


def _whole_tables(columns: dict[Path, list[str]]) -> list[ChainTable]:
    """Files as tables: parts of one table become one, where the first of them stands."""
    parts: dict[Path, list[Path]] = {}
    for file, names in columns.items():
        part = split_part(file)
        parts.setdefault(part[0] if part and PART_COLUMN in names else file, []).append(file)
    tables = []
    for path, files in parts.items():
        files.sort(key=lambda file: (split_part(file) or (file, 0))[1])
        names = dict.fromkeys(name for file in files for name in columns[file])
        shown = tuple(name for name in names if name not in (ROW_COLUMN, PART_COLUMN))
        tables.append(ChainTable(path, tuple(files), shown))
    return tables


def rejected_beside(tables: Iterable[ChainTable]) -> list[Path]:
    """Tables of rejected rows in the folders of tables, those named ``*reject*``."""
    found: list[Path] = []
    for folder in dict.fromkeys(table.path.parent for table in tables):
        for name in sorted(glob.glob("*reject*", root_dir=folder)):
            file = folder / name
            try:
                if _may_be_table(file) and is_rejected_table(column_names(file)):
                    found.append(file)
            except UserError:
                continue
    return found


def is_half(table: ChainTable) -> bool:
    """Whether a name is that of one half of a table: intact or broken rows."""
    return table.stem.endswith(_OUTCOMES)
