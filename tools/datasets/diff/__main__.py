"""Command: the rows and cells in which two tables differ, and why."""

from __future__ import annotations

import sys

from tools import cli


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.datasets.diff",
        "Say in which rows and cells two tables differ. Where both were made by commands of the toolkit,\n"
        "their sidecars say why: other options, weights or versions, another input, changed files.",
        """
        python -m tools.datasets.diff old/meta_aes.csv new/meta_aes.csv
        python -m tools.datasets.diff a.csv b.parquet --by id --tolerance 1e-6
        python -m tools.datasets.diff a.csv b.csv --columns aes motion --output changes.csv
        """,
    )
    parser.add_argument("a", metavar="A", help="a table; of one in parts a pattern in quotes")
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument("--by", metavar="COLUMN", help="match rows by this column (path, else id)")
    parser.add_argument("--columns", nargs="+", metavar="COLUMN", help="compare these alone (all)")
    parser.add_argument(
        "--tolerance",
        type=cli.positive_number,
        default=0.0,
        metavar="X",
        help="numbers that differ by no more are equal (0)",
    )
    parser.add_argument(
        "--examples",
        type=cli.whole_number(0),
        default=3,
        metavar="N",
        help="rows and cells shown of each (3)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write every row and cell that differs as a table"
    )
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if there is a difference")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse the command line; compare, print, write."""
    args = _parser().parse_args(argv)

    from tools.datasets.diff.compare import compare, read_whole
    from tools.datasets.diff.text import as_table, difference_text
    from tools.datasets.diff.why import reasons
    from tools.report.text_style import style_of
    from tools.table import write_table
    from tools.table.recording import Recording

    (a, files_a), (b, files_b) = read_whole(args.a), read_whole(args.b)
    found = compare(a, b, key=args.by, columns=args.columns, tolerance=args.tolerance)
    why = [] if found.is_empty else reasons([files_a, files_b], found)
    print(difference_text(found, (args.a, args.b), why, args.examples, style_of(sys.stdout)))
    if args.output:
        table = as_table(found)
        write_table(table, args.output, inputs=[*files_a, *files_b])
        Recording([*files_a, *files_b]).write(args.output, table.columns, made=table.columns)
    return int(args.exit_code and not found.is_empty)


if __name__ == "__main__":
    cli.run(main)
