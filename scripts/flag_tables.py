#!/usr/bin/env python3
"""Write the tables of flags in the documents, from the parsers of the commands.

Usage: python scripts/flag_tables.py [--check]

A table stands between two comments, ``<!-- flags: tools.scene_cut.cut -->`` and ``<!-- /flags -->``, and has
the flags of that command. ``<!-- flags: tools.scene_cut.cut / running -->`` has those of one group of its
``--help`` alone. Flags that such a table has on a page, with the same help, are left out of the tables of
commands on that page.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from page_parts import DOCS, markdown_table, write_or_check

from tools.cli import parser_of as parser_of_main

_TABLE = re.compile(
    r"<!-- flags: (?P<module>[\w.]+)(?: / (?P<group>[^\n]+?))? -->\n.*?<!-- /flags -->", re.DOTALL
)
_COMMON = {"--help", "--help-all", "--version"}


@functools.cache
def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser of ``python -m module``, taken from its ``main`` when that begins to parse."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"python -m {module}: no such module")
    name = f"{module}.__main__" if spec.submodule_search_locations else module
    return parser_of_main(importlib.import_module(name).main)


def rows_of(parser: argparse.ArgumentParser, group: str | None = None) -> Iterator[tuple[str, str]]:
    """Flags as they are typed, and their help; of subcommands with the name of the subcommand before.

    Args:
        parser: Of a command.
        group: Title of a group of its ``--help``, up to a comma; all groups when None.
    """
    for part in parser._action_groups:
        if group is not None and (part.title or "").partition(",")[0] != group:
            continue
        for action in part._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, sub in action.choices.items():
                    yield from ((f"`{name}` {flags}", text) for flags, text in rows_of(sub))
            elif action.help != argparse.SUPPRESS and not _COMMON & set(action.option_strings):
                yield _flags(parser, action), _cell(_help(parser, action))


def _flags(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = argparse.HelpFormatter(parser.prog)
    if not action.option_strings:
        named = action.metavar if isinstance(action.metavar, str) else action.dest
        return f"`{_cell(formatter._format_args(action, named))}`"
    value = "" if action.nargs == 0 else formatter._format_args(action, action.dest.upper())
    if action.choices and not action.metavar:
        value = "|".join(map(str, action.choices))
    typed = sorted(action.option_strings, key=lambda flag: flag.startswith("--"))  # -o before --output
    return ", ".join(f"`{_cell(f'{flag} {value}'.strip())}`" for flag in typed)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = argparse.HelpFormatter(parser.prog)._expand_help(action) if action.help else ""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", r"\*")


def _cell(text: str) -> str:
    """Text in a cell of a table: what would end the cell is escaped."""
    return text.replace("|", r"\|")


def with_tables(page: str) -> str:
    """A page with its tables of flags as the parsers have them."""
    groups = [match for match in _TABLE.finditer(page) if match["group"]]
    shared = {row for match in groups for row in rows_of(parser_of(match["module"]), match["group"])}

    def table(match: re.Match[str]) -> str:
        found = rows_of(parser_of(match["module"]), match["group"])
        rows = [row for row in found if match["group"] or row not in shared]
        begin = match[0].partition("\n")[0]
        return "\n\n".join([begin, markdown_table(("flag", ""), rows), "<!-- /flags -->"])

    return _TABLE.sub(table, page)


def texts() -> dict[Path, str]:
    """Every page with its tables written anew."""
    return {path: with_tables(path.read_text()) for path in sorted(DOCS.rglob("*.md"))}


if __name__ == "__main__":
    sys.exit(write_or_check(texts))
