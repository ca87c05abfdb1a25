"""Command: add CLIP-IQA, the quality and other attributes of every image and video of a table."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.scoring.quality.inference",
    "tools.scoring.quality.stage.QualityStage",
    "quality",
    "Add CLIP-IQA: how much nearer a picture is to 'Good photo.' than to 'Bad photo.', 0 to 1.\n"
    "Reads column path, adds column quality (and one for each further pair of prompts), writes\n"
    "META_quality.csv; under torchrun each rank writes META_quality_part<rank>.csv.",
    """
    python -m tools.scoring.quality.inference meta.csv
    python -m tools.scoring.quality.inference meta.csv --prompts quality sharpness "good still|bad still"
    python -m tools.scoring.quality.inference meta.csv --sampling fps:1 --end 30 --reduce avg p10
    torchrun --nproc_per_node 8 -m tools.scoring.quality.inference meta.csv --bs 512
    """,
    batch_size=512,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
