"""``--engine daft``: the flags of commands that can run on Daft, and the run itself."""

from __future__ import annotations

import argparse
import atexit
import os
from typing import TYPE_CHECKING

from tools import cli
from tools.base.signals import exit_code
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.stage.run_options import RunOptions
    from tools.stage.runner import RunResult
    from tools.stage.stage import Stage

_OPTIONS = ("ray", "gpus", "concurrency", "cpus", "part_rows")


def add_engine_arguments(parser: cli.ArgumentParser) -> None:
    """Add ``--engine daft``, and what belongs to it."""
    parser.may_be_remote = lambda args: ("meta", "output") if args.run_on else ()
    group = parser.add_argument_group("running on Daft, see docs/daft.md and docs/ray.md")
    group.add_argument(
        "--engine",
        dest="run_on",  # cut has an --engine of its own
        choices=("daft",),
        help="run on Daft: META and --output may be in object storage (s3://...), and --output is a folder "
        "of Parquet parts",
    )
    for action in (
        group.add_argument(
            "--ray",
            metavar="ADDRESS",
            help="with --engine daft: run on this Ray cluster (host:6379; auto; local starts one here)",
        ),
        group.add_argument(
            "--gpus", type=_share, metavar="N", help="GPUs of each worker, or a fraction of one (0)"
        ),
        group.add_argument(
            "--concurrency",
            type=cli.whole_number(1),
            metavar="N",
            help="workers (as many as there is room for)",
        ),
        group.add_argument(
            "--cpus", type=cli.positive_number, metavar="N", help="CPUs of each worker (its part of its node)"
        ),
        group.add_argument(
            "--part-rows", type=cli.whole_number(1), metavar="N", help="rows of a part (at most 1000)"
        ),
    ):
        cli.advanced(action)


def check_engine_arguments(args: argparse.Namespace) -> None:
    """Refuse flags that would have no effect.

    Raises:
        UserError: A flag of Daft without ``--engine daft``, or one that does not go with it.
    """
    from tools.stage.options import STATUS

    if args.run_on == "daft":
        for name in ("limit", "dry_run"):
            if given := getattr(args, name):
                flag = "--status" if given == STATUS else _flag(name)
                raise UserError(f"{flag}: not with --engine daft")
        return
    for name in _OPTIONS:
        if getattr(args, name) is not None:
            raise UserError(f"{_flag(name)}: only with --engine daft")


def run_on_engine(stage: Stage, args: argparse.Namespace, options: RunOptions) -> RunResult:
    """Run a stage on Daft as a command line says."""
    from tools.integrations.daft.engine import DaftOptions, run_on_daft

    given = {name: value for name in _OPTIONS if (value := getattr(args, name)) is not None}
    try:
        return run_on_daft(stage, args.meta, output=args.output, options=options, where=DaftOptions(**given))
    except KeyboardInterrupt as stop:
        if args.ray is None and cli.is_program():  # threads of Daft's work on, and abort Python at its end
            atexit.register(os._exit, exit_code(stop))
        raise


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _share(text: str) -> float:
    return 0.0 if text == "0" else cli.positive_number(text)
