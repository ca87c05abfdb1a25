"""Command: what failed in a run, what those files have in common, and what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cli
from tools.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tools.failures.reading import Failed


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.failures",
        "Say what failed in a run: by kind, and within a kind by folder, codec and message, with examples\n"
        "and what to do. Reads the failures files beside the tables.",
        """
        python -m tools.failures meta_technical.csv
        python -m tools.failures meta/                                     # all tables of a folder
        python -m tools.failures meta_technical.csv --retry timeout,memory
        python -m tools.failures meta_technical.csv --kind crash --bundle report.zip
        """,
    )
    parser.add_argument("tables", nargs="+", metavar="META", help="tables, folders, or failures files")
    parser.add_argument("--kind", metavar="KIND,...", help="these kinds alone (all)")
    parser.add_argument(
        "--examples", type=cli.whole_number(0), default=3, metavar="N", help="files named of a kind (3)"
    )
    parser.add_argument(
        "--retry",
        metavar="KIND,...",
        help="run the command of each table again for rows that failed so; all for every kind",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the command of --retry, and do not run it"
    )
    parser.add_argument(
        "--bundle",
        metavar="FILE.zip",
        help="pack a small reproduction to be given to others: some files, their rows, command, versions",
    )
    parser.add_argument(
        "--head", type=cli.whole_number(1), default=4, metavar="MB", help="of each file in it at most (4)"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the file of --bundle; with --retry also a table whose files have changed since",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse the command line; show, retry or pack."""
    args = _parser().parse_args(argv)
    from tools.errors import failure_kinds
    from tools.failures.reading import read_failed

    if args.retry and args.bundle:
        raise UserError("--retry and --bundle do not go together")
    if args.dry_run and not args.retry:
        raise UserError("--dry-run goes with --retry")
    kinds = failure_kinds(args.retry or args.kind or "all")
    failed = [_only(one, kinds) for one in read_failed(args.tables)]
    if args.retry:
        return _retry(failed, kinds, dry=args.dry_run, overwrite=args.overwrite)
    if args.bundle:
        return _bundle(failed, Path(args.bundle), args.head * 1_000_000, overwrite=args.overwrite)
    _show(failed, args.examples)
    return 0


def _only(failed: Failed, kinds: Collection[str]) -> Failed:
    """The failures of some kinds; those of other toolkits, or later versions, go with all kinds."""
    from dataclasses import replace

    import polars as pl

    from tools.errors import FAILURE_KINDS

    if set(kinds) == set(FAILURE_KINDS):
        return failed
    return replace(failed, failures=failed.failures.filter(pl.col("kind").is_in(list(kinds))))


def _show(failed: Sequence[Failed], examples: int) -> None:
    from tools.failures.groups import group_failures
    from tools.failures.text import failure_text
    from tools.report.text_style import style_of

    style = style_of(sys.stdout)
    texts = [failure_text(one, group_failures(one, examples=examples), style) for one in failed]
    print("\n\n".join(texts))


def _retry(failed: Sequence[Failed], kinds: Collection[str], *, dry: bool, overwrite: bool) -> int:
    from tools.failures.retry import retried

    found = [(one, one.table) for one in failed if one.failures.height]
    if not found:
        print("nothing failed so")
        return 0
    without = next((one.name for one, table in found if table is None), None)
    if without is not None:
        raise UserError(f"{without}: --retry needs the table, not its failures file")
    commands = [retried(table, kinds, overwrite=overwrite) for _, table in found if table is not None]
    for command in commands:
        print(f"{command.typed}    # in {command.folder}", flush=True)
        if not dry and (code := command.run()):
            return code
    return 0


def _bundle(failed: Sequence[Failed], target: Path, head: int, *, overwrite: bool) -> int:
    from tools.base.terminal import one_line
    from tools.failures.bundle import write_bundle

    for one in write_bundle(failed, target, head=head, overwrite=overwrite):
        print(f"{one.name or '-'}  {one_line(one.path)}: {one.said}")
    print(f"{target}: {target.stat().st_size:,} bytes; look through it before you give it away")
    return 0


if __name__ == "__main__":
    cli.run(main)
