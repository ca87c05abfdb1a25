"""Turn rows into outcomes: prepare them in guarded workers, score them in batches across files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tools.errors import MediaError, UserError
from tools.media.requests import NOTHING, Frames, read_requests
from tools.stage.batches import Scoring
from tools.stage.ledger import Outcome
from tools.stage.stage import Row, Stage


@dataclass(frozen=True)
class RunOptions:
    """How a stage is run; nothing here changes a value.

    Attributes:
        batch_size: Most rows that are scored at once.
        num_workers: Worker processes, never more than cores; 0 works in this process, without guards.
        timeout: Seconds that preparing one row may take; None for no limit.
        memory_gb: Memory that one worker may take, GiB; None for no limit.
        on_error: ``keep`` leaves the cells of a failed row empty, ``drop`` removes the row.
        strict: Failed rows make the exit code 1.
        overwrite: Replace an output that was made from another input or with other options.
        retry_failed: Do rows again that failed in an earlier run.
        progress: Show a progress bar.

    Raises:
        UserError: A value that there is not.
    """

    batch_size: int = 64
    num_workers: int = 16
    timeout: float | None = 600.0
    memory_gb: float | None = 4.0
    on_error: str = "keep"
    strict: bool = False
    overwrite: bool = False
    retry_failed: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        if self.on_error not in ("keep", "drop"):
            raise UserError(f"Invalid on_error ({self.on_error}). Supported values are keep, drop.")
        if self.batch_size < 1:
            raise UserError(f"Invalid batch_size ({self.batch_size}). It must be 1 or more.")


def work(
    stage: Stage,
    rows: Iterable[tuple[str, Row]],
    options: RunOptions,
    finished: Callable[[list[tuple[str, Outcome]]], None],
) -> None:
    """Run a stage over rows.

    Args:
        stage: What to do; `setup` is called first, so missing weights are told before any file is read.
        rows: Key and row, each key once.
        options: How.
        finished: Called in this thread with keys and outcomes, in the order in which rows finish.

    Raises:
        UserError: What `setup`, `prepare` or `score` say of the run as a whole.
    """
    from tools.media.pool import WorkerPool

    stage.setup()
    memory = None if options.memory_gb is None else int(options.memory_gb * 2**30)
    jobs = ((key, str(row.get("path") or ""), row) for key, row in rows)
    with (
        WorkerPool(options.num_workers, timeout=options.timeout, memory_bytes=memory) as pool,
        Scoring(stage, options.batch_size, finished) as scoring,
    ):
        for key, prepared in pool.imap_unordered(partial(_prepare, stage), jobs, idle=scoring.look):
            if isinstance(prepared, MediaError):
                finished([(str(key), prepared)])
            else:
                scoring.add(str(key), prepared)


def _prepare(stage: Stage, row: Row) -> Any:
    """In the worker: read the frames that the stage wants, and let it prepare the row."""
    path = row.get("path")
    if not path and "path" in stage.needs:
        raise MediaError("bad_value", "", "the cell of column path is empty")
    frames = Frames()
    if stage.request != NOTHING:
        (frames,) = read_requests(path, [stage.request], decoder=stage.decoder)
        if isinstance(frames, MediaError):
            raise frames
    return stage.prepare(row, frames)


def map_rows(
    stage: Stage, rows: Iterable[Row], options: RunOptions | None = None, *, label: str | None = None
) -> list[Outcome]:
    """Run a stage over rows in memory: no table, no ledger.

    Args:
        stage: What to do.
        rows: The rows; cells that the stage does not read are ignored.
        options: How.
        label: Text of the progress bar; by default the stage's name.

    Returns:
        One outcome for each row, in order: a dict with the columns that the stage adds, or a `MediaError`.
    """
    from tools.stage.progress import Progress

    options = options or RunOptions()
    rows = list(rows)
    outcomes: list[Outcome | None] = [None] * len(rows)
    wanted = (*stage.needs, *stage.uses)
    with Progress(len(rows), label or stage.name, shown=options.progress) as progress:

        def finished(results: list[tuple[str, Outcome]]) -> None:
            for key, outcome in results:
                outcomes[int(key)] = with_path(outcome, rows[int(key)].get("path"))
            progress.count(results)

        work(
            stage,
            ((str(i), {n: row.get(n) for n in wanted}) for i, row in enumerate(rows)),
            options,
            finished,
        )
    return outcomes  # type: ignore[return-value]  # every row has an outcome by now


def with_path(outcome: Outcome, path: str | None) -> Outcome:
    """Name the file in a failure that arose where only prepared rows are known."""
    if isinstance(outcome, MediaError) and not outcome.path and path:
        return MediaError(outcome.kind, path, outcome.message)
    return outcome
