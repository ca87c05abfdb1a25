"""Command: add technical measures of every image and video of a table."""

from tools import cli
from tools.scoring.technical.measures import MEASURES
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.scoring.technical.inference",
    "tools.scoring.technical.stage.TechnicalStage",
    "technical measures",
    "Add technical measures of every image and video, without a model.\n"
    "Reads column path, adds a column for each measure, writes META_technical.csv.\n"
    "An image has no values for what needs time. Measures:\n"
    + "\n".join(f"  {name:12}  {measure.meaning}" for name, measure in MEASURES.items()),
    """
    python -m tools.scoring.technical.inference meta.csv
    python -m tools.scoring.technical.inference meta.csv --measures black_bars,static_ratio,true_fps
    python -m tools.scoring.technical.inference meta.csv --measures niqe --niqe-parameters model.mat
    """,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
