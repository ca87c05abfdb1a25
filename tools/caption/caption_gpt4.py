"""Command: `tools.caption.caption_api` with OpenAI's model and another prompt by default."""

from tools import cli
from tools.caption import caption_api

COMMAND = caption_api.COMMAND.renamed(
    "tools.caption.caption_gpt4", defaults={"model": "gpt-4o", "prompt": "video-f3-detail-3ex"}
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
