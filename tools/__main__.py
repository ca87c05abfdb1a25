"""One door to all commands: ``vidsieve NAME ...`` or ``python -m tools NAME ...``."""

from __future__ import annotations

import difflib
import importlib
import sys

from tools import cli
from tools.commands import COMMANDS
from tools.errors import UserError
from tools.typed_names import typed_vidsieve


def main() -> None:
    """Run the command that the first argument names."""
    cli.run(_dispatch)


def _dispatch() -> int | None:
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print("usage: vidsieve COMMAND ... | --version\n\ncommands (each has --help):")
        for command in COMMANDS:
            summary = command.summary.replace("`", "")
            print(f"  {command.name:18}{summary}\n{'':20}= python -m {command.typed}")
        return 0
    if name == "--version":
        print(cli.version())
        return 0
    modules = {command.name: command.module for command in COMMANDS}
    name = name.replace("-", "_")
    if name not in modules:
        close = difflib.get_close_matches(name, modules, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UserError(f"{name}: no such command{hint} (vidsieve --help lists them)")
    typed_vidsieve()
    return importlib.import_module(modules[name]).main(rest)


if __name__ == "__main__":
    main()
