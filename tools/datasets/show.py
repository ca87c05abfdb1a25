"""Print the first rows of a table to the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from tools import cli

_LONG = {"path": 40, "source": 40, "relpath": 40, "text": 60, "timestamp": 40, "boundary": 40}
"""Most columns of the terminal that a cell takes; 24 where the name is not here."""

_BEGINNINGS = ("path", "source", "relpath")
"""Columns whose long cells lose their beginning."""


def render_table(
    path: str | Path, *, rows: int = 20, columns: list[str] | None = None, sort: str | None = None
) -> str:
    """A table as aligned text.

    Columns are aligned by the width that a terminal gives to characters: two columns to a Chinese one or an
    emoji, none to a combining mark.

    Args:
        path: A table file.
        rows: How many rows from the top.
        columns: Which columns; None for all.
        sort: Column to sort by, smallest first and empty cells last; with ``-`` before it largest first.
            None for the order of the table.

    Returns:
        A header line, at most ``rows`` lines, and a line with the number of rows. Paths that are too
        long lose their beginning, other cells their end.

    Raises:
        UserError: The table cannot be read or has no such column.
    """
    import polars as pl

    from tools.base.terminal import counted, one_line, padded, width
    from tools.datasets.operations.order import sort_rows
    from tools.table import count_rows, require_columns, scan_table
    from tools.table.files import collected, unreadable

    frame = scan_table(path)
    require_columns(frame, columns or [], path)
    if sort is not None:
        names = frame.collect_schema().names()
        descending = sort.startswith("-") and sort not in names
        column = sort[1:] if descending else sort
        require_columns(frame, [column], path)
        try:
            frame = sort_rows(frame, column, descending=descending)
        except pl.exceptions.PolarsError as error:
            raise unreadable(path, error) from None
    if columns:
        frame = frame.select(columns)
    total = count_rows(path)
    head = collected(frame.head(rows), path)
    grid = [
        [one_line(name) for name in head.columns],
        *([_short(n, v) for n, v in zip(head.columns, row, strict=True)] for row in head.rows()),
    ]
    widths = [max(width(row[i]) for row in grid) for i in range(len(head.columns))]
    lines = ["  ".join(map(padded, row, widths)).rstrip() for row in grid]
    more = f", the first {head.height} are shown" if total > head.height else ""
    return "\n".join([*lines, f"{counted(total, 'row')}{more}"])


def _short(name: str, value: object) -> str:
    """A cell in one line, shortened to the width of its column."""
    from tools.base.terminal import one_line, shortened

    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else one_line(str(value))
    return shortened(text, _LONG.get(name, 24), keep_end=name in _BEGINNINGS)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and print."""
    parser = cli.ArgumentParser(
        "tools.datasets.show",
        "Print the first rows of a table, aligned, with long cells shortened.",
        """
        python -m tools.datasets.show meta_clips_info_fmin1.csv
        python -m tools.datasets.show meta_aes.csv --rows 50 --columns path aes
        python -m tools.datasets.show meta_aes.csv --sort -aes --rows 5
        """,
    )
    parser.add_argument("meta", help="table: .csv, .tsv, .parquet, .jsonl or .json")
    parser.add_argument("--rows", type=cli.whole_number(0), default=20, help="rows to show (20)")
    parser.add_argument("--columns", nargs="+", metavar="COLUMN", help="columns to show (all)")
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="sort by a column, numbers as numbers, smallest first, empty cells last; -COLUMN: largest first",
    )
    args = parser.parse_args(_with_signed_column(sys.argv[1:] if argv is None else argv))
    print(render_table(args.meta, rows=args.rows, columns=args.columns, sort=args.sort))
    print(Path(args.meta).resolve())


def _with_signed_column(words: list[str]) -> list[str]:
    """Words in which ``--sort -aes`` is one: argparse takes what begins with a dash for a flag."""
    words = list(words)
    if "--sort" in words[:-1]:
        index = words.index("--sort")
        words[index : index + 2] = [f"--sort={words[index + 1]}"]
    return words


if __name__ == "__main__":
    cli.run(main)
