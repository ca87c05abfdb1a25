"""Print a table to the terminal: what a person wants to see of it at a glance."""

from __future__ import annotations

from pathlib import Path

from tools import cli

_LONG = {"path": 40, "source": 40, "relpath": 40, "text": 60, "timestamp": 40, "boundary": 40}


def render_table(path: str | Path, *, rows: int = 20, columns: list[str] | None = None) -> str:
    """A table as aligned text.

    Args:
        path: A table file.
        rows: How many rows from the top.
        columns: Which columns; None for all.

    Returns:
        A header line, at most ``rows`` lines, and a line that tells how much there is. Paths that are too
        long lose their beginning, other cells their end.

    Raises:
        UserError: The table cannot be read or has no such column.
    """
    from tools.table import count_rows, require_columns, scan_table

    frame = scan_table(path)
    require_columns(frame, columns or [], path)
    if columns:
        frame = frame.select(columns)
    total = count_rows(path)
    head = frame.head(rows).collect()
    grid = [
        head.columns,
        *([_short(n, v) for n, v in zip(head.columns, row, strict=True)] for row in head.rows()),
    ]
    widths = [max(len(row[i]) for row in grid) for i in range(len(head.columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid
    ]
    more = f", the first {head.height} are shown" if total > head.height else ""
    return "\n".join([*lines, f"{total} rows{more}"])


def _short(name: str, value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
    limit = _LONG.get(name, 24)
    if len(text) <= limit:
        return text
    return "…" + text[1 - limit :] if name in ("path", "source", "relpath") else text[: limit - 1] + "…"


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and print."""
    parser = cli.ArgumentParser(
        "tools.datasets.show",
        "Print the first rows of a table, aligned, with long cells shortened.",
        """
        python -m tools.datasets.show meta_clips_info_fmin1.csv
        python -m tools.datasets.show meta_aes.csv --rows 50 --columns path aes
        """,
    )
    parser.add_argument("meta", help="table: .csv, .tsv, .parquet, .jsonl or .json")
    parser.add_argument("--rows", type=int, default=20, help="rows to show (20)")
    parser.add_argument("--columns", nargs="+", metavar="COLUMN", help="columns to show (all)")
    args = parser.parse_args(argv)
    print(render_table(args.meta, rows=args.rows, columns=args.columns))
    print(Path(args.meta).resolve())


if __name__ == "__main__":
    cli.run(main)
