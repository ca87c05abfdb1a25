"""Turn rows into outcomes: prepare them in guarded workers, score them in batches across files."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from tools.base.addresses import local_path
from tools.base.log import LOG
from tools.errors import MediaError
from tools.media.fetching.sources import FetchOptions, source_name
from tools.media.reading.requests import NOTHING, Frames, read_requests
from tools.stage.batches import Scoring
from tools.stage.ledger_files import Outcome
from tools.stage.run_options import RunOptions
from tools.stage.stage import FAILURES, Row, Stage, failed_kinds

if TYPE_CHECKING:
    from tools.media.workers.pool import WorkerPool


class Session:
    """A stage that is set up, and its workers: for one run after another over a few rows each.

    `Stage.setup` is called once, at the first run; workers start then, and stay. So a caller that gets its
    rows in small batches (a data frame engine) makes one session and keeps it. Runs may come from several
    threads; one waits for the other. A session that was used and dropped without `close` ends its workers
    when it is collected, or with the program.

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
        """Set the stage up, if that has not been done: missing weights are told before any file is read.

        Raises:
            UserError: What the stage says.
        """
        with self._lock:
            if not self._is_set_up:
                self.stage.setup()
                self._is_set_up = True

    def work(
        self,
        rows: Iterable[tuple[str, Row]],
        finished: Callable[[list[tuple[str, Outcome]]], None],
    ) -> None:
        """Run the stage over rows.

        Args:
            rows: Key and row, each key once.
            finished: Called in this thread with keys and outcomes, in the order in which rows finish.

        Raises:
            UserError: What `setup`, `prepare` or `score` say of the run as a whole.
        """
        from tools.media.workers.spawning import end_if_starting
        from tools.stage.jobs import Jobs

        end_if_starting()
        finished = _logging_faults(self.stage, finished)
        with self._lock:
            self.setup()
            pool = self._started()
            try:
                with (
                    Jobs(rows, self._fetch, finished) as jobs,
                    Scoring(self.stage, self.options.batch_size, finished) as scoring,
                ):
                    prepare = partial(_prepare, self.stage)
                    for key, prepared in pool.imap_unordered(prepare, jobs, idle=scoring.look):
                        prepared = jobs.finish(key, prepared)
                        if isinstance(prepared, MediaError):
                            finished([(str(key), prepared)])
                        else:
                            scoring.add(str(key), prepared)
            except BaseException:
                self.close()  # workers may still be at jobs of this run
                raise

    def map_rows(self, rows: Iterable[Row], *, label: str | None = None) -> list[Outcome]:
        """Run the stage over rows in memory: no table, no ledger.

        Args:
            rows: The rows; cells that the stage does not read are ignored.
            label: Text of the progress bar; by default the stage's name.

        Returns:
            One outcome for each row, in order: a dict with the columns that the stage adds, or a
            `MediaError`.

        Raises:
            UserError: See `work`.
        """
        from tools.stage.progress import Progress

        rows = list(rows)
        outcomes: list[Outcome | None] = [None] * len(rows)
        required_columns, optional_columns = self.stage.required_columns, self.stage.optional_columns
        with Progress(len(rows), label or self.stage.name, shown=self.options.progress) as progress:

            def finished(results: list[tuple[str, Outcome]]) -> None:
                for key, outcome in results:
                    outcomes[int(key)] = with_path(outcome, source_name(rows[int(key)].get("path")))
                progress.count(results)

            self.work(
                (
                    # As in a table, where a column of `optional_columns` may be missing.
                    (
                        str(i),
                        {n: row.get(n) for n in required_columns}
                        | {n: row[n] for n in optional_columns if n in row},
                    )
                    for i, row in enumerate(rows)
                ),
                finished,
            )
        return outcomes  # type: ignore[return-value]  # every row has an outcome by now

    def _started(self) -> WorkerPool:
        """The workers, started unless they run."""
        from tools.media.workers.pool import WorkerPool

        if self._pool is None or not self._pool.is_active:
            self.close()
            options = self.options
            memory = None if options.memory_gb is None else int(options.memory_gb * 2**30)
            pool = WorkerPool(options.num_workers, timeout=options.timeout, memory_bytes=memory)
            self._pool = self._workers.enter_context(pool)
        return self._pool


def work(
    stage: Stage,
    rows: Iterable[tuple[str, Row]],
    options: RunOptions,
    finished: Callable[[list[tuple[str, Outcome]]], None],
) -> None:
    """Run a stage over rows, once: set it up, start workers and end them; see `Session.work`."""
    with Session(stage, options) as session:
        session.work(rows, finished)


def _logging_faults(
    stage: Stage, finished: Callable[[list[tuple[str, Outcome]]], None]
) -> Callable[[list[tuple[str, Outcome]]], None]:
    """The same, and the first error of the toolkit itself in a run is logged: it is no fault of the file."""
    logged = False

    def look(results: list[tuple[str, Outcome]]) -> None:
        nonlocal logged
        for _, outcome in () if logged else results:
            if "internal" in failed_kinds(outcome):
                said = outcome if isinstance(outcome, MediaError) else outcome[FAILURES]
                LOG.error("stage %s: an error in the toolkit itself, the first: %s", stage.name, said)
                logged = True
                break
        finished(results)

    return look


def _prepare(stage: Stage, row: Row) -> Any:
    """In the worker: read the frames that the stage wants, and let it prepare the row."""
    path = row.get("path")
    if not path and "path" in stage.required_columns:
        raise MediaError("bad_value", "", "the cell of column path is empty")
    if isinstance(path, str):
        path = local_path(path)
        row = {**row, "path": path}
    frames = Frames()
    if stage.request != NOTHING:
        if path is None:
            raise MediaError("bad_value", "", "the cell of column path is empty")
        (frames,) = read_requests(path, [stage.request], decoder=stage.decoder)
        if isinstance(frames, MediaError):
            raise frames
    return stage.prepare(row, frames)


def map_rows(
    stage: Stage, rows: Iterable[Row], options: RunOptions | None = None, *, label: str | None = None
) -> list[Outcome]:
    """Run a stage over rows in memory, once: set it up, start workers and end them.

    Arguments, result and errors are those of `Session.map_rows`.
    """
    with Session(stage, options) as session:
        return session.map_rows(rows, label=label)


def with_path(outcome: Outcome, path: str | None) -> Outcome:
    """Name a row's failure by the file as it was given, not as it was opened: its reader must find it.

    What was wrong with another file, one that a further column names, is said in the message.
    """
    if not isinstance(outcome, MediaError) or not path or outcome.path == path:
        return outcome
    other = outcome.path and _normal(outcome.path) != _normal(path)
    return MediaError(outcome.kind, path, f"{outcome.path}: {outcome.message}" if other else outcome.message)


def _normal(path: str) -> str:
    return os.path.normpath(local_path(path))
