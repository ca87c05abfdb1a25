"""Rows whose files are at addresses: how they are fetched, and which of them have changed there since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from tools.base.addresses import scheme
from tools.base.log import LOG
from tools.base.versions import Version
from tools.media.fetching.cache import Cache
from tools.media.fetching.local_files import version_at
from tools.media.fetching.sources import FetchOptions
from tools.media.fetching.storage import require_storage
from tools.stage.run_options import RunOptions

_ASKED_AT_ONCE = 16
_MANY = 1000  # files that take noticeable time
_PATIENCE = 3  # requests without an answer after which a server is asked no more


def is_remote(path: str | None) -> bool:
    """Whether a path is an address of another machine."""
    return bool(path) and scheme(path) not in (None, "file")


def fetch_options(options: RunOptions, paths: Iterable[str | None] | None = None) -> FetchOptions | None:
    """How the files of rows are fetched.

    Args:
        options: How the stage is run.
        paths: The files of the rows; None if they are not known.

    Returns:
        The options; None if all files are on this machine.

    Raises:
        UserError: The folder of the cache is a file; the package for a storage is not installed.
    """
    if paths is not None:
        remote = {scheme(path): path for path in paths if path and is_remote(path)}
        if not remote:
            return None
        for address in remote.values():
            require_storage(address)
    cache = None if options.cache is None else Cache(options.cache, int(options.cache_size * 1e9))
    ahead = options.fetch_ahead
    if ahead is None:
        from tools.media.workers.pool import usable_cores

        # Each worker has a file, and another one is there when it is done.
        ahead = max(FetchOptions.ahead, 2 * min(options.num_workers, usable_cores()))
    return FetchOptions(ahead=ahead, cache=cache)


def changed_files(versions: Mapping[str, tuple[str, Version]]) -> set[str]:
    """Ask servers whether files have changed, several at a time, with one small request for each.

    A server that does not answer says nothing: its files count as unchanged, and a line says so.

    Args:
        versions: By key, the address and the version of the file that is known.

    Returns:
        The keys of the files of which the server has another version now.
    """
    silent: dict[str, int] = {}

    def ask(item: tuple[str, tuple[str, Version]]) -> tuple[str, bool | None]:
        key, (address, known) = item
        server = urlsplit(address).netloc
        if silent.get(server, 0) >= _PATIENCE:
            return key, None
        now = version_at(address, known=known)
        if now is None:
            silent[server] = silent.get(server, 0) + 1
            return key, None
        return key, now.differs(known)

    if not versions:
        return set()
    if len(versions) >= _MANY:
        LOG.info("%d finished rows: asking their servers whether the files have changed", len(versions))
    with ThreadPoolExecutor(min(_ASKED_AT_ONCE, len(versions))) as threads:
        answers = dict(threads.map(ask, versions.items()))
    changed = {key for key, answer in answers.items() if answer}
    if changed:
        first = versions[min(changed)][0]
        LOG.warning("%d files have changed at their addresses since, one is %s", len(changed), first)
    if unknown := [key for key, answer in answers.items() if answer is None]:
        LOG.warning(
            "%d finished rows: the server does not say whether their files have changed, one is %s",
            len(unknown),
            versions[unknown[0]][0],
        )
    return changed
