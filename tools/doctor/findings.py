"""What was found on a machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.base.terminal import padded, width
from tools.typed_names import as_typed

OK, MISSING, PROBLEM = "ok", "missing", "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        group: What it belongs to: ``packages``.
        name: What it is.
        state: `OK`; `MISSING`, where only what needs it does not run; or `PROBLEM`, where the quickstart
            would not run.
        detail: What was found, in a few words.
        fix: What to type or do; empty if there is nothing to fix.
    """

    group: str
    name: str
    state: str
    detail: str
    fix: str = ""


def render(findings: Sequence[Finding]) -> str:
    """A line for each finding, by groups, and one that says whether the quickstart would run."""
    longest = max((width(finding.name) for finding in findings), default=0)
    lines: list[str] = []
    for group in dict.fromkeys(finding.group for finding in findings):
        lines += ["", group]
        for found in findings:
            if found.group == group:
                fix = f"  -> {as_typed(found.fix)}" if found.fix else ""
                lines.append(f"  {found.state:8}{padded(found.name, longest)}  {found.detail}{fix}".rstrip())
    problems = problems_of(findings)
    lines += ["", "the quickstart would run" if not problems else f"the quickstart would not run: {problems}"]
    return "\n".join(lines[1:])


def problems_of(findings: Iterable[Finding]) -> str:
    """The names of the problems; empty where there are none."""
    return ", ".join(found.name for found in findings if found.state == PROBLEM)
