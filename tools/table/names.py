"""Names of outputs: the stem of the input and a suffix for what was done; and names of side files."""

from __future__ import annotations

import os
import re
from pathlib import Path

_PART = re.compile(r"_part(\d+)$")
_LONGEST_NAME = 200  # bytes; file systems allow 255, and side files and temporary files need some of it


def table_extension(path: str | Path) -> str:
    """What a table's name ends in, as typed: ``.csv``, ``.jsonl.gz``; empty if it is not a table."""
    from tools.table.formats import COMPRESSIONS, FORMATS  # with Polars

    path = Path(path)
    last = path.suffix.lower()
    if last in FORMATS:
        return path.suffix
    inner = FORMATS.get(Path(path.stem).suffix.lower())
    if last in COMPRESSIONS and inner is not None and inner.is_text:
        return Path(path.stem).suffix + path.suffix
    return ""


def table_stem(path: str | Path) -> str:
    """File name without the table extension: ``my.videos.csv.gz`` is ``my.videos``."""
    return Path(path).name.removesuffix(table_extension(path))


def output_path(
    meta: str | Path, suffix: str, *, output: str | Path | None = None, format: str | None = None
) -> Path:
    """Where a command writes.

    Args:
        meta: The input table; the output is beside it, in its format.
        suffix: What was done, such as ``_aes``.
        output: The user's own choice, taken as it is.
        format: ``csv``, ``parquet`` or ``jsonl`` instead of the input's format.

    Returns:
        ``output``, or ``<stem><suffix><extension>`` beside ``meta``.

    Raises:
        UserError: The name is to come from ``meta``, and that is no table.
    """
    from tools.table.formats import format_of

    if output is not None:
        return Path(output)
    meta = Path(meta)
    extension = f".{format}" if format else table_extension(meta)
    if not extension:
        format_of(meta)  # says what is wrong with the input, not with a name made of it
    return meta.with_name(shorten(table_stem(meta) + suffix) + extension)


def shorten(stem: str) -> str:
    """Shorten a stem that is too long for file systems in the middle, so that both ends stay."""
    if len(name_bytes(stem)) <= _LONGEST_NAME:
        return stem
    half = _LONGEST_NAME // 2 - 2
    head = name_bytes(stem)[:half].decode(errors="ignore")
    tail = name_bytes(stem)[-half:].decode(errors="ignore")
    return f"{head}...{tail}"


def name_bytes(name: str) -> bytes:
    """The bytes of a file's name; also of a text with half a character, which no file is called."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        return name.encode(errors="surrogatepass")


def part_path(output: str | Path, rank: int) -> Path:
    """Where rank ``rank`` writes its rows of ``output``: ``<stem>_part<rank>.csv``."""
    output = Path(output)
    return output.with_name(f"{table_stem(output)}_part{rank}{table_extension(output)}")


def split_part(path: str | Path) -> tuple[Path, int] | None:
    """The reverse of `part_path`: (output, rank), or None when the name is not that of a part."""
    path = Path(path)
    match = _PART.search(table_stem(path))
    if not match:
        return None
    stem = table_stem(path)[: match.start()]
    return path.with_name(stem + table_extension(path)), int(match.group(1))


def failures_path(output: str | Path, rank: int | None = None) -> Path:
    """Where the failures of ``output`` are listed: ``<stem>.failures.csv``, always a CSV.

    With a rank it is ``<stem>.failures_part<rank>.csv``, which the pattern ``<stem>_part*.csv`` of the parts
    does not match.
    """
    output = Path(output)
    part = "" if rank is None else f"_part{rank}"
    return output.with_name(f"{table_stem(output)}.failures{part}.csv")


def is_failures_file(path: str | Path) -> bool:
    """Whether a name is one that `failures_path` gives; it may have a number, see `write_failures`."""
    return re.search(r"\.failures(_part\d+)?(-\d+)?\.csv$", Path(path).name) is not None
