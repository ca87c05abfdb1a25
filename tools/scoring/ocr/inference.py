"""Command: count the regions of text in every image and video of a table, and measure their area."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.scoring.ocr.inference",
    "tools.scoring.ocr.stage.OcrStage",
    "text in the picture",
    "Count the regions of text in every image and video, and measure what part of the frame they cover.\n"
    "Reads column path, adds columns ocr and ocr_area (with --text ocr_text), writes META_ocr.csv;\n"
    "under torchrun each rank writes META_ocr_part<rank>.csv.",
    """
    python -m tools.scoring.ocr.inference meta.csv
    python -m tools.scoring.ocr.inference meta.csv --text --num_frames 5
    python -m tools.scoring.ocr.inference meta.csv --check none --threshold 0.5 --limit-side 960
    """,
    batch_size=16,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
