"""Command: say what is wrong with the captions of a table."""

from __future__ import annotations

from tools import cli

_MODULE = "tools.caption.caption_checks"


def _parser() -> cli.ArgumentParser:
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        _MODULE,
        "Say what is wrong with captions: none, cut off, repetitive, a refusal, the prompt itself, an\n"
        "introduction, wrapped in JSON, broken characters, the same for several files, wrong about the\n"
        "camera, text that is not there.\n"
        "Reads column text (and text_finish, cmotion, ocr_text where they are), adds caption_flags: labels\n"
        "joined by +, empty when nothing was found; writes META_capcheck.csv.",
        f"""
        python -m {_MODULE} meta_caption.csv
        python -m {_MODULE} meta_caption.csv --prompt my_prompt.txt
        """,
    )
    parser.add_argument("meta", help="table with a column text: .csv, .parquet or .jsonl")
    add_stage_arguments(parser, num_workers=0)
    group = parser.add_argument_group("caption checks")
    group.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="NAME|FILE|TEXT",
        help="what the model was asked, when it was a prompt of your own; may be given several times",
    )
    return parser


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = _parser().parse_args(argv)

    from tools.caption.checks.phrases import prompt_texts
    from tools.caption.checks.stage import CaptionCheckStage
    from tools.caption.prompts import resolve_prompt
    from tools.stage.options import run_command

    asked = [text for prompt in args.prompt for text in prompt_texts(resolve_prompt(prompt))]
    return run_command(CaptionCheckStage(prompts=tuple(dict.fromkeys(asked))), args)


if __name__ == "__main__":
    cli.run(main)
