"""Command: run the chain of commands that a file describes."""

from __future__ import annotations

import argparse

from tools import cli
from tools.errors import UserError


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.pipeline",
        "Run the steps of a file in TOML, one after the other. What is up to date is skipped; what has\n"
        "changed is done again with all that is made of it, and rows that are finished are kept. Killed at\n"
        "any moment, the same command goes on where it was. Ends with a line for each step, and prints the\n"
        "table that the last step wrote.",
        """
        python -m tools.pipeline scripts/workflow.toml --set videos=/data/videos --set out=/data/out
        python -m tools.pipeline scripts/workflow.toml --set videos=/data/videos --dry-run
        python -m tools.pipeline workflow.toml --set shots.detector=adaptive --to cut
        python -m tools.pipeline workflow.toml --watch
        python -m tools.pipeline workflow.toml --status
        """,
    )
    parser.add_argument("file", metavar="FILE", help="the steps, in TOML: see docs/pipeline.md")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of a variable, or of an option: STEP.OPTION=VALUE; may be given several times",
    )
    parser.add_argument("--to", metavar="STEP", help="end with this step")
    parser.add_argument(
        "--from",
        dest="first",
        metavar="STEP",
        help="begin with this step; what those before it made is used as it is",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show the steps, what is to do and why, and about what it takes; write nothing",
    )
    parser.add_argument(
        "--status",
        action="store_true",
        help="say how far the run of the same command is, which may be at work elsewhere; exit code: 0 "
        "finished, 3 running, 4 ended before its end, 5 never begun",
    )
    cli.advanced(parser.add_argument("--json", action="store_true", help="with --status: one line of JSON"))
    parser.add_argument(
        "--watch", action="store_true", help="then wait for new files, which go through alone"
    )
    cli.advanced(
        parser.add_argument(
            "--every",
            type=cli.positive_number,
            default=10.0,
            metavar="S",
            help="seconds between two looks of --watch (10)",
        )
    )
    cli.advanced(
        parser.add_argument(
            "--overwrite", action="store_true", help="also replace files that this pipeline has not written"
        )
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the chain; the exit code."""
    args = _parser().parse_args(argv)

    from tools.pipeline.chain import open_chain
    from tools.pipeline.document import read_document

    chain = open_chain(read_document(args.file, args.set), first=args.first, last=args.to)
    chain.overwrite = args.overwrite
    if args.json and not args.status:
        raise UserError("--json goes with --status")
    if args.status:
        from tools.pipeline.status import show_chain_status

        return show_chain_status(chain, as_json=args.json)
    if args.dry_run:
        return _show(args, chain.describe())
    with chain.state.locked() as lock:
        if args.watch:
            from tools.pipeline.watch import watch

            watch(chain, lock, args.every)
        code = chain.run(lock)
    if not code:
        print(*chain.made(), sep="\n")
    return code


def _show(args: argparse.Namespace, lines: list[str]) -> int:
    if args.watch:
        raise UserError("--dry-run: not with --watch")
    print("dry run: nothing is written", *lines, sep="\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
