"""Fetch sources in threads while earlier ones are decoded, with a limit on temporary files."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Hashable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tools.base.temporary_files import TemporaryFolder
from tools.base.versions import Version
from tools.errors import MediaError, UserError
from tools.media.fetching.local_files import local_file
from tools.media.fetching.sources import FetchOptions, Source


class Prefetch:
    """Fetches sources in the background; a context manager that removes all temporary files on exit.

    At most `FetchOptions.ahead` sources are being fetched, ready, or in use at a time. Use::

        with Prefetch(options) as prefetch:
            while prefetch.has_room:
                prefetch.start(key, source)
            if (ready := prefetch.take()) is not None:
                key, path = ready
                ...
                prefetch.release(key)

    Args:
        options: Options for fetching.
    """

    def __init__(self, options: FetchOptions | None = None) -> None:
        self._options = options or FetchOptions()
        self._folder: TemporaryFolder | None = None
        self._requests: SimpleQueue[tuple[Hashable, Source] | None] = SimpleQueue()
        self._ready: SimpleQueue[tuple[Hashable, Path | MediaError | UserError, ExitStack]] = SimpleQueue()
        self._versions: dict[Hashable, Version] = {}
        self._files: dict[Hashable, ExitStack] = {}
        self._fetching: set[Hashable] = set()
        self._threads: list[threading.Thread] = []
        self._cancelled = threading.Event()

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *error: object) -> None:
        self._cancelled.set()
        for _ in self._threads:
            self._requests.put(None)
        if self._folder is not None:
            # Threads that wait for a server are not joined: they will find no folder.
            self._folder.close()

    @property
    def has_room(self) -> bool:
        """Whether another source may be started."""
        return len(self._fetching) + len(self._files) < self._options.ahead

    @property
    def is_fetching(self) -> bool:
        """Whether `take` will return something, now or later."""
        return bool(self._fetching)

    def start(self, key: Hashable, source: Source) -> None:
        """Start to fetch a source.

        Args:
            key: Its key for `take` and `release`, unique at any time.
            source: The source.

        Raises:
            UserError: The folder for temporary files cannot be written.
        """
        if self._folder is None:
            self._folder = self._make_folder()
        self._fetching.add(key)
        self._requests.put((key, source))
        if len(self._threads) < min(len(self._fetching), self._options.ahead):
            # A daemon thread that waits for a server does not delay the end of the program.
            thread = threading.Thread(target=self._fetch_all, args=(self._folder.path,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def take(self) -> tuple[Any, Path | MediaError] | None:
        """The key of a source that was fetched, with its file, or that failed, with the error.

        None if none is ready. A file must be released by `release`.

        Raises:
            UserError: No file can be fetched, see `tools.media.fetching.local_files.local_file`.
        """
        try:
            key, path, file = self._ready.get_nowait()
        except Empty:
            return None
        self._fetching.remove(key)
        if isinstance(path, UserError):
            raise path
        if not isinstance(path, MediaError):
            self._files[key] = file
        return key, path

    def version(self, key: Hashable) -> Version | None:
        """The version of a source that was taken and not released, if its server names one."""
        return self._versions.get(key)

    def release(self, key: Hashable) -> None:
        """Remove the file of a source, if it has one."""
        self._versions.pop(key, None)
        if (file := self._files.pop(key, None)) is not None:
            file.close()

    def _make_folder(self) -> TemporaryFolder:
        return TemporaryFolder(self._options.folder or tempfile.gettempdir())

    def _fetch_all(self, folder: Path) -> None:
        options = dataclasses.replace(self._options, folder=folder)
        while (request := self._requests.get()) is not None and not self._cancelled.is_set():
            key, source = request
            file = ExitStack()
            try:
                # The last version that is named counts; it is read after the file was taken from the queue.
                on_version = partial(self._versions.__setitem__, key)
                path = file.enter_context(
                    local_file(source, options=options, cancelled=self._cancelled, on_version=on_version)
                )
            except (MediaError, UserError) as error:
                path = error
            except Exception as error:  # if the thread died, the source would never be ready
                path = MediaError("internal", source.name, f"{type(error).__name__}: {error}")
            self._ready.put((key, path, file))
