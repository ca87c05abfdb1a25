"""Command: take tags (objects, actions, ...) from the captions of a table, by a model behind a server."""

from __future__ import annotations

from tools import cli

_MODULE = "tools.caption.tag"


def _parser() -> cli.ArgumentParser:
    from tools.caption.api.command import add_server_arguments
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        _MODULE,
        "Take tags from captions with a model behind an OpenAI-compatible server.\n"
        "Reads column text, adds a column named like the key: tags with commas between them, or NONE;\n"
        "writes META_<key>.csv. The key of the server is read from OPENAI_API_KEY.",
        f"""
        python -m {_MODULE} meta_caption.csv --key objects --base-url http://localhost:8000/v1 --model NAME
        python -m {_MODULE} meta_caption.csv --key actions --model gpt-4o-mini --price-in 0.15 --price-out 0.6
        python -m {_MODULE} meta_caption.csv --key mood --base-url URL --model NAME --output_prefix tags/meta
        """,
    )
    parser.add_argument("meta", help="table with a column text: .csv, .parquet or .jsonl")
    add_stage_arguments(parser, batch_size=256, num_workers=1)
    add_server_arguments(parser, max_tokens=512)
    group = parser.add_argument_group("tags")
    group.add_argument(
        "--key",
        default="objects",
        metavar="NAME",
        help="what is wanted: objects, actions, other nouns (objects)",
    )
    group.add_argument(
        "--prompt", metavar="TEXT", help="the question, with {text} for the caption (one that fits the key)"
    )
    group.add_argument(
        "--no-response-format",
        action="store_true",
        help="do not ask the server to hold the model to JSON (response_format): the prompt asks for it",
    )
    group.add_argument(
        "--output-prefix",
        metavar="P",
        help="write P_<key> with the suffix of META, as Open-Sora's script did",
    )
    return parser


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.output and args.output_prefix:
        parser.error("--output and --output-prefix are two names for one table")

    from tools.caption.api.command import run_asking, service_of
    from tools.caption.api.tags import TagStage
    from tools.table import table_extension

    stage = TagStage(
        model=args.model,
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        seed=args.seed,
        service=service_of(args),
        key=args.key,
        prompt=args.prompt or None,
        response_format=not args.no_response_format,
    )
    if args.output_prefix:
        args.output = f"{args.output_prefix}_{args.key}{table_extension(args.meta)}"
    return run_asking(stage, args)


if __name__ == "__main__":
    cli.run(main)
