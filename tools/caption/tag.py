"""Command: extract tags (objects, actions, ...) from the captions of a table, by a model behind a server."""

from __future__ import annotations

from tools import cli
from tools.caption.api.command import ServerCommand, run_server_stage

COMMAND = ServerCommand(
    "tools.caption.tag",
    "tools.caption.api.tags.TagStage",
    "tags",
    "Extract tags from captions with a model behind an OpenAI-compatible server.\n"
    "Reads column text, adds a column named like the key: tags with commas between them, or NONE;\n"
    "writes META_<key>.csv. The key of the server is read from OPENAI_API_KEY.",
    """
    python -m tools.caption.tag meta_caption.csv --key objects --base-url http://localhost:8000/v1 \
--model NAME
    python -m tools.caption.tag meta_caption.csv --key actions --model gpt-4o-mini --price-in 0.15 \
--price-out 0.6
    python -m tools.caption.tag meta_caption.csv --key mood --base-url URL --model NAME \
--output_prefix tags/meta
    """,
    defaults={"max_tokens": 512},
    num_workers=1,
)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the stage; the exit code."""
    parser = COMMAND.parser()
    cli.advanced(
        parser.add_argument_group("compatibility").add_argument(
            "--output-prefix",
            metavar="P",
            help="write P_<key> with the suffix of META, as Open-Sora's script did",
        )
    )
    args = parser.parse_args(argv)
    if args.output and args.output_prefix:
        parser.error("--output and --output-prefix are two names for one table")

    from tools.table import table_extension

    if args.output_prefix:
        args.output = f"{args.output_prefix}_{args.key}{table_extension(args.meta)}"
    return run_server_stage(COMMAND.make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
