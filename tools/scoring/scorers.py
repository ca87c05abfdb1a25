"""The scores that can be computed in one run: their stages, and their flags on a common command line."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tools.commands import SCORERS
from tools.errors import UserError, check_choice

if TYPE_CHECKING:
    from tools.stage.command import StageCommand
    from tools.stage.stage import Stage


def check_score(name: str) -> None:
    """Make sure that there is a score of this name.

    Raises:
        UserError: There is none.
    """
    check_choice("score", name, SCORERS)


def scorer_command(name: str) -> StageCommand:
    """The command of a score.

    Raises:
        UserError: There is no such score.
    """
    check_score(name)
    return importlib.import_module(SCORERS[name].module).COMMAND


def make_scorer(
    name: str, options: Mapping[str, Any] | None = None, shared: Mapping[str, Any] | None = None
) -> Stage:
    """The stage of a score, as its own command makes it.

    Args:
        name: A name of `SCORERS`.
        options: Values by the names of options of its command: ``{"num_frames": 4}``.
        shared: Further options; those that it does not have are left out.

    Raises:
        UserError: Weights are missing, or an option is wrong.
    """
    return scorer_command(name).stage_from(options or {}, shared)


def typed_options(name: str, flags: list[str]) -> dict[str, Any]:
    """The options of a score that flags give, by name; a wrong flag ends the program.

    Args:
        name: A name of `SCORERS`.
        flags: Flags of its command.

    Raises:
        UserError: A flag is about the whole run.
    """
    command = scorer_command(name)
    parser = command.parser()
    parser.may_be_remote = lambda _: ()
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    args = parser.parse_args(["meta", *flags])
    given = command.given(args)
    for other in vars(args).keys() - {*given, "meta"}:
        flag = other.replace("_", "-")
        raise UserError(f"--{name}.{flag}: is no option of the score; options of the run have no prefix")
    return given


def parse_scores(text: str) -> list[str]:
    """Names of scores, joined by commas.

    Raises:
        UserError: There is no such score, or one is given twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        check_score(name)
        if names.count(name) > 1:
            raise UserError(f"--scores: {name} is given twice")
    if not names:
        raise UserError(f"--scores: name at least one of {', '.join(SCORERS)}")
    return names


def split_flags(rest: list[str], names: list[str]) -> dict[str, list[str]]:
    """Flags with the name of a score before them, by score: ``--flow.method dis`` is flow's ``--method dis``.

    Args:
        rest: What the parser of the fused command does not know.
        names: Scores of this run.

    Raises:
        UserError: A word is no such flag, or none of a score of this run.
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
