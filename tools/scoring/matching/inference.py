"""Command: add the match of caption and pictures of every image and video of a table."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.scoring.matching.inference",
    "tools.scoring.matching.stage.MatchingStage",
    "match",
    "Add the match of caption and pictures: 100 x cosine of CLIP's text and image features.\n"
    "Reads columns path and text, adds column match, writes META_match.csv; under torchrun each rank\n"
    "writes META_match_part<rank>.csv.",
    """
    python -m tools.scoring.matching.inference meta.csv
    python -m tools.scoring.matching.inference meta.csv --num_frames 8 --reduce max --long-text split
    torchrun --nproc_per_node 8 -m tools.scoring.matching.inference meta.csv --bs 1024
    """,
    batch_size=1024,
    ignored={"--skip-if-existing": None},
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
