"""The scores that can be computed in one run, and the modules of their commands."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tools.commands import SCORERS
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.stage.stage import Stage


def make_scorer(name: str, flags: list[str], shared: dict[str, str], *, raises: bool = False) -> Stage:
    """Make the stage of a score from flags, as its own command does.

    Args:
        name: A name of `SCORERS`.
        flags: Flags of its command.
        shared: Further flags with their values; those that it does not have are left out.
        raises: A wrong flag is a UserError; without, it ends the program, as on a command line.

    Raises:
        UserError: Weights are missing, or an option is wrong.
    """
    module: Any = importlib.import_module(SCORERS[name].module)
    command = getattr(module, "COMMAND", module)
    parser = command.parser()
    parser.raises = raises
    given = {flag.partition("=")[0] for flag in flags}
    for flag, value in shared.items():
        if flag not in given and not parser.parse_known_args(["meta", flag, value])[1]:
            flags = [*flags, flag, value]
    return command.make_stage(parser.parse_args(["meta", *flags]))


def parse_scores(text: str) -> list[str]:
    """Names of scores, joined by commas.

    Raises:
        UserError: There is no such score, or one stands twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SCORERS:
            raise UserError(f"Invalid score ({name}). Supported values are {', '.join(SCORERS)}.")
        if names.count(name) > 1:
            raise UserError(f"--scores: {name} stands there twice")
    if not names:
        raise UserError(f"--scores: name at least one of {', '.join(SCORERS)}")
    return names


def split_flags(rest: list[str], names: list[str]) -> dict[str, list[str]]:
    """Deal out flags with the name of a score before them: ``--flow.method dis`` is flow's ``--method dis``.

    Args:
        rest: What the parser of the fused command does not know.
        names: Scores of this run.

    Raises:
        UserError: Something is no such flag.
    """
    flags: dict[str, list[str]] = {name: [] for name in names}
    owner: list[str] | None = None
    for word in rest:
        if word.startswith("--"):
            name, dot, flag = word[2:].partition(".")
            if not dot or name not in SCORERS:
                raise UserError(f"unknown flag {word}; a score's own flags are written --SCORE.FLAG")
            if name not in flags:
                raise UserError(f"{word}: {name} is not among the --scores")
            owner = flags[name]
            owner.append(f"--{flag}")
        elif owner is None:
            raise UserError(f"unexpected argument {word}")
        else:
            owner.append(word)
    return flags
