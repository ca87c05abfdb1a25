"""Operations that open the files of the rows, or check that they exist."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tools.base.addresses import local_path
from tools.base.terminal import counted
from tools.columns import COLUMNS, INFO
from tools.datasets.operations.base import Context, Operation, Phase, Split, split_by
from tools.errors import MediaError

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
    from tools.media.reading.timeline.remarks import TIMING_REMARKS
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
    note = f"{counted(table.height, 'file')}: {table.height - len(failed)} probed"
    context.notes.append(note + (f", {len(failed)} failed ({count_kinds(failed)})" if failed else ""))
    changing = [path for path, o in zip(paths, outcomes, strict=True) if _changes_size(o)]
    if changing:
        what = "the size or orientation of the pictures changes within"
        context.notes.append(f"{counted(len(changing), 'file')}: {what}, the first: {changing[0]}")
    timings = Counter(o["timing"] for o in outcomes if not isinstance(o, MediaError))
    context.notes += [
        f"{counted(timings[timing], 'file')}: {remark}"
        for timing, remark in TIMING_REMARKS.items()
        if timings[timing]
    ]
    good = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    shown = {n: pl.Series([o[n] for o in good], dtype=stage.added_columns[n]) for n in _SUMMARIZED}
    context.notes += describe(pl.DataFrame(shown))
    if todo:
        seconds = max(time.monotonic() - begun, 1e-3)
        context.notes.append(f"{spell_seconds(seconds)}, {spell_rate(len(todo) / seconds)}")
    context.failures += failed
    values = [{"num_frames": 0} if isinstance(o, MediaError) else o for o in outcomes]
    columns = [pl.Series(n, [v.get(n) for v in values], dtype=t) for n, t in stage.added_columns.items()]
    return table.drop(list(stage.added_columns), strict=False).with_columns(columns).lazy()


def _changes_size(outcome: object) -> bool:
    return isinstance(outcome, dict) and bool(outcome.get("size_changes"))


def _video_info(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    return _info(frame, value, context, as_video=True)


def _ext(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    sizes = filesize(frame, context)
    return split_by(frame, sizes.is_not_null() | unanswered(context))


def filesize(frame: pl.LazyFrame, context: Context) -> pl.Expr:
    """Size of each file in MiB; empty where there is none, and where no server says.

    Servers of files at addresses are asked at once. What is not known of those is a failure of its row.
    """
    import polars as pl

    _ask_servers(frame, context)

    def sizes(paths: pl.Series) -> pl.Series:
        return pl.Series([_size(path, context) for path in paths], dtype=pl.Float64)

    return pl.col("path").fill_null("").map_batches(sizes, return_dtype=pl.Float64, is_elementwise=True)


def unanswered(context: Context) -> pl.Expr:
    """Whether it is not known if there is a file at an address, after `filesize`: its server did not say."""
    import polars as pl

    silent = [path for path, size in context.sizes.items() if _is_fault(size)]
    return pl.col("path").cast(pl.String).is_in(silent).fill_null(False)


def _is_fault(size: object) -> bool:
    return isinstance(size, MediaError) and size.kind != "missing"


def _ask_servers(frame: pl.LazyFrame, context: Context) -> None:
    """Ask for the sizes of files at addresses that are not known yet."""
    import polars as pl

    from tools.base.addresses import ADDRESS
    from tools.media.fetching.asking import ask_all, file_size
    from tools.stage.failures import count_kinds
    from tools.stage.progress import Progress
    from tools.stage.remote_files import fetch_options, is_remote

    path = pl.col("path").cast(pl.String)
    found = frame.select(path.filter(path.str.contains(ADDRESS)).unique(maintain_order=True))
    todo = [
        address
        for address in found.collect(engine="streaming").to_series().to_list()
        if is_remote(address) and address not in context.sizes
    ]
    if not todo:
        return
    size = partial(file_size, options=fetch_options(context.options, todo))
    with Progress(len(todo), "addresses", shown=context.options.progress) as progress:
        answers = ask_all(size, todo, lambda size: progress.advance(1, _is_fault(size)))
    context.sizes |= answers
    if silent := [size for size in answers.values() if isinstance(size, MediaError) and _is_fault(size)]:
        what = f"{len(silent)} of {len(todo)} files at addresses: whether they are there is not known"
        context.notes.append(f"{what} ({count_kinds(silent)}); no row is removed for that")
        context.failures += silent


def _size(path: str, context: Context) -> float | None:
    import os

    if "://" in path and (there := context.sizes.get(path)) is not None:
        return there / 2**20 if isinstance(there, int) else None
    try:
        return os.stat(local_path(path)).st_size / 2**20  # noqa: PTH116  (pathlib takes three times as long here)
    except (OSError, ValueError):
        return None


def _filesize(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    sizes = filesize(frame, context)
    return frame.drop("filesize", strict=False).with_columns(sizes.alias("filesize"))


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
        opens_files=True,
    ),
    Operation(
        "filesize",
        "add filesize, the size of each file in MiB",
        _filesize,
        Phase.FILES,
        "_filesize",
        requires=("path",),
        adds=("filesize",),
        opens_files=True,
        everyday=False,
    ),
)
