"""Add the column suitability to a table: what its rater would say of each clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tools import __version__
from tools.datasets.rate.embeddings import reduce_embeddings
from tools.datasets.rate.features import PREDICTED, groups_of, read_matrix, read_texts, score_columns
from tools.datasets.rate.learning import Learned, learn, next_rows, predict
from tools.datasets.rate.models import MODELS
from tools.datasets.rate.targets import Targets, targets_of
from tools.errors import UserError, check_choice
from tools.report.ratings import MatchedRatings, match_ratings, read_ratings
from tools.stage.output import Counts, Output
from tools.stage.progress import Progress
from tools.stage.provenance import Provenance, digest_file
from tools.stage.shards import Shard
from tools.table import output_path, refuse_inputs, refuse_loss, scan_table, table_format, write_table
from tools.table.files import unreadable
from tools.table.recording import Recording

FEWEST = 20
"""Rated rows below which nothing is learned: an interval of the rank correlation would be wider than 0.9."""

_DIGITS = 5


@dataclass(frozen=True)
class RateResult:
    """What was learned and written.

    Attributes:
        output: The table.
        next_output: The table of rows to rate next; None where none was asked for.
        matched: The ratings and their rows.
        targets: What they stand for.
        used: Rated rows that were learned from; others have no score.
        columns: The scores that were predicted from.
        unused: Columns without a number in any rated row.
        learned: The model, and how far to trust it.
        rows: Rows of the table.
        predicted: Rows that have a suitability.
        next: The rows to rate next: path, suitability, suitability_std.
        has_sources: Whether the table tells from which source video clips are.
    """

    output: Path
    next_output: Path | None
    matched: MatchedRatings
    targets: Targets
    used: int
    columns: list[str]
    unused: list[str]
    learned: Learned
    rows: int
    predicted: int
    next: list[tuple[str, float, float]]
    has_sources: bool


def rate_table(
    meta: str | Path,
    ratings: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    columns: Sequence[str] | None = None,
    embeddings: str | Path | None = None,
    model: str | None = None,
    next: int = 50,
    next_output: str | Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> RateResult:
    """Predict for every row what the people who rated some of them would say.

    Args:
        meta: Table with the column path and scores.
        ratings: Rating files, see `tools.report.ratings.read_ratings`.
        output: Where to write; by default beside the table, its stem and ``_rate``.
        columns: Columns of numbers to predict from; None for all, see `score_columns`.
        embeddings: File of embeddings, see `tools.datasets.rate.embeddings.reduce_embeddings`.
        model: ``ridge`` or ``boosting``; None for the one that ranks best in cross-validation.
        next: How many rows to name that should be rated next.
        next_output: Where to write those rows as a table.
        seed: The same inputs and seed give the same output.
        overwrite: Replace a table that has columns which the new one would lack.
        progress: Show a bar on standard error.

    Returns:
        What was done. The table has the columns suitability and suitability_std, empty in rows that have none
        of the scores. suitability is on the scale of the ratings: 1 to 5, or 0 to 1 where all of them said
        keep or reject alone.

    Raises:
        UserError: Something cannot be read or written, the ratings are of no row or too few, or all the same.
    """
    meta = Path(meta)
    if model is not None:
        check_choice("model", model, MODELS)
    read = [meta, *map(Path, ratings), *([Path(embeddings)] if embeddings is not None else [])]
    recording = Recording(read, takes=dict.fromkeys(read[1:], _nothing))
    said = read_ratings(ratings)
    frame = scan_table(meta)
    target = output_path(meta, "_rate", output=output)
    following = None if next_output is None else Path(next_output)
    _check_outputs(target, following, read, frame, overwrite=overwrite)
    matched = match_ratings(said, frame, meta)
    targets = targets_of(matched.pairs)
    names = score_columns(frame, columns, meta, may_be_none=embeddings is not None)
    texts = read_texts(frame, ["path", "source"], meta)
    matrix = read_matrix(frame, names, texts.height, meta)
    has_numbers = _has_number(matrix[targets.rows], 0)
    unused = [name for name, has in zip(names, has_numbers, strict=True) if not has]
    names = [name for name in names if name not in unused]
    matrix = matrix[:, has_numbers]
    if embeddings is not None:
        vectors = reduce_embeddings(embeddings, texts["path"], seed)
        matrix = np.hstack([matrix, vectors])
    rows, values = _usable(targets, matrix, meta)
    groups = groups_of(texts)
    learned = learn(matrix[rows], names, values, groups[rows], model=model, seed=seed)
    with Progress(len(matrix), "predict", shown=progress) as bar:
        suitability, deviation = predict(learned.members, matrix, bar.advance)
    chosen = next_rows(deviation, groups, targets.rows, next)
    added = pl.DataFrame(
        {name: _cells(cells) for name, cells in zip(PREDICTED, (suitability, deviation), strict=True)}
    )
    table = pl.concat([frame.drop(PREDICTED, strict=False), added.lazy()], how="horizontal")
    config = {
        "ratings": [digest_file(Path(file)) for file in ratings],
        "embeddings": None if embeddings is None else digest_file(Path(embeddings)),
        "columns": names,
        "model": learned.model,
        "seed": seed,
    }
    provenance = Provenance(
        {"stage": "rate", "version": __version__, "config": config}, digest_file(meta), "", 1, "keep"
    )
    known = int(np.isfinite(suitability).sum())
    written = Output(target, Shard(), provenance, meta)
    written.write(table, Counts(len(matrix), len(matrix) - known, 0), "")
    recording.write(written.path, table.collect_schema(), made=PREDICTED)
    if following is not None:
        recording.write(following, _write_next(frame, added, chosen, following, read), made=PREDICTED)
    return RateResult(
        written.path,
        following,
        matched,
        targets,
        len(rows),
        names,
        unused,
        learned,
        len(matrix),
        known,
        [(texts["path"][int(i)], float(suitability[i]), float(deviation[i])) for i in chosen],
        texts["source"].null_count() < texts.height,
    )


def _check_outputs(
    target: Path, following: Path | None, read: Sequence[Path], frame: pl.LazyFrame, *, overwrite: bool
) -> None:
    """Check before the work what will be written after it."""
    for path in read:
        if not path.is_file():
            raise UserError(f"{path}: there is no file of this name")
    columns = (*frame.collect_schema(), *PREDICTED)
    for path in (target, following):
        if path is not None:
            table_format(path)
            refuse_inputs(path, read)
            refuse_loss(path, columns, overwrite=overwrite)
    if following is not None and following.absolute() == target.absolute():
        raise UserError(f"{following}: is the table of all rows; choose another --next-out")


def _usable(targets: Targets, matrix: np.ndarray, meta: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rated rows with at least one number, and their ratings."""
    known = _has_number(matrix[targets.rows], 1)
    rows, values = targets.rows[known], targets.values[known]
    if len(rows) < FEWEST:
        lost = f", {len(known) - len(rows)} more have no score" if not known.all() else ""
        raise UserError(
            f"{meta}: {len(rows)} rated rows are too few to learn from{lost}: {FEWEST} are the least, about "
            "200 are good"
        )
    if values.min() == values.max():
        raise UserError(f"{meta}: all ratings are {values[0]:g}: there is nothing to learn from them")
    return rows, values


def _has_number(matrix: np.ndarray, axis: int) -> np.ndarray:
    """Which columns (axis 0) or rows (1) have a number at all."""
    return np.asarray(~np.isnan(matrix).all(axis))


def _cells(values: np.ndarray) -> pl.Series:
    """Rounded, as more digits say nothing; NaN is an empty cell."""
    return pl.Series(np.round(values.astype(np.float64), _DIGITS)).fill_nan(None)


def _write_next(
    frame: pl.LazyFrame, added: pl.DataFrame, chosen: np.ndarray, path: Path, read: Sequence[Path]
) -> list[str]:
    """Write the rows to rate next; returns the columns."""
    index = "\0row"
    order = pl.DataFrame({index: pl.Series(chosen).cast(pl.UInt32)})
    try:
        rows = (
            frame.drop(PREDICTED, strict=False)
            .with_row_index(index)
            .join(order.lazy(), on=index, how="semi")
            .collect(engine="streaming")
        )
    except pl.exceptions.PolarsError as error:
        raise unreadable(read[0], error) from None
    rows = order.join(rows, on=index, how="left", maintain_order="left")
    table = pl.concat([rows, added[chosen]], how="horizontal").drop(index)
    write_table(table, path, inputs=read)
    return table.columns


def _nothing(column: str) -> bool:
    """Which columns of a table of ratings go to the output."""
    return False
