"""Rows whose files are elsewhere, as jobs for the workers: their files are fetched ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tools.errors import MediaError
from tools.media.fetching.prefetch import Prefetch
from tools.media.fetching.sources import FetchOptions, Source, as_source, source_name
from tools.media.workers.pool import NOT_READY, Job
from tools.stage.outcomes import Outcome
from tools.stage.stage import Row


class FetchedRows:
    """Rows as jobs: an iterable for `WorkerPool.imap_unordered`, and a context manager.

    Args:
        rows: Key and row of each.
        fetch: How files are fetched.
        finished: Called with rows whose file could not be fetched.
    """

    def __init__(
        self,
        rows: Iterable[tuple[str, Row]],
        fetch: FetchOptions,
        finished: Callable[[list[tuple[str, Outcome]]], None],
    ) -> None:
        self._rows = iter(rows)
        self._prefetch = Prefetch(fetch)
        self._finished = finished
        self._waiting: dict[str, Row] = {}  # rows whose file is being fetched
        self._names: dict[str, str] = {}  # names of sources whose local file has another name

    def __enter__(self) -> FetchedRows:
        self._prefetch.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._prefetch.__exit__(*error)

    def __iter__(self) -> Iterator[Job]:
        """Rows in the order in which their files arrive."""
        prefetch = self._prefetch
        more = True
        while more or prefetch.is_fetching:
            while more and prefetch.has_room:
                row = next(self._rows, None)
                if row is None:
                    more = False
                elif (job := self._start(*row)) is not None:
                    yield job
            ready = prefetch.take()
            if ready is None:
                if more or prefetch.is_fetching:
                    yield NOT_READY
                continue
            key, path = str(ready[0]), ready[1]
            row = self._waiting.pop(key)
            if isinstance(path, MediaError):
                self._finished([(key, MediaError(path.kind, self._names.pop(key), path.message))])
            else:
                yield key, self._names[key], {**row, "path": str(path)}

    def release(self, key: str, prepared: Any) -> Any:
        """Remove the local file of a row that was prepared; its failure gets the name of the source."""
        self._prefetch.release(key)
        name = self._names.pop(key, None)
        if name is not None and isinstance(prepared, MediaError):
            return MediaError(prepared.kind, name, prepared.message)
        return prepared

    def _start(self, key: str, row: Row) -> Job | None:
        """The job of a row whose file is here; the file of another is fetched."""
        if not row.get("path"):
            return key, "", row
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
            return key, row["path"], row
        self._names[key] = source.name
        self._waiting[key] = row
        self._prefetch.start(key, source)
        return None
