#!/usr/bin/env python3
"""Write what the documents say of commands: a page for each in docs/commands, and the table in README.md.

Usage: python scripts/command_pages.py          writes them
       python scripts/command_pages.py --check  exits with 1 and names those that are not up to date

The text comes from `tools.commands.COMMANDS`, from the parsers and from `tools.columns.COLUMNS`.
"""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "scripts"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from flag_tables import parser_of, rows_of  # noqa: E402

from tools.columns import COLUMNS  # noqa: E402
from tools.commands import COMMANDS, SCORERS, Command  # noqa: E402

FOLDER = ROOT / "docs" / "commands"
_UNTYPED = "examples of --help, with names that stand for files of the reader"
_TABLE = re.compile(r"<!-- commands -->\n.*?<!-- /commands -->", re.DOTALL)


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
    parts += ["## Flags", _table("flag", [row for row in own if row not in shared])]
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
    return _table("column", rows) if rows else ""


def _table(what: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([f"| {what} | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)])


def readme(text: str) -> str:
    """README.md with its table of commands."""
    rows = [
        f"| [`{command.name}`](docs/commands/{command.name}.md) | `{command.typed}` | {command.reads} "
        f"| {command.summary} | {command.writes} |"
        for command in COMMANDS
    ]
    head = ["| `vidsieve …` | `python -m …` | reads | adds or does | writes |", "|---|---|---|---|---|"]
    return _TABLE.sub("\n".join(["<!-- commands -->", "", *head, *rows, "", "<!-- /commands -->"]), text)


def texts() -> dict[Path, str]:
    """All that this script writes, by file."""
    found = {FOLDER / f"{command.name}.md": page(command) for command in COMMANDS}
    return {**found, ROOT / "README.md": readme((ROOT / "README.md").read_text())}


def main() -> int:
    """Write the files, or tell which are not up to date."""
    check = "--check" in sys.argv[1:]
    wanted = texts()
    stale = [path for path in FOLDER.glob("*.md") if path not in wanted]
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in [*stale, *changed]:
        print(path.relative_to(ROOT))
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.unlink() if path in stale else path.write_text(wanted[path])
    return 1 if check and (stale or changed) else 0


if __name__ == "__main__":
    sys.exit(main())
