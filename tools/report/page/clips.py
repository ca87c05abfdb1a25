"""The clips of a page that have pictures: which rows, their sprites, and links to their files."""

from __future__ import annotations

import base64
import os
import sys
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tools.base.addresses import absolute, local_path, scheme
from tools.base.terminal import one_line
from tools.errors import MediaError
from tools.report.page.contents import Contents, NumberFilter
from tools.report.sprites import Sprite, make_sprites
from tools.report.sprites.choice import DEFAULT_BUDGET, choose
from tools.stage.run_options import RunOptions

UNSURE = "suitability_std"
"""The column of how unsure a prediction from ratings is; clips where it is largest are to be rated next."""
NOT_WANTED = "The page was written without pictures (--clips 0, or --no-sprites)."
"""Note of a page for which no video was read."""

_UNSURE_CLIPS = 50
_MOST_UPWARDS = 2  # folders that a relative link goes up; a page that moves takes no more than that along


@dataclass(frozen=True)
class Clips:
    """Pictures of rows of a page.

    Attributes:
        shown: By the row's number in the page, what the page reads: ``frames``, ``width``, ``height`` and
            ``jpeg`` (base64), or ``failure``; and ``link`` where the file is on this machine.
        note: Why there are none, or fewer than were asked for; empty where all have one.
    """

    shown: dict[int, dict[str, Any]] = field(default_factory=dict)
    note: str = ""


def page_clips(
    contents: Contents,
    table: Path,
    page: Path,
    budget: int = DEFAULT_BUDGET,
    *,
    seed: int = 42,
    options: RunOptions | None = None,
) -> Clips:
    """Choose and draw the clips of a page; where there can be none, their note says why.

    Args:
        contents: The table as the page has it.
        table: The table, beside which pictures are kept.
        page: The HTML file.
        budget: Most rows that get a picture; 0 for none.
        seed: The same seed, the same rows.
        options: See `draw_clips`.
    """
    if not budget:
        return Clips(note=NOT_WANTED)
    if "path" not in contents.texts:
        return Clips(note="There are no pictures, as the table has no rows with a path.")
    rows = choose_clips(contents, budget, seed).tolist()
    paths = [contents.texts["path"][row] for row in rows]
    return draw_clips(table, paths, page, rows=rows, options=options)


def choose_clips(contents: Contents, budget: int = DEFAULT_BUDGET, seed: int = 42) -> np.ndarray:
    """Choose the rows of a page that get pictures.

    Args:
        contents: The table as the page has it.
        budget: Most rows.
        seed: The same seed, the same rows.

    Returns:
        Int64, ascending: numbers of rows of the page, see `tools.report.sprites.choice.choose`; with those
        whose prediction is least sure among them, where the table has the column.
    """
    if "path" not in contents.texts or budget <= 0:
        return np.empty(0, np.int64)
    unsure = _least_sure(contents, min(_UNSURE_CLIPS, budget // 4))
    values = {one.name: one.values for one in contents.scores}
    chosen = choose(contents.embedded, values, budget - len(unsure), seed)
    return np.union1d(chosen, unsure)


def _least_sure(contents: Contents, most: int) -> np.ndarray:
    for one in contents.filters:
        if isinstance(one, NumberFilter) and one.name == UNSURE and contents.embedded > most:
            rows = np.flatnonzero(~np.isnan(one.values))
            return rows[np.argsort(-one.values[rows], kind="stable")[:most]]
    return np.empty(0, np.int64)


def draw_clips(
    table: str | Path | None,
    paths: Sequence[str],
    page: Path,
    *,
    rows: Sequence[int] | None = None,
    options: RunOptions | None = None,
    frames: int = 4,
    height: int = 90,
) -> Clips:
    """Draw clips for a page, or take pictures that an earlier page has drawn.

    Args:
        table: The table, beside which pictures are kept; None to keep none.
        paths: The files, as the column path has them.
        page: The HTML file, from which links lead to the files.
        rows: The number in the page of each; by default 0, 1, ….
        options: Workers, limits and the progress bar; by default those of `make_sprites`.
        frames: Of a clip, at most.
        height: Of a frame in pixels, see `tools.report.sprites.make_sprites`.

    Returns:
        For each row its picture, or why it has none.

    Raises:
        UserError: The machine refuses, for example for want of disk space.
    """
    numbers = range(len(paths)) if rows is None else rows
    # Told at once: a table of files that are on another machine starts no worker.
    failures = {place: missing for place, path in enumerate(paths) if (missing := _missing(path))}
    there = [place for place in range(len(paths)) if place not in failures]
    named = [{"path": paths[place]} for place in there]
    made = make_sprites(table, named, frames=frames, height=height, options=options)
    failures |= {there[number]: failure for number, failure in made.failures.items()}
    pictures = {there[number]: sprite for number, sprite in made.sprites.items()}
    shown = {}
    for place, (row, path) in enumerate(zip(numbers, paths, strict=True)):
        entry = _picture(pictures[place]) if place in pictures else _failed(failures[place])
        link = link_to(path, page)
        shown[row] = entry if link is None else {**entry, "link": link}
    note = _note(len(paths), [failures[place] for place in sorted(failures)])
    if note and options is not None and options.progress:
        print(one_line(note), file=sys.stderr)
    return Clips(shown, note)


def _missing(path: str) -> MediaError | None:
    local = scheme(path) in (None, "file")
    return MediaError("missing", path, "no such file") if local and not _exists(path) else None


def _exists(path: str) -> bool:
    try:
        return Path(local_path(path)).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _picture(sprite: Sprite) -> dict[str, Any]:
    return {
        "frames": sprite.frames,
        "width": sprite.width,
        "height": sprite.height,
        "jpeg": base64.b64encode(sprite.jpeg).decode("ascii"),
    }


def _failed(failure: MediaError) -> dict[str, Any]:
    return {"failure": f"{failure.kind}: {failure.message}"}


def _note(count: int, failures: list[MediaError]) -> str:
    if not failures:
        return ""
    first = failures[0]
    example = f"{first.path}: {first.message}"
    if len(failures) < count:
        return f"{len(failures):,} of {count:,} clips have no picture, for example {example}"
    return (
        f"No file could be read, so there are no pictures, for example {example}. Paths in a table are "
        "relative to the folder in which the commands run: write the page from there"
    )


def link_to(path: str, page: Path) -> str | None:
    """The address of a clip's file for a link in a page.

    Args:
        path: As the column path has it: relative to the working directory, absolute, or an address.
        page: The HTML file.

    Returns:
        A relative address where the file is below the page's folder or near it, so that both can be moved
        together; else an absolute ``file://`` one. It begins with ``./``, ``../`` or ``file:///``, whatever
        the path is. None for an empty path and for an address of a file that is not on this machine.
    """
    if not path or "\0" in path or scheme(path) not in (None, "file"):
        return None
    file, folder = absolute(path), absolute(str(page.parent))
    relative = Path(os.path.relpath(file, folder)).parts
    upwards = relative.count(os.pardir)
    if upwards > _MOST_UPWARDS or os.path.commonpath((file, folder)) == os.sep:
        return "file:///" + _quoted(file.lstrip("/"))
    return ("" if upwards else "./") + _quoted("/".join(relative))


def folder_link(page: Path) -> str:
    """The address of the working directory, which paths in a table are relative to, as `link_to` makes it."""
    return str(link_to("-", page))[:-1]


def _quoted(path: str) -> str:
    return urllib.parse.quote(path, safe="/", errors="surrogateescape")
