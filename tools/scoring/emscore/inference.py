"""Command: add EMScore, how well captions fit videos and other captions, for every row of a table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.scoring.emscore.idf import Idf
    from tools.scoring.emscore.stage import EMScoreStage

_TYPES = {"video": "EMScore(X,V)", "reference": "EMScore(X,X*)", "both": "EMScore(X,V,X*)"}


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.scoring.clip_arguments import add_clip_arguments, add_long_text_argument
    from tools.scoring.emscore.metrics import METRICS
    from tools.scoring.emscore.scorer import DEFAULT_CLIP
    from tools.scoring.emscore.texts import LONG_TEXT
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.scoring.emscore.inference",
        "Add EMScore: how well each word of a caption is found in the frames, how well the caption tells of\n"
        "each frame, and how well the whole fits. Reads columns path and text, adds column emscore (where\n"
        "there are references also emscore_ref and emscore_both), writes META_emscore.csv; under torchrun\n"
        "each rank writes META_emscore_part<rank>.csv.",
        """
        python -m tools.scoring.emscore.inference meta.csv
        python -m tools.scoring.emscore.inference meta.csv --reference-column reference
        python -m tools.scoring.emscore.inference meta.csv --every-n-seconds 2 --metrics all --idf idf.json
        torchrun --nproc_per_node 8 -m tools.scoring.emscore.inference meta.csv --clip-model ViT-L/14
        """,
    )
    made.add_argument("meta", help="table with column path and captions: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=128, num_workers=16, engine=True)
    group = made.add_argument_group("EMScore")
    group.add_argument("--candidate-column", default="text", metavar="NAME", help="captions to judge (text)")
    group.add_argument(
        "--reference-column",
        metavar="NAME",
        help="other captions of the same videos, one in a cell or a JSON list (none)",
    )
    group.add_argument(
        "--score-types",
        nargs="+",
        metavar="TYPE",
        help=", ".join(f"{short}: {name}" for short, name in _TYPES.items()) + " (all that can be had)",
    )
    group.add_argument(
        "--metrics",
        nargs="+",
        default=["full_F"],
        metavar="METRIC",
        help=f"{', '.join(METRICS)}; all (full_F)",
    )
    group.add_argument(
        "--every-n-seconds", type=float, metavar="S", help="a frame every S seconds, from 0 on"
    )
    group.add_argument("--every-n-frames", type=int, metavar="N", help="every N-th frame; 1: all")
    add_clip_arguments(group, frames="10", sampling="count_uniform", clip_model=DEFAULT_CLIP)
    weights = group.add_mutually_exclusive_group()
    weights.add_argument(
        "--idf", metavar="FILE", help="weights that tools.scoring.emscore.idf wrote (1 each)"
    )
    weights.add_argument(
        "--idf-corpus", metavar="TABLE", help="count them in the captions of a table instead"
    )
    group.add_argument(
        "--idf-column",
        metavar="NAME",
        help="its captions (the reference column, or that of the captions where there is none)",
    )
    add_long_text_argument(group, LONG_TEXT, "split")
    group.add_argument(
        "--return-all-frames",
        action="store_true",
        help="add column frame_details: the scores of each frame and the words that it matches best",
    )
    return made


def make_stage(args: argparse.Namespace) -> EMScoreStage:
    """The stage that the flags of `parser` ask for.

    Raises:
        UserError: Weights or vocabulary are missing, or an option is wrong.
    """
    from tools.scoring.clip_arguments import clip_options
    from tools.scoring.emscore.stage import FRAMES, EMScoreStage

    _choose_frames(args)
    named: list[str] = args.score_types or ["all"]
    types = tuple(_TYPES.get(name, name) for name in named)
    return EMScoreStage(
        candidate_column=args.candidate_column,
        reference_column=args.reference_column,
        score_types=None if types == ("all",) else types,
        metrics=None if args.metrics == ["all"] else tuple(args.metrics),
        idf=_weights(args),
        long_text=args.long_text,
        frame_details=args.return_all_frames,
        **clip_options(args, FRAMES),
    )


def _choose_frames(args: argparse.Namespace) -> None:
    """Make ``--sampling`` of the two flags that are other names for it."""
    flags = {
        "--every-n-seconds": ("interval_time:", args.every_n_seconds),
        "--every-n-frames": ("interval_frames:", args.every_n_frames),
        "--sampling": ("", args.sampling),
    }
    given = {flag: f"{policy}{value}" for flag, (policy, value) in flags.items() if value is not None}
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} exclude each other: give one")
    args.sampling = next(iter(given.values()), None)


def _weights(args: argparse.Namespace) -> Idf | None:
    from tools.models.clip_checkpoint import required_clip
    from tools.models.required import require_weights
    from tools.scoring.emscore.idf import Idf, fit_table

    if args.idf_corpus:
        require_weights(required_clip(args.clip_model, texts=True))
        column = args.idf_column or args.reference_column or args.candidate_column
        return fit_table(args.idf_corpus, column, args.clip_model, args.clip_config)
    if args.idf_column:
        raise UserError("--idf-column is a column of the --idf-corpus, which is not given")
    return Idf.load(args.idf) if args.idf else None


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
