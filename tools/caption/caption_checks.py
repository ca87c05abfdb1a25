"""Command: find problems in the captions of a table."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.caption.caption_checks",
    "tools.caption.checks.stage.CaptionCheckStage",
    "caption checks",
    "Find problems in captions: empty, truncated, repetitive, a refusal, the prompt itself, an\n"
    "introduction, wrapped in JSON, broken characters, the same for several files, wrong camera motion,\n"
    "quoted text that is not in the picture.\n"
    "Reads column text (and text_finish, cmotion, ocr_text where they are), adds caption_flags: labels\n"
    "joined by +, empty when nothing was found; writes META_capcheck.csv.",
    """
    python -m tools.caption.caption_checks meta_caption.csv
    python -m tools.caption.caption_checks meta_caption.csv --prompt my_prompt.txt
    """,
    num_workers=0,
    engines=False,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
