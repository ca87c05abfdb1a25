"""Command: several scores in one run, with one decode of each file."""

from __future__ import annotations

import dataclasses

from tools import cli
from tools.commands import SCORERS
from tools.options import add_options, read_options
from tools.scoring.scorers import make_scorer, parse_scores, split_flags, typed_options
from tools.stage.common_options import decoder_option, device_option, precision_option
from tools.stage.options import add_stage_arguments, run_command


@dataclasses.dataclass(frozen=True)
class _SharedOptions:
    """Options of all scores that have them."""

    device: str = device_option()
    precision: str = precision_option("of models")
    decoder: str = decoder_option()


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.scoring",
        "Add several scores at once. Each file is decoded once for all of them, and CLIP encodes each\n"
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
    add_options(parser, _SharedOptions)
    add_stage_arguments(parser, batch_size=256, engine=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the scorers together."""
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    if parser.meant([word for word in rest if "." not in word]):
        parser.refuse(rest)

    from tools.scoring.fused import FusedStage

    names = parse_scores(args.scores)
    options = {name: typed_options(name, flags) for name, flags in split_flags(rest, names).items()}
    shared = read_options(args, _SharedOptions)
    decoder = shared.pop("decoder")

    def make() -> FusedStage:
        stages = tuple(make_scorer(name, options[name], shared) for name in names)
        return FusedStage(stages=stages, decoder=decoder)

    return run_command(make, args)


if __name__ == "__main__":
    cli.run(main)
