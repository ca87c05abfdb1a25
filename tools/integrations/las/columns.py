"""Columns as data-frame engines hand them over: Arrow, pandas, Polars, Daft, NumPy or lists; and back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError, UserError
from tools.integrations.cells import plain
from tools.media.fetching.sources import BASE64, Source

if TYPE_CHECKING:
    import pyarrow as pa

_BYTES = (bytes, bytearray, memoryview)


def cells_of(column: Any, name: str) -> list[Any]:
    """The cells of a column as Python values, None for what is missing (NaN too).

    Args:
        column: A list, a pyarrow (Chunked)Array, a pandas, Polars or Daft series, a NumPy array.
        name: What it is called in the message.

    Raises:
        UserError: It is no column.
    """
    if isinstance(column, (str, os.PathLike, *_BYTES)):
        raise UserError(f"{name}: must be a column; for a single video give a list of one")
    for method in ("to_pylist", "to_list", "tolist"):  # pyarrow and Daft; pandas and Polars; NumPy
        if hasattr(column, method):
            column = getattr(column, method)()
            break
    if not isinstance(column, Sequence):
        raise UserError(f"{name}: a {type(column).__name__} is no column; give a list, or an array of Arrow")
    return [cell if isinstance(cell, _BYTES) else plain(cell) for cell in column]


def like(column: Any, values: list[Any], dtype: pa.DataType) -> Any:
    """Values as a column of the same make as another.

    Args:
        column: See `cells_of`.
        values: Python values, None for what is missing.
        dtype: Their type.

    Returns:
        A pyarrow Array, a pandas series with the same index (an array of pandas has none), a Polars or Daft
        series; else the list.
    """
    make = type(column).__module__.partition(".")[0]
    if make not in ("pyarrow", "pandas", "polars", "daft"):
        return values
    import pyarrow as pa

    array = pa.array(values, dtype)
    if make == "pandas":
        series = array.to_pandas()
        return series.set_axis(column.index) if hasattr(column, "index") else series
    if make == "polars":
        import polars as pl

        return pl.from_arrow(array)
    if make == "daft":
        import daft

        return daft.Series.from_arrow(array)
    return array


def video_sources(paths: Any, binaries: Any, formats: Any, default_format: str) -> list[Source | MediaError]:
    """The videos of rows that come as columns of paths, or of bytes.

    Args:
        paths: Column of paths and addresses; None for none.
        binaries: Column of bytes, or of texts in base64; None for none.
        formats: Column of what each is (``mp4``, ``base64``, ``base64:mkv``), where that is not in its name.
        default_format: For rows without.

    Returns:
        For each row its video, or why there is none.

    Raises:
        UserError: Columns are missing, of different lengths, or hold what they should not.
    """
    columns = {"video_paths": paths, "video_binaries": binaries, "video_formats": formats}
    if paths is None and binaries is None:
        raise UserError("give a column of videos: video_paths or video_binaries")
    cells = {name: cells_of(column, name) for name, column in columns.items() if column is not None}
    lengths = {name: len(column) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise UserError(f"the columns have different lengths: {found}")
    count = next(iter(lengths.values()))
    missing = [None] * count
    return [
        _source(path, binary, form or default_format, default_format)
        for path, binary, form in zip(
            _checked(cells.get("video_paths", missing), "video_paths", (str, os.PathLike), "paths"),
            _checked(cells.get("video_binaries", missing), "video_binaries", (str, *_BYTES), "bytes"),
            _checked(cells.get("video_formats", missing), "video_formats", (str,), "texts"),
            strict=True,
        )
    ]


def _checked(cells: list[Any], name: str, types: tuple[type, ...], what: str) -> Iterator[Any]:
    for row, cell in enumerate(cells):
        if cell is not None and not isinstance(cell, types):
            raise UserError(
                f"{name} holds a {type(cell).__name__} in row {row} ({repr(cell)[:40]}), but is for {what}; "
                "the columns are video_paths, video_binaries, video_formats in this order, or go by name"
            )
    return iter(cells)


def _source(path: Any, binary: Any, form: str, default_format: str) -> Source | MediaError:
    if path is not None and binary is not None:
        return MediaError("bad_value", path, "the row has a path and bytes; give one of them")
    if path is not None:
        return Source(path, form)
    if binary is None:
        return MediaError("bad_value", "", "the row has no video")
    encoded, _, inner = form.lower().partition(":")
    if encoded == BASE64 or isinstance(binary, str):
        form = f"{BASE64}:{(inner or default_format) if encoded == BASE64 else form}"
    return Source(binary, form)
