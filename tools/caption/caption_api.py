"""Command: caption every image and video of a table with a model behind an OpenAI-compatible server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.caption.api.stage import CaptionApiStage

_MODULE = "tools.caption.caption_api"


def parser(module: str = _MODULE, *, model: str | None = None, prompt: str = "video") -> cli.ArgumentParser:
    """The command line.

    Args:
        module: Name it goes by.
        model: Default of ``--model``; None when it must be given.
        prompt: Default of ``--prompt``.
    """
    from tools.caption.api.command import RefuseKey, add_server_arguments
    from tools.caption.prompts import PROMPTS
    from tools.media.reading.sampling import SAMPLING_POLICIES
    from tools.stage.options import add_stage_arguments

    command = cli.ArgumentParser(
        module,
        "Caption every image and video with a model behind an OpenAI-compatible server (vLLM, SGLang, or\n"
        "a hosted one).\n"
        "Reads column path, sets columns text and text_finish (why the model stopped), writes "
        "META_caption.csv.\nThe key is read from OPENAI_API_KEY. Rows that are finished are never asked "
        "about again.",
        f"""
        python -m {module} meta.csv --base-url http://localhost:8000/v1 --model Qwen/Qwen3-VL-8B-Instruct
        python -m {module} meta.csv --model gpt-4o --num-frames 3 --price-in 2.5 --price-out 10
        python -m {module} meta.csv --model gpt-4o --prompt "Name the sport in one sentence."
        """,
    )
    command.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(command, batch_size=256, num_workers=16)
    add_server_arguments(command, model=model)
    group = command.add_argument_group("captions")
    group.add_argument(
        "--prompt",
        default=prompt,
        metavar="NAME|FILE|TEXT",
        help=f"what is asked: {', '.join(PROMPTS)}, a text file, or the words ({prompt})",
    )
    group.add_argument(
        "--existing-text", action="store_true", help="the caption so far, column text, goes into the prompt"
    )
    group.add_argument(
        "--num-frames",
        type=cli.whole_number(1),
        metavar="N",
        help="frames of a video (as many as the prompt speaks of, else 3)",
    )
    group.add_argument(
        "--sampling",
        default="uniform_mid",
        metavar="POLICY",
        help=f"which frames: {', '.join(SAMPLING_POLICIES)} (uniform_mid)",
    )
    group.add_argument(
        "--resize",
        type=cli.whole_number(0),
        default=512,
        metavar="N",
        help="pixels of the shorter side of a picture, which is never scaled up; 0: as it is (512)",
    )
    group.add_argument(
        "--detail",
        choices=("auto", "low", "high"),
        help="how closely OpenAI's models look (the server's way)",
    )
    group.add_argument("--key", action=RefuseKey, help="refused: the key is read from OPENAI_API_KEY")
    return command


def make_stage(args: argparse.Namespace) -> CaptionApiStage:
    """The stage that the flags of `parser` ask for.

    Raises:
        UserError: A value that there is not.
    """
    from tools.caption.api.command import service_of
    from tools.caption.api.stage import CaptionApiStage
    from tools.caption.prompts import resolve_prompt
    from tools.media.reading.sampling import parse_sampling

    question = resolve_prompt(args.prompt, existing_text=args.existing_text)
    count = args.num_frames
    if count is None and args.sampling == "uniform_mid":
        count = question.num_frames or 3
    return CaptionApiStage(
        model=args.model,
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        seed=args.seed,
        service=service_of(args),
        prompt=question,
        sampling=parse_sampling(args.sampling, count),
        resize=args.resize or None,
        detail=args.detail,
    )


def main(
    argv: list[str] | None = None, module: str = _MODULE, *, model: str | None = None, prompt: str = "video"
) -> int | None:
    """Parse the command line and run the stage; the other arguments as for `parser`."""
    args = parser(module, model=model, prompt=prompt).parse_args(argv)

    from tools.caption.api.command import run_asking

    return run_asking(make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
