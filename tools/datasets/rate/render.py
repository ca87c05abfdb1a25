"""What was learned from ratings, as text for a terminal of 100 columns."""

from __future__ import annotations

from tools.base.terminal import one_line, padded, shortened, width
from tools.datasets.rate.learning import Learned
from tools.datasets.rate.table import RateResult
from tools.datasets.rate.targets import Targets
from tools.report.ratings import unmatched_text

_SHOWN = 10  # columns
_FEW = 50  # ratings, below which a remark says so
_FEW_SOURCES = 10
_NAME = 24


def render_result(result: RateResult) -> str:
    """The ratings, how well they are predicted, from what, and which rows to rate next."""
    parts = [_ratings(result), _models(result), _columns(result.learned), _next(result), _remarks(result)]
    return "\n\n".join(part for part in parts if part)


def _ratings(result: RateResult) -> str:
    targets = result.targets
    scale = "keep or reject" if targets.high == 1 else "1 to 5"
    lines = [f"rated rows that are learned from: {result.used:,} ({scale})"]
    if (without := len(targets.rows) - result.used) > 0:
        lines.append(f"rated rows without any score: {without:,}")
    if text := unmatched_text(result.matched):
        lines.append(one_line(text))
    if targets.keep is not None and targets.high != 1:
        lines.append(f"keep counts as {targets.keep:.2f}, reject as {targets.reject:.2f}")
    return "\n".join([*lines, *_raters(targets)])


def _raters(targets: Targets) -> list[str]:
    if len(targets.raters) < 2:
        return []
    counts = ", ".join(f"{one_line(name) or '(no name)'} {count:,}" for name, count in targets.raters.items())
    agreement = targets.agreement
    if agreement is None:
        return [f"raters: {counts}; no row was rated by two of them"]
    return [
        f"raters: {counts}",
        f"rows rated by several: {agreement.rows:,}; Krippendorff's alpha {agreement.alpha:.2f}, "
        f"mean difference {agreement.difference:.2f}",
    ]


def _models(result: RateResult) -> str:
    learned = result.learned
    unit = "source videos" if result.has_sources and learned.grouped else "clips"
    lines = [
        f"on held-out rows ({learned.folds} folds, {learned.repeats} times, {learned.groups:,} {unit}):",
        f"{'':10} {'MAE':>6} {'RMSE':>6}  rank correlation (95 % interval)",
    ]
    for name, found in learned.validations.items():
        row = f"{name:10} {found.mae:6.3f} {found.rmse:6.3f}"
        if name != "mean":
            row += f"  {found.correlation:.3f} ({found.low:.3f} to {found.high:.3f})"
            row += "  used" if name == learned.model else ""
        lines.append(row)
    return "\n".join(lines)


def _columns(learned: Learned) -> str:
    shown = learned.importances[:_SHOWN]
    names = [shortened(one_line(entry.column), _NAME) for entry in shown]
    wide = max(map(width, [*names, "column"]))
    lines = [
        "columns that count most: how the RMSE grows when one is shuffled, and the mean prediction",
        "when it is low, in the middle, and high (10 %, 50 %, 90 % of the rated rows)",
        f"{'column':<{wide}}  {'RMSE':>7}  {'low':>6} {'middle':>6} {'high':>6}",
    ]
    for name, entry in zip(names, shown, strict=True):
        effect = " ".join(f"{value:6.2f}" for value in entry.effect)
        lines.append(f"{padded(name, wide)}  {entry.error:+7.3f}  {effect}".rstrip())
    return "\n".join(lines)


def _next(result: RateResult) -> str:
    if not result.next:
        return ""
    lines = ["rate these next, the least sure ones (suitability, its standard deviation, path):"]
    for path, value, deviation in result.next:
        lines.append(f"{value:7.2f} {deviation:6.2f}  {shortened(one_line(path or ''), 84, keep_end=True)}")
    return "\n".join(lines)


def _remarks(result: RateResult) -> str:
    found = result.learned.validations[result.learned.model]
    lines = []
    if found.low <= 0:
        lines.append(
            f"the rank correlation may be 0 ({found.low:.2f} to {found.high:.2f}): these columns do not tell "
            "what was rated; do not choose by suitability, but rate more or add scores"
        )
    elif result.used < _FEW:
        lines.append(f"{result.used} ratings are few: the interval is wide; about 200 are good")
    videos = result.learned.groups if result.learned.grouped else 1
    if videos < _FEW_SOURCES:
        what = "one source video" if videos == 1 else f"{videos} source videos"
        lines.append(f"all rated rows are of {what}: how well clips of others are predicted is not known")
    if result.unused:
        lines.append(f"columns without a number in the rated rows: {', '.join(result.unused)}")
    if (empty := result.rows - result.predicted) > 0:
        lines.append(f"rows without suitability, as they have none of the scores: {empty:,}")
    return "\n".join(one_line(line) for line in lines)
