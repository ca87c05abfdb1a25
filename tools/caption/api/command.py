"""The part of the command line that all commands share which ask a server, and what happens around them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from tools import cli

if TYPE_CHECKING:
    from tools.caption.api.service import Service
    from tools.caption.api.stage import AskStage
    from tools.stage.runner import RunResult

_BATCHES_OF = 8  # questions in a batch for each that is under way: its slowest costs little


class RefuseKey(argparse.Action):
    """A key on a command line is seen by everybody on the machine, and stays in the shell's history."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> NoReturn:
        """Say where the key belongs."""
        parser.error("the key of the server is read from the environment alone: export OPENAI_API_KEY=...")


def add_server_arguments(
    parser: argparse.ArgumentParser, *, model: str | None = None, max_tokens: int = 300
) -> None:
    """Add what every command understands that asks a server; after `add_stage_arguments`.

    Args:
        parser: The command's parser.
        model: Default of ``--model``; None when it must be given.
        max_tokens: Default of ``--max-tokens``.
    """
    group = parser.add_argument_group("server")
    group.add_argument(
        "--model",
        "--model-id",
        default=model,
        required=model is None,
        metavar="NAME",
        help="as the server knows it" + (f" ({model})" if model else ""),
    )
    group.add_argument(
        "--base-url",
        metavar="URL",
        help="OpenAI-compatible server, such as http://localhost:8000/v1 "
        "(OPENAI_BASE_URL, or https://api.openai.com/v1)",
    )
    group.add_argument(
        "--concurrency", type=cli.whole_number(1), default=32, metavar="N", help="requests at once (32)"
    )
    group.add_argument(
        "--max-tokens",
        type=cli.whole_number(1),
        default=max_tokens,
        metavar="N",
        help=f"most tokens of an answer ({max_tokens})",
    )
    group.add_argument(
        "--temperature", type=_not_negative, default=0.0, metavar="T", help="0: the likeliest words (0)"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="for servers that know it (0)")
    group.add_argument(
        "--retries",
        type=cli.whole_number(0),
        default=10,
        metavar="N",
        help="how often a row is asked about again when the server is busy, slow or broken (10)",
    )
    group.add_argument(
        "--backoff",
        type=cli.positive_number,
        default=1.0,
        metavar="S",
        help="seconds before the first time again; doubled each time, up to 30 (1)",
    )
    group.add_argument(
        "--request-timeout",
        type=cli.positive_number,
        default=120.0,
        metavar="S",
        help="seconds that one request may take (120)",
    )
    group.add_argument(
        "--max-failures-in-a-row",
        type=cli.whole_number(1),
        default=10,
        metavar="N",
        help="rows without an answer, one after the other, that end the run (10)",
    )
    group.add_argument(
        "--price-in", type=_not_negative, default=0.0, metavar="P", help="of a million tokens of questions"
    )
    group.add_argument(
        "--price-out", type=_not_negative, default=0.0, metavar="P", help="of a million tokens of answers"
    )
    parser.set_defaults(bs=None)


def _not_negative(text: str) -> float:
    return 0.0 if text.strip() in ("0", "0.0") else cli.positive_number(text)


def service_of(args: argparse.Namespace) -> Service:
    """What the shared arguments say of the server."""
    from tools.caption.api.service import Service

    return Service(
        base_url=args.base_url,
        concurrency=args.concurrency,
        retries=args.retries,
        backoff=args.backoff,
        timeout=args.request_timeout,
        max_failures=args.max_failures_in_a_row,
        price_in=args.price_in,
        price_out=args.price_out,
    )


def run_asking(stage: AskStage, args: argparse.Namespace) -> int:
    """Run a stage that asks a server as its command line says; tell what it took, however it ends.

    Args:
        stage: What to ask.
        args: Parsed arguments: ``meta``, those of `add_stage_arguments` and of `add_server_arguments`.

    Returns:
        The exit code, as `tools.stage.options.run_command`.
    """
    from tools.caption.api.journal import remove_journals
    from tools.stage.options import run_command
    from tools.stage.shards import STATE_FOLDER, current_shard
    from tools.table import output_path

    if args.dry_run:
        return run_command(stage, args)
    shard = current_shard()
    target = output_path(args.meta, stage.suffix, output=args.output)
    folder = target.parent / STATE_FOLDER / target.name
    args.bs = args.bs or _BATCHES_OF * args.concurrency

    def done(result: RunResult) -> None:
        """Remove the journals when all ranks are done, and nothing can stand in them alone."""
        limited = args.limit and (result.left or not shard.alone)  # they may be about other rows
        unread = result.already_complete and result.failed  # by a --retry-failed that was killed
        if result.totals is not None and not limited and not unread:
            remove_journals(folder)

    stage.keep_answers(folder, shard.rank, again=args.retry_failed)
    try:
        code = run_command(stage, args, finished=done)
    except BaseException:
        stage.cancel()  # a thread may still be asking, and what it hears could not be written down any more
        raise
    finally:
        if stage.totals is not None:
            for line in stage.totals.lines(stage.service, stage.model):
                print(line, file=sys.stderr)
        stage.close()
    return code
