"""Command: add EMScore, how well captions fit videos and other captions, for every row of a table."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.scoring.emscore.inference",
    "tools.scoring.emscore.stage.EMScoreStage",
    "EMScore",
    "Add EMScore: how well each word of a caption is found in the frames, how well the caption describes\n"
    "each frame, and how well the whole fits. Reads columns path and text, adds column emscore (where\n"
    "there are references also emscore_ref and emscore_both), writes META_emscore.csv; under torchrun\n"
    "each rank writes META_emscore_part<rank>.csv.",
    """
    python -m tools.scoring.emscore.inference meta.csv
    python -m tools.scoring.emscore.inference meta.csv --reference-column reference
    python -m tools.scoring.emscore.inference meta.csv --every-n-seconds 2 --metrics all --idf idf.json
    torchrun --nproc_per_node 8 -m tools.scoring.emscore.inference meta.csv --clip-model ViT-L/14
    """,
    batch_size=128,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
