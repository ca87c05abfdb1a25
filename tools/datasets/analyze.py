"""Summarize a table: counts, hours, quantiles of every score, and a page with plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import cli
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.report.summary import Overview, Summary

DEFAULT_FOLDER = "samples/infos"
"""Where plots go when ``--save-img`` names no folder."""


@dataclass(frozen=True)
class Analysis:
    """Summary of a table.

    Attributes:
        title: The names of the tables.
        overview: Of all rows.
        kinds: Summaries of the videos, of the images, and of the rows of unknown kind, if there are any.
    """

    title: str
    overview: Overview
    kinds: dict[str, Summary]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON takes it."""
        kinds = {kind: summary.as_dict() for kind, summary in self.kinds.items()}
        names = ("rows", "kinds", "hours", "unknown_length", "paths")
        return {"table": self.title, **{n: getattr(self.overview, n) for n in names}, "summaries": kinds}


def analyze(inputs: Sequence[str | Path]) -> Analysis:
    """Summarize tables, images and videos apart.

    Args:
        inputs: Tables or patterns; several are taken as one.

    Returns:
        The summaries. Broken files are counted in the overview only.

    Raises:
        UserError: A table is missing, unreadable, or without rows.
    """
    from tools.report.summary import summarize_kinds
    from tools.table import expand_inputs, merge_tables

    paths = expand_inputs(inputs)
    title = ", ".join(map(str, paths))
    overview, kinds = summarize_kinds(merge_tables(paths), source=title)
    if not overview.rows:
        raise UserError(f"{title}: no rows, there is nothing to analyze")
    return Analysis(title, overview, kinds)


def render_analysis(analysis: Analysis) -> str:
    """An analysis as text for a terminal of 100 columns."""
    from tools.report.rows import HEADINGS
    from tools.report.summary.render import render_columns, render_overview

    parts = [f"{analysis.title}\n{render_overview(analysis.overview)}"]
    for kind, summary in analysis.kinds.items():
        heading = f"{HEADINGS[kind]} ({summary.overview.rows:,})"
        parts.append(f"{heading}\n{'-' * len(heading)}\n{render_columns(summary)}")
    return "\n\n".join(parts)


def _write_json(analysis: Analysis, path: Path, inputs: Sequence[str]) -> Path:
    import json

    from tools.base.disk import writing
    from tools.base.temporary_files import write_whole
    from tools.table import expand_inputs, refuse_inputs
    from tools.table.formats import FORMATS

    form = FORMATS.get(path.suffix.lower())
    if form is not None and form.name != "json":
        raise UserError(f"{path}: the name of a table; the summary is JSON: --json summary.json")
    refuse_inputs(path, expand_inputs(inputs))
    with writing(path, "the summary"):
        path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(analysis.as_dict(), indent=2, ensure_ascii=False) + "\n"
    write_whole(path, content.encode(), "the summary")
    return path


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.datasets.analyze",
        "Print what is in a table, images and videos apart: rows, hours, quantiles of every column of\n"
        "numbers, labels, sizes, captions. With --save-img also histograms, and a page that shows all.",
        """
        python -m tools.datasets.analyze meta_aes.csv
        python -m tools.datasets.analyze meta_aes_flow.csv --save-img report/
        python -m tools.datasets.analyze "meta_aes_part*.csv" --json meta_aes.json
        """,
    )
    parser.add_argument("input", nargs="+", metavar="META", help="tables, or patterns; several are one")
    parser.add_argument(
        "--save-img",
        nargs="?",
        const=DEFAULT_FOLDER,
        metavar="DIR",
        help=f"draw plots into this folder ({DEFAULT_FOLDER}), with report.html",
    )
    parser.add_argument("--json", metavar="FILE", help="write the summary as JSON too")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, print the summary, write the outputs."""
    args = _parser().parse_args(argv)
    if args.save_img is not None:
        from tools.report.summary.plots import require_matplotlib

        require_matplotlib()
    analysis = analyze(args.input)
    print(render_analysis(analysis), flush=True)
    if args.json is not None:
        print(_write_json(analysis, Path(args.json), args.input))
    if args.save_img is not None:
        from tools.report.summary.html import write_report

        page, pictures = write_report(args.save_img, analysis.title, analysis.overview, analysis.kinds)
        print(*pictures, page, sep="\n")


if __name__ == "__main__":
    cli.run(main)
