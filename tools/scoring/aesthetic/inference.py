"""Command: add the LAION aesthetic score of every image and video of a table."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.scoring.aesthetic.inference",
    "tools.scoring.aesthetic.stage.AestheticStage",
    "aesthetic score",
    "Add the LAION aesthetic score (about 1 to 10; 5.5 is fair, 6.5 good) of every image and video.\n"
    "Reads column path, adds column aes, writes META_aes.csv; under torchrun each rank writes "
    "META_aes_part<rank>.csv.",
    """
    python -m tools.scoring.aesthetic.inference meta.csv
    python -m tools.scoring.aesthetic.inference meta.csv --num_frames 5 --precision fp32
    torchrun --nproc_per_node 8 -m tools.scoring.aesthetic.inference meta.csv --bs 1024 --num_workers 16
    """,
    batch_size=1024,
    ignored={"--prefetch-factor": "N", "--skip-if-existing": None},
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
