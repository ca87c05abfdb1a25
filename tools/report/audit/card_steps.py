"""How a table was made, for its card: the funnel, the options of each step, and the weights."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from tools.commands import COMMANDS
from tools.report.audit.markdown import code, plain, table
from tools.report.chain import Chain, ChainStep
from tools.report.text_style import hours_text
from tools.stage.output import read_receipt
from tools.stage.provenance import digests_in

_NOT_KNOWN = "not known"
_DATAUTIL = "tools.datasets.datautil"
_LONGEST_OPTIONS = 2000  # characters


def funnel_section(chain: Chain) -> str:
    """Rows and hours after each step, what was lost and why."""
    if len(chain.steps) == 1:
        why = "only this table was given, not those that it was made from"
        return f"## Funnel\n\n{_NOT_KNOWN.capitalize()}: {why}."
    rows = [_funnel_row(*pair) for pair in zip(chain.steps, (None, *chain.steps), strict=False)]
    head = ("table", "made by", "rows", "hours", "rows lost", "hours lost", "rows new")
    notes = [note for step in chain.steps for note in _losses(step)]
    notes += [f"- {plain(note)}" for note in chain.notes]
    parts = ["## Funnel", table(head, rows, 5), "\n".join(notes)]
    return "\n\n".join(part for part in parts if part)


def _funnel_row(step: ChainStep, before: ChainStep | None) -> list[str]:
    made = code(step.operation) if step.operation else _NOT_KNOWN
    cells = [code(step.name), made, f"{step.rows:,}", _hours(step)]
    change = step.change
    if change is None or before is None:
        return [*cells, "", "", ""]
    if not change.matched_by:
        return [*cells, *[_NOT_KNOWN] * 3]
    unknown = bool(change.lost) and before.unknown_length == before.rows
    hours = _NOT_KNOWN if unknown else hours_text(change.lost_hours)
    return [*cells, f"{change.lost:,}", hours, f"{change.new:,}"]


def _hours(step: ChainStep) -> str:
    if step.rows and step.unknown_length == step.rows:
        return _NOT_KNOWN
    more = f" ({step.unknown_length:,} rows of unknown length)" if step.unknown_length else ""
    return hours_text(step.hours) + more


def _losses(step: ChainStep) -> Iterator[str]:
    """Why a step lost rows, and what failed in it."""
    if step.change:
        reasons = [
            f"{reason.rows:,} {code(reason.text)}"
            + ("" if reason.recorded else " (from what made the table)")
            for reason in step.change.reasons
        ]
        if reasons:
            yield f"- {code(step.name)} lost: {', '.join(reasons)}"
    if step.failures:
        kinds = ", ".join(f"{failure.rows:,} {code(failure.kind)}" for failure in step.failures)
        yield f"- {code(step.name)}, failed rows by kind: {kinds}"


def steps_section(chain: Chain) -> str:
    """What made each table, with its options, and digests of the weights."""
    pairs = zip(chain.steps, (None, *chain.steps), strict=False)
    lines = [line for step, before in pairs for line in _step_lines(step, before)]
    return (
        "## Thresholds, options and versions\n\n"
        "From the provenance beside each table where there is one; else from the names of the tables.\n\n"
        + "\n".join(lines)
    )


def _step_lines(step: ChainStep, before: ChainStep | None) -> Iterator[str]:
    receipt = read_receipt(step.files[0]) if step.options else None
    if receipt is None:
        made = (
            f"{code(_typed(step, before))}, by its name" if step.operation else f"{_NOT_KNOWN} what made it"
        )
        yield f"- {code(step.name)}: {made}"
        return
    version = receipt["ask"].get("version")
    yield (
        f"- {code(step.name)}: {code(_typed(step, before))}, version "
        f"{_NOT_KNOWN if version is None else code(str(version))} of its stage"
    )
    yield f"  - options: {code(_shown(dict(step.options)))}"
    for name, digest in digests_in(step.options):
        yield f"  - {code(name)}: {_weights(digest)}"


def _typed(step: ChainStep, before: ChainStep | None) -> str:
    """The command that made a table, as far as it is known: without options, which the receipt has."""
    module = next((command.typed for command in COMMANDS if command.name == step.operation), "")
    flags = step.operation.split(", ")
    if before is None or not (module or all(flag.startswith("--") for flag in flags)):
        return step.operation
    table = shlex.quote(before.name)
    return f"python -m {module} {table}" if module else f"python -m {_DATAUTIL} {table} {' '.join(flags)}"


def _shown(options: dict[str, Any]) -> str:
    text = json.dumps(options, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_OPTIONS else f"{text[:_LONGEST_OPTIONS]}..."


def _weights(digest: str) -> str:
    """The published file with a digest, and its licence; or the digest alone."""
    from tools.models.published import WEIGHTS

    known = next((file for file in WEIGHTS.values() if file.sha256 == digest), None)
    if known is None:
        return f"SHA-256 {code(digest)}, no published file that vidsieve knows"
    return f"{plain(known.title)} ({plain(known.licence)}), SHA-256 {code(digest)}"
