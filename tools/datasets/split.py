"""Take rows for every training bucket: a small table that has something of everything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cli
from tools.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from tools.datasets.bucket_config import TrainingBuckets

BUCKET_COLUMN = "bucket"
"""The column that is added: resolution, frames and aspect ratio, as in ``480p_51_0.56``."""


@dataclass(frozen=True)
class SplitResult:
    """What a split did.

    Attributes:
        outputs: The tables written.
        fitting: Bucket to the rows that fit it; only buckets that have some, the largest resolution first.
        taken: Bucket to the rows taken of them.
        buckets: How many buckets the config has.
        without_size: Rows whose num_frames, height or width is empty, 0 or no number.
        without_bucket: All other rows that fit no bucket.
    """

    outputs: list[Path]
    fitting: dict[str, int]
    taken: dict[str, int]
    buckets: int
    without_size: int
    without_bucket: int


def split_by_bucket(
    inputs: Sequence[str | Path],
    config: str | Path,
    *,
    output: str | Path | None = None,
    limit: int = 200,
    frame_interval: int | None = None,
    seed: int | None = None,
    per_bucket: bool = False,
    overwrite: bool = False,
) -> SplitResult:
    """Write the first rows of each training bucket.

    Args:
        inputs: Tables or patterns with the columns num_frames, height and width.
        config: Training config, see `tools.datasets.bucket_config.read_bucket_config`.
        output: Where to write; by default beside the first input, the inputs' stems and ``_split``.
        limit: The most rows that a bucket takes.
        frame_interval: Training takes every Nth frame; None for the value of the config.
        seed: Honour the probabilities of the config, drawn with this seed. None: what is above 0 counts as 1.
        per_bucket: Write a table for each bucket, ``<output stem>_<bucket>``, instead of one.
        overwrite: Replace a table that has columns which the new one would lack.

    Returns:
        What was done. Rows are in the order of the inputs, with the column `BUCKET_COLUMN` as the last.

    Raises:
        UserError: A table or the config cannot be read, a column is missing, the output is an input, or no
            row fits a bucket.
    """
    import polars as pl

    from tools.datasets.bucket_config import read_bucket_config
    from tools.datasets.buckets import assign_buckets, bucket_names
    from tools.table import (
        expand_inputs,
        merge_tables,
        output_path,
        refuse_loss,
        shorten,
        table_extension,
        table_format,
        table_stem,
    )
    from tools.table.recording import Recording

    training = read_bucket_config(config)
    if seed is not None:
        _check_probabilities(training, config)
    paths = expand_inputs(inputs)
    options = {"config": config, "limit": limit, "frame_interval": frame_interval, "seed": seed}
    recording = Recording(paths, options=options)
    stem = shorten("+".join(table_stem(path) for path in paths))
    target = output_path(paths[0].with_name(stem + table_extension(paths[0])), "_split", output=output)
    table_format(target)
    frame = merge_tables(paths)
    source = ", ".join(map(str, paths))
    if not per_bucket:
        refuse_loss(target, (*frame.collect_schema(), BUCKET_COLUMN), overwrite=overwrite)
    sizes = _sizes(frame, source)
    names = bucket_names(training.buckets)
    found = assign_buckets(
        *sizes, training.buckets, frame_interval=frame_interval or training.frame_interval, seed=seed
    )
    unknown = ~((sizes[0] > 0) & (sizes[1] > 0) & (sizes[2] > 0))
    found[unknown] = -1
    without_size, without_bucket = int(unknown.sum()), int((found < 0).sum() - unknown.sum())
    if without_size + without_bucket == found.size:
        raise UserError(
            f"{source}: none of {found.size} rows fits a bucket of {config}: {without_bucket} are too small "
            f"or too short, {without_size} have no num_frames, height and width"
        )
    chosen = _first_rows(found, limit)
    labels = pl.Series(BUCKET_COLUMN, [names[index] for index in found[chosen]])
    outputs = _write(frame, pl.Series(chosen), labels, target, paths, per_bucket)
    for path in outputs:
        recording.write(path, [*frame.collect_schema(), BUCKET_COLUMN], made=(BUCKET_COLUMN,))
    return SplitResult(
        outputs,
        _counts(found, names),
        _counts(found[chosen], names),
        len(names),
        without_size,
        without_bucket,
    )


def _check_probabilities(training: TrainingBuckets, config: str | Path) -> None:
    for resolution, levels in training.buckets.items():
        for frames, share in levels.items():
            if share.keep > 1 or share.consider > 1:
                raise UserError(f"{config}: {resolution}: {frames}: {share.keep:g} is no probability")


def _sizes(frame: pl.LazyFrame, source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The columns num_frames, height and width as float64, NaN where a cell is empty."""
    import polars as pl

    from tools.table import numeric, require_columns
    from tools.table.files import unreadable

    columns = ("num_frames", "height", "width")
    require_columns(frame, columns, source)
    try:
        read = frame.select(numeric(name) for name in columns).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None
    if read.is_empty():
        raise UserError(f"{source}: no rows, there is nothing to do")
    frames, heights, widths = (read[name].to_numpy() for name in columns)
    return frames, heights, widths


def _first_rows(found: np.ndarray, limit: int) -> np.ndarray:
    """Numbers of the first ``limit`` rows of each bucket, ascending."""
    import numpy as np

    order = np.argsort(found, kind="stable")
    order = order[np.searchsorted(found[order], 0) :]
    buckets = found[order]
    rank = np.arange(buckets.size) - np.searchsorted(buckets, buckets)
    return np.sort(order[rank < limit])


def _counts(found: np.ndarray, names: list[str]) -> dict[str, int]:
    import numpy as np

    counts = np.bincount(found[found >= 0], minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _write(
    frame: pl.LazyFrame,
    chosen: pl.Series,
    labels: pl.Series,
    target: Path,
    inputs: Sequence[Path],
    per_bucket: bool,
) -> list[Path]:
    import polars as pl

    from tools.table import table_extension, table_stem, write_table

    index = "\0row"
    labelled = pl.LazyFrame({index: chosen.cast(pl.UInt32), BUCKET_COLUMN: labels})
    rows = frame.drop(BUCKET_COLUMN, strict=False).with_row_index(index)
    picked = rows.join(labelled, on=index, how="inner", maintain_order="left").drop(index)
    if not per_bucket:
        return [write_table(picked, target, inputs=inputs)]
    table = picked.collect(engine="streaming")
    outputs = []
    for bucket in labels.unique(maintain_order=True):
        output = target.with_name(f"{table_stem(target)}_{bucket}{table_extension(target)}")
        outputs.append(write_table(table.filter(pl.col(BUCKET_COLUMN) == bucket), output, inputs=inputs))
    return outputs


def render_split(result: SplitResult) -> str:
    """What a split did, as text for the terminal."""
    width = max(len(name) for name in (*result.fitting, "bucket"))
    lines = [f"{'bucket':<{width}}  {'fitting':>10}  {'taken':>8}"]
    lines += [
        f"{name:<{width}}  {count:>10,}  {result.taken[name]:>8,}" for name, count in result.fitting.items()
    ]
    lines.append(f"{len(result.fitting):,} of {result.buckets:,} buckets have rows")
    if result.without_bucket:
        lines.append(f"rows that fit no bucket: {result.without_bucket:,}")
    if result.without_size:
        lines.append(f"rows without num_frames, height and width: {result.without_size:,}")
    taken, fitting = sum(result.taken.values()), sum(result.fitting.values())
    return "\n".join([*lines, f"{taken:,} of {fitting:,} rows that fit a bucket are taken"])


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.datasets.split",
        "Take the first rows of each training bucket (resolution, number of frames, aspect ratio), as the\n"
        "bucket_config of an Open-Sora training config defines them; adds the column bucket (480p_51_0.56).\n"
        "Needs num_frames, height and width. A Python config is parsed, not run.",
        """
        python -m tools.datasets.split meta_info.csv -o meta_split.csv -c configs/train/stage1.py
        python -m tools.datasets.split meta_info_part*.csv -c buckets.json -l 50 --per-bucket
        """,
    )
    parser.add_argument("input", nargs="+", metavar="META", help="tables, or patterns")
    parser.add_argument("-o", "--output", metavar="FILE", help="table to write (<stem>_split)")
    parser.add_argument(
        "-c", "--config", required=True, metavar="FILE", help="config: .py, .json, .yaml or .toml"
    )
    parser.add_argument(
        "-l", "--limit", type=cli.whole_number(1), default=200, metavar="N", help="rows of a bucket (200)"
    )
    parser.add_argument("--per-bucket", action="store_true", help="write a table for each bucket")
    parser.add_argument(
        "--overwrite", action="store_true", help="also replace a table that has more columns than the new one"
    )
    for action in (
        parser.add_argument(
            "--frame-interval",
            type=cli.whole_number(1),
            metavar="N",
            help="training takes every Nth frame (the config's frame_interval, or 1)",
        ),
        parser.add_argument(
            "--probability",
            action="store_true",
            help="keep rows by the probabilities of the config; otherwise all above 0 count as 1",
        ),
        parser.add_argument(
            "--seed", type=cli.whole_number(0), default=42, metavar="N", help="seed of --probability (42)"
        ),
    ):
        cli.advanced(action)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, split, and report."""
    args = _parser().parse_args(argv)
    result = split_by_bucket(
        args.input,
        args.config,
        output=args.output,
        limit=args.limit,
        frame_interval=args.frame_interval,
        seed=args.seed if args.probability else None,
        per_bucket=args.per_bucket,
        overwrite=args.overwrite,
    )
    print(render_split(result), file=sys.stderr)
    print(*result.outputs, sep="\n")


if __name__ == "__main__":
    cli.run(main)
