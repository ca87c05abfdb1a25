"""A summary as text for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tools.base.terminal import one_line, padded, shortened, width
from tools.report.rows import HEADINGS, KINDS
from tools.report.summary.numbers import QUANTILES, NumberSummary
from tools.report.summary.results import Overview, Summary

_WIDTH = 100
_LABELS_SHOWN = 12
_SIZES_SHOWN = 6
_NAME_WIDTH = 18


def render_summary(summary: Summary) -> str:
    """Everything in a summary: the overview, then the columns."""
    return f"{render_overview(summary.overview)}\n\n{render_columns(summary)}"


def render_overview(overview: Overview) -> str:
    """How many rows of each kind, hours, and what keeps them from being exact."""
    lines = [("rows", f"{overview.rows:,}")]
    if overview.paths is not None and overview.paths < overview.rows:
        lines.append(("distinct paths", f"{overview.paths:,}"))
    for kind in KINDS:
        count = overview.kinds[kind]
        if count:
            note = f" ({KINDS[kind]})" if kind in ("broken", "unknown") else ""
            lines.append((HEADINGS[kind] if kind != "unknown" else "unknown", f"{count:,}{note}"))
    if overview.kinds["video"]:
        lines.append(("hours", _hours(overview)))
    return _aligned(lines)


def _hours(overview: Overview) -> str:
    missing = overview.unknown_length
    if missing == overview.kinds["video"]:
        return "not known: no row has a duration, or num_frames and fps"
    amount = f"{overview.hours:,.2f}" if overview.hours >= 1 else f"{overview.hours:.4f}"
    return f"{amount} (without {missing:,} videos of unknown length)" if missing else amount


def render_columns(summary: Summary) -> str:
    """Numbers, captions, labels, sizes and sources, each where the table has them."""
    parts = [
        _numbers(summary),
        _text(summary),
        *[_labels(name, counts, summary.overview.rows) for name, counts in summary.labels.items()],
        _sizes(summary),
        _sources(summary),
    ]
    return "\n\n".join(part for part in parts if part)


def _numbers(summary: Summary) -> str:
    described = dict(summary.numbers)
    if summary.text:
        described["text, characters"] = summary.text.characters
    described = {name: numbers for name, numbers in described.items() if numbers.count or numbers.unreadable}
    if not described:
        return ""
    lines = _number_lines(described, digits=4)
    if max(map(width, lines)) > _WIDTH:
        lines = _number_lines(described, digits=3)
    lines += [
        f"{name}: {numbers.unreadable:,} cells are no numbers and are left out"
        for name, numbers in described.items()
        if numbers.unreadable
    ]
    return "\n".join(lines)


def _number_lines(described: Mapping[str, NumberSummary], digits: int) -> list[str]:
    header = ["column", "empty", "min", *[f"{q * 100:g}%" for q in QUANTILES], "max", "mean"]
    grid = [header, *[_number_row(name, numbers, digits) for name, numbers in described.items()]]
    widths = [max(width(row[i]) for row in grid) for i in range(len(header))]
    return [
        " ".join([padded(row[0], widths[0]), *[c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]])
        for row in grid
    ]


def _number_row(name: str, numbers: NumberSummary, digits: int) -> list[str]:
    short = name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + "…"
    quantiles = numbers.quantiles or {}
    values = [numbers.minimum, *(quantiles.get(q) for q in QUANTILES), numbers.maximum, numbers.mean]
    shown = ["" if value is None else compact(value, digits) for value in values]
    return [short, compact(numbers.empty), *shown]


def compact(number: float, digits: int = 4) -> str:
    """A number in few characters.

    Args:
        number: Finite.
        digits: Significant digits, 3 or 4.

    Returns:
        Up to 99999 as it is; above with k, M, G or T; very small and very large ones as 1e-05.
    """
    size = abs(number)
    if size >= 1e15 or 0 < size < 10 ** (1 - digits):
        return f"{number:.{digits - 3}e}"
    for limit, unit, letter in ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k")):
        if size >= limit:
            return f"{number / unit:.{digits}g}{letter}"
    return f"{number:.0f}" if size >= 1000 else f"{number:.{digits}g}"


def _text(summary: Summary) -> str:
    text = summary.text
    if text is None:
        return ""
    lines = [("text", f"{text.filled:,} captions"), ("", f"{text.empty:,} empty")]
    lines.append(("", f"{text.duplicates:,} that an earlier row has too"))
    return _aligned(lines)


def _labels(name: str, counts: dict[str | None, int], rows: int) -> str:
    shown = list(counts.items())[:_LABELS_SHOWN]
    columns = max(width(_label(value)) for value, _ in shown)
    most = shown[0][1]
    lines = []
    for value, number in shown:
        bar = "▇" * round(30 * number / most)
        lines.append(f"  {padded(_label(value), columns)}  {number:>12,}  {number / rows:>6.1%}  {bar}")
    rest = sum(counts.values()) - sum(number for _, number in shown)
    if rest:
        lines.append(f"  {len(counts) - len(shown)} more values: {rest:,} rows")
    return "\n".join([name, *[line.rstrip() for line in lines]])


def _label(value: str | None) -> str:
    return shortened("(empty)" if value is None or not value.strip() else one_line(value), 32)


def _sizes(summary: Summary) -> str:
    if not summary.sizes:
        return ""
    shown = summary.sizes[:_SIZES_SHOWN]
    total = sum(rows for _, _, rows in summary.sizes)
    lines = [f"  {f'{w} x {h}':<14}{rows:>12,}  {rows / total:>6.1%}" for w, h, rows in shown]
    rest = total - sum(rows for _, _, rows in shown)
    if rest:
        lines.append(f"  {len(summary.sizes) - len(shown):,} more sizes: {rest:,} rows")
    return "\n".join(["size, width x height", *lines])


def _sources(summary: Summary) -> str:
    sources = summary.sources
    if sources is None or not sources.distinct:
        return ""
    lines = [f"sources: {sources.distinct:,}; the largest:"]
    for name, rows, seconds in sources.largest:
        short = padded(shortened(one_line(name), 60, keep_end=True), 60)
        amount = f"{seconds / 3600:.3f} h" if seconds else ""
        lines.append(f"  {short}  {rows:>10,} rows  {amount}".rstrip())
    return "\n".join(lines)


def _aligned(lines: Sequence[tuple[str, str]]) -> str:
    columns = max(len(name) for name, _ in lines) + 2
    return "\n".join(name.ljust(columns) + value for name, value in lines)
