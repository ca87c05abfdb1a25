"""An audit as text for a terminal."""

from __future__ import annotations

from tools.base.terminal import one_line, padded, shortened, width
from tools.report.audit.agreement import Agreement
from tools.report.audit.rates import BAD, Audit, Rate
from tools.report.ratings import DEFECTS

_NOBODY = "(no name)"
_LONGEST_NAME = 30  # columns
_RATERS_SHOWN = 20


def render_audit(audit: Audit) -> str:
    """What was rated, the rates with their intervals, and how far the raters agree."""
    parts = [
        "\n".join(f"{name:<10}{value}" for name, value in facts(audit)),
        _rates(audit),
        _raters(audit),
    ]
    return "\n\n".join(part for part in parts if part)


def facts(audit: Audit) -> list[tuple[str, str]]:
    """What was drawn, what was rated, and what to keep in mind: a word and a sentence each."""
    found = [("drawn", audit.sample.describe if audit.sample else "not known")]
    of = f" of {audit.sample.rows.size:,} drawn" if audit.sample else f" of {audit.rows:,} rows"
    missing = audit.sample.rows.size - audit.clips if audit.sample else 0
    found.append(("rated", f"{audit.clips:,} clips{of}" + (f", {missing:,} not yet" if missing else "")))
    if audit.sample is None:
        advice = "give --audit N and --seed N, as when they were drawn, to have that checked"
        found.append(("note", f"the rated clips are taken for a random sample of the table: {advice}"))
    if audit.is_first_part:
        found.append(
            ("note", "the rated clips are the first of those drawn, a random sample of the table too")
        )
    if audit.doubt:
        worst = (audit.bad.found + missing) / (audit.clips + missing)
        least = audit.bad.found / (audit.clips + missing)
        found.append(("warning", audit.doubt))
        found.append(
            ("", f"(with the clips not rated, {percent(least)} to {percent(worst)} of the drawn are bad)")
        )
    for count, what in (
        (audit.not_drawn, "rated clips were not drawn and are left out"),
        (audit.unmatched, "ratings are of no row of the table"),
        (audit.not_audits, "ratings have no defects (but rating or keep) and are left out"),
        (audit.ambiguous, "ratings are of several rows with the same path, and no id tells those apart"),
    ):
        if count:
            found.append(("note", f"{count:,} {what}"))
    return found


def rate_rows(audit: Audit) -> list[tuple[str, Rate]]:
    """The rates with their names: bad clips, those by any rater where there are several, each defect."""
    several = [("bad by any rater", audit.by_any)] if len(audit.raters) > 1 else []
    return [("bad", audit.bad), *several, *[(DEFECTS[name], rate) for name, rate in audit.defects.items()]]


def percent(share: float) -> str:
    """``2.80%``."""
    return f"{share:.2%}"


def interval_text(rate: Rate) -> str:
    """``1.68% to 4.64%``."""
    return f"{percent(rate.interval.low)} to {percent(rate.interval.high)}"


def _rates(audit: Audit) -> str:
    lines = [f"{'':<18}{'clips':>7}{'rate':>10}   95% interval (Wilson)"]
    for name, rate in rate_rows(audit):
        lines.append(f"{name:<18}{rate.found:>7,}{percent(rate.share):>10}   {interval_text(rate)}")
    return "\n".join(lines)


def _raters(audit: Audit) -> str:
    if len(audit.raters) < 2:
        return ""
    shown = list(audit.raters.items())[:_RATERS_SHOWN]
    names = [rater_name(name) for name, _ in shown]
    columns = max(map(width, names))
    lines = ["raters: a clip is bad, or has a defect, by at least half of those who rated it"]
    for name, (_, rate) in zip(names, shown, strict=True):
        lines.append(f"  {padded(name, columns)}  {rate.clips:>7,} rated  {percent(rate.share):>8} bad")
    if len(audit.raters) > len(shown):
        lines.append(f"  and {len(audit.raters) - len(shown):,} more")
    lines += [f"agreement on {what}" for what in agreement_lines(audit)]
    return "\n".join(lines)


def rater_name(name: str) -> str:
    """A rater's name in one line."""
    return shortened(one_line(name), _LONGEST_NAME) or _NOBODY


def agreement_lines(audit: Audit) -> list[str]:
    """``bad: 96.00% of pairs, Cohen's kappa 0.412 (480 clips ...)``, and the same of each defect."""
    return [
        f"{'bad' if name == BAD else DEFECTS[name]}: {_agreement(found)}"
        for name, found in audit.agreement.items()
    ]


def _agreement(found: Agreement) -> str:
    kappa = "not defined: all answers are the same" if found.kappa is None else f"{found.kappa:.3f}"
    return (
        f"{percent(found.observed or 0)} of pairs, {found.method}'s kappa {kappa} "
        f"({found.clips:,} clips with two or more raters)"
    )
