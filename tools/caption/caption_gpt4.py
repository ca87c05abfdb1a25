"""Command: `tools.caption.caption_api` under the name it had, with OpenAI's model by default."""

from __future__ import annotations

from tools import cli
from tools.caption import caption_api


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    return caption_api.main(argv, "tools.caption.caption_gpt4", model="gpt-4o", prompt="video-f3-detail-3ex")


if __name__ == "__main__":
    cli.run(main)
