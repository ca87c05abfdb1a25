"""Command: caption every image and video of a table with a model behind an OpenAI-compatible server."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import NoReturn

from tools import cli
from tools.caption.api.command import ServerCommand


class _RefuseKey(argparse.Action):
    """A key on a command line is visible to everybody on the machine, and stays in the shell's history."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> NoReturn:
        """Say where the key belongs."""
        parser.error("the key of the server is read from the environment alone: export OPENAI_API_KEY=...")


@dataclass(frozen=True)
class _CaptionCommand(ServerCommand):
    def parser(self) -> cli.ArgumentParser:
        """The command line; ``--key`` is refused there."""
        made = super().parser()
        group = made.add_argument_group("refused")
        help_text = "refused: the key is read from OPENAI_API_KEY"
        cli.advanced(group.add_argument("--key", action=_RefuseKey, help=help_text))
        return made


COMMAND = _CaptionCommand(
    "tools.caption.caption_api",
    "tools.caption.api.stage.CaptionApiStage",
    "captions",
    "Caption every image and video with a model behind an OpenAI-compatible server (vLLM, SGLang, or\n"
    "a hosted one).\n"
    "Reads column path, sets columns text and text_finish (why the model stopped), writes "
    "META_caption.csv.\nThe key is read from OPENAI_API_KEY. No request is paid for twice.",
    """
    python -m tools.caption.caption_api meta.csv --base-url http://localhost:8000/v1 \
--model Qwen/Qwen3-VL-8B-Instruct
    python -m tools.caption.caption_api meta.csv --model gpt-4o --num-frames 3 --price-in 2.5 --price-out 10
    python -m tools.caption.caption_api meta.csv --model gpt-4o --prompt "Name the sport in one sentence."
    """,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
