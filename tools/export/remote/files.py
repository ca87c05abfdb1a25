"""The files of a data set in object storage, for `tools.export.verify` and `tools.export.check`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tools.base.disk import make_folder
from tools.base.side_by_side import side_by_side
from tools.base.temporary_files import temporary_folder
from tools.errors import UserError
from tools.export.folder_files import FolderFiles
from tools.export.manifest import FILES, MANIFEST, in_order, read_manifest
from tools.export.presets import SHARDED
from tools.media.fetching.remote_folder import RemoteFolder

_TEXTS = (".csv", ".json", ".jsonl", ".parquet", ".py", ".toml", ".txt", ".yaml")
_AT_ONCE = 8  # objects that are read


class RemoteFiles(FolderFiles):
    """A folder at an address, of which the texts are on this machine.

    Args:
        folder: The folder at the address.
        sizes: Bytes of all objects in it but hidden ones.
        texts: Folder with those that are texts.
        begin: Path of the part of it that this is, with ``/`` at its end.
    """

    def __init__(self, folder: RemoteFolder, sizes: Mapping[str, int], texts: Path, begin: str = "") -> None:
        self.whole = False
        super().__init__(texts / begin, (folder / begin).rstrip("/"))
        self._folder, self._sizes, self._root, self._begin = folder, sizes, texts, begin

    def exists(self) -> bool:
        """Whether there is anything."""
        return any(name.startswith(self._begin) for name in self._sizes)

    def names(self) -> Iterator[str]:
        """All objects, as `files_in` gives files."""
        inner = [name[len(self._begin) :] for name in self._sizes if name.startswith(self._begin)]
        for name in in_order(inner):
            if name not in (MANIFEST, FILES):
                yield name

    def size(self, name: str) -> int | None:
        """Bytes of an object; None if there is none."""
        return self._sizes.get(self._begin + name)

    def digest(self, name: str) -> str:
        """The SHA-256 of an object, which is read for it."""
        return self._folder.digest(self._begin + name) or ""

    def path(self, name: str) -> str:
        """The address of an object."""
        return self._folder / (self._begin + name)

    def below(self, name: str) -> FolderFiles:
        """A folder in the folder; "" for itself."""
        return RemoteFiles(self._folder, self._sizes, self._root, f"{self._begin}{name}/") if name else self


@contextmanager
def files_at(address: str, *, inside: bool = False) -> Iterator[FolderFiles]:
    """The files of a data set at an address; its texts are downloaded to a temporary folder.

    Args:
        address: Of the folder.
        inside: Download an export whole whose clips are in shards, so that these can be opened.

    Yields:
        The files.

    Raises:
        UserError: There is nothing at the address; see `RemoteFolder`.
    """
    folder = RemoteFolder(address)
    listed = folder.listed()
    sizes = {name: version.size or 0 for name, version in listed.items() if not _is_hidden(name)}
    if not sizes:
        raise UserError(f"{address}: there is nothing at this address")
    with temporary_folder() as place:
        here = place / "files"  # the folder has a lock of its own
        for parent in {PurePosixPath(name).parent for name in sizes}:
            make_folder(here / parent)
        _download(folder, sizes, here, lambda name: name.endswith(_TEXTS))
        if inside and MANIFEST in sizes and _is_sharded(here):
            _download(folder, sizes, here, lambda name: not name.endswith(_TEXTS))
            yield FolderFiles(here, address)
        else:
            yield RemoteFiles(folder, sizes, here)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _is_sharded(here: Path) -> bool:
    return str(read_manifest(here).get("preset")).rpartition("@")[2] in SHARDED


def _download(
    folder: RemoteFolder, names: Collection[str], here: Path, wanted: Callable[[str], bool]
) -> None:
    chosen = [name for name in names if wanted(name)]
    for _ in side_by_side(lambda name: folder.download(name, here / name), chosen, _AT_ONCE):
        pass
