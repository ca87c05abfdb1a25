"""Hugging Face's VideoFolder and ImageFolder: metadata beside the files, or folders named after classes.

The layout is described at https://huggingface.co/docs/datasets/video_dataset; names of metadata files and
words for splits are those of ``datasets`` 5.2 (``packaged_modules/folder_based_builder``, ``data_files.py``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.base.terminal import counted
from tools.datasets.scan import find_files
from tools.datasets.sources import Found, SourceOptions
from tools.datasets.sources.records import TEXT_KEYS, as_text, file_id, renamed
from tools.errors import MediaError, UserError

if TYPE_CHECKING:
    import polars as pl

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SPLITS = {
    "train": "train training",
    "validation": "validation valid dev val",
    "test": "test testing eval evaluation",
}
_SPLIT_FOLDERS = {
    split: re.compile(rf"(?:^|.*[-._ 0-9])(?:{words.replace(' ', '|')})(?:[-._ 0-9].*)?$")
    for split, words in _SPLITS.items()
}
_SPLIT_NAMES = {
    split: re.compile(rf"(?:.*[-._ 0-9])?(?:{words.replace(' ', '|')})[-._ 0-9]")
    for split, words in _SPLITS.items()
}


def read(places: Sequence[str], options: SourceOptions) -> Found:
    """Read a folder in the layout of Hugging Face.

    With metadata files (metadata.csv, .jsonl or .parquet, in any folders), each line of one is a row; its
    ``file_name``, relative to the metadata file, gives the path, and the first of text, caption, prompt and
    description gives text. Without, each video (or file that ends in one of ``options.exts``) is a row, and
    where all are equally deep in two or more folders, those are classes, and text is the name of the class.
    A folder called train, validation, test (valid, dev, val, eval …) gives column split.

    Returns:
        Columns path, id, relpath, split (where there are such folders), text, and those of the metadata; one
        called like a column of these without being it gets ``metadata_`` before its name. Files that are
        named but missing, and names that lead out of the folder, are failures.

    Raises:
        UserError: There is no such folder, nothing in it, or a metadata file that cannot be read.
    """
    from tools.media.reading.extensions import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS

    root = Path(places[0])
    exts = tuple(options.exts) or VIDEO_EXTENSIONS
    known = dict.fromkeys((*VIDEO_EXTENSIONS, *IMAGE_EXTENSIONS, *exts, *(Path(n).suffix for n in _METADATA)))
    files = find_files(root, tuple(known))
    metadata = [file for file in files if file.name in _METADATA]
    media = [file for file in files if file.suffix.lower() in exts]
    if metadata:
        found = _described(root, metadata, media, options)
    elif media:
        found = Found(_listed(root, media))
    else:
        raise UserError(f"{root}: has no {', '.join(_METADATA)}, and no file that ends in {' '.join(exts)}")
    if options.split is not None:
        found.table = _of_split(found.table, options.split, root)
    return found


def split_of(relpath: str) -> str | None:
    """The split that a file's folders name: train, validation or test; None if they name none."""
    for folder in relpath.split("/")[:-1]:
        for split, pattern in _SPLIT_FOLDERS.items():
            if pattern.match(folder):
                return split
    return None


def split_of_name(relpath: str) -> str | None:
    """The split that a file's own name tells; Hugging Face looks there if no folder of any file tells one."""
    name = relpath.rpartition("/")[2]
    return next((split for split, pattern in _SPLIT_NAMES.items() if pattern.match(name)), None)


def _listed(root: Path, files: list[Path]) -> pl.DataFrame:
    relative = [str(file.relative_to(root)) for file in files]
    table = _places(map(str, files), relative)
    classes = _classes(relative)
    return table.with_columns(classes) if classes is not None else table


def _places(paths: Iterable[str], relative: list[str]) -> pl.DataFrame:
    """Columns path, id, relpath, and split where folders name any."""
    import polars as pl

    columns = {"path": list(paths), "id": [file_id(name) for name in relative], "relpath": relative}
    splits = [split_of(name) for name in relative]
    if any(splits):
        columns["split"] = splits  # type: ignore[assignment]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _classes(relative: list[str]) -> pl.Series | None:
    """Names of the folders that files lie in, where these can be classes."""
    import polars as pl

    folders = [name.split("/")[:-1] for name in relative]
    names = [parts[-1] if parts else "" for parts in folders]
    alone = [not parts or split_of(f"{parts[-1]}/x") is not None for parts in folders]
    if len({len(parts) for parts in folders}) > 1 or len(set(names)) < 2 or any(alone):
        return None
    return pl.Series("text", names)


def _described(root: Path, metadata: list[Path], media: list[Path], options: SourceOptions) -> Found:
    import polars as pl

    folders = [file.parent for file in metadata]
    if twice := next((folder for folder in folders if folders.count(folder) > 1), None):
        raise UserError(f"{twice}: has more than one of {', '.join(_METADATA)}; keep the one that is meant")
    there = {os.path.normpath(file) for file in media}
    failures: list[MediaError] = []
    tables = [_rows_of(root, file, options, there, failures) for file in metadata]
    table = pl.concat(_alike(tables), how="diagonal_relaxed")
    found = Found(table, failures, inputs=metadata, noun="row")
    unlisted = len(there - set(table["path"].map_elements(os.path.normpath, pl.String)))
    if unlisted:
        found.notes.append(f"left out: {counted(unlisted, 'video')} that no metadata file lists")
    return found


def _rows_of(
    root: Path, file: Path, options: SourceOptions, there: set[str], failures: list[MediaError]
) -> pl.DataFrame:
    """The rows of one metadata file."""
    import polars as pl

    from tools.table import read_table

    table = read_table(file)
    column = _name_column(table, options.path_column, file)
    places = table[column].to_list()
    faults = [_fault(file, place, there) for place in places]
    failures.extend(fault for fault in faults if fault is not None)
    table = table.filter(pl.Series([fault is None for fault in faults], dtype=pl.Boolean))
    kept = [place for place, fault in zip(places, faults, strict=True) if fault is None]
    paths = [str(file.parent / place) for place in kept]
    made = _places(paths, [os.path.relpath(path, root) for path in paths])
    text = options.text_column or next((n for n in TEXT_KEYS if table.schema.get(n) == pl.String), None)
    if text is not None and text not in table.columns:
        raise UserError(f"{file}: no column '{text}' (it has: {', '.join(table.columns)})")
    if "id" in table.columns:
        made = made.with_columns(_texts(table["id"]).alias("id"))
    if text is not None:
        made = made.with_columns(_texts(table[text]).alias("text"))
    rest = [name for name in table.columns if name not in (column, text, "id")]
    names = renamed(dict.fromkeys(rest), made.columns, "metadata_")
    return made.hstack(table.select(pl.col(old).alias(new) for old, new in zip(rest, names, strict=True)))


def _texts(cells: pl.Series) -> pl.Series:
    import polars as pl

    if cells.dtype.is_nested() or cells.dtype == pl.Binary:
        return pl.Series([as_text(value) for value in cells.to_list()], dtype=pl.String)
    return cells.cast(pl.String)


def _name_column(table: pl.DataFrame, wanted: str | None, file: Path) -> str:
    import polars as pl

    ending = (name for name in table.columns if name.endswith("_file_name"))
    for name in (wanted,) if wanted else ("file_name", *ending):
        if name in table.columns and table.schema[name] in (pl.String, pl.Null):
            return name
    has = ", ".join(table.columns)
    raise UserError(f"{file}: no column '{wanted or 'file_name'}' with names of files (it has: {has})")


def _fault(file: Path, place: str | None, there: set[str]) -> MediaError | None:
    """Why a name in a metadata file is no row."""
    if place is None or not place.strip():
        return MediaError("bad_value", file, "a line has no file_name")
    if place.startswith("/") or "://" in place or ".." in place.split("/"):
        return MediaError("bad_value", place, f"leads out of the folder of {file}")
    path = file.parent / place
    if os.path.normpath(path) in there or path.exists():
        return None
    return MediaError("missing", path, f"named in {file}, but there is no such file")


def _alike(tables: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Tables whose columns of one name have one type: text, where types have nothing in common."""
    import polars as pl

    from tools.table import with_one_type

    lazy = with_one_type([table.lazy() for table in tables])
    return [table.collect() for table in lazy] if len(tables) > 1 else tables or [pl.DataFrame()]


def _of_split(table: pl.DataFrame, split: str, root: Path) -> pl.DataFrame:
    import polars as pl

    splits = table["split"].unique().drop_nulls().sort().to_list() if "split" in table.columns else []
    kept = table.filter(pl.col("split") == split) if splits else table.clear()
    if not kept.height:
        there = f"; there are {', '.join(splits)}" if splits else "; no folder is called like a split"
        raise UserError(f"{root}: has nothing of split {split}{there}")
    return kept
