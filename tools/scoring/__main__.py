"""Command: several scores in one run, with one decode of each file."""

from __future__ import annotations

from tools import cli
from tools.commands import SCORERS
from tools.scoring.scorers import make_scorer, parse_scores, split_flags

_SHARED = {
    "--device": "where models run: auto, cpu, cuda or cuda:N (auto)",
    "--precision": "of models: auto, fp32, bf16 or fp16 (auto)",
}


def _parser() -> cli.ArgumentParser:
    from tools.media.reading.decoders import DECODERS
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        "tools.scoring",
        "Add several scores at once. Each file is decoded once for all of them, and CLIP looks at each\n"
        "frame once; the values are those of the separate commands. Writes META_aes_flow.csv, with the\n"
        "suffixes of the scores in the order given. Flags of a score have its name before them:\n"
        "--flow.method dis. A score that fails in a row leaves its own cells empty. Scores:\n"
        + "\n".join(f"  {name:10} python -m {command.module} --help" for name, command in SCORERS.items()),
        """
        python -m tools.scoring meta.csv --scores aes,flow,ocr
        python -m tools.scoring meta.csv --scores flow,technical --flow.method dis
        torchrun --nproc_per_node 8 -m tools.scoring meta.csv --scores aes,match,quality --bs 512
        """,
    )
    parser.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    parser.add_argument("--scores", required=True, metavar="A,B,...", help=f"of {', '.join(SCORERS)}")
    for flag, text in _SHARED.items():
        parser.add_argument(flag, help=text)
    parser.add_argument("--decoder", default="pyav", choices=DECODERS, help="video decoder (pyav)")
    add_stage_arguments(parser, batch_size=256, engine=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the scorers together."""
    args, rest = _parser().parse_known_args(argv)

    from tools.scoring.fused import FusedStage
    from tools.stage.options import run_command

    names = parse_scores(args.scores)
    flags = split_flags(rest, names)
    shared = {flag: value for flag in _SHARED if (value := getattr(args, flag[2:])) is not None}

    def make() -> FusedStage:
        stages = tuple(make_scorer(name, flags[name], shared) for name in names)
        return FusedStage(stages=stages, decoder=args.decoder)

    return run_command(make, args)


if __name__ == "__main__":
    cli.run(main)
