"""The flags of an audit, and what they do: ratings read back, and the data-set card."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.report.audit.rates import Audit
    from tools.report.audit.sample import Sample
    from tools.report.chain import Chain


def add_flags(parser: cli.ArgumentParser) -> None:
    """Add the flags of an audit to those of the report."""
    group = parser.add_argument_group("audit")
    group.add_argument(
        "--audit",
        type=cli.whole_number(1),
        metavar="N",
        help="show N clips drawn at random, with boxes to tick what is wrong with them",
    )
    group.add_argument(
        "--ratings",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="print the rates of bad clips from what was ticked (JSON Lines), with confidence intervals; "
        "give --audit and --seed as when the clips were drawn",
    )
    group.add_argument(
        "--card",
        metavar="FILE.md",
        help="write the text of a data-set card: contents, funnel, options, rates of --ratings",
    )


def run(args: argparse.Namespace) -> None:
    """Print rates, write a card, or both.

    Args:
        args: With ``input`` and ``seed``, and of the flags above ``ratings`` or ``card``.

    Raises:
        UserError: A table or ratings cannot be used, or the card cannot be written.
    """
    from tools.report.chain import read_chain

    chain = read_chain(args.input)
    audit = _audit(chain, args) if args.ratings else None
    if audit is not None:
        from tools.report.audit.render import render_audit

        print(render_audit(audit))
    if args.card:
        print(_write_card(chain, audit, args))


def _audit(chain: Chain, args: argparse.Namespace) -> Audit:
    from tools.report.audit.rates import measure_rates
    from tools.report.ratings import match_ratings, read_ratings

    source = str(chain.table)
    matched = match_ratings(read_ratings(args.ratings), chain.frame(), source)
    return measure_rates(matched, chain.steps[-1].rows, _sample(chain, args))


def _sample(chain: Chain, args: argparse.Namespace) -> Sample | None:
    from tools.report.audit.sample import draw

    return draw(chain.steps[-1].rows, args.audit, args.seed) if args.audit else None


def _write_card(chain: Chain, audit: Audit | None, args: argparse.Namespace) -> Path:
    from tools.report.audit.card import render_card, write_card
    from tools.report.summary import summarize

    summary = summarize(chain.frame(), source=str(chain.table))
    inputs = [*(file for step in chain.steps for file in step.files), *(args.ratings or ())]
    return write_card(render_card(chain, summary, audit), Path(args.card), inputs)
