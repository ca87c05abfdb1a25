"""The page on which thresholds are chosen: one HTML file that works without a server and a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools import __version__
from tools.base.disk import writing
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.report.chain import Chain
from tools.report.page.clips import Clips, folder_link
from tools.report.page.contents import Contents, NumberFilter
from tools.report.page.document import as_json, asset, build_document, is_document, packed
from tools.report.page.funnels import chain_data, recipe_data
from tools.report.page.libraries import chart_scripts
from tools.report.page.packing import pack_numbers
from tools.report.recipe_overlay import Overlay

_SCRIPTS = (
    "logic/columns.js",
    "logic/crossfilter.js",
    "logic/setting.js",
    "logic/choice.js",
    "logic/row_order.js",
    "logic/row_list.js",
    "logic/correlation.js",
    "parts/elements.js",
    "parts/tiles.js",
    "parts/ratings.js",
    "parts/histograms.js",
    "parts/overview.js",
    "views/thresholds.js",
    "views/sheets.js",
    "views/rows.js",
    "views/scatter.js",
    "views/chain.js",
    "views/recipes.js",
    "views/rating.js",
    "page.js",
)
_STYLES = ("page.css", "clips.css")
_MILLISECONDS = 1000


def check_output(output: Path, *, overwrite: bool = False) -> None:
    """Check that a page may be written here, before the work is done.

    Args:
        output: The HTML file.
        overwrite: Whether it may replace a file of another program.

    Raises:
        UserError: It is no name of an HTML file, or there is a file that is no report.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{output}: the page is HTML: -o {output.stem or 'report'}.html")
    if overwrite or not output.exists():
        return
    with writing(output, "the page"):
        ours = output.is_file() and (not output.stat().st_size or is_document(output))
    if not ours:
        raise UserError(f"{output}: is in the way, it is no report of vidsieve; --overwrite replaces it")


def write_page(
    output: Path,
    table: str,
    contents: Contents,
    *,
    seed: int = 42,
    chain: Chain | None = None,
    overlays: Sequence[Overlay] = (),
    clips: Clips | None = None,
) -> None:
    """Write the page of a table.

    Args:
        output: The HTML file.
        table: The table as the user named it, which the command on the page reads.
        contents: From `tools.report.page.contents.read_contents`.
        seed: Of the sample, which the page names.
        chain: The table, and those that led to it.
        overlays: Recipes on the table; they need its chain.
        clips: Pictures of some rows, from `tools.report.page.clips.draw_clips`; by default none.

    Raises:
        UserError: The package with the charts is not installed, or the file cannot be written.
    """
    about, parts = _table(table, contents)
    clips = clips or Clips(note="This page was written without pictures.")
    about["seed"] = seed
    if chain is not None:
        last = chain.steps[-1]
        about["chain"] = chain_data(chain)
        about["recipes"] = [recipe_data(overlay, last, contents) for overlay in overlays]
        if len(last.files) > 1:
            about["inputs"] = [str(file) for file in last.files]
    about["clips"] = {"note": clips.note}
    about["folder"] = folder_link(output)
    page = build_document(
        f"{Path(table).name} – vidsieve",
        [*chart_scripts(), *(asset(name) for name in _SCRIPTS)],
        [asset(name) for name in _STYLES],
        {"about": as_json(about), "data": packed(parts), "sprites": as_json(clips.shown)},
    )
    with writing(output, "the page"):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, page.encode(), "the page")


def _table(table: str, contents: Contents) -> tuple[dict[str, Any], list[bytes]]:
    """What ``unpack`` in columns.js reads: the description, and the bytes in its order."""
    parts = [
        one.packed.planes if isinstance(one, NumberFilter) else one.codes.tobytes()
        for one in contents.filters
    ]
    lengths = pack_numbers(np.round(contents.seconds * _MILLISECONDS) / _MILLISECONDS)
    parts.append(lengths.planes)
    texts = {name: json.dumps(cells).encode("utf-8", "replace") for name, cells in contents.texts.items()}
    parts += texts.values()
    about = {
        "version": __version__,
        "table": table,
        "title": Path(table).name,
        "rows": contents.rows,
        "embedded": contents.embedded,
        "seconds_total": contents.hours * 3600,
        "unknown_length": contents.unknown_length,
        "columns": [one.as_dict() for one in contents.filters],
        "seconds": {"name": "seconds", **lengths.as_dict()},
        "texts": {name: len(text) for name, text in texts.items()},
        "cut_captions": contents.cut_captions,
    }
    return about, parts
