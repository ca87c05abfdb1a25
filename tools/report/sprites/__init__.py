"""Pictures of clips for a report: a few frames side by side in one JPEG, drawn once and kept.

`tools.report.sprites.choice.choose` chooses the rows, `make_sprites` draws them.
"""

from __future__ import annotations

import base64
import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.addresses import absolute, is_address, local_path, scheme
from tools.base.log import LOG
from tools.base.temporary_files import remove_left_folders
from tools.errors import DiskError, MediaError, UserError
from tools.report.sprites.cache import Entry, Sprite, SpriteCache
from tools.report.sprites.draw import SpriteStage
from tools.stage.ledger import digest, stage_config
from tools.stage.outcomes import Outcome
from tools.stage.run_options import RunOptions
from tools.stage.shards import STATE_FOLDER

if TYPE_CHECKING:
    import polars as pl

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
        options: Workers, limits and the progress bar; by default a file may take `SECONDS_PER_FILE`.

    Returns:
        For every row its sprite or its failure.

    Raises:
        UserError: An option is not supported, or the machine refuses (`tools.errors.DiskError`).
    """
    stage = SpriteStage(frames=frames, height=height)
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

    def finished(outcomes: dict[str, Outcome]) -> None:
        entries = {path: _entry(outcome) for path, outcome in outcomes.items()}
        for path, entry in entries.items():
            take(path, entry)
        if cache:
            cache.put({keys[p]: entry for p, entry in entries.items() if p in keys and _lasts(entry)})

    _draw(stage, to_draw, options or RunOptions(timeout=SECONDS_PER_FILE), finished)
    return made


def _draw(
    stage: SpriteStage,
    paths: Sequence[str],
    options: RunOptions,
    finished: Callable[[dict[str, Outcome]], None],
) -> None:
    """Run the stage over files, those of one storage after the other: one may be out of reach as a whole.

    Args:
        stage: The stage.
        paths: The files, each once.
        options: How.
        finished: Called with the outcomes of some files, by path.

    Raises:
        UserError: The machine refuses.
    """
    remove_left_folders(tempfile.gettempdir())
    if not paths:
        return
    from tools.media.fetching.sources import FetchOptions
    from tools.stage.progress import Progress
    from tools.stage.session import Session

    options = dataclasses.replace(options, num_workers=min(options.num_workers, len(paths)))
    waiting = set(paths)
    with (
        Progress(len(paths), stage.name, shown=options.progress) as progress,
        Session(stage, options, fetch=FetchOptions()) as session,
    ):

        def count(results: list[tuple[str, Outcome]]) -> None:
            finished(dict(results))
            progress.count(results)
            waiting.difference_update(path for path, _ in results)

        for name, some in _by_storage(paths).items():
            try:
                session.process([(path, {"path": path}) for path in some], count)
            except DiskError:
                raise
            except UserError as error:  # a package for this kind of storage is not installed
                if name is None:
                    raise
                LOG.warning("%s", error)
                count([(p, MediaError("network", p, str(error))) for p in some if p in waiting])


def _by_storage(paths: Sequence[str]) -> dict[str | None, list[str]]:
    """Files by the scheme of their address; None, for those on this machine, comes first."""
    groups: dict[str | None, list[str]] = {None: []}
    for path in paths:
        groups.setdefault(scheme(path) if _is_elsewhere(path) else None, []).append(path)
    return {name: some for name, some in groups.items() if some}


def _paths(rows: pl.DataFrame | Sequence[Mapping[str, Any]]) -> list[str]:
    import polars as pl

    if isinstance(rows, pl.DataFrame):
        cells = rows["path"].to_list() if "path" in rows.columns else [None] * rows.height
    else:
        cells = [row.get("path") for row in rows]
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
    if _is_elsewhere(path):
        return digest([path, config])
    try:
        status = Path(local_path(path)).stat()
    except (OSError, ValueError):
        return None
    return digest([absolute(path), status.st_size, status.st_mtime_ns, config])


def _is_elsewhere(path: str) -> bool:
    return scheme(path) not in (None, "file")


def _decoder_version() -> str:
    """The release of the decoder: another one may read what this one cannot."""
    from importlib.metadata import version

    return version("av")
