"""Command: decode every file of a table, and split the intact from the broken ones."""

from __future__ import annotations

import sys
from pathlib import Path

from tools import cli
from tools.base.terminal import one_line
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.datasets.check_integrity",
    "tools.datasets.integrity_stage.IntegrityStage",
    title="decoding",
    description="Decode every image and video of a table to its end, audio included, and report damage.\n"
    "Reads column path, adds intact, broken_at (seconds from the first frame), broken_frames,\n"
    "decoded_frames and broken_reason; writes META_integrity.csv with all rows, META_intact.csv and\n"
    "META_broken.csv. With --strict the exit code is 1 if a file is not intact.",
    examples="""
    python -m tools.datasets.check_integrity meta.csv
    python -m tools.datasets.check_integrity meta.csv --num_workers 8 --timeout 600
    """,
    timeout=7200,
    engines=False,
)


def split_by_integrity(table: str | Path) -> dict[str, tuple[Path, int]]:
    """Write the rows of a checked table into two: ``<stem>_intact`` and ``<stem>_broken``.

    The stem is that of the table without ``_integrity``. Rows that could not be judged are with the broken.

    Args:
        table: A table with a column intact.

    Returns:
        For ``intact`` and ``broken`` the path written and its number of rows.
    """
    import polars as pl

    from tools.table import read_table, table_stem, write_table
    from tools.table.recording import Recording

    table = Path(table)
    recording = Recording([table])
    frame = read_table(table)
    intact = (pl.col("intact").cast(pl.String) == "true").fill_null(False)
    stem = table_stem(table).removesuffix("_integrity")
    written = {}
    for name, rows in (("intact", frame.filter(intact)), ("broken", frame.filter(~intact))):
        path = table.with_name(f"{stem}_{name}{table.suffix}")
        written[name] = (write_table(rows, path, inputs=[table]), rows.height)
        recording.write(path, rows.columns)
    return written


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, check, and split the table."""
    from tools.stage.options import run_command
    from tools.stage.shards import current_shard
    from tools.table import output_path

    args = COMMAND.parser().parse_args(argv)
    code = run_command(lambda: COMMAND.make_stage(args), args)
    if args.dry_run:
        return code
    if not current_shard().alone:
        print(f"run it without torchrun for {args.meta}'s _intact and _broken tables", file=sys.stderr)
        return code
    written = split_by_integrity(output_path(args.meta, COMMAND.stage_class.suffix, output=args.output))
    for name, (path, rows) in written.items():
        print(f"{rows} {name}: {path}", file=sys.stderr)
    if code == 0 and not written["intact"][1] and (said := _all_missing(written["broken"][0])):
        print(f"error: {args.meta}: no file is there, the first: {one_line(said)}", file=sys.stderr)
        return 1
    return 1 if args.strict and written["broken"][1] else code


def _all_missing(broken: Path) -> str | None:
    """The first path and what is said of it, if there is no file at any of them; else None."""
    import polars as pl

    from tools.table import read_table

    frame = read_table(broken)
    reasons = frame["broken_reason"].cast(pl.String).fill_null("")
    if not frame.height or not reasons.str.contains("^(missing|not_a_file): ").all():
        return None
    return f"{frame['path'][0]}: {reasons[0]}"


if __name__ == "__main__":
    cli.run(main)
