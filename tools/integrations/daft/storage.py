"""Files on this machine or in object storage, by a path or an address that fsspec knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.base.addresses import is_address
from tools.base.disk import cannot_write, system_message, writing
from tools.base.packages import not_installed
from tools.base.temporary_files import temporary_folder, write_whole
from tools.errors import MediaError, UserError, VidsieveError
from tools.media.fetching.local_files import copy_from_address
from tools.media.fetching.sources import FetchOptions
from tools.media.fetching.storage import PACKAGES
from tools.table import table_extension


@contextmanager
def local_table(path: str | Path) -> Iterator[Path]:
    """A table as a file of this machine: itself, or a copy that is removed at the end.

    Args:
        path: A file, or an ``http(s)://`` address, or one of a storage that fsspec knows.

    Raises:
        UserError: It cannot be brought here.
    """
    if not is_address(path):
        yield Path(path)
        return
    with temporary_folder() as folder:
        copied = folder / f"table{table_extension(str(path).partition('?')[0])}"
        _copy(str(path), copied)
        yield copied


def _copy(address: str, path: Path) -> None:
    try:
        with writing(path), path.open("ab") as file:
            copy_from_address(address, file, FetchOptions())
    except MediaError as error:
        raise UserError(f"{address}: cannot read the table: {error.message}") from error


class Folder:
    """A folder of small files, each written whole or not at all.

    Args:
        url: Path, or address of a storage that fsspec knows. It need not exist.

    Raises:
        UserError: There is no such storage, or its package is not installed.
    """

    def __init__(self, url: str | Path) -> None:
        import fsspec

        self.url = str(url).rstrip("/")
        try:
            self._storage, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            package = PACKAGES.get(self.url.partition("://")[0].lower())
            if package and isinstance(error, ImportError):
                raise not_installed(package, self.url) from None
            raise UserError(f"{url}: cannot be written to: {error}") from None
        self._is_local = not is_address(url) or self.url.startswith("file://")

    def __truediv__(self, name: str) -> str:
        """The path or address of a file, for messages."""
        return f"{self.url}/{name}"

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        with self._user_errors():
            self._storage.invalidate_cache()
            try:
                found = self._storage.ls(self._root, detail=False)
            except FileNotFoundError:
                return []
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def sizes(self) -> dict[str, int]:
        """Sizes of the files in bytes, by name."""
        with self._user_errors():
            self._storage.invalidate_cache()
            found = self._storage.ls(self._root, detail=True)
        return {file["name"].rstrip("/").rpartition("/")[2]: file["size"] for file in found}

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None when there is none."""
        with self._user_errors():
            try:
                return self._storage.cat_file(f"{self._root}/{name}")
            except FileNotFoundError:
                return None

    def open(self, name: str) -> Any:
        """Open a file for reading bytes."""
        return self._storage.open(f"{self._root}/{name}", "rb")

    def write(self, name: str, content: bytes) -> None:
        """Write a file.

        Raises:
            UserError: It cannot be written.
        """
        with self._user_errors():
            if not self._is_local:  # an object appears when it is complete
                self._storage.pipe_file(f"{self._root}/{name}", content)
                return
            self._storage.makedirs(self._root, exist_ok=True)
            write_whole(Path(self._root) / name, content)

    def remove(self, name: str) -> None:
        """Remove a file that exists."""
        with self._user_errors():
            self._storage.rm_file(f"{self._root}/{name}")

    @contextmanager
    def _user_errors(self) -> Iterator[None]:
        """Raise errors of any storage as a `UserError` of one line."""
        try:
            yield
        except VidsieveError:
            raise
        except Exception as error:  # each storage has its own kinds of errors
            if self._is_local and isinstance(error, OSError):
                raise cannot_write(self.url, error) from error
            text = system_message(error).strip().partition("\n")[0]
            raise UserError(f"{self.url}: {text or type(error).__name__}") from error
