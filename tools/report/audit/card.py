"""The text of a data-set card: what a table is, how it was made, and how many of its clips are bad.

It begins with the metadata that the Hugging Face Hub reads (https://huggingface.co/docs/hub/datasets-cards).
What only the owner can know is a line with ``TODO by the owner``; what no file tells is ``not known``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from tools import __version__
from tools.base.disk import system_message, writing
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.report.audit.card_steps import funnel_section, steps_section
from tools.report.audit.markdown import code, plain, table, yaml_text
from tools.report.audit.rates import Audit
from tools.report.audit.render import agreement_lines, facts, interval_text, percent, rate_rows, rater_name
from tools.report.chain import Chain
from tools.report.rows import HEADINGS, KINDS
from tools.report.summary.render import compact
from tools.report.summary.results import Overview, Summary
from tools.report.text_style import hours_text
from tools.stage.provenance import digest_file
from tools.table import refuse_inputs, table_stem
from tools.table.formats import FORMATS

TODO = "TODO by the owner"
NOT_KNOWN = "not known"

_MARK = re.compile(rb"<!-- card written by vidsieve, sha256 ([0-9a-f]{64}) of what is above -->\n\Z")
_SHOWN = (0.05, 0.5, 0.95)  # quantiles
_COLUMNS_SHOWN = 80
_RATERS_SHOWN = 20
_SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (1e8, "10M<n<100M"),
    (1e9, "100M<n<1B"),
    (1e10, "1B<n<10B"),
)


def render_card(chain: Chain, summary: Summary, audit: Audit | None = None) -> str:
    """The text of a card, in Markdown.

    Args:
        chain: The table, and the tables that led to it.
        summary: Statistics of the table.
        audit: What an audit of the table found; None without one.
    """
    name = table_stem(chain.table)
    sections = [
        _metadata(name, summary),
        f"# {plain(name)}",
        f"{TODO}: what the data set is for, and who made it.",
        _contents(chain, summary),
        _numbers(summary),
        _sources(summary),
        funnel_section(chain),
        steps_section(chain),
        _audit(audit),
        _licence(),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def write_card(text: str, path: Path, inputs: Sequence[str | Path]) -> Path:
    """Write a card. One that was written before is replaced unless someone has changed it since.

    Args:
        text: See `render_card`.
        path: Where; missing folders are created.
        inputs: Files that were read; none of them is written over.

    Raises:
        UserError: The file is none that may be replaced, or cannot be written.
    """
    if path.suffix.lower() in FORMATS:
        raise UserError(f"{path}: the name of a table; a card is Markdown: --card README.md")
    refuse_inputs(path, inputs)
    content = text.encode()
    content += b"\n" + _mark(content)
    with writing(path, "the card"):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        before = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise UserError(f"{path}: cannot read what is there: {system_message(error)}") from None
    if before is not None and not _is_unchanged(before):
        raise UserError(
            f"{path}: is in the way: it is no card, or was changed since it was written; "
            "give another name, or move it away"
        )
    write_whole(path, content, "the card")
    return path


def _mark(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f"<!-- card written by vidsieve, sha256 {digest} of what is above -->\n".encode()


def _is_unchanged(content: bytes) -> bool:
    found = _MARK.search(content)
    return found is not None and _mark(content[: found.start() - 1]) == found[0]


def _metadata(name: str, summary: Summary) -> str:
    kinds = summary.overview.kinds
    tags = [tag for tag in ("video", "image") if kinds.get(tag)]
    size = next((text for limit, text in _SIZES if summary.overview.rows < limit), "other")
    lines = [
        "---",
        f"pretty_name: {yaml_text(name)}",
        f"# {TODO}: one of https://huggingface.co/docs/hub/repositories-licenses",
        "license: unknown",
        f"# {TODO}, where they apply: language, task_categories, annotations_creators, source_datasets",
        "size_categories:",
        f"- {size}",
        *(["tags:", *[f"- {tag}" for tag in tags]] if tags else []),
        "---",
    ]
    return "\n".join(lines)


def _contents(chain: Chain, summary: Summary) -> str:
    overview = summary.overview
    rows = [("rows", f"{overview.rows:,}")]
    rows += [(HEADINGS[kind], f"{overview.kinds[kind]:,}") for kind in KINDS if overview.kinds[kind]]
    if overview.kinds["video"]:
        rows.append(("hours of video", _hours(overview)))
    if overview.paths is not None and overview.paths < overview.rows:
        rows.append(("distinct paths", f"{overview.paths:,}"))
    captions = f"{summary.text.filled:,} of {overview.rows:,} rows" if summary.text else "no column text"
    rows.append(("captions", captions))
    for file in chain.steps[-1].files:
        rows.append((code(file.name), f"SHA-256 {code(digest_file(file))}"))
    return f"## Contents\n\n{table(('', ''), rows)}"


def _hours(overview: Overview) -> str:
    missing, videos = overview.unknown_length, overview.kinds["video"]
    if missing == videos:
        return NOT_KNOWN
    return hours_text(overview.hours) + (f", without {missing:,} videos of unknown length" if missing else "")


def _numbers(summary: Summary) -> str:
    described = [(name, numbers) for name, numbers in summary.numbers.items() if numbers.quantiles]
    if not described:
        return ""
    rows = []
    for name, numbers in described[:_COLUMNS_SHOWN]:
        quantiles = numbers.quantiles or {}
        values = (numbers.minimum, *(quantiles[q] for q in _SHOWN), numbers.maximum)
        shown = ["" if value is None else compact(value) for value in values]
        rows.append([code(name), *shown, f"{numbers.empty + numbers.unreadable:,}"])
    head = ("column", "min", *(f"{q:.0%}" for q in _SHOWN), "max", "no number")
    more = len(described) - len(rows)
    note = f"\n\n{more:,} more columns of numbers are not shown." if more > 0 else ""
    return f"## Sizes, lengths and scores\n\nQuantiles of each column.\n\n{table(head, rows, 6)}{note}"


def _sources(summary: Summary) -> str:
    if summary.sources is None or not summary.sources.distinct:
        nothing = f"{NOT_KNOWN.capitalize()}: the table has no column source."
        return f"## Sources\n\n{nothing} {TODO}: where they come from."
    rows = [
        (code(name), f"{count:,}", hours_text(length / 3600) if length else NOT_KNOWN)
        for name, count, length in summary.sources.largest
    ]
    return (
        f"## Sources\n\n{summary.sources.distinct:,} source videos; those with the most material:\n\n"
        f"{table(('source', 'rows', 'hours'), rows, 2)}\n\n{TODO}: where they come from."
    )


def _audit(audit: Audit | None) -> str:
    if audit is None:
        return f"## Audit\n\n{NOT_KNOWN.capitalize()}: no clips were rated, so there is no rate of bad clips."
    lines = [f"- {plain(f'{word}: {text}' if word else text)}" for word, text in facts(audit)]
    rows = [
        (plain(name), f"{rate.found:,}", percent(rate.share), interval_text(rate))
        for name, rate in rate_rows(audit)
    ]
    parts = [
        "## Audit\n\nHow many clips people found bad. Intervals are Wilson's, of 95 % confidence, "
        f"for a table of {audit.rows:,} rows.",
        "\n".join(lines),
        table(("", "clips", "rate", "95% interval"), rows, 3),
        _raters(audit),
    ]
    return "\n\n".join(part for part in parts if part)


def _raters(audit: Audit) -> str:
    if len(audit.raters) < 2:
        return ""
    shown = list(audit.raters.items())[:_RATERS_SHOWN]
    rows = [(plain(rater_name(name)), f"{r.clips:,}", percent(r.share)) for name, r in shown]
    more = len(audit.raters) - len(shown)
    parts = [
        f"{len(audit.raters):,} raters{f', of whom {more:,} are not shown' if more else ''}. "
        "A clip is bad, or has a defect, if at least half of those who rated it say so.",
        table(("rater", "clips rated", "bad"), rows, 2),
        "\n".join(f"- agreement on {plain(text)}" for text in agreement_lines(audit)),
    ]
    return "\n\n".join(part for part in parts if part)


def _licence() -> str:
    open_questions = (
        "licence of the videos and of the captions",
        "consent of the people shown, and personal data",
        "uses that are meant, and those that are not",
        "known limits and biases",
    )
    lines = "\n".join(f"- {what}: {TODO}" for what in open_questions)
    return f"## Licence, uses and limits\n\n{lines}\n\nThis card was written by vidsieve {__version__}."
