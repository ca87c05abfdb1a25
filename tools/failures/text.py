"""Groups of failures as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.base.terminal import counted, one_line, shortened
from tools.errors import FAILURE_KINDS
from tools.failures.groups import Group, Share
from tools.failures.reading import Failed
from tools.report.text_style import Style

_LINES = 3
"""Folders, codecs and messages that are shown of a kind."""

_INDENT = 12
"""Columns before what is said of a kind."""


def failure_text(failed: Failed, groups: Sequence[Group], style: Style) -> str:
    """What failed in one run.

    Args:
        failed: The table, or failures file.
        groups: Of `tools.failures.groups.group_failures`.
        style: How wide the terminal is.
    """
    lines = [style.bold(_head(failed, groups))]
    for group in groups:
        lines += ["", *_group_lines(group, style)]
    return style.encodable("\n".join(lines))


def _head(failed: Failed, groups: Sequence[Group]) -> str:
    if not groups:
        return f"{failed.name}: no failures"
    count, rows = failed.failures.height, failed.rows
    files = failed.failures["path"].n_unique()
    head = f"{failed.name}: {counted(count, 'failure', ',')}"
    if files != count:
        head += f" of {files:,} files"
    return head if rows is None else f"{head}; the table has {counted(rows, 'row', ',')}"


def _group_lines(group: Group, style: Style) -> Iterator[str]:
    known = FAILURE_KINDS.get(group.kind)
    meaning = f": {plain(known.meaning)}" if known else ""
    yield from style.wrapped(f"{one_line(group.kind)} {group.count:,}{meaning}", indent="    ", first="")
    yield from _shares("folders", group.folders, style)
    yield from _shares("codecs", group.codecs, style)
    yield from _shares("messages", group.messages, style)
    for label, path in zip(("files", *[""] * len(group.examples)), group.examples, strict=False):
        yield f"  {label:{_INDENT - 2}}{shortened(one_line(path), style.width - _INDENT, keep_end=True)}"
    if known:
        first = f"  {'to do':{_INDENT - 2}}"
        yield from style.wrapped(plain(known.remedy), indent=" " * _INDENT, first=first)


def _shares(label: str, shares: Sequence[Share], style: Style) -> Iterator[str]:
    for place, share in enumerate(shares[:_LINES]):
        count = f"{share.failed:,}" if share.rows is None else f"{share.failed:,} of {share.rows:,}"
        name = shortened(one_line(share.name), style.width - _INDENT - len(count) - 2)
        yield f"  {label if place == 0 else '':{_INDENT - 2}}{count}  {name}"
    if len(shares) > _LINES:
        rest = sum(share.failed for share in shares[_LINES:])
        yield f"{'':{_INDENT}}{rest:,} in {len(shares) - _LINES:,} more"


def plain(markdown: str) -> str:
    """A sentence without the marks of code."""
    return markdown.replace("`", "")
