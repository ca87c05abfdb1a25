"""Command: show which thresholds to choose, and what survives them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cli
from tools.report.audit.command import add_flags
from tools.report.sprites.choice import DEFAULT_BUDGET

if TYPE_CHECKING:
    from tools.report.atlas import Atlas
    from tools.stage.run_options import RunOptions

DEFAULT_OUTPUT = "report.html"
DEFAULT_AUDIT = "audit.html"


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.report",
        "Show how the scores of a table are distributed, and what a threshold on each keeps: a page to open\n"
        "in a browser, or text. Of several tables the last one is shown; those before it are the steps\n"
        "that led to it.",
        """
        python -m tools.report meta_aes_flow.csv -o report.html
        python -m tools.report meta_aes_flow.csv --text
        python -m tools.report meta.csv meta_info.csv meta_info_fmin1.csv -o report.html
        python -m tools.report folder_of_tables --text --recipe goku-720p --recipe cosmos
        python -m tools.report meta_clips.csv --audit 500 --seed 1 --ratings ratings.jsonl --card card.md
        python -m tools.report meta_aes_flow.csv --atlas atlas.parquet
        """,
    )
    parser.add_argument(
        "input", nargs="+", metavar="META", help="tables in the order they were made in, or a folder"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help=f"the page to write ({DEFAULT_OUTPUT}, or {DEFAULT_AUDIT} with --audit)",
    )
    parser.add_argument("--text", action="store_true", help="print the figures, and write no page")
    parser.add_argument(
        "--recipe",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="show what published thresholds keep, step by step; may be given several times (the page "
        "has all that fit the table)",
    )
    cli.advanced(
        parser.add_argument(
            "--max-rows",
            type=cli.whole_number(1),
            default=300_000,
            metavar="N",
            help="of a larger table the page has a random sample of N rows (300000)",
        )
    )
    parser.add_argument(
        "--seed", type=cli.whole_number(0), default=42, metavar="N", help="seed of what is random (42)"
    )
    cli.advanced(
        parser.add_argument("--overwrite", action="store_true", help="replace the output, whatever made it")
    )
    parser.add_argument(
        "--clips",
        type=cli.whole_number(0),
        default=DEFAULT_BUDGET,
        metavar="N",
        help=f"rows that get a picture of a few frames: some of each part of every score ({DEFAULT_BUDGET})",
    )
    parser.add_argument(
        "--no-sprites",
        dest="clips",
        action="store_const",
        const=0,
        help="draw no pictures: no video is read",
    )
    add_flags(parser)
    _add_atlas(parser)
    return parser


def _add_atlas(parser: cli.ArgumentParser) -> None:
    from tools.report.projection import PROJECTIONS

    group = parser.add_argument_group("for Embedding Atlas")
    group.add_argument(
        "--atlas", metavar="FILE", help="write a Parquet that Embedding Atlas opens, and no page"
    )
    means = "; ".join(f"{name}: {meaning}" for name, meaning in PROJECTIONS.items())
    group.add_argument(
        "--projection", choices=PROJECTIONS, default="pca", help=f"how rows get a place on the map ({means})"
    )
    cli.advanced(
        group.add_argument(
            "--embeddings",
            metavar="FILE",
            help="compare rows by the embeddings in a .npy or .parquet file, not by those in the folder "
            "of the table or by its scores",
        )
    )


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, and write or print what was asked for."""
    args = _parser().parse_args(argv)
    if args.ratings or args.card:
        from tools.report.audit.command import run

        run(args)
    elif args.text:
        _print_text(args)
    elif args.atlas:
        print(_write_atlas(args))
    elif args.audit:
        print(_write_audit(args))
    else:
        print(_write_page(args))


def _write_atlas(args: argparse.Namespace) -> Atlas:
    from tools.report.atlas import sprites_beside, write_atlas
    from tools.table import refuse_inputs, split_part

    table, frame = Path(args.input[-1]), None
    files = [path for path in map(Path, args.input) if path.is_file()]
    if not table.is_file() or split_part(table):  # a folder, a pattern, or parts: what the chain ends with
        from tools.report.chain import read_chain

        chain = read_chain(args.input)
        table, frame = chain.table, chain.frame()
        files += [file for step in chain.steps for file in step.files]
    refuse_inputs(Path(args.atlas), files)
    return write_atlas(
        table,
        args.atlas,
        frame=frame,
        projection=args.projection,
        embeddings=args.embeddings,
        pictures=sprites_beside(table),
        clips=args.clips,
        seed=args.seed,
        overwrite=args.overwrite,
    )


def _print_text(args: argparse.Namespace) -> None:
    import sys

    from tools.report.chain import read_chain
    from tools.report.recipe_overlay import overlays
    from tools.report.text import report_text
    from tools.report.text_style import style_of
    from tools.table.recipes import load_recipe

    recipes = [load_recipe(given) for given in args.recipe]  # a wrong name is told before tables are read
    chain = read_chain(args.input)
    found = overlays(chain.frame(), recipes, source=str(chain.table))
    print(report_text(chain, found, style_of(sys.stdout)))


def _write_page(args: argparse.Namespace) -> Path:
    from tools.report.chain import read_chain
    from tools.report.page import check_output, write_page
    from tools.report.page.clips import page_clips
    from tools.report.page.contents import read_contents
    from tools.report.page.libraries import require_charts
    from tools.report.recipe_overlay import applicable, overlays
    from tools.table import refuse_inputs
    from tools.table.recipes import known_recipes, load_recipe

    require_charts()
    output = Path(args.output or DEFAULT_OUTPUT)
    check_output(output, overwrite=args.overwrite)
    recipes = [load_recipe(given) for given in args.recipe]  # a wrong name is told before tables are read
    chain = read_chain(args.input)
    refuse_inputs(output, [file for step in chain.steps for file in step.files])
    # As the user has typed it, so that the command on the page may be typed at the same place.
    table = args.input[-1] if Path(args.input[-1]) == chain.table else str(chain.table)
    contents = read_contents(chain.frame(), source=table, most_rows=args.max_rows, seed=args.seed)
    recipes = recipes or applicable(known_recipes(), chain.frame().collect_schema())
    found = overlays(chain.frame(), recipes, source=table)
    clips = page_clips(contents, chain.table, output, args.clips, seed=args.seed, options=_drawing())
    write_page(output, table, contents, seed=args.seed, chain=chain, overlays=found, clips=clips)
    return output


def _drawing() -> RunOptions:
    from tools.report.sprites import SECONDS_PER_FILE
    from tools.stage.run_options import RunOptions

    return RunOptions(timeout=SECONDS_PER_FILE, progress=True)


def _write_audit(args: argparse.Namespace) -> Path:
    from tools.report.chain import read_chain
    from tools.report.page import check_output
    from tools.report.page.audit import write_audit_page
    from tools.table import refuse_inputs

    output = Path(args.output or DEFAULT_AUDIT)
    check_output(output, overwrite=args.overwrite)
    chain = read_chain(args.input)
    refuse_inputs(output, [file for step in chain.steps for file in step.files])
    pictures, seed = args.clips > 0, args.seed
    write_audit_page(
        output, chain, args.audit, inputs=args.input, seed=seed, pictures=pictures, options=_drawing()
    )
    return output


if __name__ == "__main__":
    cli.run(main)
