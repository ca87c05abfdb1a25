"""The command of a step: what it reads and writes, and its command line from the options of the step."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools import cli
from tools.commands import COMMANDS, Command
from tools.errors import UserError
from tools.pipeline.document import unknown

_NOT_STEPS = ("doctor", "operators", "pipeline", "weights")
"""Commands that are no step: they work on no table, and make none."""

_NO_TABLE = {"report": ".html", "emscore_idf": ".json"}
"""Extension of what a command writes to ``--output`` where that is no table."""

_SOURCES = ("convert",)
"""Commands that read no table."""

_BY_PIPELINE = ("output", "overwrite", "dry-run", "status", "help", "help-all", "version", "list-recipes")
"""Flags that a step cannot have."""


@dataclass(frozen=True)
class StepCommand:
    """A command as a step of a pipeline.

    Attributes:
        command: Its line in the registry.
        parser: Its command line.
    """

    command: Command
    parser: cli.ArgumentParser

    @property
    def reads_tables(self) -> bool:
        """Whether it reads the table of another step."""
        return self.command.name not in _SOURCES

    @property
    def writes(self) -> bool:
        """Whether it writes what ``--output`` names."""
        return "--output" in self.parser._option_string_actions

    @property
    def writes_table(self) -> bool:
        """Whether that is a table."""
        return self.writes and self.command.name not in _NO_TABLE

    @property
    def by_rows(self) -> bool:
        """Whether it works row by row, so that several ranks can share the work."""
        return "--on-error" in self.parser._option_string_actions

    def extension(self, of_table: str) -> str:
        """Extension of what it writes, where a table has this one."""
        return _NO_TABLE.get(self.command.name, of_table)

    def flags(self, options: Mapping[str, Any]) -> list[str]:
        """Options as they are typed.

        Args:
            options: Values by the names of flags: True for a switch, a list for several values.

        Raises:
            UserError: There is no such flag, or it takes no such value.
        """
        return [
            word for name, value in options.items() for word in self._words(name.replace("_", "-"), value)
        ]

    def _words(self, name: str, value: Any) -> Iterable[str]:
        if name in _BY_PIPELINE:
            raise UserError(f"{name} is no option of a step{_INSTEAD.get(name, '')}")
        action = self._action(name)
        if action.nargs == 0:
            if value in (True, "true"):
                return [f"--{name}"]
            if value in (False, "false"):
                return []
            raise UserError(f"{name} is a switch: true or false, not {value}")
        if isinstance(value, bool):
            raise UserError(f"{name} needs a value, not {str(value).lower()}")
        if not isinstance(value, list):
            return [f"--{name}={value}"]
        if isinstance(action, argparse._AppendAction):
            return [f"--{name}={one}" for one in value]
        if action.nargs is None:
            return [f"--{name}={','.join(value)}"]
        return [f"--{name}", *value] if value else []

    def _action(self, name: str) -> argparse.Action:
        """The flag of this name; of a score in a run of several it is that of the score's own command."""
        flags = self.parser._option_string_actions
        if f"--{name}" in flags:
            return flags[f"--{name}"]
        score, dot, own = name.partition(".")
        known = [flag.removeprefix("--") for flag in flags if flag.startswith("--")]
        if dot and self.command.name == "scoring":
            from tools.scoring.scorers import scorer_command

            flags = scorer_command(score).parser()._option_string_actions
            if f"--{own}" in flags:
                return flags[f"--{own}"]
            known = [f"{score}.{flag.removeprefix('--')}" for flag in flags if flag.startswith("--")]
        if f"--{name}" in self.parser._refused:
            raise UserError(f"there is no option {name}: {self.parser._refused[f'--{name}']}")
        raise UserError(f"{unknown('option', name, known)} (see: {self.parser.prog} --help-all)")

    def check(self, line: Sequence[str]) -> str:
        """Check a command line, as far as that can be done before any table is there.

        Returns:
            The versions of the stages that it runs, as text: finished rows of others are not used again.

        Raises:
            UserError: It is wrong.
        """
        self.parser.raises = True
        words = any(action.dest == "words" for action in self.parser._actions)
        parse = self.parser.parse_known_intermixed_args if words else self.parser.parse_known_args
        args, rest = parse(list(line))
        if self.command.name == "scoring":
            return _check_scores(args.scores, rest)
        if rest:
            raise UserError(f"what is {' '.join(rest)}?")
        if self.command.name == "datautil":
            from tools.datasets.datautil import settings_of
            from tools.datasets.operations import OPERATIONS
            from tools.datasets.run_operations import checked

            checked({name: getattr(args, name) for name in OPERATIONS}, settings_of(args))
        own = getattr(importlib.import_module(self.command.module), "COMMAND", None)
        return "" if own is None else str(own.stage_of(own.given(args))[0].version)


_INSTEAD = {
    "output": ": it has a key output",
    "overwrite": ": a pipeline replaces what it has written itself, and nothing else",
    "dry-run": ": python -m tools.pipeline has --dry-run",
    "status": ": python -m tools.pipeline has --status",
}


def _check_scores(scores: str, rest: list[str]) -> str:
    from tools.scoring.scorers import parse_scores, scorer_command, split_flags, typed_options

    names = parse_scores(scores)
    versions = []
    for name, flags in split_flags(rest, names).items():
        options = typed_options(name, flags)
        versions.append(str(scorer_command(name).stage_of(options)[0].version))
    return ",".join(versions)


def step_command(name: str) -> StepCommand:
    """A command by its name.

    Raises:
        UserError: There is none of this name, or it cannot be a step.
    """
    known = {command.name: command for command in COMMANDS if command.name not in _NOT_STEPS}
    spelled = name.replace("-", "_")
    if spelled not in known:
        by_module = {command.typed: command.name for command in known.values()}
        spelled = by_module.get(name, spelled)
    if spelled not in known:
        raise UserError(f"run: {unknown('command', name, known)}")
    command = known[spelled]
    main = importlib.import_module(command.module).main
    return StepCommand(command, cli.parser_of(main))
