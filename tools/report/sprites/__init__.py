"""Pictures of clips for a report: a few frames side by side in one JPEG, drawn once and kept.

`tools.report.sprites.choice.choose` chooses the rows, `make_sprites` draws them.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tools.base.addresses import is_address, local_path, scheme
from tools.errors import MediaError
from tools.report.sprites.cache import Entry, Sprite, SpriteCache
from tools.report.sprites.draw import SpriteStage
from tools.stage.ledger import digest, stage_config
from tools.stage.outcomes import Outcome
from tools.stage.owners import absolute
from tools.stage.run_options import RunOptions
from tools.stage.shards import STATE_FOLDER

__all__ = ["Sprite", "Sprites", "make_sprites"]

SECONDS_PER_FILE = 120.0
"""Time limit of one file, unless asked otherwise: nobody waits ten minutes for one thumbnail."""

_OF_THE_FILE = frozenset(("unreadable", "playlist", "no_video", "decode", "hdr", "too_short"))
"""Failures that are the same the next time, as long as the file and the decoder are."""


@dataclasses.dataclass
class Sprites:
    """Sprites of rows; each row has a sprite or a failure.

    Attributes:
        sprites: By the row's position among the rows that were asked for.
        failures: Why a row has no sprite, by the same position; `MediaError.path` is its ``path``.
        drawn: Number of files that were read for them; the others were kept from an earlier report.
    """

    sprites: dict[int, Sprite] = dataclasses.field(default_factory=dict)
    failures: dict[int, MediaError] = dataclasses.field(default_factory=dict)
    drawn: int = 0


def make_sprites(
    table: str | Path | None,
    rows: pl.DataFrame | Sequence[Mapping[str, Any]],
    *,
    frames: int = 4,
    height: int = 90,
    quality: int = 70,
    options: RunOptions | None = None,
) -> Sprites:
    """Draw the sprites of rows, or take those that an earlier report has drawn.

    Every file is read once, in worker processes, however many rows name it. What is drawn is kept as it
    finishes, in ``.vidsieve/sprites.sqlite`` beside the table; where nothing can be written there, one line
    of the log says so. A file is known again by its path, size and modification time; one at an address by
    its address alone.

    Args:
        table: The table, beside which sprites are kept; None to keep none.
        rows: Rows of the table; column ``path`` is read. An address is fetched to a temporary file.
        frames: Frames of a video, 1 to 6. Clips with fewer have fewer, an image has one.
        height: Of a frame of 16:9 in pixels; see `tools.report.sprites.draw.frame_size`.
        quality: Of the JPEG, 1 to 95.
        options: Workers, limits and the progress bar; by default a file may take `SECONDS_PER_FILE`.

    Returns:
        For every row its sprite or its failure.

    Raises:
        UserError: An option is not supported, or the machine refuses (`tools.errors.DiskError`).
    """
    stage = SpriteStage(frames=frames, height=height, quality=quality)
    paths = _paths(rows)
    places: dict[str, list[int]] = {}
    for place, path in enumerate(paths):
        places.setdefault(path, []).append(place)
    made = Sprites()

    def take(path: str, entry: Entry) -> None:
        for place in places[path]:
            if isinstance(entry, MediaError):
                made.failures[place] = MediaError(entry.kind, path, entry.message)
            else:
                made.sprites[place] = entry

    cache = None if table is None or is_address(table) else SpriteCache(Path(table).parent / STATE_FOLDER)
    config = [stage_config(stage), _decoder_version()] if cache else []
    keys = {path: key for path in places if (key := _fingerprint(path, config)) is not None} if cache else {}
    kept = cache.get(keys.values()) if cache else {}
    for path, key in keys.items():
        if key in kept:
            take(path, kept[key])
    to_draw = [path for path in places if keys.get(path) not in kept]
    made.drawn = len(to_draw)

    def finished(results: list[tuple[str, Outcome]]) -> None:
        entries = {to_draw[int(key)]: _entry(outcome) for key, outcome in results}
        for path, entry in entries.items():
            take(path, entry)
        if cache:
            cache.put({keys[p]: entry for p, entry in entries.items() if p in keys and _lasts(entry)})

    _draw(stage, to_draw, options or RunOptions(timeout=SECONDS_PER_FILE), finished)
    return made


def _draw(stage: SpriteStage, paths: Sequence[str], options: RunOptions, finished: Any) -> None:
    """Run the stage over files; the key of each outcome is the file's position."""
    if not paths:
        return
    from tools.media.fetching.sources import FetchOptions
    from tools.stage.progress import Progress
    from tools.stage.session import Session

    options = dataclasses.replace(options, num_workers=min(options.num_workers, len(paths)))
    with (
        Progress(len(paths), stage.name, shown=options.progress) as progress,
        Session(stage, options, fetch=FetchOptions()) as session,
    ):

        def count(results: list[tuple[str, Outcome]]) -> None:
            finished(results)
            progress.count(results)

        session.process(((str(i), {"path": path}) for i, path in enumerate(paths)), count)


def _paths(rows: pl.DataFrame | Sequence[Mapping[str, Any]]) -> list[str]:
    cells = rows["path"].to_list() if isinstance(rows, pl.DataFrame) else [row.get("path") for row in rows]
    return ["" if cell is None else str(cell) for cell in cells]


def _entry(outcome: Outcome) -> Entry:
    if isinstance(outcome, MediaError):
        return outcome
    size = outcome["frames"], outcome["width"], outcome["height"]
    return Sprite(base64.b64decode(outcome["jpeg"]), *size)


def _lasts(entry: Entry) -> bool:
    return isinstance(entry, Sprite) or entry.kind in _OF_THE_FILE


def _fingerprint(path: str, config: Sequence[Any]) -> str | None:
    """The key of a file drawn in this way; None for one that is not there."""
    if scheme(path) not in (None, "file"):
        return digest([path, config])
    try:
        status = Path(local_path(path)).stat()
    except (OSError, ValueError):
        return None
    return digest([absolute(path), status.st_size, status.st_mtime_ns, config])


def _decoder_version() -> str:
    """The release of the decoder: another one may read what this one cannot."""
    from importlib.metadata import version

    return version("av")
