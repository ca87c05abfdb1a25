"""Turn rows into outcomes: prepare them in guarded workers, score them in batches across files."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from tools.errors import MediaError, ToolError
from tools.stage.ledger import Outcome
from tools.stage.stage import Row, Stage

_BATCH_SECONDS = 10.0  # a batch that takes longer is made smaller: that much work a kill may cost
_SMALLEST_BATCH = 4  # but not smaller than this: cores idle at the end of every batch
_BATCHES_AHEAD = 2  # batches that wait for the device while workers go on decoding


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
        ToolError: What `setup` or `score` say of the run as a whole (a `UserError`).
    """
    from tools.media.pool import WorkerPool

    stage.setup()
    memory = None if options.memory_gb is None else int(options.memory_gb * 2**30)
    jobs = ((key, str(row.get("path")), row) for key, row in rows)
    with (
        WorkerPool(options.num_workers, timeout=options.timeout, memory_bytes=memory) as pool,
        _Scoring(stage, options.batch_size, finished) as scoring,
    ):
        for key, prepared in pool.imap_unordered(partial(_prepare, stage), jobs):
            if isinstance(prepared, MediaError):
                finished([(str(key), prepared)])
            else:
                scoring.add(str(key), prepared)


def _prepare(stage: Stage, row: Row) -> Any:
    """In the worker: read the frames that the stage wants, and let it prepare the row."""
    path = row.get("path")
    if not path:
        raise MediaError("bad_value", str(path or ""), "the cell of column path is empty")
    frames = []
    if stage.sampling is not None:
        from tools.media.frames import read_sampled

        frames = read_sampled(path, stage.sampling, decoder=stage.decoder)
    return stage.prepare(row, frames)


class _Scoring:
    """Collects prepared rows and scores them in a thread, while the caller goes on feeding workers."""

    def __init__(
        self, stage: Stage, largest: int, finished: Callable[[list[tuple[str, Outcome]]], None]
    ) -> None:
        self._stage = stage
        self._largest = largest
        self._size = min(largest, 8)  # until it is known how long a row takes
        self._finished = finished
        self._collected: list[tuple[str, Any]] = []
        self._running: list[Future[tuple[list[tuple[str, Outcome]], float]]] = []
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> _Scoring:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._submit()
                self._take(0)
        finally:
            self._thread.shutdown(wait=kind is None, cancel_futures=True)

    def add(self, key: str, prepared: Any) -> None:
        self._collected.append((key, prepared))
        if len(self._collected) >= self._size:
            self._submit()
        self._take(_BATCHES_AHEAD)

    def _submit(self) -> None:
        if self._collected:
            self._running.append(self._thread.submit(_timed, self._stage, self._collected))
            self._collected = []

    def _take(self, waiting: int) -> None:
        """Hand on finished batches; wait until no more than ``waiting`` are left."""
        while self._running and (len(self._running) > waiting or self._running[0].done()):
            outcomes, seconds = self._running.pop(0).result()
            self._finished(outcomes)
            rate = len(outcomes) / max(seconds, 1e-3)
            wanted = max(_SMALLEST_BATCH, int(rate * _BATCH_SECONDS))
            self._size = min(self._largest, 4 * len(outcomes), wanted)


def _timed(stage: Stage, batch: list[tuple[str, Any]]) -> tuple[list[tuple[str, Outcome]], float]:
    start = time.monotonic()
    outcomes = score_batch(stage, [prepared for _, prepared in batch])
    seconds = time.monotonic() - start
    return list(zip((key for key, _ in batch), outcomes, strict=True)), seconds


def score_batch(stage: Stage, prepared: Sequence[Any]) -> list[Outcome]:
    """Score rows; when a batch fails it is halved, down to the row that is the cause.

    A batch that does not fit into the memory of a GPU goes through in halves in the same way.
    """
    try:
        values = stage.score(list(prepared))
        if len(values) != len(prepared):
            raise ValueError(f"{len(values)} results for {len(prepared)} rows")
        return [_checked(stage, value) for value in values]
    except ToolError as error:
        if len(prepared) == 1 and isinstance(error, MediaError):
            return [error]
        if not isinstance(error, MediaError):
            raise
    except Exception as error:  # told by file and kind once it is down to one row
        if os.environ.get("TOOLS_DEBUG") == "1":
            traceback.print_exc()
        if len(prepared) == 1:
            return [MediaError("internal", "", f"stage {stage.name}: {type(error).__name__}: {error}")]
    half = (len(prepared) + 1) // 2
    return score_batch(stage, prepared[:half]) + score_batch(stage, prepared[half:])


def _checked(stage: Stage, values: dict[str, Any]) -> dict[str, Any]:
    if set(values) != set(stage.adds):
        raise ValueError(f"columns {sorted(values)} instead of {sorted(stage.adds)}")
    return values


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
                outcomes[int(key)] = with_path(outcome, rows[int(key)])
            progress.count(results)

        work(
            stage,
            ((str(i), {n: row.get(n) for n in wanted}) for i, row in enumerate(rows)),
            options,
            finished,
        )
    return outcomes  # type: ignore[return-value]  # every row has an outcome by now


def with_path(outcome: Outcome, row: Row) -> Outcome:
    """Name the file in a failure that arose where only prepared rows are known."""
    if isinstance(outcome, MediaError) and not outcome.path:
        return MediaError(outcome.kind, str(row.get("path") or ""), outcome.message)
    return outcome
