"""The figures of a report as text for a terminal: the chain, the scores, recipes, failures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import polars as pl

from tools.base.terminal import counted, one_line, padded, shortened, width
from tools.columns import COLUMNS
from tools.report.chain import Chain, ChainStep, Change
from tools.report.recipe_overlay import Amount, Overlay, OverlayStep
from tools.report.rows import HEADINGS
from tools.report.summary import Summary, summarize
from tools.report.summary.numbers import NumberSummary
from tools.report.summary.render import compact
from tools.report.text_style import Style, share
from tools.typed_names import as_typed

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_FEW_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_CELL = 6  # columns of a number in the table of scores
_NARROW_BAR, _WIDE_BAR = 8, 24
_SHORTEST, _LONGEST = 6, 20  # columns of a name
_WIDE = 76  # columns of a terminal that takes everything
_GAVE_NOTHING = {"source": ("video", "no clip"), "original_path": ("file", "no other")}
_SEVERAL = 6  # columns that are named one by one


def report_text(chain: Chain, overlays: Sequence[Overlay], style: Style) -> str:
    """Everything about a table, in sections.

    Args:
        chain: The table, and those that led to it; the last one is read once more for its scores.
        overlays: Recipes on it.
        style: How the terminal is.

    Returns:
        Lines that are as wide as the terminal at most, but for commands to copy.

    Raises:
        UserError: The table cannot be read.
    """
    frame, lists = _without_lists(chain.frame())
    summary = summarize(frame, source=str(chain.table))
    parts = [
        [style.bold(line) for line in style.wrapped(head_line(chain, summary))],
        chain_lines(chain, style),
        score_lines(summary, style),
        *[recipe_lines(one, chain.steps[-1], style) for one in overlays],
        compared_lines(overlays, style),
        failure_lines(chain, style),
        [line for note in chain.notes for line in style.wrapped(one_line(note), indent="    ", first="")],
    ]
    if lists:
        parts.append(style.wrapped(f"columns of lists are not shown: {', '.join(map(one_line, lists))}"))
    return style.encodable("\n\n".join("\n".join(lines) for lines in parts if lines))


def _without_lists(frame: pl.LazyFrame) -> tuple[pl.LazyFrame, list[str]]:
    """A table without its columns of lists (embeddings, say), and their names; captions may be lists."""
    lists = [name for name, kind in frame.collect_schema().items() if kind.is_nested() and name != "text"]
    return frame.drop(lists), lists


def head_line(chain: Chain, summary: Summary) -> str:
    """How much there is: rows, of which kinds, hours, sources."""
    step, overview = chain.steps[-1], summary.overview
    kinds = {name: rows for name, rows in overview.kinds.items() if rows}
    of_kinds = ", ".join(f"{rows:,} {HEADINGS[name]}" for name, rows in kinds.items())
    parts = [
        counted(overview.rows, "row", ",") + (f" ({of_kinds})" if len(kinds) > 1 or "image" in kinds else "")
    ]
    if step.unknown_length < step.rows:
        parts.append(length(step.hours))
    if overview.unknown_length and step.unknown_length < step.rows:
        parts.append(f"{counted(overview.unknown_length, 'video', ',')} of unknown length")
    if summary.sources is not None:
        parts.append(counted(summary.sources.distinct, "source", ","))
    return f"{one_line(step.name)}: {', '.join(parts)}"


def hours(amount: float) -> str:
    """Hours in few digits, for a column of them."""
    if 0 < amount < 0.0001:
        return "<0.0001"
    digits = 0 if amount >= 1000 or not amount else 1 if amount >= 10 else 2 if amount >= 1 else 4
    return f"{amount:,.{digits}f}"


def length(amount: float) -> str:
    """Hours in words: ``45.2 hours``, ``1.6 minutes``, ``12 seconds``."""
    if amount >= 1:
        return f"{hours(amount)} hours"
    number, unit = (amount * 60, "minutes") if amount * 60 >= 1 else (amount * 3600, "seconds")
    return f"{number:.2g} {unit}" if number < 10 else f"{number:.0f} {unit}"


def chain_lines(chain: Chain, style: Style) -> list[str]:
    """The funnel: rows and hours of each table as bars, and below it what went and why."""
    if len(chain.steps) < 2:
        return []
    by_hours = sum(step.hours > 0 for step in chain.steps) > 1  # a table that was not probed yet has none
    sizes = [step.hours if by_hours else step.rows for step in chain.steps]
    bar = max(8, style.width // 6)
    name = style.width - bar - 22
    lines = [style.bold(padded("steps", name) + f"{'rows':>11}{'hours':>9}")]
    for step, size in zip(chain.steps, sizes, strict=True):
        drawn = style.bar(size / max(sizes) if max(sizes) else 0.0, bar)
        shown = padded(shortened(one_line(step.name), name, keep_end=True), name)
        known = hours(step.hours) if step.unknown_length < step.rows else "-"
        lines.append(f"{shown}{step.rows:>11,}{known:>9}  {drawn}".rstrip())
        for detail in _details(step):
            lines += style.wrapped(one_line(detail), indent="    ")
    return lines


def _details(step: ChainStep) -> Iterator[str]:
    if step.change is None:
        return
    text, names = change_text(step.change), step.columns_added
    added = f"adds {len(names)} columns" if len(names) > _SEVERAL else f"adds {', '.join(names)}"
    made = [part for part in (step.operation, added if names else "") if part]
    if made and (names or step.operation not in text):
        yield ": ".join(made)
    if text:
        yield text


def change_text(change: Change) -> str:
    """What went and what came, with reasons; empty where all rows are as before."""
    parts = []
    if change.is_counted:
        differ = f"{change.lost:,} fewer" if change.lost else f"{change.new:,} more"
        return f"{differ}; rows could not be matched, as the tables share no path or id"
    if not change.matched_by and (change.lost or change.new):
        return "no row in common with the table before"
    if change.lost:
        known = f" ({length(change.lost_hours)})" if change.lost_hours else ""
        what = f"-{counted(change.lost, 'row', ',')}"
        if change.matched_by in _GAVE_NOTHING:
            one, nothing = _GAVE_NOTHING[change.matched_by]
            what = f"{counted(change.lost, one, ',')} gave {nothing}"
        reasons = "; ".join(f"{reason.text} {reason.rows:,}" for reason in change.reasons)
        parts.append(f"{what}{known}" + (f": {reasons}" if reasons else ""))
    if change.new:
        parts.append(
            f"+{counted(change.new, 'row', ',')} that {'was' if change.new == 1 else 'were'} not there before"
        )
    return "; ".join(parts)


def score_lines(summary: Summary, style: Style) -> list[str]:
    """For each column of numbers a histogram and quantiles; scores first."""
    numbers = {name: one for name, one in summary.numbers.items() if _is_shown(name)}
    scores = {name: one for name, one in numbers.items() if name in COLUMNS and COLUMNS[name].score}
    others = {name: one for name, one in numbers.items() if name not in scores}
    longest = max(map(width, numbers), default=0)
    quantiles = _QUANTILES
    if _room(style, quantiles) < min(longest, _LONGEST) + _NARROW_BAR:
        quantiles = _FEW_QUANTILES
    name = min(max(longest, _SHORTEST), _room(style, quantiles) - _NARROW_BAR)
    bar = min(_WIDE_BAR, _room(style, quantiles) - name)
    lines = []
    for title, columns in (("scores", scores), ("other numbers", others)):
        if not columns:
            continue
        header = "".join(f" {f'{q * 100:g}%':>{_CELL}}" for q in quantiles)
        lines += [""] if lines else []
        lines.append(style.bold(padded(title, name + 1 + bar)[: name + 1 + bar] + header + "  empty"))
        for column, found in columns.items():
            lines.append(_score_line(column, found, name, bar, quantiles, style))
    lines += [
        line
        for column, found in numbers.items()
        if found.unreadable
        for line in style.wrapped(f"{one_line(column)}: {found.unreadable:,} cells are no numbers")
    ]
    return lines


def _room(style: Style, quantiles: Sequence[float]) -> int:
    """Columns left for a name and a bar, beside the quantiles and the empty cells."""
    return style.width - (len(quantiles) + 1) * (_CELL + 1) - 1


def _is_shown(name: str) -> bool:
    """Not numbers of frames and seconds that say where in its source a clip is."""
    return name not in COLUMNS or COLUMNS[name].measured_on != "clip"


def _score_line(
    column: str, found: NumberSummary, name: int, bar: int, quantiles: Sequence[float], style: Style
) -> str:
    shown = padded(shortened(one_line(column), name), name)
    drawn = style.histogram(found.histogram.counts, bar) if found.histogram else ""
    values = [_cell(found.quantiles[q]) if found.quantiles else "-" for q in quantiles]
    cells = "".join(f" {value:>{_CELL}}" for value in [*values, _cell(found.empty)])
    return f"{shown} {padded(drawn, bar)}{cells}".rstrip()


def _cell(number: float) -> str:
    return compact(number, 3).replace("e+", "e")


def recipe_lines(found: Overlay, step: ChainStep, style: Style) -> list[str]:
    """What each step of a recipe removes alone and in its turn, and what is left in the end."""
    with_hours = found.total.hours > 0 and style.width >= _WIDE
    name = style.width - (55 if with_hours else 40)
    lines = [style.bold(line) for line in style.wrapped(f"recipe {one_line(found.recipe)}: {found.title}")]
    if found.applied:
        header = f"{'alone':>11}{'in turn':>11}{'left':>11}" + f"{'hours':>15}" * with_hours
        lines.append(padded("", name) + header)
        lines.append(padded("the table", name) + " " * 22 + _left(found.total, found.total, with_hours))
    for one in found.steps:
        shown = padded(shortened(one_line(one.name), name), name)
        if one.alone is None or one.in_turn is None or one.left is None:
            why = as_typed(f"{one.name}: left out, {one.skipped}")
            lines += style.wrapped(one_line(why), indent="    ", first="")
        else:
            removed = f" {-one.alone.rows:>10,} {-one.in_turn.rows:>10,}"
            lines.append(f"{shown}{removed}{_left(one.left, found.total, with_hours)}")
            lines += style.wrapped(one_line(_condition(one, found)), indent="    ")
    lines += style.wrapped(one_line(kept_text(found)))
    if found.applied:
        lines += ["datautil keeps just these:", f"  {datautil_command(found, step)}"]
    return lines


def compared_lines(overlays: Sequence[Overlay], style: Style) -> list[str]:
    """Several recipes beside each other: what each leaves, and how many of its steps could be applied."""
    if len(overlays) < 2:
        return []
    name = style.width - 48
    lines = [style.bold(padded("recipes", name) + f"{'left':>11}{'':7}{'hours':>15}{'steps':>15}")]
    for one in overlays:
        shown = padded(shortened(one_line(one.recipe), name, keep_end=True), name)
        steps = f"{len(one.applied)} of {len(one.steps)}"
        lines.append(f"{shown}{_left(one.left, one.total, True)}{steps:>15}")
    return lines


def _left(left: Amount, total: Amount, with_hours: bool) -> str:
    rows = f" {left.rows:>10,}{share(left.rows, total.rows):>7}"
    return rows + f" {hours(left.hours):>7}{share(left.hours, total.hours):>7}" * with_hours


def _condition(step: OverlayStep, found: Overlay) -> str:
    details = (step.source if step.source != found.source else "", step.scale, step.note)
    return "; ".join(part for part in (step.where, *details) if part)


def kept_text(found: Overlay) -> str:
    """What a recipe keeps here, beside what its source says it kept."""
    of_hours = f" and {share(found.left.hours, found.total.hours)} of the hours" if found.total.hours else ""
    kept = f"; the source kept {found.kept}" if found.kept else ""
    if not found.applied:
        return f"no step of it can be applied to this table{kept}"
    return f"keeps {share(found.left.rows, found.total.rows)} of the rows{of_hours}{kept}"


def datautil_command(found: Overlay, step: ChainStep) -> str:
    """The command that keeps the rows that a recipe keeps, also where some of its columns are missing."""
    tables = " ".join(shlex.quote(str(path)) for path in step.files)
    what = (
        f"--recipe {shlex.quote(found.recipe)}" if found.is_whole else f"--where {shlex.quote(found.where)}"
    )
    return as_typed(f"python -m tools.datasets.datautil {tables} {what}")


def failure_lines(chain: Chain, style: Style) -> list[str]:
    """Failures of each table that has any, by kind, with a few examples."""
    lines = []
    for step in chain.steps:
        if step.failures:
            lines += style.wrapped(f"{one_line(step.name)}:", indent="  ")
        for kind in step.failures:
            lines.append(
                f"    {shortened(one_line(kind.kind) or '(no kind)', style.width - 16)} {kind.rows:,}"
            )
            for path, message in kind.examples:
                room = style.width - 6
                shown = shortened(one_line(path), max(room // 2, room - 2 - width(message)), keep_end=True)
                example = ": ".join(part for part in (shown, one_line(message)) if part)
                lines += [f"      {shortened(example, room)}"] if example else []
    return [style.bold("failures"), *lines] if lines else []
