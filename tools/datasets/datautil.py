"""Command: edit tables. Operations are in `tools.datasets.operations`, the work in `tools.datasets.edit`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

from tools import cli
from tools.base.terminal import counted, harmless, one_line
from tools.datasets.edit import (
    DatautilResult,
    Settings,
    filter_table,
    plan_datautil,
    run_datautil,
    table_stats,
)
from tools.datasets.operations import OPERATIONS, Operation, Phase
from tools.datasets.operations.filters import THRESHOLDS, VALUES, threshold_examples
from tools.errors import UserError
from tools.options import options_of
from tools.stage.run_options import RunOptions
from tools.typed_names import failures_command

__all__ = ["DatautilResult", "Settings", "filter_table", "main", "run_datautil", "table_stats"]

_PROBING = ("max_pixels", "cache", "cache_size", "fetch_ahead")  # options of `RunOptions`, for --info

FORMATS = ("csv", "tsv", "parquet", "jsonl", "json")

REFUSED: dict[str, str] = {
    # In the README of 1.0 to 1.3 only.
    "--sort-descending": "use --sort COLUMN, largest first",
    "--unescape": "use --clean-caption, which also resolves HTML entities",
    "--remove-caption-prefix": "use --refine-llm-caption",
    "--relength": "use --info, which counts the frames",
    "--remove-corrupted": "use --ext, or --info --fmin 1 for files that cannot be read",
    # In the command of 1.3 only.
    "--path-filter-substr": """use --where "not path.contains('TEXT')\"""",
    "--text-filter-substr": """use --where "not text.contains('TEXT')\"""",
    "--filter-too-verbose": 'use --where "text_len <= 200", after --count-num-token',
    "--filter-human": """use --where "text.contains('woman') or text.contains(' man ')\"""",
    "--text-image2video": "use `python -m tools.caption.caption_api --existing-text`, which rewords captions",
    "--text-refine-sentences": "use `python -m tools.caption.caption_checks`, then --caption-ok",
    "--text-score2text": "use --score-to-text, which writes numbers where 1.3 wrote words",
    "--text-undo-score2text": "use --update-text TABLE with a table of the captions as they were",
    "--filter-dyn-fps": 'use --where "num_frames >= 32 * -(-fps // 16)"',
    "--dyn-fps-max-fps": 'use --where "num_frames >= 32 * -(-fps // 16)"',
    "--dyn-fps-keep-frames": 'use --where "num_frames >= 32 * -(-fps // 16)"',
    "--prefmin": 'use --where "pred_score >= X"',
    "--facemin": 'use --where "face_area_ratio >= X"',
    "--h-le-w": "use --aspectmax 1 (aspect_ratio is height / width)",
    "--pre-train-column": "use --select path text num_frames fps height width aspect_ratio resolution "
    "text_len aes flow",
}
"""Flags of Open-Sora's datautil that have no equal here, and what to type instead.

Those that have one are its `Operation.aliases`.
"""


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.datasets.datautil",
        "Read tables, change them, and write the result under a name that says what was done:\n"
        "meta.csv --info --fmin 1 -> meta_info_fmin1.csv. Several inputs are merged.",
        """
        python -m tools.datasets.datautil meta.csv --info --fmin 1
        python -m tools.datasets.datautil meta_aes_part*.csv --output meta_aes.csv
        python -m tools.datasets.datautil meta_aes.csv --aesmin 5 --fmin 48 --shuffle --head 1000
        python -m tools.datasets.datautil meta.csv --where "aes >= 5 and not text.isna()" --explain --dry-run
        python -m tools.datasets.datautil meta_aes_flow.csv --keep-hours 500 --by "aes:2 flow:1"
        """,
        refused=REFUSED,
    )
    parser.formatter_class = _Formatter
    tables = parser.add_argument(
        "input", nargs="+", help="tables (.csv, .tsv, .parquet, .jsonl, .json, also .gz, .zst) or patterns"
    )
    cli.abridged(tables, "tables, or patterns of their names")
    cli.advanced(
        parser.add_argument("--list-recipes", action=_ListRecipes, help="show the recipes, and exit")
    )
    group = parser.add_argument_group("operations, carried out in this order whatever the order of the flags")
    for operation in OPERATIONS.values():
        if operation.phase != Phase.BOUNDS:
            _add_flag(group, operation)
        elif operation is THRESHOLDS[0]:
            _add_patterns(group)
    for title, filters in (("thresholds, bounds included", THRESHOLDS), ("values, joined by commas", VALUES)):
        group = parser.add_argument_group(title)
        for operation in filters:
            cli.advanced(_add_flag(group, operation))
    _add_output_flags(parser.add_argument_group("output"))
    _add_running_flags(parser.add_argument_group("running"))
    return parser


class _ListRecipes(argparse.Action):
    """A flag that shows the recipes of the toolkit and ends the command, as ``--version`` does."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from tools.table.recipes import known_recipes

        for recipe in known_recipes():
            print(f"{recipe}: {recipe.title} ({recipe.source})")
            for step in recipe.steps:
                print(f"    {step.name}: {step.where or f'left out: {step.left_out}'}")
        parser.exit()


class _Once(argparse.Action):
    """The value of an operation; a second one, which argparse would take in its place, is refused."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            how = '; join conditions with and: "A and B"' if self.dest == "where" else ""
            parser.error(f"argument {option_string}: is given twice{how}")
        setattr(namespace, self.dest, values)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wide enough for the longest flag, so that an operation takes one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def _add_patterns(group: argparse._ArgumentGroup) -> None:
    cli.pattern(
        group,
        ("--COLUMNmin", "--COLUMNmax"),
        "X",
        f"keep rows with at least / at most X: {', '.join(threshold_examples())}, ...",
    )
    flags = ", ".join(one.flag.removeprefix("--") for one in VALUES)
    cli.pattern(group, ("--COLUMN",), "VALUE", f"keep rows with this value, or any of a,b: {flags}")


def _add_flag(group: argparse._ArgumentGroup, operation: Operation) -> argparse.Action:
    read = operation.parse

    def parse(text: str) -> Any:
        assert read is not None
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    how: dict[str, Any] = {"action": "store_true"}
    if read is not None:
        nargs = "+" if operation.many else None
        how = {"action": _Once, "type": parse, "metavar": operation.metavar, "nargs": nargs}
    text = f"{operation.help} ({operation.details})" if operation.details else operation.help
    action = group.add_argument(*operation.flags, dest=operation.name, help=text, **how)
    cli.abridged(action, operation.help, without=operation.flags[1:])
    return action if operation.everyday else cli.advanced(action)


def _add_amount_flags(group: argparse._ArgumentGroup) -> None:
    by = group.add_argument(
        "--by",
        action=cli.OptionalValue,
        is_value=lambda text: not text.startswith("--"),  # it may begin with the minus of a score
        const="",
        metavar="SCORES",
        help='scores by which --keep-... and --balance choose, with weights: "aes:2 motion:1"; '
        '"-ocr_area" where small numbers are good',
    )
    by.nargs = None  # it has to have a value
    cli.abridged(by, 'scores to keep rows by: "aes:2 -ocr_area:1"')
    hours = group.add_argument("--hours", metavar="H", help="hours that --balance draws")
    rows = group.add_argument("--rows", metavar="N", help="rows that --balance draws")
    cli.advanced(hours)
    cli.advanced(rows)


def _add_output_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--output", metavar="FILE", help="table to write")
    cli.advanced(group.add_argument("--format", choices=FORMATS, help="format, unless --output has one"))
    shard = "write N tables of equal size: _0, _1, ..."
    shards = group.add_argument("--shard", "--chunk", type=cli.whole_number(1), metavar="N", help=shard)
    cli.abridged(shards, shard, without=("--chunk",))
    group.add_argument("--overwrite", action="store_true", help="also replace a table that has more columns")
    group.add_argument("--rejected", metavar="FILE", help="write the removed rows, with the reason")
    group.add_argument("--explain", action="store_true", help="show how many rows each filter removes")
    stats = group.add_argument(
        "--stats",
        action="store_true",
        help="show counts, hours and quantiles of the result, and write nothing",
    )
    cli.abridged(stats, "show a summary of the result, write nothing")
    stale = group.add_argument(
        "--stale",
        action="store_true",
        help="list the columns that were made by other weights or versions than those of today, with the "
        "commands that make them again, and write nothing; exits with 1 if there are any",
    )
    cli.advanced(stale)
    trial = group.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would be done in which order, and write nothing; with --explain, also the counts",
    )
    cli.abridged(trial, "show what would be done, write nothing")


def _add_running_flags(group: argparse._ArgumentGroup) -> None:
    _add_amount_flags(group)
    group.add_argument(
        "--seed", type=cli.whole_number(0), default=42, metavar="N", help="seed of what is random (42)"
    )
    workers = group.add_argument(
        "--num-workers",
        type=cli.whole_number(0),
        default=16,
        metavar="N",
        help="processes that probe or clean, at most one per core (16)",
    )
    cli.abridged(workers, "processes, at most one per core (16)")
    for action in (
        group.add_argument(
            "--per-source",
            type=cli.whole_number(1),
            metavar="K",
            help="rows of one source video, for --sample and --balance",
        ),
        group.add_argument(
            "--lang-threshold", type=cli.positive_number, metavar="P", help="confidence for --lang, 0 to 1"
        ),
        group.add_argument(
            "--disable-parallel", action="store_true", help="one process that probes or cleans"
        ),
        group.add_argument(
            "--timeout",
            type=cli.positive_number,
            default=60.0,
            metavar="S",
            help="seconds to probe one file (60)",
        ),
        group.add_argument("--quiet", action="store_true", help="no progress bar"),
    ):
        cli.advanced(action)
    for name, made, default in options_of(RunOptions):
        if name in _PROBING:
            dataclasses.replace(made, everyday=False).add(group, name, default)


def settings_of(args: argparse.Namespace) -> Settings:
    """How operations are carried out, from a parsed command line."""
    options = RunOptions(
        num_workers=min(1, args.num_workers) if args.disable_parallel else args.num_workers,
        timeout=args.timeout,
        progress=not args.quiet,
        **{name: getattr(args, name) for name in _PROBING},
    )
    return Settings(args.seed, args.lang_threshold, args.per_source, options, args.by, args.hours, args.rows)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run, and report."""
    args = _parser().parse_args(argv)
    operations = {name: getattr(args, name) for name in OPERATIONS}
    if args.stale:
        return _show_stale(args, operations)
    if args.stats:
        return _show_stats(args, operations)
    if args.dry_run:
        return _show_plan(args, operations)
    settings = settings_of(args)
    if operations["info"] or operations["video_info"]:
        from tools.datasets import probe_stage  # noqa: F401  (workers have it then)
        from tools.stage.options import start_workers

        start_workers(args.input[0], args.num_workers, "tools.media.reading.probe")
    result = run_datautil(
        args.input,
        operations,
        output=args.output,
        format=args.format,
        shard=args.shard,
        rejected=args.rejected,
        explained=args.explain,
        settings=settings,
        overwrite=args.overwrite,
    )
    if result.explanation:
        print(result.explanation, file=sys.stderr)
    for note in result.notes:
        print(harmless(note), file=sys.stderr)
    if result.failures_file:
        print(f"failures: {result.failures_file}", file=sys.stderr)
    if result.rejected:
        print(f"rejected: {result.rejected}", file=sys.stderr)
    print(f"{result.rows_out} of {result.rows_in} rows kept", file=sys.stderr)
    print(*result.outputs, sep="\n")
    if result.failures and len(result.failures) == result.rows_in:
        to_do = f"; what to do: {failures_command(result.failures_file)}" if result.failures_file else ""
        first = one_line(str(result.failures[0]))
        print(f"error: no file could be read, the first: {first}{to_do}", file=sys.stderr)
        return 1
    return 0


def _show_stats(args: argparse.Namespace, operations: dict[str, Any]) -> int:
    from tools.report.summary import render_summary

    print(render_summary(table_stats(args.input, operations, settings=settings_of(args))))
    return 0


def _show_stale(args: argparse.Namespace, operations: dict[str, Any]) -> int:
    from tools.datasets.stale import find_stale, stale_text
    from tools.table import expand_inputs

    if given := [OPERATIONS[name].flag for name, value in operations.items() if value not in (None, False)]:
        raise UserError(f"--stale looks at tables as they are; give it without {given[0]}")
    found = [find_stale(path) for path in expand_inputs(args.input)]
    print(stale_text(found))
    return int(any(one.stale or one.unknown for one in found))


def _show_plan(args: argparse.Namespace, operations: dict[str, Any]) -> int:
    from tools.datasets.edit import check_rows, count_rows_of
    from tools.datasets.replay import repeat_notes
    from tools.datasets.run_operations import explain, run_operations

    plan = plan_datautil(
        args.input,
        operations,
        output=args.output,
        format=args.format,
        shard=args.shard,
        settings=settings_of(args),
        overwrite=args.overwrite,
    )
    check_rows(plan)
    rows = count_rows_of(plan)
    print("read:", *plan.paths)
    for number, step in enumerate(plan.describe(), 1):
        print(f"{number:>4}. {one_line(step.label)}")
        if step.details:
            print(f"      {one_line(step.details)}")
    if args.explain:
        steps = run_operations(plan.frame, plan.values, plan.context)
        print(explain(plan.frame, plan.values, plan.context, steps))
    for line in [*plan.context.notes, *repeat_notes(plan)] if args.explain else plan.remarks():
        print(harmless(line), file=sys.stderr)
    print(f"nothing was written; it would be, from {counted(rows, 'row')}:", file=sys.stderr)
    print(*plan.outputs, sep="\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
