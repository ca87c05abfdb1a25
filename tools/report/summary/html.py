"""A report of a table: its summary and its plots in a single HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from tools.base.disk import writing
from tools.base.temporary_files import write_whole
from tools.report.rows import HEADINGS
from tools.report.summary.plots import draw_plots
from tools.report.summary.render import render_columns, render_overview
from tools.report.summary.results import Overview, Summary

PAGE_NAME = "report.html"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1280px; margin: 2em auto; padding: 0 1em }
pre { font: 12.5px/1.45 ui-monospace, monospace; background: #f6f8fa; padding: 1em; overflow-x: auto }
.plots { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start }
.plots img { max-width: 100%; border: 1px solid #e4e4e4 }
"""


def write_report(
    folder: str | Path, title: str, overview: Overview, kinds: Mapping[str, Summary]
) -> tuple[Path, list[Path]]:
    """Draw the plots of a table, and write them and a page that shows them.

    Args:
        folder: Where; created if it is missing. Files of an earlier report of the same names are replaced.
        title: Heading of the page, such as the names of the tables.
        overview: Of the whole table.
        kinds: Kind of rows to their summary; a section each.

    Returns:
        The page, which needs no other file, and the pictures.

    Raises:
        UserError: The folder cannot be written.
    """
    folder = Path(folder)
    sections = [f"<h1>{escape(title)}</h1>", f"<pre>{escape(render_overview(overview))}</pre>"]
    pictures: list[Path] = []
    with writing(folder, "the report"):
        folder.mkdir(parents=True, exist_ok=True)
        for kind, summary in kinds.items():
            drawn = list(draw_plots(summary, kind))
            for name, png in drawn:
                write_whole(folder / name, png, "the report")
                pictures.append(folder / name)
            sections.append(_section(kind, summary, drawn))
        write_whole(folder / PAGE_NAME, _page(title, sections).encode(), "the report")
    return folder / PAGE_NAME, pictures


def _section(kind: str, summary: Summary, drawn: Sequence[tuple[str, bytes]]) -> str:
    images = "\n".join(
        f'<img alt="{escape(name)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for name, png in drawn
    )
    text = escape(render_columns(summary))
    heading = f"{HEADINGS[kind]} ({summary.overview.rows:,})"
    return f'<h2>{heading}</h2>\n<div class="plots">\n{images}\n</div>\n<pre>{text}</pre>'


def _page(title: str, sections: Sequence[str]) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(sections) + "\n</body></html>\n"
    )
