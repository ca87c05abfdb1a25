"""The part of the command line that all stages share, and what happens around a run."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tools import cli
from tools.errors import UserError, failure_kinds
from tools.stage.readiness import postponed

if TYPE_CHECKING:
    from tools.stage.engine import RunOptions
    from tools.stage.runner import RunResult
    from tools.stage.stage import Stage


def add_stage_arguments(
    parser: argparse.ArgumentParser,
    *,
    batch_size: int | None = None,
    num_workers: int = 16,
    timeout: float = 600,
    memory_gb: float = 4,
    engine: bool = False,
) -> None:
    """Add what every per-row command understands.

    Args:
        parser: The command's parser; its positional argument ``meta`` is its own.
        batch_size: Default of ``--bs``; None for stages that score nothing in batches.
        num_workers: Default of ``--num-workers``.
        timeout: Default of ``--timeout``, seconds for one file.
        memory_gb: Default of ``--max-memory``, GiB for one worker.
        engine: Add ``--engine`` and what belongs to it: for stages that turn a row into values, and no more.
    """
    group = parser.add_argument_group("running")
    group.add_argument("--output", metavar="FILE", help="table to write (META with a suffix)")
    if batch_size is not None:
        group.add_argument(
            "--bs",
            "--batch-size",
            type=cli.whole_number(1),
            default=batch_size,
            metavar="N",
            help=f"rows scored at once ({batch_size})",
        )
    group.add_argument(
        "--num-workers",
        type=cli.whole_number(0),
        default=num_workers,
        metavar="N",
        help=f"worker processes, at most one per core; 0: none, without guards ({num_workers})",
    )
    group.add_argument("--disable-parallel", action="store_true", help="one worker process")
    group.add_argument(
        "--timeout",
        type=cli.positive_number,
        default=timeout,
        metavar="S",
        help=f"seconds one file may take ({timeout:g})",
    )
    group.add_argument(
        "--max-memory",
        type=cli.positive_number,
        default=memory_gb,
        metavar="GB",
        help=f"GiB one worker may take ({memory_gb:g})",
    )
    group.add_argument(
        "--on-error",
        choices=("keep", "drop"),
        default="keep",
        help="rows that failed: keep with empty cells, or drop (keep)",
    )
    group.add_argument("--strict", action="store_true", help="exit with 1 when a row failed")
    group.add_argument("--overwrite", action="store_true", help="replace an output made otherwise")
    group.add_argument(
        "--retry-failed",
        action=cli.OptionalValue,
        is_value=_may_be_kinds,
        const="all",
        type=_kinds,
        default=frozenset(),
        metavar="KIND,...",
        help="do rows again that failed before, as a whole or in part; only these kinds of failures (all)",
    )
    group.add_argument(
        "--limit",
        type=cli.whole_number(1),
        metavar="N",
        help="do only the first N rows that are to be done; the same command without it does the rest",
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be done, to how many rows, and about how long it would take; write nothing",
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar")
    if engine:
        _add_engine_arguments(parser)


def _add_engine_arguments(parser: cli.ArgumentParser) -> None:
    parser.may_be_remote = lambda args: ("meta", "output") if args.run_on else ()
    group = parser.add_argument_group("running on Daft, see docs/daft.md and docs/ray.md")
    group.add_argument(
        "--engine",
        dest="run_on",  # cut has an --engine of its own
        choices=("daft",),
        help="run on Daft: META and --output may be in object storage (s3://...), and --output is a folder "
        "of Parquet parts",
    )
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="with --engine daft: run on this Ray cluster (host:6379; auto; local starts one here)",
    )
    group.add_argument(
        "--gpus", type=_share, metavar="N", help="GPUs of each worker, or a fraction of one (0)"
    )
    group.add_argument(
        "--concurrency", type=cli.whole_number(1), metavar="N", help="workers (as many as there is room for)"
    )
    group.add_argument(
        "--cpus", type=cli.positive_number, metavar="N", help="CPUs of each worker (its part of its node)"
    )
    group.add_argument(
        "--part-rows", type=cli.whole_number(1), metavar="N", help="rows of a part (at most 1000)"
    )


def _may_be_kinds(text: str) -> bool:
    """Whether it may be kinds of failures, rightly written or not; the name of a table has a dot."""
    return re.fullmatch(r"[A-Za-z_]+(,[A-Za-z_]*)*", text) is not None


def _kinds(text: str) -> frozenset[str]:
    try:
        return failure_kinds(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _share(text: str) -> float:
    return 0.0 if text == "0" else cli.positive_number(text)


def run_options(args: argparse.Namespace) -> RunOptions:
    """What the shared arguments say, as `RunOptions`."""
    from tools.stage.engine import RunOptions

    return RunOptions(
        batch_size=getattr(args, "bs", None) or 64,
        num_workers=min(1, args.num_workers) if args.disable_parallel else args.num_workers,
        timeout=args.timeout,
        memory_gb=args.max_memory,
        on_error=args.on_error,
        strict=args.strict,
        overwrite=args.overwrite,
        retry_failed=args.retry_failed,
        limit=args.limit,
        progress=not args.quiet,
    )


def run_command(
    stage: Stage | Callable[[], Stage],
    args: argparse.Namespace,
    *,
    finished: Callable[[RunResult], None] | None = None,
) -> int:
    """Run a stage as its command line says, and tell the user what was done; or what would be.

    Args:
        stage: What to do, or what makes it: then the options and the columns of the table are checked before
            weights are looked for, and before anything heavy is done.
        args: Parsed arguments: ``meta`` and those of `add_stage_arguments`.
        finished: Called with what was done, before it is told.

    Returns:
        The exit code: 1 when every row failed, or one did under ``--strict``. Of several ranks the one that
        finishes last judges for all; `torchrun` kills the other ranks when one ends with an error.
    """
    options = run_options(args)
    if callable(stage):
        with postponed():
            stage = stage()
    if getattr(args, "run_on", None):
        for name in ("limit", "dry_run"):
            if getattr(args, name):
                raise UserError(f"--{name.replace('_', '-')}: not with --engine daft")
        result = _run_on_daft(stage, args, options)
    else:
        _refuse_daft_options(args)
        if args.dry_run:
            from tools.stage.trial import dry_run

            dry_run(stage, args.meta, output=args.output, options=options)
            return 0
        from tools.stage.runner import run_stage

        result = run_stage(stage, args.meta, output=args.output, options=options)
    if finished is not None:
        finished(result)
    from tools.stage.summary import summary

    print(summary(result), file=sys.stderr)
    print(result.output)
    totals = result.totals
    if totals is None:
        return 0
    if totals.rows == totals.failed:
        first = f", the first: {result.failures[0]}" if result.failures else ""
        print(f"error: {args.meta}: every row failed{first}", file=sys.stderr)
        return 1
    return 1 if options.strict and totals.failures else 0


_DAFT_OPTIONS = ("ray", "gpus", "concurrency", "cpus", "part_rows")


def _run_on_daft(stage: Stage, args: argparse.Namespace, options: RunOptions) -> RunResult:
    from tools.stage.daft.engine import DaftOptions, run_on_daft

    given = {name: value for name in _DAFT_OPTIONS if (value := getattr(args, name)) is not None}
    return run_on_daft(stage, args.meta, output=args.output, options=options, where=DaftOptions(**given))


def _refuse_daft_options(args: argparse.Namespace) -> None:
    """Say so when a flag would have no effect."""
    for name in _DAFT_OPTIONS if "run_on" in args else ():  # others have flags of the same names
        if getattr(args, name) is not None:
            raise UserError(f"--{name.replace('_', '-')}: only with --engine daft")
