"""The rows of a run as jobs for its workers; files that are elsewhere are fetched ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from tools.errors import MediaError
from tools.media.fetching.prefetch import Prefetch
from tools.media.fetching.sources import FetchOptions, Source, as_source, source_name
from tools.media.workers.pool import NOT_YET, Job
from tools.stage.ledger_files import Outcome
from tools.stage.stage import Row


class Jobs:
    """Rows as jobs: an iterable for `WorkerPool.imap_unordered`, and a context manager.

    Args:
        rows: Key and row of each.
        fetch: How files are fetched; None takes every ``path`` for a file of this machine.
        finished: Told of rows whose file could not be fetched.
    """

    def __init__(
        self,
        rows: Iterable[tuple[str, Row]],
        fetch: FetchOptions | None,
        finished: Callable[[list[tuple[str, Outcome]]], None],
    ) -> None:
        self._rows = iter(rows)
        self._prefetch = None if fetch is None else Prefetch(fetch)
        self._finished = finished
        self._waiting: dict[str, Row] = {}  # rows whose file is being fetched
        self._names: dict[str, str] = {}  # what a file is called that goes by another name here
        self._open = ExitStack()

    def __enter__(self) -> Jobs:
        if self._prefetch is not None:
            self._open.enter_context(self._prefetch)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def __iter__(self) -> Iterator[Job]:
        if self._prefetch is None:
            return (_job(key, row) for key, row in self._rows)
        return self._fetched(self._prefetch)

    def finish(self, key: str, prepared: Any) -> Any:
        """Give back the file of a row that has been prepared, and call it by its own name in a failure."""
        if self._prefetch is not None:
            self._prefetch.release(key)
        name = self._names.pop(key, None)
        if name is not None and isinstance(prepared, MediaError):
            return MediaError(prepared.kind, name, prepared.message)
        return prepared

    def _fetched(self, prefetch: Prefetch) -> Iterator[Job]:
        """Rows in the order in which their files are there."""
        more = True
        while more or prefetch.is_fetching:
            while more and prefetch.has_room:
                row = next(self._rows, None)
                if row is None:
                    more = False
                elif (job := self._start(prefetch, *row)) is not None:
                    yield job
            ready = prefetch.take()
            if ready is None:
                if more or prefetch.is_fetching:
                    yield NOT_YET
                continue
            key, path = ready
            row = self._waiting.pop(key)
            if isinstance(path, MediaError):
                self._finished([(key, MediaError(path.kind, self._names.pop(key), path.message))])
            else:
                yield key, self._names[key], {**row, "path": str(path)}

    def _start(self, prefetch: Prefetch, key: str, row: Row) -> Job | None:
        """The job of a row whose file is here; the file of another is fetched."""
        if not row.get("path"):
            return _job(key, row)
        try:
            source = as_source(row["path"])
            local = source.local
        except MediaError as error:
            name = source_name(row["path"])
            self._finished([(key, MediaError(error.kind, name, error.message))])
            return None
        if local is not None:
            row = {**row, "path": str(local)}
            if isinstance(source, Source):
                self._names[key] = source.name
            return _job(key, row)
        self._names[key] = source.name
        self._waiting[key] = row
        prefetch.start(key, source)
        return None


def _job(key: str, row: Row) -> Job:
    return key, str(row.get("path") or ""), row
