"""Command: predict from some ratings what a person would say of every clip."""

from __future__ import annotations

import sys

from tools import cli


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.datasets.rate",
        "Learn from the ratings of some clips what a person would say of all of them: adds the columns\n"
        "suitability and suitability_std, writes META_rate.csv. Prints how well ratings of clips that were\n"
        "held out are predicted, the columns that count most, and the clips to rate next. Needs path and\n"
        'scores, and ratings in JSON Lines: {"path": "clips/a.mp4", "rating": 4}, from 1 to 5, or\n'
        '{"path": "clips/b.mp4", "keep": false}.',
        """
        python -m tools.datasets.rate meta_aes_flow.csv --ratings ratings.jsonl
        python -m tools.datasets.rate meta_aes.csv --ratings ada.jsonl ben.jsonl --embeddings clips.npy
        python -m tools.datasets.rate meta_aes.csv --ratings r.jsonl --next 100 --next-out next.csv
        python -m tools.datasets.rate meta.csv --ratings r.jsonl --columns aes motion my_score
        """,
    )
    parser.add_argument("meta", metavar="META", help="table with scores")
    parser.add_argument(
        "--ratings",
        nargs="+",
        required=True,
        metavar="FILE",
        help="rating files, JSON Lines",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="table to write (<stem>_rate)")
    parser.add_argument(
        "--columns",
        nargs="+",
        metavar="COLUMN",
        help="numbers to predict from (all scores and numbers of your own)",
    )
    parser.add_argument(
        "--embeddings", metavar="FILE", help="CLIP embeddings to predict from, too: .npy or .parquet"
    )
    parser.add_argument(
        "--model",
        choices=("auto", "ridge", "boosting"),
        default="auto",
        help="ridge regression, gradient boosting, or the one that ranks held-out clips better (auto)",
    )
    parser.add_argument(
        "--next", type=cli.whole_number(0), default=50, metavar="N", help="clips to rate next (50)"
    )
    parser.add_argument("--next-out", metavar="FILE", help="write those clips as a table")
    parser.add_argument("--seed", type=cli.whole_number(0), default=0, metavar="N", help="seed (0)")
    parser.add_argument(
        "--overwrite", action="store_true", help="also replace a table that has more columns than the new one"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, learn, predict, and report."""
    args = _parser().parse_args(argv)

    from tools.datasets.rate.render import render_result
    from tools.datasets.rate.table import rate_table

    result = rate_table(
        args.meta,
        args.ratings,
        output=args.output,
        columns=args.columns,
        embeddings=args.embeddings,
        model=None if args.model == "auto" else args.model,
        next=args.next,
        next_output=args.next_out,
        seed=args.seed,
        overwrite=args.overwrite,
        progress=True,
    )
    print(render_result(result), file=sys.stderr)
    if result.next_output is not None:
        print(result.next_output)
    print(result.output)


if __name__ == "__main__":
    cli.run(main)
