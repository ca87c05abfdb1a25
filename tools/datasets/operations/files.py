"""Operations that open the files of the rows, or check that they exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.base.addresses import local_path
from tools.columns import COLUMNS, INFO
from tools.datasets.operations.base import Context, Operation, Phase, Split, split_by

if TYPE_CHECKING:
    import polars as pl

_PROBED = tuple(name for name, column in COLUMNS.items() if column.made_by == INFO)

_SUMMARIZED = ("num_frames", "height", "width", "fps", "duration", "codec")
"""Of those, what the last lines of a run summarize."""


def _info(frame: pl.LazyFrame, value: object, context: Context, *, as_video: bool = False) -> pl.LazyFrame:
    """Probe every file. A file that cannot be read has 0 frames and no other value."""
    import time
    from collections import Counter

    import polars as pl

    from tools.datasets.probe_stage import ProbeStage
    from tools.errors import MediaError
    from tools.media.reading.timeline.packets import TIMING_REMARKS
    from tools.stage.failures import count_kinds
    from tools.stage.progress import spell_rate, spell_seconds
    from tools.stage.remote_files import fetch_options
    from tools.stage.session import map_rows
    from tools.stage.summary import describe

    stage = ProbeStage(as_video=as_video)
    table = frame.collect(engine="streaming")
    paths = table["path"].to_list()
    todo = [path for path in dict.fromkeys(paths) if (path, as_video) not in context.probed]
    begun = time.monotonic()
    fetch = fetch_options(context.options, todo)
    found = map_rows(stage, [{"path": path} for path in todo], context.options, label="info", fetch=fetch)
    context.probed |= {(path, as_video): outcome for path, outcome in zip(todo, found, strict=True)}
    outcomes = [context.probed[path, as_video] for path in paths]
    failed = [outcome for outcome in outcomes if isinstance(outcome, MediaError)]
    note = f"{table.height} files: {table.height - len(failed)} probed"
    context.notes.append(note + (f", {len(failed)} failed ({count_kinds(failed)})" if failed else ""))
    changing = [path for path, o in zip(paths, outcomes, strict=True) if _changes_size(o)]
    if changing:
        what = "size or orientation of their pictures within"
        context.notes.append(f"{len(changing)} files change {what}, the first: {changing[0]}")
    timings = Counter(o["timing"] for o in outcomes if not isinstance(o, MediaError))
    context.notes += [
        f"{timings[timing]} files: {remark}" for timing, remark in TIMING_REMARKS.items() if timings[timing]
    ]
    good = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    shown = {n: pl.Series([o[n] for o in good], dtype=stage.output_columns[n]) for n in _SUMMARIZED}
    context.notes += describe(pl.DataFrame(shown))
    if todo:
        seconds = max(time.monotonic() - begun, 1e-3)
        context.notes.append(f"{spell_seconds(seconds)}, {spell_rate(len(todo) / seconds)}")
    context.failures += failed
    values = [{"num_frames": 0} if isinstance(o, MediaError) else o for o in outcomes]
    columns = [pl.Series(n, [v.get(n) for v in values], dtype=t) for n, t in stage.output_columns.items()]
    return table.drop(list(stage.output_columns), strict=False).with_columns(columns).lazy()


def _changes_size(outcome: object) -> bool:
    return isinstance(outcome, dict) and bool(outcome.get("size_changes"))


def _video_info(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    return _info(frame, value, context, as_video=True)


def _ext(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    _note_addresses(frame, context)
    return split_by(frame, filesize().is_not_null())


def _note_addresses(frame: pl.LazyFrame, context: Context) -> None:
    """Note that paths which are addresses are not checked."""
    from tools.table import count_addresses

    if number := count_addresses(frame, context.source):
        context.notes.append(f"{number} paths are addresses, where no file is looked for")


def filesize() -> pl.Expr:
    """Size of each file in MiB; empty where there is none."""
    import polars as pl

    def sizes(paths: pl.Series) -> pl.Series:
        return pl.Series([_size(path) for path in paths], dtype=pl.Float64)

    return pl.col("path").fill_null("").map_batches(sizes, return_dtype=pl.Float64, is_elementwise=True)


def _size(path: str) -> float | None:
    import os

    try:
        return os.stat(local_path(path)).st_size / 2**20  # noqa: PTH116  (pathlib takes three times as long here)
    except (OSError, ValueError):
        return None


def _filesize(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    _note_addresses(frame, context)
    return frame.drop("filesize", strict=False).with_columns(filesize().alias("filesize"))


OPERATIONS = (
    Operation(
        "info",
        "add size, length, codec, audio, ... of each file",
        _info,
        Phase.FILES,
        "_info",
        requires=("path",),
        adds=_PROBED,
        opens_files=True,
        details=f"{', '.join(_PROBED)}; a file that cannot be read gets num_frames 0",
    ),
    Operation(
        "video_info",
        "as --info, taking every file for a video whatever its name",
        _video_info,
        Phase.FILES,
        "_vinfo",
        requires=("path",),
        adds=_PROBED,
        opens_files=True,
        everyday=False,
    ),
    Operation(
        "ext",
        "keep rows whose file exists",
        _ext,
        Phase.COSTLY,
        "_ext",
        requires=("path",),
    ),
    Operation(
        "filesize",
        "add filesize, the size of each file in MiB",
        _filesize,
        Phase.FILES,
        "_filesize",
        requires=("path",),
        adds=("filesize",),
        everyday=False,
    ),
)
