"""Several tables as one: strict patterns, union of columns, and parts back in their original order."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tools.base.addresses import refuse_address
from tools.columns import PART_COLUMN, ROW_COLUMN
from tools.errors import UserError
from tools.table.external_sort import sorted_by_number
from tools.table.files import column_names, scan_table, unreadable
from tools.table.formats import HOW_TO_LIST, format_of
from tools.table.formats.types import lists_as_text, text_columns
from tools.table.names import is_failures_file, part_path, split_part, table_extension
from tools.table.row_files import scratch_folder
from tools.table.sidecar import is_sidecar


def expand_inputs(patterns: Sequence[str | Path]) -> list[Path]:
    """Turn names, folders and patterns into files, in the order given; ``part2`` comes before ``part10``.

    A folder gives the files of `tables_in`.

    Failures files and sidecars are left out of what a pattern matches (a name that is spelled out is taken as
    it is; of several, as the shell makes them of a pattern, those of sidecars are left out, too).

    Raises:
        UserError: A name does not exist or is an address, or a pattern matches nothing.
    """
    found: list[Path] = []
    for pattern in patterns:
        refuse_address(pattern)
        if Path(pattern).is_dir():
            found += tables_in(Path(pattern))
            continue
        if Path(pattern).exists():
            if len(patterns) == 1 or not is_sidecar(pattern):
                found.append(Path(pattern))
            continue
        matches = [Path(p) for p in glob.glob(str(pattern), recursive=True)]
        matches = [p for p in matches if not is_failures_file(p) and not is_sidecar(p)]
        if not matches:
            what = (
                "the pattern matches no table" if glob.has_magic(str(pattern)) else "there is no such table"
            )
            raise UserError(f"{pattern}: {what}")
        found += sorted(matches, key=_natural)
    return found


def tables_in(folder: Path) -> list[Path]:
    """The files of a table that is a folder, as Spark, Daft and Polars write it.

    Left out are failures files, files that are no table, and names that begin with a dot or ``_``.

    Raises:
        UserError: There is none; they differ in their format or columns, so that they are not one table; or
            folders have names such as ``year=2024``, which hold a column.
    """
    found = sorted((p for p in folder.rglob("*") if _is_part(p.relative_to(folder), p)), key=_natural)
    if not found:
        raise UserError(f"{folder}: the folder holds no table; {HOW_TO_LIST}")
    if keyed := next((p.parent for p in found if "=" in str(p.relative_to(folder).parent)), None):
        raise UserError(
            f"{keyed}: the name of the folder holds a column, which is not read; write the table without "
            f"partition keys, with Polars: pl.scan_parquet({str(folder)!r}).sink_parquet('meta.parquet')"
        )
    shaped = [path for path in found if not _has_no_columns(path)] or found
    first, columns = shaped[0], set(column_names(shaped[0]))
    for path in shaped[1:]:
        odd = columns.symmetric_difference(column_names(path))
        if odd or format_of(path) is not format_of(first):
            what = f"columns ({', '.join(sorted(odd))})" if odd else "formats"
            raise UserError(
                f"{folder}: {first.name} and {path.name} have different {what}, so they are not parts of one "
                "table; name the tables, or give a pattern"
            )
    return found


def _is_part(below: Path, path: Path) -> bool:
    hidden = any(name.startswith((".", "_")) for name in below.parts)
    return (
        not hidden
        and bool(table_extension(path))
        and path.is_file()
        and not is_failures_file(path)
        and not is_sidecar(path)
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", str(path))]


def merge_tables(paths: Sequence[str | Path], *, scratch: Path | None = None) -> pl.LazyFrame:
    """Read tables as one.

    Tables that the ranks of one run wrote (they carry ``_row`` and ``_part``) are put back into the order of
    the rows of their input, and lose these two columns. Other tables are concatenated in the order given,
    with the union of their columns; where types differ the column becomes text.

    Args:
        paths: Table files.
        scratch: Folder for temporary files of parts that do not fit into memory; None for that of the system.

    Returns:
        A lazy frame.

    Raises:
        UserError: A table cannot be read; a part is missing, or comes from another run.
    """
    frames = _scanned([Path(p) for p in paths])
    if len(frames) < len(paths):
        raise UserError(f"{_first_repeated(paths)}: the table is named twice among the inputs")
    are_parts = [PART_COLUMN in frame.collect_schema().names() for frame in frames.values()]
    if not any(are_parts):
        return _under_each_other(frames)
    if not all(are_parts):
        odd = list(frames)[are_parts.index(False)]
        raise UserError(f"{odd}: not a part, but the other inputs are parts of one run; merge those first")
    low, high, rows = _check_parts(frames)
    merged = concat_tables(list(frames.values())).drop(PART_COLUMN)
    return sorted_by_number(merged, ROW_COLUMN, low, high, rows, scratch_folder(scratch))


def _scanned(paths: list[Path]) -> dict[Path, pl.LazyFrame]:
    """The tables; one without columns is one without rows, and refused if all are."""
    shaped = {path: scan_table(path) for path in paths if not _has_no_columns(path)}
    if not shaped:
        return {path: scan_table(path) for path in paths}
    are_parts = any(PART_COLUMN in frame.collect_schema() for frame in shaped.values())
    no_rows = pl.LazyFrame(schema={ROW_COLUMN: pl.Int64, PART_COLUMN: pl.String} if are_parts else {})
    return {path: shaped.get(path, no_rows) for path in paths}


def _has_no_columns(path: Path) -> bool:
    """Whether it is a table without rows in a format that has no header: of a rank, a shard, Spark."""
    if not path.is_file():
        return False
    form = format_of(path)
    return form.reads_whole and form.known_rows(path) == 0


def _under_each_other(frames: dict[Path, pl.LazyFrame]) -> pl.LazyFrame:
    """As `concat_tables`; files with the same columns are read one after the other where their format can.

    That takes less memory, and lets many files be one table.
    """
    frames = {path: frame for path, frame in frames.items() if len(frame.collect_schema())} or frames
    headers = {tuple(frame.collect_schema().items()) for frame in frames.values()}
    formats = {format_of(path) for path in frames}
    if len(frames) > 1 and len(headers) == len(formats) == 1:
        try:
            together = formats.pop().scan_together(list(frames))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise unreadable(next(iter(frames)), error) from None
        if together is not None:
            return text_columns(together)
    return concat_tables(list(frames.values()))


def _first_repeated(paths: Sequence[str | Path]) -> Path:
    names = [Path(p) for p in paths]
    return next(name for name in names if names.count(name) > 1)


def concat_tables(frames: list[pl.LazyFrame]) -> pl.LazyFrame:
    """Put tables under each other: union of their columns; where types differ the column becomes text."""
    return frames[0] if len(frames) == 1 else pl.concat(with_one_type(frames), how="diagonal")


def with_one_type(frames: list[pl.LazyFrame]) -> list[pl.LazyFrame]:
    """Give columns of the same name the same type: where types differ, the column becomes text.

    Lists and records get a common type, or become JSON. A column without a filled cell in a table takes the
    type that it has in the others.

    Raises:
        UserError: A column holds bytes in one of the tables, and something else in another.
    """
    types: dict[str, list[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.collect_schema().items():
            if dtype not in types.setdefault(name, []):
                types[name].append(dtype)
    common = {name: _common_type(name, kinds) for name, kinds in types.items() if len(kinds) > 1}
    return [_cast_to(frame, common) for frame in frames]


def _common_type(name: str, kinds: list[pl.DataType]) -> pl.DataType:
    kinds = [kind for kind in kinds if kind != pl.Null]
    if len(kinds) == 1:
        return kinds[0]
    if pl.Binary in kinds:
        raise UserError(f"column '{name}' holds bytes in one of the tables, and something else in another")
    if all(kind.is_nested() for kind in kinds):
        try:
            return pl.concat([pl.DataFrame(schema={name: k}) for k in kinds], how="vertical_relaxed").schema[
                name
            ]
        except pl.exceptions.PolarsError:
            pass
    return pl.String()


def _cast_to(frame: pl.LazyFrame, types: dict[str, pl.DataType]) -> pl.LazyFrame:
    schema = frame.collect_schema()
    as_json = [
        name for name in types if name in schema and schema[name].is_nested() and types[name] == pl.String
    ]
    return lists_as_text(frame, as_json).with_columns(
        pl.col(name).cast(dtype) for name, dtype in types.items() if name in schema and schema[name] != dtype
    )


def _check_parts(frames: dict[Path, pl.LazyFrame]) -> tuple[int, int, int]:
    """Refuse parts of different runs, a part given twice, and a run with a part missing.

    Returns:
        The smallest and the largest number of a row, and how many rows there are.
    """
    row = pl.col(ROW_COLUMN).cast(pl.Int64)
    counts = (row.min().alias("low"), row.max().alias("high"), pl.len().alias("rows"))
    labels: dict[str, Path] = {}
    empty: list[Path] = []
    all_found: list[tuple[int, int, int]] = []
    for path, frame in frames.items():
        try:
            found = frame.group_by(PART_COLUMN).agg(counts).sort(PART_COLUMN).collect(engine="streaming")
        except pl.exceptions.PolarsError as error:
            raise unreadable(path, error) from None
        if found.is_empty():
            empty.append(path)  # of a rank that got no rows
        for label, *numbers in found.rows():
            if label in labels:
                raise UserError(f"{path}: holds part {label}, as {labels[label]} does; name each part once")
            labels[label] = path
            all_found.append(tuple(numbers))
    if not labels:
        return 0, 0, 0
    worlds = {int(label.partition("/")[2]) for label in labels}
    if len(worlds) > 1:
        raise UserError(
            f"{', '.join(map(str, frames))}: parts of runs with different numbers of ranks "
            f"({', '.join(map(str, sorted(worlds)))}); remove those of the older run"
        )
    world = worlds.pop()
    present = {int(label.partition("/")[0]) for label in labels}
    present |= {part[1] for path in empty if (part := split_part(path))}
    missing = sorted(set(range(world)) - present)
    if missing:
        raise UserError(_missing_parts(next(iter(labels.values())), missing, world))
    low, high, rows = zip(*all_found, strict=True)
    return min(low), max(high), sum(rows)


def _missing_parts(sibling: Path, missing: list[int], world: int) -> str:
    named = split_part(sibling)
    names = [str(part_path(named[0], rank)) if named else f"part {rank}/{world}" for rank in missing]
    return (
        f"{', '.join(names)}: missing, {world - len(missing)} of {world} parts are there; "
        "run the command that writes the parts again, it goes on where it stopped"
    )
