"""The page of an audit: the clips that were drawn, with boxes to tick what is wrong with them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tools import __version__
from tools.base.disk import writing
from tools.base.temporary_files import write_whole
from tools.report.audit.sample import Sample, draw
from tools.report.page.clips import NOT_WANTED, draw_clips, folder_link
from tools.report.page.document import as_json, asset, build_document
from tools.report.ratings import DEFECTS
from tools.table import require_columns
from tools.table.files import unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.report.chain import Chain
    from tools.stage.run_options import RunOptions

_SCRIPTS = ("parts/elements.js", "parts/tiles.js", "parts/ratings.js", "views/audit.js")
_STYLES = ("page.css", "clips.css")
_CAPTION = 2000  # characters of a caption: a wrong one can be told from its beginning
_FRAMES = 5
_HEIGHT, _HEIGHT_OF_MANY = 180, 120  # pixels; 20 to 40 KB a clip, and half of that
_MANY = 500  # clips; pictures of more are smaller, so that a page can still be sent


def write_audit_page(
    output: Path,
    chain: Chain,
    wanted: int,
    *,
    inputs: Sequence[str] = (),
    seed: int = 42,
    pictures: bool = True,
    options: RunOptions | None = None,
) -> Sample:
    """Draw clips of the table that a chain shows, and write a page on which they are judged.

    Every clip has a picture. The page saves what was ticked as JSON Lines, which ``--ratings`` reads.

    Args:
        output: The HTML file.
        chain: The table, and those before it, as `tools.report.audit.command` reads them.
        wanted: Clips to draw.
        inputs: The tables as the user named them, for the command on the page.
        seed: Of the sample.
        pictures: False reads no video.
        options: For drawing, see `tools.report.page.clips.draw_clips`.

    Returns:
        The rows that were drawn.

    Raises:
        UserError: The table has no column path or cannot be read, or the page cannot be written.
    """
    sample = draw(chain.steps[-1].rows, wanted, seed)
    clips = _rows(chain.frame(), sample, str(chain.table))
    paths = [clip["path"] for clip in clips]
    height = _HEIGHT if len(clips) <= _MANY else _HEIGHT_OF_MANY
    shown, note = {}, NOT_WANTED
    if pictures:
        drawn = draw_clips(chain.table, paths, output, options=options, frames=_FRAMES, height=height)
        shown, note = drawn.shown, drawn.note
    tables = inputs or [str(chain.table)]
    words = ["python", "-m", "tools.report", *tables, "--audit", wanted, "--seed", seed]
    about = {
        "version": __version__,
        "table": str(chain.table),
        "title": chain.table.name,
        "clips": {"note": note},
        "folder": folder_link(output),
        "audit": {
            "wanted": wanted,
            "seed": seed,
            "describe": sample.describe,
            "clips": clips,
            "defects": DEFECTS,
            "command": f"{shlex.join(map(str, words))} --ratings audit_ratings.jsonl",
        },
    }
    page = build_document(
        f"Audit of {chain.table.name} – vidsieve",
        [asset(name) for name in _SCRIPTS],
        [asset(name) for name in _STYLES],
        {"about": as_json(about), "sprites": as_json(shown)},
    )
    with writing(output, "the page"):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, page.encode(), "the page")
    return sample


def _rows(frame: pl.LazyFrame, sample: Sample, source: str) -> list[dict[str, Any]]:
    """Path, and where the table has them id and caption, of the drawn rows in their order."""
    require_columns(frame, ["path"], source)
    schema = frame.collect_schema()
    names = [name for name in ("path", "id", "text") if name in schema]
    number = "\0row"
    drawn = pl.LazyFrame({number: pl.Series(sample.rows, dtype=pl.Int64)})
    cells = [pl.col(name).cast(pl.String).fill_null("") for name in names]
    rows = frame.select(cells).with_row_index(number).with_columns(pl.col(number).cast(pl.Int64))
    try:
        found = drawn.join(rows, on=number, how="inner", maintain_order="left").drop(number).collect()
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None
    if "text" in names:
        found = found.with_columns(pl.col("text").str.head(_CAPTION))
    return found.to_dicts()
