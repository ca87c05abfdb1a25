"""The command that keeps the same rows again, with the bounds that --keep-hours and its kind have found."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.datasets.operations import OPERATIONS, Context, Phase
from tools.datasets.outputs import output_target
from tools.datasets.run_operations import KEEPING, Plan, Settings, in_order
from tools.typed_names import as_typed


def repeat_notes(plan: Plan) -> list[str]:
    """`commands_for` as lines for the user."""
    commands = commands_for(plan)
    return ["the same rows again:", *(f"  {command}" for command in commands)] if commands else []


def commands_for(plan: Plan) -> list[str]:
    """Commands with ``--where`` that give the rows of a plan which has been carried out.

    Args:
        plan: Its context has the condition that was found.

    Returns:
        One line, or two if a filter that depends on the rest of the table (--remove-text-duplication) comes
        before; none if no bounds were asked for.
    """
    if plan.context.condition is None:
        return []
    values = {name: plan.values[name] for name in in_order(plan.values) if name not in KEEPING}
    condition = plan.context.condition
    if "remove_text_duplication" not in values or not condition:
        return [_command(plan.paths, _with_condition(values, condition), plan.context)]
    first = {name: value for name, value in values.items() if OPERATIONS[name].phase < Phase.AMOUNT}
    rest = {name: value for name, value in values.items() if name not in first}
    between = output_target(plan.paths, plan.paths, first, Settings(plan.context.seed), None, None)
    return [
        _command(plan.paths, first, plan.context),
        _command([between], _with_condition(rest, condition), plan.context),
    ]


def _with_condition(values: Mapping[str, Any], condition: str) -> dict[str, Any]:
    """The bounds, joined to a condition of the user's own."""
    own = values.get("where")
    if own is not None:
        end = "\n)" if "#" in own else ")"  # a comment would hide the bracket
        condition = f"({own}{end} and {condition}" if condition else own
    return {**values, "where": condition} if condition else dict(values)


def _command(paths: Sequence[Path], values: Mapping[str, Any], context: Context) -> str:
    words: list[str] = []
    for name in values:
        flag, *rest = OPERATIONS[name].words(values[name])
        words += [f"{flag}={rest[0]}"] if len(rest) == 1 and rest[0].startswith("-") else [flag, *rest]
    settings = {"--seed": (context.seed, 42), "--lang-threshold": (context.lang_threshold, None)}
    if {"sample", "balance"} & values.keys():
        settings["--per-source"] = (context.per_source, None)
    for flag, (value, default) in settings.items():
        words += [flag, str(value)] if value != default else []
    typed = " ".join(map(quoted, [*map(str, paths), *words]))
    return as_typed(f"python -m tools.datasets.datautil {typed}")


def quoted(word: str) -> str:
    """An argument for the shell: bare or in double quotes where nothing in it means something there."""
    if re.fullmatch(r"[\w@%+=:,./-]+", word):
        return word
    return shlex.quote(word) if re.search(r'["$`\\!\n]', word) else f'"{word}"'
