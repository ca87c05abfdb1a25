"""Command: find the near-duplicates among the images and videos of a table."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools import cli
from tools.base.terminal import counted
from tools.options import read_options
from tools.stage.command import StageChoice, StageCommand

if TYPE_CHECKING:
    from tools.scoring.dedup.duplicates import DuplicateOptions

_MODULE = "tools.scoring.dedup.inference"


COMMAND = StageCommand(
    _MODULE,
    StageChoice(
        "method",
        "",
        {
            "hash": "tools.scoring.dedup.stage.FingerprintStage",
            "clip": "tools.scoring.dedup.features.FeatureStage",
        },
        {"hash": "copies of the same recording", "clip": "what looks the same to CLIP"},
    ),
    "fingerprints",
    "Find near-duplicates: images and videos that are copies of others, re-encoded, scaled, cropped by\n"
    "up to 15 % on each side, mirrored, with bars, at another frame rate, with a logo or subtitles over\n"
    "moving pictures, or cut out of longer ones. Titles and slides that differ in a word do not count.\n"
    "Reads column path, adds dup_of (path of the kept row that this one duplicates; empty in kept\n"
    "rows) and dup_score (0 to 1), writes META_dedup.csv with all rows. Fingerprints are computed first, in\n"
    "META_fingerprint.parquet; under torchrun each rank computes its part of them, and the same command\n"
    "without torchrun compares them all.",
    f"""
    python -m {_MODULE} meta.csv
    python -m {_MODULE} meta.csv --split --keep frames resolution aes
    python -m {_MODULE} meta.csv --method clip --threshold 0.95 --num_frames 8
    torchrun --nproc_per_node 8 -m {_MODULE} meta.csv && python -m {_MODULE} meta.csv
    """,
    more={"duplicates": "tools.scoring.dedup.duplicates.DuplicateOptions"},
    batch_size=128,
    engines=False,
)


class Counts(NamedTuple):
    """Numbers of rows.

    Attributes:
        tables: In each table that was written.
        compared: With a fingerprint.
        duplicates: That duplicate others.
        groups: That are duplicated.
        not_compared: Without a fingerprint.
    """

    tables: dict[Path, int]
    compared: int
    duplicates: int
    groups: int
    not_compared: int


def write_duplicates(
    fingerprints: Path,
    output: Path,
    options: DuplicateOptions,
    *,
    method: str = "hash",
    device: str = "auto",
) -> Counts:
    """Compare the fingerprints of a table, and write which row duplicates which.

    Args:
        fingerprints: Table with a column fingerprint or clip_feature.
        output: Table to write. With ``split`` it gets the kept rows; the duplicates go to a table beside it,
            with ``_dup`` in place of ``_dedup``, or after the name.
        options: How rows are compared, and which are kept.
        method: See `tools.scoring.dedup.duplicates.mark_duplicates`.
        device: Where cosines are computed: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UserError: The table cannot be read or written, or an option is invalid.
    """
    import polars as pl

    from tools.models.device import resolve_device
    from tools.scoring.dedup.duplicates import METHODS, mark_duplicates
    from tools.table import read_table, table_extension, table_stem, write_table
    from tools.table.recording import Recording

    recording = Recording([fingerprints], options={**dataclasses.asdict(options), "method": method})
    device = resolve_device(device) if method == "clip" else "cpu"
    source = read_table(fingerprints)
    table = mark_duplicates(
        source,
        method=method,
        threshold=options.threshold,
        keep=options.keep,
        search=options.search,
        device=device,
    )
    parts = {output: table}
    if options.split:
        name = f"{table_stem(output).removesuffix('_dedup')}_dup{table_extension(output)}"
        parts = {
            output: table.filter(pl.col("dup_of").is_null()),
            output.with_name(name): table.filter(pl.col("dup_of").is_not_null()),
        }
    made = [name for name in table.columns if name not in source.columns or name == "dup_of"]
    for path, rows in parts.items():
        write_table(rows, path, inputs=[fingerprints])
        recording.write(path, rows.columns, made=made)
    cells = source[METHODS[method][0]].cast(pl.String)
    compared = int((cells.fill_null("") != "").sum())
    kept = table["dup_of"].drop_nulls()
    tables = {path: rows.height for path, rows in parts.items()}
    return Counts(tables, compared, len(kept), kept.n_unique(), table.height - compared)


def summary(counts: Counts) -> str:
    """A line about the duplicates, and one for each table."""
    duplicates = f"{counted(counts.duplicates, 'duplicate')} in {counted(counts.groups, 'group')}"
    found = f"{counted(counts.compared, 'row')} compared: {duplicates}"
    if counts.not_compared:
        found += f"; {counted(counts.not_compared, 'row')} without a fingerprint"
    tables = [f"{counted(rows, 'row')}: {path}" for path, rows in reversed(counts.tables.items())]
    return "\n".join([found, *tables])


def _copy_failures(fingerprints: Path, output: Path) -> None:
    """Write the failures of the fingerprints beside the table of the duplicates, too."""
    from tools.errors import MediaError
    from tools.stage.failures import own_list, write_failures
    from tools.table import failures_path, read_table

    listed = own_list(failures_path(fingerprints))
    rows = [] if listed is None else read_table(listed).rows()
    failures = [MediaError(kind, path or "", message or "") for path, kind, message in rows]
    write_failures(failures, failures_path(output))


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, compute fingerprints, and compare them."""
    args = COMMAND.parser().parse_args(argv)

    from tools.errors import UserError
    from tools.scoring.dedup.duplicates import METHODS, DuplicateOptions, check_options
    from tools.scoring.dedup.selection import check_numbers
    from tools.stage.options import STATUS, run_command
    from tools.stage.shards import current_shard
    from tools.stage.stage import weights_later
    from tools.table import output_path, scan_table, table_stem

    options = DuplicateOptions(**read_options(args, DuplicateOptions))
    given = COMMAND.given(args)
    COMMAND.stage_of(given)  # checks that the flags go together
    method = given.get("method", "hash")
    meta = Path(args.meta)
    output = output_path(meta, "_dedup", output=args.output)
    fingerprints, code = meta, 0
    table = scan_table(meta)
    columns = table.collect_schema().names()
    check_options(columns, method=method, threshold=options.threshold, keep=options.keep)
    check_numbers(table, options.keep)
    if METHODS[method][0] not in columns:
        with weights_later():
            stage = COMMAND.stage_from(given)
        stem = table_stem(output).removesuffix("_dedup")
        fingerprints = output.with_name(f"{stem}{stage.suffix}.parquet")
        code = run_command(stage, argparse.Namespace(**{**vars(args), "output": fingerprints}))
        if args.dry_run:
            return code
        if not current_shard().alone:
            print(f"run it without torchrun to find the duplicates in {meta}", file=sys.stderr)
            return code
        if code and not args.strict:  # no row has a fingerprint
            return code
        _copy_failures(fingerprints, output)
    if args.dry_run == STATUS:
        raise UserError(f"--status: {meta} has fingerprints, and comparing them is no run of rows")
    if args.dry_run:
        print("dry run: nothing is written")
        print(f"reads {meta}, which has fingerprints, and compares them")
        print(f"writes {output}")
        return 0
    device = given.get("device", "auto")
    counts = write_duplicates(fingerprints, output, options, method=method, device=device)
    print(summary(counts), file=sys.stderr)
    print(output)
    return code


if __name__ == "__main__":
    cli.run(main)
