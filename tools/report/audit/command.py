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
        _note_nameless(args.ratings)
    if args.card:
        print(_write_card(chain, audit, args))


def _audit(chain: Chain, args: argparse.Namespace) -> Audit:
    from tools.report.audit.rates import measure_rates
    from tools.report.ratings import match_ratings, read_ratings

    source = str(chain.table)
    matched = match_ratings(read_ratings(args.ratings), chain.frame(), source)
    return measure_rates(matched, chain.steps[-1].rows, draw_sample(chain, args))


def draw_sample(chain: Chain, args: argparse.Namespace) -> Sample | None:
    """The rows of ``chain.frame()`` that ``--audit`` and ``--seed`` draw; None without ``--audit``."""
    from tools.report.audit.sample import draw

    return draw(chain.steps[-1].rows, args.audit, args.seed) if args.audit else None


def _note_nameless(files: list[str]) -> None:
    """Say where raters without a name may be several people, whose ratings then replace each other's."""
    from tools.report.ratings import read_ratings

    if len(files) < 2:
        return
    clips = [{(r.path, r.id) for r in read_ratings([file]) if not r.rater} for file in files]
    twice = sum(map(len, clips)) - len(set().union(*clips))
    if twice:
        print(
            f"\nnote: {twice:,} clips are rated again in another file, without a rater's name: the last one "
            'counts; of several people each line needs a name, "rater": "ada"'
        )


def _write_card(chain: Chain, audit: Audit | None, args: argparse.Namespace) -> Path:
    from tools.report.audit.card import render_card, write_card
    from tools.report.summary import summarize

    summary = summarize(chain.frame(), source=str(chain.table))
    inputs = [*(file for step in chain.steps for file in step.files), *(args.ratings or ())]
    return write_card(render_card(chain, summary, audit), Path(args.card), inputs)
