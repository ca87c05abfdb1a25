"""Columns that other weights or another version would make today, and the commands that make them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import __version__
from tools.columns import COLUMNS
from tools.errors import UserError
from tools.stage.provenance import weights_in
from tools.stage.recorded import recorded_stage
from tools.stage.stage import weights_later
from tools.table.sidecar import RUN, Sidecar, read_sidecar
from tools.typed_names import as_typed

_DIGITS = 12  # of a digest in a message


@dataclass
class Staleness:
    """What is out of date in a table.

    Attributes:
        table: The table.
        stale: Why, for each column that would be made otherwise today.
        unknown: Why it cannot be said, for columns of which the makers are known.
        unrecorded: Columns of which no maker is known: the user's own, for example.
        current: Columns that are up to date.
        commands: What makes the stale columns again: the folder and the command line of each step, and of the
            steps that came after it.
    """

    table: Path
    stale: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    unrecorded: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)


class _Unknown(Exception):
    """It cannot be said whether a column is up to date."""


def find_stale(table: Path) -> Staleness:
    """Compare the stages and weights that made the columns of a table with those of today.

    A column of a stage is stale where the stage's version was raised since, as it is whenever the same
    options would give other values, or where one of its weights is another file now. Others are stale where
    they were measured by another version of the toolkit. A stage's weights are looked for as its own command
    does.

    Raises:
        UserError: The table has no sidecar, or was changed since by something else.
    """
    known = read_sidecar(table)
    if known is None:
        if not table.is_file():
            raise UserError(f"{table}: there is no such table")
        raise UserError(
            f"{table}: nothing is known of where it comes from: no command of the toolkit has written it, or "
            "it was changed since"
        )
    found = Staleness(table)
    judged: dict[str, str] = {}
    outdated: set[str] = set()
    for column, makers in known.columns.items():
        if not makers:
            found.unrecorded.append(column)
            continue
        try:
            reasons = {name: _why_stale(known.steps[name], column, judged) for name in makers}
        except _Unknown as error:
            found.unknown[column] = str(error)
            continue
        why = [reason for reason in dict.fromkeys(reasons.values()) if reason]
        outdated |= {name for name, reason in reasons.items() if reason}
        if why:
            found.stale[column] = "; ".join(why)
        else:
            found.current.append(column)
    found.commands = list(_again(known, outdated))
    return found


def _why_stale(step: Mapping[str, Any], column: str, judged: dict[str, str]) -> str:
    """Why a step would give other cells today; empty where it would not.

    Args:
        step: One of those that made the column.
        column: The column.
        judged: What is known of stages already.
    """
    records = [record for record in step["stages"] if column in record.get("columns", ())]
    if records:
        return "; ".join(reason for record in records if (reason := _judge(record, judged)))
    measured = column in COLUMNS and COLUMNS[column].measured_on != "table"
    if measured and step.get("vidsieve") != __version__:
        return f"vidsieve {step.get('vidsieve')}, now {__version__}"
    return ""


def _judge(record: Mapping[str, Any], judged: dict[str, str]) -> str:
    key = str(record)
    if key not in judged:
        judged[key] = "; ".join(_differences(record))
    return judged[key]


def _differences(record: Mapping[str, Any]) -> Iterator[str]:
    name = record.get("name")
    with weights_later():
        try:
            stage = recorded_stage(record)
        except UserError as error:
            raise _Unknown(str(error)) from None
    if stage is None:
        raise _Unknown(f"this version of the toolkit cannot create the stage {name}")
    if stage.version != record.get("version"):
        yield f"{name} version {record.get('version')}, now {stage.version}"
    before = {(one["option"], one["sha256"]): one for one in record.get("weights") or ()}
    if not before:
        return
    try:
        stage.ready()
    except UserError as error:
        raise _Unknown(str(error)) from None
    now = {(one["option"], one["sha256"]): one for one in weights_in(stage.config())}
    for option in dict.fromkeys(option for option, _ in before):
        lost = [one for key, one in before.items() if key[0] == option and key not in now]
        new = [one for key, one in now.items() if key[0] == option and key not in before]
        if lost or new:
            yield f"{name} with other weights: {option} {_spelled(lost)}, now {_spelled(new)}"


def _spelled(weights: Iterable[Mapping[str, Any]]) -> str:
    """Weights by their usual name, where they have one, and the beginning of their digest."""
    return (
        " + ".join(f"{one.get('title', '')} {one['sha256'][:_DIGITS]}".strip() for one in weights) or "none"
    )


def _again(known: Sidecar, outdated: set[str]) -> Iterator[tuple[str, str]]:
    """The commands of some steps and of all that came after them, in their order."""
    todo = set(outdated)
    for name, step in known.steps.items():
        if name not in todo and not todo & {one.get("step") for one in step["inputs"]}:
            continue
        todo.add(name)
        words = [str(word) for word in step["command"]]
        if words and step["stages"] and "--overwrite" not in words:
            words.append("--overwrite")
        line = as_typed(shlex.join(words)) if words else "(called from Python)"
        yield str((step.get(RUN) or {}).get("folder") or ""), line


def stale_text(found: Sequence[Staleness]) -> str:
    """What is out of date in some tables, and the commands that update it."""
    return "\n".join(line for one in found for line in _lines(one))


def _lines(one: Staleness) -> Iterator[str]:
    known = len(one.stale) + len(one.unknown) + len(one.current)
    yield f"{one.table}: {len(one.stale)} of {known} columns are stale"
    for why, columns in _by_reason(one.stale).items():
        yield f"  {', '.join(columns)}: {why}"
    for why, columns in _by_reason(one.unknown).items():
        yield f"  {', '.join(columns)}: cannot be judged: {why}"
    if one.unrecorded:
        yield f"  {', '.join(one.unrecorded)}: no command of the toolkit has made them"
    here = str(Path.cwd())
    for number, (folder, command) in enumerate(one.commands):
        if not number:
            yield "to make them again:"
        yield f"  {command}" if folder in ("", here) else f"  cd {shlex.quote(folder)} && {command}"


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for column, why in reasons.items():
        grouped.setdefault(why, []).append(column)
    return grouped
