"""Rating files: what people said of the clips of a table, as JSON Lines.

One object a line, from the page of ``tools.report`` or from any other tool::

    {"path": "clips/a.mp4", "id": "a", "rating": 4, "time": "2026-11-26T21:10:00Z"}
    {"path": "clips/b.mp4", "keep": false, "reason": "text", "rater": "ada"}
    {"path": "clips/c.mp4", "defects": ["text", "bars"], "note": "subtitles"}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl

from tools.base.disk import system_message
from tools.errors import UserError
from tools.table import require_columns, to_lazy
from tools.table.files import Table, unreadable

DEFECTS: dict[str, str] = {
    "cut": "cut inside",
    "text": "text",
    "watermark": "watermark",
    "bars": "bars",
    "frozen": "frozen",
    "blurred": "blurred",
    "caption": "wrong caption",
    "sound": "wrong sound",
    "ai": "AI-made",
    "other": "other",
}
"""What can be wrong with a clip: the key in a rating file, and what the page calls it."""

WORST, BEST = 1, 5
"""The ends of the scale of ``rating``."""


@dataclass(frozen=True)
class Rating:
    """What one rater said of one clip, last.

    Attributes:
        path: The clip, as its cell in the column path of the table.
        id: Its cell in the column id; None where the line has none.
        rating: `WORST` to `BEST`; None where it was not rated.
        keep: Whether it should be kept; None where that was not said.
        reason: Why it should be kept or not.
        defects: Keys of `DEFECTS`, in their order; empty: seen, and none found; None: not audited.
        note: The rater's own words.
        rater: Who; empty where the lines do not tell.
        time: When, as it was written (ISO 8601); empty where the lines do not tell.
    """

    path: str
    id: str | None = None
    rating: float | None = None
    keep: bool | None = None
    reason: str = ""
    defects: tuple[str, ...] | None = None
    note: str = ""
    rater: str = ""
    time: str = ""


@dataclass(frozen=True)
class MatchedRatings:
    """Ratings and the rows of a table that they are of.

    Attributes:
        pairs: A rating and the number of its row, from 0; in the order of the ratings. A rating whose path
            several rows have is paired with each of them.
        unmatched: Ratings of no row of the table.
    """

    pairs: list[tuple[Rating, int]]
    unmatched: list[Rating]


def read_ratings(files: Sequence[str | Path]) -> list[Rating]:
    """Read rating files.

    A later line about the same clip by the same rater replaces an earlier one: in its rating and keep, or in
    its defects, whichever it has. Later is told by ``time`` where all those lines have it, so that the order
    of the files does not matter; otherwise by their order.

    Args:
        files: JSON Lines, perhaps compressed, or ``.json`` with a list of the same objects.

    Returns:
        One rating for each path, id and rater, in the order in which they are first met.

    Raises:
        UserError: A file cannot be read or has no rating; a line (named) is no rating.
    """
    lines: dict[tuple[str, str | None, str], list[Rating]] = {}
    for file in files:
        for rating in _read_file(Path(file)):
            lines.setdefault((rating.path, rating.id, rating.rater), []).append(rating)
    if not lines:
        raise UserError(f"{', '.join(map(str, files))}: no ratings in it")
    return [_latest(ratings) for ratings in lines.values()]


def _read_file(file: Path) -> list[Rating]:
    from tools.table.json_rows import placed_records

    ratings = []
    try:
        for place, record in placed_records(file):
            try:
                ratings.append(_rating(record))
            except ValueError as error:
                raise UserError(f"{file}: {place}: {error}") from None
    except (OSError, EOFError) as error:
        raise UserError(f"{file}: cannot read the ratings: {system_message(error)}") from None
    return ratings


def _rating(record: dict[str, Any]) -> Rating:
    """The rating that a line says.

    Raises:
        ValueError: It is none.
    """
    path = _text(record, "path")
    if not path:
        raise ValueError('a rating needs the path of its clip, {"path": "a.mp4", "rating": 4}')
    rating = Rating(
        path,
        _id(record.get("id")),
        _score(record.get("rating")),
        _keep(record.get("keep")),
        _text(record, "reason"),
        _defects(record.get("defects")),
        _text(record, "note"),
        _text(record, "rater"),
        _text(record, "time"),
    )
    if rating.time:
        _moment(rating.time)
    if rating.rating is None and rating.keep is None and rating.defects is None:
        raise ValueError(f"says nothing of {path}: it has none of rating, keep, defects")
    return rating


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, not {_shown(value)}")
    return value


def _id(value: Any) -> str | None:
    """Ids are text in tables, whatever they look like."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text({"id": value}, "id") or None


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not WORST <= value <= BEST:
        raise ValueError(f"rating must be a number from {WORST} to {BEST}, not {_shown(value)}")
    return float(value)


def _keep(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"keep must be true or false, not {_shown(value)}")
    return value


def _defects(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise ValueError(f"defects must be a list, not {_shown(value)}")
    if unknown := [item for item in value if not isinstance(item, str) or item not in DEFECTS]:
        supported = ", ".join(DEFECTS)
        raise ValueError(f"Invalid defect ({_shown(unknown[0])}). Supported values are {supported}.")
    return tuple(name for name in DEFECTS if name in value)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:40]


def _moment(time: str) -> float:
    """Seconds since 1970 of a time in ISO 8601; UTC where it names no zone.

    Raises:
        ValueError: It is no such time.
    """
    try:
        moment = datetime.fromisoformat(time.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except ValueError:
        raise ValueError(f"time must be as 2026-11-26T21:10:00Z, not {_shown(time)}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def _latest(ratings: list[Rating]) -> Rating:
    """What holds of the lines of one rater about one clip, in the order in which they were read."""
    if all(rating.time for rating in ratings):
        ratings = sorted(ratings, key=lambda rating: _moment(rating.time))
    last = ratings[-1]
    chosen = next((r for r in reversed(ratings) if r.rating is not None or r.keep is not None), last)
    audited = next((r for r in reversed(ratings) if r.defects is not None), last)
    note = next((r.note for r in reversed(ratings) if r.note), "")
    return Rating(
        last.path,
        last.id,
        chosen.rating,
        chosen.keep,
        chosen.reason,
        audited.defects,
        note,
        last.rater,
        last.time,
    )


def match_ratings(ratings: Sequence[Rating], table: Table, source: str | Path) -> MatchedRatings:
    """Find the rows that ratings are of: by path, and by id where both have one.

    Args:
        ratings: See `read_ratings`.
        table: The table, with the column path.
        source: Its name, for messages.

    Raises:
        UserError: The table has no column path, cannot be read, or none of the ratings is of one of its rows.
    """
    frame = to_lazy(table)
    require_columns(frame, ["path"], source)
    rows = _rows(frame, {rating.path for rating in ratings}, source)
    pairs: list[tuple[Rating, int]] = []
    unmatched = []
    for rating in ratings:
        found = [
            row for row, id in rows.get(rating.path, ()) if rating.id is None or id is None or id == rating.id
        ]
        pairs += [(rating, row) for row in found]
        if not found:
            unmatched.append(rating)
    if ratings and not pairs:
        raise UserError(_no_row(frame, ratings, rows, source))
    return MatchedRatings(pairs, unmatched)


def _rows(
    frame: pl.LazyFrame, paths: Iterable[str], source: str | Path
) -> dict[str, list[tuple[int, str | None]]]:
    """Number and id of the rows of each path; an id that is empty, or that there is no column of, is None."""
    number = "\0row"
    id = pl.lit(None, pl.String)
    if "id" in frame.collect_schema():
        id = pl.col("id").cast(pl.String)
        id = pl.when(id != "").then(id)
    wanted = pl.Series("path", sorted(paths), pl.String)
    try:
        found = (
            frame.select(pl.col("path").cast(pl.String), id.alias("id"))
            .with_row_index(number)
            .filter(pl.col("path").is_in(wanted.implode()))
            .collect(engine="streaming")
            .sort(number)
        )
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None
    rows: dict[str, list[tuple[int, str | None]]] = {}
    for row, path, name in found.select(number, "path", "id").iter_rows():
        rows.setdefault(path, []).append((row, name))
    return rows


def _no_row(
    frame: pl.LazyFrame,
    ratings: Sequence[Rating],
    rows: dict[str, list[tuple[int, str | None]]],
    source: str | Path,
) -> str:
    """Why no rating has a row, with an example of each side: mostly they are written in two ways."""
    begin = f"{source}: none of {len(ratings)} ratings is of one of its rows"
    for rating in ratings:
        for _, id in rows.get(rating.path, ()):
            return (
                f"{begin}: paths agree, but not ids (of {rating.path} the rating has id {rating.id}, the row "
                f"{id}); make them the same, or leave id out of the ratings"
            )
    first = frame.select(pl.col("path").cast(pl.String)).head(1).collect()
    there = f"its first row is {first.item()}" if first.height else "it has no rows"
    return f"{begin} (a rating is of {ratings[0].path}, {there}); paths must be the same to the letter"


def unmatched_text(matched: MatchedRatings) -> str:
    """A line about ratings that no row has; empty where each has one."""
    if not matched.unmatched:
        return ""
    first = matched.unmatched[0].path
    return f"ratings of no row of the table: {len(matched.unmatched):,} ({first}, for example)"
