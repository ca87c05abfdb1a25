"""What was found in a folder, as text for a terminal: `check`, `verify` and `check_shards`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tools.base.terminal import counted, one_line, padded, shortened, width
from tools.export.check import Checked
from tools.export.check_shards import ShardCheck
from tools.export.explain import Explained, Loss, Summary
from tools.export.verify import Fault, Report
from tools.report.text_style import Style, hours_text, share

_MOST_BUCKETS = 20  # that are shown; the rest is counted
_LONGEST_BUCKET = 30  # columns
_FILES = 5  # that are named


def check_text(checked: Checked, style: Style) -> str:
    """What a trainer would do with a folder.

    Args:
        checked: Of `tools.export.check.check`.
        style: How the terminal is.

    Returns:
        Lines as wide as the terminal at most.
    """
    summary = checked.explanation.summary
    name = checked.preset.trainer.name
    head = f"{one_line(str(checked.folder))} for {checked.preset.name}: {_used(summary)}"
    parts = [
        [style.bold(line) for line in style.wrapped(head)],
        _bucket_lines(summary, style),
        _loss_lines(summary.lost, checked.explanation.clips, style),
        _failure_lines(checked.failures, style),
        _warning_lines(summary.warned, style),
        _file_lines("named in its list, but not there", checked.missing, style),
        _file_lines("in the folder, but not in its list", checked.unlisted, style),
        _file_lines(f"videos that {name} does not look at", checked.ignored, style),
        [
            line
            for text in summary.ends_training
            for line in style.wrapped(f"training ends with an error: {text}")
        ],
    ]
    return style.encodable("\n\n".join("\n".join(lines) for lines in parts if lines))


def _used(summary: Summary) -> str:
    used = f"{summary.used:,} of {summary.clips:,} clips are used"
    more = f", as {summary.pieces:,} examples" if summary.pieces != summary.used else ""
    left = f"; {summary.dropped:,} examples fill no batch" if summary.dropped else ""
    return (
        f"{used}{more}, {hours_text(summary.seconds_used / 3600)} of {hours_text(summary.seconds / 3600)} h "
        f"({share(summary.seconds_used, summary.seconds)}){left}"
    )


def _bucket_lines(summary: Summary, style: Style) -> list[str]:
    """A table of bucket, clips, examples, hours, and what fills no batch."""
    shown = list(summary.buckets.items())[:_MOST_BUCKETS]
    if not shown:
        return []
    rows = [("bucket", "clips", "examples", "hours", "no batch")]
    for bucket, line in shown:
        left = f"{line.dropped.pieces:,}" if line.dropped else ""
        name = shortened(str(bucket), _LONGEST_BUCKET)
        rows.append((name, f"{line.clips:,}", f"{line.pieces:,}", hours_text(line.seconds / 3600), left))
    lines = _table(rows)
    rest = len(summary.buckets) - len(shown)
    if rest:
        lines.append(f"… and {rest:,} more buckets" if rest > 1 else "… and 1 more bucket")
    small = {line.dropped.reason.remedy for _, line in summary.buckets.items() if line.dropped} - {""}
    for remedy in sorted(small):
        lines += style.wrapped(f"what would help: {remedy}", indent="    ")
    return lines


def _loss_lines(lost: Mapping[str, Loss], clips: Sequence[Explained], style: Style) -> list[str]:
    """Clips that are lost: for each reason how many, how long, why the first one is, and what would help."""
    if not lost:
        return []
    first: dict[str, str] = {}
    for one in clips:
        if one.judgement.loss:
            first.setdefault(one.judgement.loss.kind, one.judgement.loss.text)
    lines = ["lost"]
    for kind, loss in lost.items():
        lines += _kind_lines(kind, loss, style, first.get(kind, ""))
    return lines


def _warning_lines(warned: Mapping[str, Loss], style: Style) -> list[str]:
    """Clips that are used, but changed."""
    lines = ["used, but changed"] if warned else []
    for kind, loss in warned.items():
        lines += _kind_lines(kind, loss, style)
    return lines


def _kind_lines(kind: str, loss: Loss, style: Style, why: str = "") -> Iterator[str]:
    clips = counted(loss.clips, "clip", ",")
    yield from style.wrapped(
        f"{kind}: {clips}, {hours_text(loss.seconds / 3600)} h", first="  ", indent="      "
    )
    names = [shortened(one_line(name), style.width - 8, keep_end=True) for name in loss.examples]
    for number, name in enumerate(names):
        reason = f": {one_line(why)}" if why and not number else ""
        yield from style.wrapped(f"{name}{reason}", first="      ", indent="        ")
    if loss.remedy:
        yield from style.wrapped(f"what would help: {loss.remedy}", first="      ", indent="        ")


def _failure_lines(failures: Mapping[str, str], style: Style) -> list[str]:
    """Why files cannot be read."""
    lines = ["cannot be read"] if failures else []
    for name, why in list(failures.items())[:_FILES]:
        name = shortened(one_line(name), style.width - 8, keep_end=True)
        lines += style.wrapped(f"{name}: {one_line(why)}", first="      ", indent="        ")
    return lines + ([f"      … and {len(failures) - _FILES:,} more"] if len(failures) > _FILES else [])


def _file_lines(what: str, files: Sequence[str], style: Style) -> list[str]:
    if not files:
        return []
    lines = [f"{what}: {len(files):,}"]
    lines += ["      " + shortened(one_line(name), style.width - 6, keep_end=True) for name in files[:_FILES]]
    return lines + ([f"      … and {len(files) - _FILES:,} more"] if len(files) > _FILES else [])


def verify_text(report: Report, style: Style) -> str:
    """Whether an export is as its manifest says."""
    clips = counted(report.clips, "clip", ",")
    head = (
        f"{one_line(str(report.folder))}: {clips}, {hours_text(report.hours)} h, "
        f"{counted(report.files, 'file', ',')}, {_size(report.bytes)}, for {report.manifest.get('preset')}: "
        + ("as the manifest says" if report.ok else "not as the manifest says")
    )
    lines = [style.bold(line) for line in style.wrapped(head)] + _fault_lines(report.faults, style)
    for note in report.notes:
        lines += style.wrapped(note, indent="  ", first="")
    return style.encodable("\n".join(lines))


def shards_text(check: ShardCheck, trainer: str, style: Style) -> str:
    """What is inside of shards."""
    found = f"{check.used:,} of {check.samples:,} samples have a video, {_size(check.bytes)}"
    head = f"{one_line(str(check.folder))} for {trainer}: {found}"
    lines = [style.bold(line) for line in style.wrapped(head)] + _fault_lines(check.faults, style)
    return style.encodable("\n".join(lines))


def _size(size: int) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _fault_lines(faults: Mapping[str, Fault], style: Style) -> list[str]:
    lines = []
    for kind, fault in faults.items():
        lines.append(f"  {kind}: {fault.count:,}")
        for text in fault.examples:
            lines += style.wrapped(one_line(text), first="      ", indent="        ")
        if fault.count > len(fault.examples):
            lines.append(f"      … and {fault.count - len(fault.examples):,} more")
    return lines


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns side by side, the first one to the left, numbers to the right."""
    widths = [max(width(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            padded(cell, widths[0]) if not place else " " * (widths[place] - width(cell)) + cell
            for place, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
