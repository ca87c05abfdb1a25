#!/usr/bin/env python3
"""Write what the documents say of commands: a page for each in docs/commands, and the table in README.md.

Usage: python scripts/command_pages.py [--check]

The text comes from `tools.commands.COMMANDS`, from the parsers and from `tools.columns.COLUMNS`.
"""

from __future__ import annotations

import functools
import sys

from flag_tables import parser_of, rows_of
from page_parts import DOCS, ROOT, Texts, markdown_table, whole_folder, with_part, write_or_check

from tools.columns import COLUMNS
from tools.commands import COMMANDS, SCORERS, Command

FOLDER = DOCS / "commands"
_UNTYPED = "examples of --help, with names that stand for files of the reader"


def page(command: Command) -> str:
    """The page of a command."""
    parser = parser_of(command.typed)
    description, examples = (parser.description or "").strip(), _examples(parser.epilog or "")
    guide = command.guide.removeprefix("../")
    summary = command.summary[0].upper() + command.summary[1:]
    parts = [
        f"# {command.name}",
        "<!-- written by scripts/command_pages.py -->",
        f"{summary}. `vidsieve {command.name}` is `python -m {command.typed}`.",
        f"```text\n{description}\n```",
        f"Explained in [{guide}](../{command.guide}).",
    ]
    if examples:
        parts += ["## Examples", f"<!-- not typed: {_UNTYPED} -->\n```bash\n{examples}\n```"]
    if columns := _columns(command):
        parts += ["## Columns", columns]
    own = list(rows_of(parser))
    shared = _shared_flags() & set(own)
    parts += ["## Flags", markdown_table(("flag", ""), [row for row in own if row not in shared])]
    if shared:
        parts.append("And the [shared flags](../flags.md#shared-flags) of commands that work row by row.")
    return "\n\n".join(parts) + "\n"


@functools.cache
def _shared_flags() -> frozenset[tuple[str, str]]:
    """The flags of commands that work row by row, with their help."""
    parser = parser_of(SCORERS["technical"].typed)
    return frozenset(row for group in ("running", "running on Daft") for row in rows_of(parser, group))


def _examples(epilog: str) -> str:
    lines = [line.strip() for line in epilog.splitlines()]
    return "\n".join(line for line in lines if line and line != "examples:")


def _columns(command: Command) -> str:
    rows = [
        (f"`{name}`", column.meaning.replace("<", "&lt;"))
        for name, column in COLUMNS.items()
        if column.made_by.split(" ")[0] == command.typed
    ]
    return markdown_table(("column", ""), rows) if rows else ""


def readme(text: str) -> str:
    """README.md with its table of commands."""
    rows = [
        (
            f"[`{command.name}`](docs/commands/{command.name}.md)",
            f"`{command.typed}`",
            command.reads,
            command.summary,
            command.writes,
        )
        for command in COMMANDS
    ]
    head = ("`vidsieve …`", "`python -m …`", "reads", "adds or does", "writes")
    return with_part(text, "commands", markdown_table(head, rows))


def texts() -> Texts:
    """All that this script writes, by file."""
    pages = whole_folder(FOLDER, {FOLDER / f"{command.name}.md": page(command) for command in COMMANDS})
    return {**pages, ROOT / "README.md": readme((ROOT / "README.md").read_text())}


if __name__ == "__main__":
    sys.exit(write_or_check(texts))
