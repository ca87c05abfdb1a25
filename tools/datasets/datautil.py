"""Command: edit tables. Operations are in `tools.datasets.operations`, the work in `tools.datasets.edit`."""

from __future__ import annotations

import argparse
import itertools
import sys
import textwrap
from typing import Any

from tools import cli
from tools.datasets.edit import (
    DatautilResult,
    Settings,
    filter_table,
    plan_datautil,
    run_datautil,
    table_stats,
)
from tools.datasets.open_sora import REFUSED
from tools.datasets.operations import EXECUTION_ORDER, OPERATIONS, Operation
from tools.datasets.operations.filters import THRESHOLDS, VALUES

__all__ = ["DatautilResult", "Settings", "filter_table", "main", "run_datautil", "table_stats"]

FORMATS = ("csv", "tsv", "parquet", "jsonl", "json")


def _parser() -> cli.ArgumentParser:
    order = textwrap.fill(" ".join(order_shown()), 100, break_on_hyphens=False)
    parser = cli.ArgumentParser(
        "tools.datasets.datautil",
        "Read tables, change them, write the result under a name that says what was done:\n"
        "meta.csv --info --fmin 1 -> meta_info_fmin1.csv. Several inputs are merged.\n"
        f"Whatever the order of the flags, operations are carried out in this one:\n{order}",
        """
        python -m tools.datasets.datautil meta.csv --info --fmin 1
        python -m tools.datasets.datautil meta_aes_part*.csv --output meta_aes.csv
        python -m tools.datasets.datautil meta_aes.csv --aesmin 5 --fmin 48 --shuffle --head 1000
        python -m tools.datasets.datautil meta.csv --where "aes >= 5 and not text.isna()" --explain --dry-run
        python -m tools.datasets.datautil all.csv --difference done.csv --output todo.csv
        """,
        refused=REFUSED,
    )
    parser.usage = f"{parser.prog} INPUT ... [OPERATIONS] [--output FILE]"
    parser.add_argument(
        "input", nargs="+", help="tables (.csv, .tsv, .parquet, .jsonl, .json, also .gz, .zst) or patterns"
    )
    group = parser.add_argument_group("operations")
    bounds = parser.add_argument_group("thresholds, bounds included")
    words = parser.add_argument_group("words, one or several with commas between them")
    for operation in OPERATIONS.values():
        place = bounds if operation in THRESHOLDS else words if operation in VALUES else group
        _add_flag(place, operation)
    _add_output_flags(parser.add_argument_group("output"))
    _add_running_flags(parser.add_argument_group("running"))
    return parser


def order_shown() -> list[str]:
    """The order of execution as flags without dashes; all thresholds are one step, and all words."""
    kinds = {one.name: "THRESHOLDS" for one in THRESHOLDS} | {one.name: "WORDS" for one in VALUES}
    steps = (kinds.get(name, name.replace("_", "-")) for name in EXECUTION_ORDER)
    return [step for step, _ in itertools.groupby(steps)]


def _add_flag(group: argparse._ArgumentGroup, operation: Operation) -> None:
    read = operation.parse
    if read is None:
        group.add_argument(*operation.flags, dest=operation.name, action="store_true", help=operation.help)
        return

    def parse(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    nargs = "+" if operation.many else None
    group.add_argument(
        *operation.flags,
        dest=operation.name,
        type=parse,
        metavar=operation.metavar,
        nargs=nargs,
        help=operation.help,
    )


def _add_output_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--output", metavar="FILE", help="table to write")
    group.add_argument("--format", choices=FORMATS, help="format, where --output does not tell")
    group.add_argument(
        "--shard",
        "--chunk",
        type=cli.whole_number(1),
        metavar="N",
        help="write N tables of equal size, _0, _1, ...",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a table also when it has columns that the new one lacks",
    )
    group.add_argument(
        "--rejected", metavar="FILE", help="write the rows that were removed, with the flag that removed them"
    )
    group.add_argument(
        "--explain",
        action="store_true",
        help="show how many rows each filter removes, alone and in its turn",
    )
    group.add_argument(
        "--stats",
        action="store_true",
        help="show counts, hours and quantiles of what would be written, and write nothing",
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would be done in which order, and write nothing; with --explain, also the counts",
    )


def _add_running_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--seed", type=cli.whole_number(0), default=42, metavar="N", help="seed of what is random (42)"
    )
    group.add_argument(
        "--per-source", type=cli.whole_number(1), metavar="K", help="rows of one source video, for --sample"
    )
    group.add_argument(
        "--lang-threshold", type=cli.positive_number, metavar="P", help="confidence for --lang, 0 to 1"
    )
    group.add_argument(
        "--num-workers",
        type=cli.whole_number(0),
        default=16,
        metavar="N",
        help="processes that probe or clean, at most one per core (16)",
    )
    group.add_argument("--disable-parallel", action="store_true", help="one process that probes or cleans")
    group.add_argument(
        "--timeout",
        type=cli.positive_number,
        default=60.0,
        metavar="S",
        help="seconds to probe one file (60)",
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def _settings(args: argparse.Namespace) -> Settings:
    from tools.stage.engine import RunOptions

    options = RunOptions(
        num_workers=min(1, args.num_workers) if args.disable_parallel else args.num_workers,
        timeout=args.timeout,
        progress=not args.quiet,
    )
    return Settings(args.seed, args.lang_threshold, args.per_source, options)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run, and tell what was done."""
    args = _parser().parse_args(argv)
    operations = {name: getattr(args, name) for name in OPERATIONS}
    if args.stats:
        return _show_stats(args, operations)
    if args.dry_run:
        return _show_plan(args, operations)
    result = run_datautil(
        args.input,
        operations,
        output=args.output,
        format=args.format,
        shard=args.shard,
        rejected=args.rejected,
        explained=args.explain,
        settings=_settings(args),
        overwrite=args.overwrite,
    )
    if result.explanation:
        print(result.explanation, file=sys.stderr)
    for note in result.notes:
        print(note, file=sys.stderr)
    if result.failures_file:
        print(f"failures: {result.failures_file}", file=sys.stderr)
    if result.rejected:
        print(f"rejected: {result.rejected}", file=sys.stderr)
    print(f"{result.rows_out} of {result.rows_in} rows kept", file=sys.stderr)
    print(*result.outputs, sep="\n")
    if result.failures and len(result.failures) == result.rows_in:
        print(f"error: no file could be read, the first: {result.failures[0]}", file=sys.stderr)
        return 1
    return 0


def _show_stats(args: argparse.Namespace, operations: dict[str, Any]) -> int:
    from tools.report.summary import render_summary

    print(render_summary(table_stats(args.input, operations, settings=_settings(args))))
    return 0


def _show_plan(args: argparse.Namespace, operations: dict[str, Any]) -> int:
    from tools.datasets.edit import check_rows, count_rows_of
    from tools.datasets.pipeline import explain, run_operations

    plan = plan_datautil(
        args.input,
        operations,
        output=args.output,
        format=args.format,
        shard=args.shard,
        settings=_settings(args),
        overwrite=args.overwrite,
    )
    check_rows(plan)
    rows = count_rows_of(plan)
    print("read:", *plan.paths)
    for number, label in enumerate(plan.describe(), 1):
        print(f"{number:>4}. {label}")
    if args.explain:
        print(
            explain(
                plan.frame, plan.values, plan.context, run_operations(plan.frame, plan.values, plan.context)
            )
        )
    print(f"nothing was written; it would be, from {rows} rows:", file=sys.stderr)
    print(*plan.places, sep="\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
