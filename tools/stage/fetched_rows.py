"""Rows whose files are elsewhere, as jobs for the workers: their files are fetched ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tools.base.addresses import scheme
from tools.base.versions import Version
from tools.errors import MediaError
from tools.media.fetching.prefetch import Prefetch
from tools.media.fetching.sources import FetchOptions, as_source, source_name
from tools.media.workers.pool import NOT_READY, Job
from tools.stage.outcomes import Outcome, with_path
from tools.stage.stage import FAILURES, ORIGIN, Row


class FetchedRows:
    """Rows as jobs: an iterable for `WorkerPool.imap_unordered`, and a context manager.

    Args:
        rows: Key and row of each.
        fetch: How files are fetched.
        finished: Called with rows whose file could not be fetched.
        on_version: Called with the key of a row and the version of its file, before the row is finished.
    """

    def __init__(
        self,
        rows: Iterable[tuple[str, Row]],
        fetch: FetchOptions,
        finished: Callable[[list[tuple[str, Outcome]]], None],
        on_version: Callable[[str, Version], object] | None = None,
    ) -> None:
        self._rows = iter(rows)
        self._prefetch = Prefetch(fetch)
        self._finished = finished
        self._on_version = on_version
        self._waiting: dict[str, Row] = {}  # rows whose file is being fetched
        self._names: dict[str, str] = {}  # names of sources whose local file has another name
        self._copies: dict[str, str] = {}  # the local files of those that were fetched

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
            if self._on_version is not None and (version := prefetch.version(key)) is not None:
                self._on_version(key, version)
            if isinstance(path, MediaError):
                prefetch.release(key)
                self._finished([(key, MediaError(path.kind, self._names.pop(key), path.message))])
            else:
                self._copies[key] = str(path)
                yield key, self._names[key], {**row, "path": str(path), ORIGIN: self._names[key]}

    def release(self, key: str) -> None:
        """Remove the local file of a row that was prepared."""
        self._prefetch.release(key)

    def named(self, key: str, outcome: Outcome) -> Outcome:
        """The outcome of a row, with the name of its source in messages, not that of a copy."""
        name, copy = self._names.pop(key, None), self._copies.pop(key, None)
        if name is None:
            return outcome
        if isinstance(outcome, MediaError):
            if copy:
                path = name if outcome.path == copy else outcome.path
                outcome = MediaError(outcome.kind, path, outcome.message.replace(copy, name))
            return with_path(outcome, name)
        if copy and outcome.get(FAILURES):
            failures = [[kind, message.replace(copy, name)] for kind, message in outcome[FAILURES]]
            return {**outcome, FAILURES: failures}
        return outcome

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
            self._names[key] = source.name
            if isinstance(row["path"], str) and scheme(row["path"]) is None:
                return key, row["path"], row  # as it is, like rows of which no file is fetched
            row = {**row, "path": str(local)}
            return key, row["path"], row
        self._names[key] = source.name
        self._waiting[key] = row
        self._prefetch.start(key, source)
        return None
