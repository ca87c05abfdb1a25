"""Commands whose stage calls a server: their batches, the journal of answers, and the totals at the end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tools import cli
from tools.stage.command import StageCommand
from tools.stage.options import run_command

if TYPE_CHECKING:
    from tools.caption.api.stage import ServerStage
    from tools.stage.runner import RunResult


@dataclass(frozen=True)
class ServerCommand(StageCommand):
    """A command whose stage is a `tools.caption.api.stage.ServerStage`."""

    batch_size: int | None = 256
    engines: bool = False

    def parser(self) -> cli.ArgumentParser:
        """The command line."""
        made = super().parser()
        made.set_defaults(batch_size=None)  # follows from --concurrency, see `run_server_stage`
        return made

    def make_stage(self, args: argparse.Namespace) -> ServerStage:
        """The stage that a command line asks for.

        Raises:
            UserError: An option is wrong.
        """
        return cast("ServerStage", super().make_stage(args))

    def stage_from(self, given: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> ServerStage:
        """The stage from options by name.

        Raises:
            UserError: An option is wrong.
        """
        return cast("ServerStage", super().stage_from(given, shared))

    def main(self, argv: list[str] | None = None) -> int:
        """Parse the command line and run the stage; the exit code."""
        args = self.parser().parse_args(argv)
        return run_server_stage(self.make_stage(args), args)


def run_server_stage(stage: ServerStage, args: argparse.Namespace) -> int:
    """Run a stage that calls a server, and print its totals, however the run ends.

    Args:
        stage: The stage.
        args: Parsed arguments of a `ServerCommand`.

    Returns:
        The exit code, as `tools.stage.options.run_command`.
    """
    from tools.caption.api.journal import remove_journals
    from tools.stage.shards import current_shard, state_of
    from tools.table import output_path

    args.batch_size = args.batch_size or stage.rows_of_a_batch
    if args.dry_run:
        return run_command(stage, args)
    shard = current_shard()
    target = output_path(args.meta, stage.suffix, output=args.output)
    folder = state_of(target)

    def finished(result: RunResult) -> None:
        """Remove the journals when all ranks are done and the ledgers have all their answers."""
        limited = args.limit and (result.left or not shard.alone)  # they may be about other rows
        unread = result.already_complete and result.failed  # by a --retry-failed that was killed
        if result.totals is not None and not limited and not unread:
            remove_journals(folder)

    stage.use_journal(folder, shard.rank, retry=args.retry_failed)
    try:
        code = run_command(stage, args, finished=finished)
    except BaseException:
        stage.cancel()  # a thread may still be sending requests whose answers could not be stored any more
        raise
    finally:
        if stage.totals is not None:
            for line in stage.totals.lines(stage.service, stage.model):
                print(line, file=sys.stderr)
        stage.close()
    return code
