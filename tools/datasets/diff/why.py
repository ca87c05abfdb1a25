"""Why two tables differ, from their sidecars; from the receipts of stages where a table has none."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.datasets.diff.compare import Difference
from tools.stage.output import read_receipt
from tools.stage.provenance import config_difference
from tools.table.sidecar import RUN, Sidecar, read_sidecar


def reasons(files: Sequence[Sequence[Path]], found: Difference) -> list[str]:
    """Why two tables differ, as far as it is known what they were made by.

    Args:
        files: Of each of the two tables the files that it is in.
        found: Their difference.
    """
    first, second = (read_sidecar(group[0]) for group in files)
    if first is None or second is None:
        return _of_receipts(files)
    by_reason: dict[str, list[str]] = {}
    for change in found.changes:
        for why in _of_column(change.name, first, second):
            by_reason.setdefault(why, []).append(change.name)
    lines = [f"{', '.join(columns)}: {why}" for why, columns in by_reason.items()]
    if any(found.only) or any(found.columns_only) or found.moved:
        lines += _other_steps(first, second)
    return lines or [why for why in _of_receipts(files) if why.startswith("the files")]


def _of_column(name: str, first: Sidecar, second: Sidecar) -> Iterator[str]:
    """What made the cells of a column otherwise."""
    before, after = (_made(name, one) for one in (first, second))
    if not before or not after:
        return
    step, other = before[-1], after[-1]
    stage, now = _stage(step, name), _stage(other, name)
    if stage is not None and now is not None:
        differs = config_difference(stage, now, "then")
        if differs:
            yield f"made with other options: {differs}"
    elif step["command"] != other["command"]:
        yield f"made by {_typed(step)}, then by {_typed(other)}"
    if _digests(step) != _digests(other):
        yield "made from different input tables"
    if step.get("vidsieve") != other.get("vidsieve"):
        yield f"made by vidsieve {step.get('vidsieve')}, then {other.get('vidsieve')}"
    packages, others = ((one.get(RUN) or {}).get("packages") or {} for one in (step, other))
    changed = [name for name in packages if name in others and packages[name] != others[name]]
    if changed:
        versions = ", ".join(f"{name} {packages[name]}, then {others[name]}" for name in changed)
        yield f"made with other packages: {versions}"


def _made(column: str, known: Sidecar) -> list[dict[str, Any]]:
    return [known.steps[name] for name in known.columns.get(column, ())]


def _stage(step: Mapping[str, Any], column: str) -> dict[str, Any] | None:
    """The stage that made a column, as `config_difference` takes it."""
    for record in step["stages"]:
        if column in record.get("columns", ()):
            config = {"class": record.get("class"), **(record.get("options") or {})}
            return {"stage": record.get("name"), "version": record.get("version"), "config": config}
    return None


def _digests(step: Mapping[str, Any]) -> list[Any]:
    return [
        {name: value for name, value in one.items() if name not in ("name", "step")} for one in step["inputs"]
    ]


def _other_steps(first: Sidecar, second: Sidecar) -> Iterator[str]:
    """The commands that one of the tables has gone through alone."""
    typed = [[_typed(step) for step in one.steps.values()] for one in (first, second)]
    for sign, own, others in zip("-+", typed, reversed(typed), strict=True):
        alone = [command for command in dict.fromkeys(own) if command not in others]
        if alone:
            yield f"{sign} made by {'; '.join(alone)}"


def _typed(step: Mapping[str, Any]) -> str:
    """The command of a step; where it was called from Python, what it was asked."""
    if step["command"]:
        return shlex.join(map(str, step["command"]))
    asked = [str(record.get("name")) for record in step["stages"]]
    asked += [f"{name} {value}" for name, value in (step.get("options") or {}).items()]
    return f"a call from Python ({', '.join(asked)})"


def _of_receipts(files: Sequence[Sequence[Path]]) -> list[str]:
    first, second = (read_receipt(group[0]) for group in files)
    if first is None or second is None:
        return []
    found = []
    if first["ask"] != second["ask"] and "stage" in first["ask"] and "stage" in second["ask"]:
        found.append(f"made with other options: {config_difference(first['ask'], second['ask'], 'then')}")
    if first["input"] != second["input"]:
        found.append("made from different input tables")
    elif first["rows"] != second["rows"] and first["world"] == second["world"]:
        found.append("the files behind the rows have changed")
    return found
