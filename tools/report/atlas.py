"""A Parquet file that Embedding Atlas opens: a table, a place on a map for each row, neighbours, pictures.

What it expects (https://apple.github.io/embedding-atlas/tool.html): two columns of coordinates; of neighbours
a record of ``ids``, row numbers from 0, and ``distances``, as many in every row, and the row itself first; of
pictures the bytes of a file.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from tools.base.terminal import counted
from tools.columns import COLUMNS
from tools.errors import UserError
from tools.report.embeddings import find_embeddings, read_embeddings
from tools.report.features import Features, score_features, score_names
from tools.report.projection import MOST_ROWS, PROJECTIONS, nearest, pca, umap, umap_class
from tools.report.sprites.choice import DEFAULT_BUDGET
from tools.table import count_rows, require_single_values, scan_table, write_and_count
from tools.table.files import column_names, unreadable
from tools.table.formats.types import contract_types

X, Y, NEIGHBORS, IMAGE = ADDED = ("projection_x", "projection_y", "neighbors", "image")
"""Columns that are added; one that the table has already is left alone, and the new one gets a number."""

_SECONDS = 2.0  # that finding neighbours takes before a bar is shown

Pictures = Callable[[list[str]], Sequence[bytes | None]]
"""From paths to the bytes of a JPEG of each, None where there is none."""


@dataclass
class Atlas:
    """What was written.

    Attributes:
        path: The file.
        rows: Its rows.
        lines: What its columns are made from, and how many cells are empty.
        names: Of `ADDED` those that are in it, and what they are called there.
        has_text: Whether there are captions.
    """

    path: Path
    rows: int
    lines: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    has_text: bool = False

    def __str__(self) -> str:
        """The last lines of the command."""
        rows = counted(self.rows, "row", ",")
        return "\n".join([f"{rows}, opened by: {self.command}", *self.lines, str(self.path)])

    @property
    def command(self) -> str:
        """The command line that opens it."""
        flags = {X: "--x", Y: "--y", NEIGHBORS: "--neighbors", IMAGE: "--image"}
        words = ["embedding-atlas", str(self.path)]
        for name, column in self.names.items():
            words += [flags[name], column]
        if self.has_text:
            words += ["--text", "text"]
        if X not in self.names:
            words.append("--disable-projection")
        return shlex.join(words)


def write_atlas(
    table: str | Path,
    output: str | Path,
    *,
    frame: pl.LazyFrame | None = None,
    projection: str = "pca",
    embeddings: str | Path | None = None,
    pictures: Pictures | None = None,
    clips: int | None = None,
    seed: int = 1,
    overwrite: bool = False,
) -> Atlas:
    """Write a table as a Parquet file for Embedding Atlas.

    All columns are kept. Added are ``projection_x`` and ``projection_y``, ``neighbors`` where at most
    `MOST_ROWS` rows have features, and ``image``. Rows are compared by their CLIP embeddings if they are
    found (see `tools.report.embeddings.find_embeddings`), else by their standardised scores.

    Args:
        table: The table.
        output: The file to write, ``.parquet``.
        frame: Its rows, where it is in several files; None to read the table.
        projection: One of `PROJECTIONS`.
        embeddings: File of embeddings; None to look for one.
        pictures: Makes the pictures; None for no column of them.
        clips: Rows that get a picture, by default `DEFAULT_BUDGET`; of more rows they are drawn at random.
        seed: Of what is drawn, and of UMAP.
        overwrite: Whether it may replace a file of another command.

    Returns:
        What was written.

    Raises:
        UserError: A file cannot be read or written, the table has no rows, or an option is invalid.
    """
    table, output = Path(table), Path(output)
    if projection not in PROJECTIONS:
        raise UserError(f"--projection {projection}: is none of {', '.join(PROJECTIONS)}")
    if output.suffix.lower() != ".parquet":
        raise UserError(f"--atlas {output}: Embedding Atlas reads Parquet; let the name end in .parquet")
    if projection == "umap":
        umap_class()  # what is missing is said before anything is read
    clips = DEFAULT_BUDGET if clips is None else clips
    whole = frame is None
    frame = scan_table(table) if frame is None else frame
    require_single_values(frame.collect_schema(), ["path"], table)
    rows = count_rows(table) if whole else frame.select(pl.len()).collect(engine="streaming").item()
    if not rows:
        raise UserError(f"{table}: has no rows to show")
    inputs = [path for path in (table, embeddings) if path and (whole or path != table)]
    atlas = Atlas(output, rows)
    try:
        frame = _with_lists(typed(contract_types(frame)))
        schema = frame.collect_schema()
        _refuse_other(output, schema.names(), overwrite)
        atlas.has_text = "text" in schema and not schema["text"].is_nested()
        features = _features(table, frame, embeddings, atlas)
        added = _placed(features, projection, seed, atlas)
        if pictures is not None and clips and "path" in schema:
            added |= _pictures(frame, pictures, clips, seed, atlas)
        elif pictures is not None and clips:
            atlas.lines.append(f"{IMAGE}: left out, as the table has no column 'path'")
    except pl.exceptions.PolarsError as error:
        raise unreadable(table, error) from None
    taken = {name.lower() for name in schema.names()}
    atlas.names = {name: _free(name, taken) for name in added}
    beside = pl.LazyFrame([cells.alias(atlas.names[name]) for name, cells in added.items()])
    complete = pl.concat([frame, beside], how="horizontal") if added else frame
    write_and_count(complete, output, inputs=inputs, rows=rows)
    return atlas


def sprites_beside(table: str | Path) -> Pictures:
    """Frames of clips side by side, kept beside the table; see `tools.report.sprites`."""

    def draw(paths: list[str]) -> list[bytes | None]:
        from tools.report.sprites import make_sprites

        sprites = make_sprites(table, [{"path": path} for path in paths]).sprites
        return [sprites[number].jpeg if number in sprites else None for number in range(len(paths))]

    return draw


def typed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Numbers of columns of text that are not of the contract, where all filled cells are numbers.

    Digits with leading zeros, and more of them than a number can hold, are names: they stay text.
    """
    own = [n for n, kind in frame.collect_schema().items() if n not in COLUMNS and kind == pl.String]
    if not own:
        return frame
    checks = []
    for name in own:
        cell = pl.col(name)
        filled = cell.is_not_null() & (cell != "")
        whole, number = cell.cast(pl.Int64, strict=False), cell.cast(pl.Float64, strict=False)
        is_name = cell.str.contains(r"^[+-]?(0\d|\d{16})")
        checks += [
            filled.any().alias(f"filled {name}"),
            (~filled | whole.is_not_null()).all().alias(f"whole {name}"),
            (~filled | (number.is_not_null() & ~is_name)).all().alias(f"number {name}"),
            (filled & is_name & (whole.is_null() | cell.str.contains(r"^[+-]?0")))
            .any()
            .alias(f"name {name}"),
        ]
    found = frame.select(checks).collect(engine="streaming").row(0, named=True)
    casts = []
    for name in own:
        if not found[f"filled {name}"] or found[f"name {name}"]:
            continue
        if found[f"whole {name}"]:
            casts.append(pl.col(name).cast(pl.Int64, strict=False))
        elif found[f"number {name}"]:
            casts.append(pl.col(name).cast(pl.Float64, strict=False))
    return frame.with_columns(casts)


def _with_lists(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Lists in place of arrays, which Arrow, and so pandas, cannot read where a cell is empty.

    See https://github.com/apache/arrow/issues/35692.
    """
    arrays = [name for name, dtype in frame.collect_schema().items() if isinstance(dtype, pl.Array)]
    return frame.with_columns(pl.col(name).arr.to_list() for name in arrays)


def _features(table: Path, frame: pl.LazyFrame, embeddings: str | Path | None, atlas: Atlas) -> Features:
    if embeddings:
        return read_embeddings(Path(embeddings), frame, atlas.rows)
    features, remark = find_embeddings(table, frame, atlas.rows)
    if features is None:
        names = [name for name in score_names(frame.collect_schema()) if name not in ADDED]
        features, _ = score_features(frame, names, atlas.rows)
    if remark:
        atlas.lines.append(remark)
    return features


def _placed(features: Features, projection: str, seed: int, atlas: Atlas) -> dict[str, pl.Series]:
    """The columns of coordinates and of neighbours; none of them where there are no features."""
    known = int(features.known().sum())
    width = features.matrix.shape[1]
    if not known or not width:
        atlas.lines.append(f"{X}, {Y}: left out, as the table has neither embeddings nor scores that differ")
        return {}
    found = umap(features, seed=seed) if projection == "umap" else pca(features)
    line = f"{X}, {Y}: {'UMAP' if projection == 'umap' else 'PCA'} of {features.origin}"
    line += f", {width} numbers a row" if features.cosine else ""
    if found.variance:
        line += ", {:.1f} % and {:.1f} % of the variance".format(*(100 * share for share in found.variance))
    if known < atlas.rows:
        line += f"; {counted(atlas.rows - known, 'row', ',')} without: empty cells"
    atlas.lines.append(line)
    added = {X: pl.Series(found.points[:, 0]), Y: pl.Series(found.points[:, 1])}
    added = {name: cells.fill_nan(None) for name, cells in added.items()}
    if known > MOST_ROWS:
        atlas.lines.append(
            f"{NEIGHBORS}: left out, as {known:,} rows are more than {MOST_ROWS:,} to compare each with each"
        )
        return added
    ids, distances = _nearest(features, known)
    record = pl.DataFrame({"ids": ids.astype(np.int32), "distances": distances.astype(np.float32)})
    lists = pl.Schema({"ids": pl.List(pl.Int32), "distances": pl.List(pl.Float32)})
    added[NEIGHBORS] = record.cast(lists).to_struct(NEIGHBORS)
    how = "1 - cosine" if features.cosine else "Euclidean distance"
    atlas.lines.append(
        f"{NEIGHBORS}: the nearest rows of each, itself and {ids.shape[1] - 1} others, by {how}"
    )
    return added


def _nearest(features: Features, known: int) -> tuple[np.ndarray, np.ndarray]:
    from tqdm import tqdm

    often = 0.5 if sys.stderr.isatty() else 30.0  # seconds; in a file each state is a line
    with tqdm(total=known, desc=NEIGHBORS, unit=" rows", delay=_SECONDS, mininterval=often) as bar:
        return nearest(features, done=bar.update)


def _pictures(
    frame: pl.LazyFrame, make: Pictures, clips: int, seed: int, atlas: Atlas
) -> dict[str, pl.Series]:
    paths = frame.select(pl.col("path").cast(pl.String)).collect(engine="streaming")["path"].to_list()
    chosen = [number for number, path in enumerate(paths) if path]
    drawn = f", drawn with seed {seed}" if len(chosen) > clips else ""
    if drawn:
        chosen = sorted(np.random.default_rng(seed).choice(chosen, clips, replace=False).tolist())
    images = make([paths[number] for number in chosen])
    cells: list[bytes | None] = [None] * len(paths)
    for number, image in zip(chosen, images, strict=True):
        cells[number] = image
    made = sum(cell is not None for cell in cells)
    if not made:
        atlas.lines.append(f"{IMAGE}: left out, as none of {len(chosen):,} files could be read")
        return {}
    line = f"{IMAGE}: frames of {made:,} of {atlas.rows:,} rows{drawn}"
    line += f"; {len(chosen) - made:,} could not be read: empty cells" if made < len(chosen) else ""
    atlas.lines.append(line)
    return {IMAGE: pl.Series(cells, dtype=pl.Binary)}


def _free(name: str, taken: set[str]) -> str:
    """A name that no column has; to DuckDB, which opens the file, ``Image`` and ``image`` are the same."""
    free, number = name, 0
    while free.lower() in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free.lower())
    return free


def _refuse_other(output: Path, names: Sequence[str], overwrite: bool) -> None:
    """Check that a file which is replaced is an earlier one of the same kind.

    Raises:
        UserError: It has columns that the new one lacks, or is no table.
    """
    if overwrite or not output.exists():
        return
    try:
        there = column_names(output)
    except UserError as error:
        raise UserError(f"--atlas {output}: is in the way, --overwrite replaces it ({error})") from None
    if lost := [name for name in there if name not in names and re.sub(r"_\d+$", "", name) not in ADDED]:
        raise UserError(
            f"--atlas {output}: is in the way, it has columns that the new file would lack "
            f"({', '.join(lost)}); --overwrite replaces it"
        )
