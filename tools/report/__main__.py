"""Command: show which thresholds to choose, and what survives them."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools import cli
from tools.errors import UserError

DEFAULT_OUTPUT = "report.html"


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.report",
        "Show how the scores of a table are distributed, and what a threshold on each keeps. Of several\n"
        "tables the last one is shown; those before it are the steps that led to it.",
        """
        python -m tools.report meta_aes_flow.csv --text
        """,
    )
    parser.add_argument(
        "input", nargs="+", metavar="META", help="tables, in the order in which they were made"
    )
    parser.add_argument("--text", action="store_true", help="print the figures, and write no page")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, and write or print what was asked for."""
    args = _parser().parse_args(argv)
    if args.text:
        _print_text(args)
        return
    raise UserError("give --text")


def _print_text(args: argparse.Namespace) -> None:
    from tools.report.summary import render_summary, summarize
    from tools.table import scan_table

    table = Path(args.input[-1])
    print(render_summary(summarize(scan_table(table), source=str(table))))


if __name__ == "__main__":
    cli.run(main)
