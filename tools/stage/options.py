"""The part of the command line that all stages share, and the run of a command."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from tools import cli
from tools.commands import ENGINES
from tools.errors import UserError
from tools.media.reading.requests import NOTHING
from tools.options import options_of
from tools.stage.run_options import RunOptions
from tools.stage.stage import weights_later
from tools.typed_names import failures_command

if TYPE_CHECKING:
    from tools.stage.runner import RunResult
    from tools.stage.stage import Stage


STATUS = "status"
"""Value of ``args.dry_run`` for ``--status``."""


def add_stage_arguments(
    parser: cli.ArgumentParser,
    *,
    batch_size: int | None = None,
    num_workers: int = 16,
    timeout: float = 600,
    memory_gb: float = 4,
    engine: bool = False,
) -> None:
    """Add the flags of every per-row command: the options of `RunOptions`, and some of the command alone.

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
    defaults = {"num_workers": num_workers, "timeout": timeout, "memory_gb": memory_gb}
    for name, made, default in options_of(RunOptions):
        if name != "batch_size":
            made.add(group, name, defaults.get(name, default))
        elif batch_size is not None:
            made.add(group, name, batch_size)
    cli.advanced(group.add_argument("--disable-parallel", action="store_true", help="one worker process"))
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be done, to how many rows, and about how long it would take; write nothing",
    )
    # The same destination: a command that does nothing for --dry-run does nothing for --status either.
    group.add_argument(
        "--status",
        action="store_const",
        const=STATUS,
        dest="dry_run",
        help="say how far the run of the same command is, which may be at work elsewhere; exit code: 0 "
        "finished, 3 running, 4 ended before its end, 5 never begun",
    )
    cli.advanced(
        group.add_argument(
            "--json", action="store_true", help="with --dry-run or --status: one line of JSON, for scripts"
        )
    )
    if engine:
        for module in ENGINES.values():
            importlib.import_module(module).add_engine_arguments(parser)


def run_options(args: argparse.Namespace) -> RunOptions:
    """The shared arguments as `RunOptions`."""
    given = {name: getattr(args, name) for name, _, _ in options_of(RunOptions) if name in args}
    if args.disable_parallel:
        given["num_workers"] = min(1, args.num_workers)
    return RunOptions(**given)


def start_workers(meta: str, num_workers: int, imports: str = "") -> None:
    """Start workers of a command before it opens its table; see `tools.media.workers.ahead`.

    Args:
        meta: The table. Its size says about how many workers there are rows for.
        num_workers: Most workers.
        imports: A module that they import meanwhile.
    """
    if not cli.is_program() or num_workers < 1:
        return
    from tools.media.workers import ahead, pool
    from tools.stage import prepare  # noqa: F401  (they have it then)

    with suppress(OSError, ValueError):
        rows = 1 + os.stat(meta).st_size // _BYTES_OF_A_ROW  # noqa: PTH116  (pathlib takes longer)
        ahead.start_ahead(min(num_workers, pool.usable_cores(), rows), imports)


_BYTES_OF_A_ROW = 1024  # a generous guess: a worker too few is started later, one too many is in vain


def run_command(
    stage: Stage | Callable[[], Stage],
    args: argparse.Namespace,
    *,
    finished: Callable[[RunResult], None] | None = None,
) -> int:
    """Run a stage over a table, as its command line says, and print a summary; or estimate a run.

    Args:
        stage: The stage, or a function that creates it: then the options and the columns of the table are
            checked before weights are searched, and before anything heavy is done.
        args: Parsed arguments: ``meta`` and those of `add_stage_arguments`.
        finished: Called with the result, before the summary is printed.

    Returns:
        The exit code: 1 when every row failed, or one did under ``--strict``. Of several ranks the one that
        finishes last judges for all; `torchrun` kills the other ranks when one ends with an error. For
        ``--status`` that of `tools.stage.progress.status.show_status`.
    """
    options = run_options(args)
    if args.json and not args.dry_run:
        raise UserError("--json goes with --dry-run or --status")
    if callable(stage):
        with weights_later():
            stage = stage()
    engine = getattr(args, "run_on", None)
    for module in ENGINES.values() if "run_on" in args else ():
        importlib.import_module(module).check_engine_arguments(args)
    if args.dry_run == STATUS:
        from tools.stage.progress.status import show_status
        from tools.table import output_path

        return show_status(output_path(args.meta, stage.suffix, output=args.output), as_json=args.json)
    if engine is not None:
        result = importlib.import_module(ENGINES[engine]).run_on_engine(stage, args, options)
    else:
        reads = stage.request != NOTHING
        start_workers(args.meta, options.num_workers, "tools.media.reading.container" if reads else "")
        if args.dry_run:
            from tools.stage.estimate.trial import dry_run

            dry_run(stage, args.meta, output=args.output, options=options, as_json=args.json)
            return 0
        from tools.stage.runner import run_stage

        result = run_stage(stage, args.meta, output=args.output, options=options)
    if finished is not None:
        finished(result)
    from tools.base.terminal import one_line
    from tools.stage.summary import summary

    print(summary(result), file=sys.stderr)
    print(result.output)
    totals = result.totals
    if totals is None:
        return 0
    if totals.rows == totals.failed:
        first = f", the first: {one_line(str(result.failures[0]))}" if result.failures else ""
        to_do = f"; what to do: {failures_command(result.output)}" if result.failures else ""
        print(f"error: {args.meta}: every row failed{first}{to_do}", file=sys.stderr)
        return 1
    return 1 if options.strict and totals.failures else 0
