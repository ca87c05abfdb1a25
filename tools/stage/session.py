"""Turn rows into outcomes: prepare them in guarded workers, score them in batches across files."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from tools.base.log import LOG
from tools.base.memory import usable_memory
from tools.base.versions import Version
from tools.errors import MediaError
from tools.media.fetching.sources import FetchOptions, source_name
from tools.stage.batches import Scoring
from tools.stage.outcomes import Outcome, failed_kinds, with_path
from tools.stage.prepare import Timed, prepare_row, prepare_timed
from tools.stage.run_options import RunOptions
from tools.stage.stage import FAILURES, Row, Stage

if TYPE_CHECKING:
    from tools.media.workers.pool import WorkerPool
    from tools.stage.estimate.meter import Meter
    from tools.stage.fetched_rows import FetchedRows

__all__ = ["RunOptions", "Session", "map_rows"]


class Session:
    """A stage that is set up, and its workers: for one run after another over a few rows each.

    `Stage.setup` is called once, at the first run; workers start then, and stay. So a caller that gets its
    rows in small batches (a data frame engine) creates one session and keeps it. Several threads may use it;
    their runs take turns. A session that was used and dropped without `close` ends its workers when it is
    collected, or with the program.

    Args:
        stage: What to do with each row.
        options: How.
        fetch: With it, ``path`` may be anything that `Source` names, or a `Source`: what
            is not on this machine is fetched in threads while earlier rows are prepared and scored. Without,
            ``path`` is a file.
    """

    def __init__(
        self, stage: Stage, options: RunOptions | None = None, *, fetch: FetchOptions | None = None
    ) -> None:
        self.stage = stage
        self.options = options or RunOptions()
        self._fetch = fetch
        self._is_set_up = False
        self._pool: WorkerPool | None = None
        self._workers = ExitStack()
        self._lock = threading.RLock()
        weakref.finalize(self, self._workers.close)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers. The stage stays set up, and a further run starts new ones."""
        with self._lock:
            self._pool = None
            self._workers.close()

    def setup(self) -> None:
        """Set the stage up, unless that was done: a model that cannot be loaded is reported before any file.

        Raises:
            UserError: See `Stage.setup`.
        """
        with self._lock:
            if not self._is_set_up:
                self.stage.setup()
                self._is_set_up = True

    def process(
        self,
        rows: Iterable[tuple[str, Row]],
        finished: Callable[[list[tuple[str, Outcome]]], None],
        on_version: Callable[[str, Version], object] | None = None,
        meter: Meter | None = None,
    ) -> None:
        """Run the stage over a stream of rows; see `map_rows` for rows in memory.

        Args:
            rows: Key and row, each key once.
            finished: Called in this thread with keys and outcomes, in the order in which rows finish.
            on_version: Called with the key of a row and the version of its file, where a server tells that.
            meter: Measures what rows take.

        Raises:
            UserError: See `Stage.setup`, `Stage.prepare` and `Stage.score`.
        """
        from tools.media.workers.spawning import end_if_starting

        end_if_starting()
        stage, logged = self.stage, False
        fetched: FetchedRows | None = None

        def report(results: list[tuple[str, Outcome]]) -> None:
            nonlocal logged
            if fetched is not None:
                results = [(key, fetched.named(key, outcome)) for key, outcome in results]
            # Without `self`: workers refer to it, and would keep a session from being collected.
            logged = logged or _log_internal_error(stage, results)
            if meter is not None:
                meter.finished(results)
            finished(results)

        with self._lock:
            self.setup()
            pool = self._started()
            try:
                with ExitStack() as stack:
                    if self._fetch is not None:
                        from tools.stage.fetched_rows import FetchedRows

                        fetched = stack.enter_context(FetchedRows(rows, self._fetch, report, on_version))
                    timed = None if meter is None else meter.scored
                    scoring = stack.enter_context(Scoring(stage, self.options.batch_size, report, timed))
                    jobs = fetched or ((key, str(row.get("path") or ""), row) for key, row in rows)
                    function = prepare_row if meter is None else prepare_timed
                    prepare = partial(function, stage, self.options.max_pixels)
                    for key, prepared in pool.imap_unordered(prepare, jobs, idle=scoring.poll):
                        key = str(key)
                        if meter is not None and isinstance(prepared, Timed):
                            meter.prepared(key, prepared.seconds, prepared.cpu)
                            prepared = prepared.result
                        if fetched is not None:
                            fetched.release(key)
                        if isinstance(prepared, MediaError):
                            report([(key, prepared)])
                        else:
                            scoring.add(key, prepared)
            except BaseException:
                self.close()  # workers may still be at jobs of this run
                raise

    def map_rows(self, rows: Iterable[Row], *, label: str | None = None) -> list[Outcome]:
        """Run the stage over rows in memory: no table, no ledger.

        Args:
            rows: The rows; cells that the stage does not read are ignored.
            label: Text of the progress bar; by default the stage's name.

        Returns:
            One outcome for each row, in order: a dict with the stage's `output_columns`, or a `MediaError`.

        Raises:
            UserError: See `process`.
        """
        from tools.stage.progress import Progress

        rows = list(rows)
        outcomes: dict[str, Outcome] = {}
        required, optional = self.stage.required_columns, self.stage.optional_columns
        with Progress(len(rows), label or self.stage.name, shown=self.options.progress) as progress:

            def finished(results: list[tuple[str, Outcome]]) -> None:
                for key, outcome in results:
                    outcomes[key] = with_path(outcome, source_name(rows[int(key)].get("path")))
                progress.count(results)

            # As in a table, where a column of `optional_columns` may be missing.
            cells = (
                {n: row.get(n) for n in required} | {n: row[n] for n in optional if n in row} for row in rows
            )
            self.process(((str(i), row) for i, row in enumerate(cells)), finished)
        return [outcomes[str(i)] for i in range(len(rows))]

    def _started(self) -> WorkerPool:
        """The workers, started unless they run."""
        from tools.media.workers.pool import WorkerPool

        if self._pool is None or not self._pool.is_active:
            self.close()
            options = self.options
            memory = None
            if options.memory_gb is not None:
                # Beyond the limit of a container the kernel kills a process, not always the right one.
                memory = min(int(options.memory_gb * 2**30), usable_memory())
            pool = WorkerPool(options.num_workers, timeout=options.timeout, memory_bytes=memory)
            self._pool = self._workers.enter_context(pool)
        return self._pool


def _log_internal_error(stage: Stage, results: list[tuple[str, Outcome]]) -> bool:
    """Log the first error of the toolkit itself among outcomes; whether there is one."""
    for _, outcome in results:
        if "internal" in failed_kinds(outcome):
            error = outcome if isinstance(outcome, MediaError) else outcome[FAILURES]
            LOG.error("stage %s: an error in the toolkit itself, the first: %s", stage.name, error)
            return True
    return False


def map_rows(
    stage: Stage,
    rows: Iterable[Row],
    options: RunOptions | None = None,
    *,
    label: str | None = None,
    fetch: FetchOptions | None = None,
) -> list[Outcome]:
    """Run a stage over rows in memory, once: set it up, start workers and end them.

    For a table on disk see `tools.stage.runner.run_stage`. Arguments, result and errors are those of
    `Session` and `Session.map_rows`.
    """
    with Session(stage, options, fetch=fetch) as session:
        return session.map_rows(rows, label=label)
