"""The files of a data set in a folder: their names, sizes and digests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tools.export.manifest import files_in
from tools.stage.provenance import digest_file


class FolderFiles:
    """A folder on this machine; of one elsewhere `tools.export.remote.files.RemoteFiles` says the same.

    Args:
        folder: The folder.
        shown: What it is called in messages, if not by its path.

    Attributes:
        texts: Folder on this machine that has its texts: captions, tables, the manifest.
        shown: Its path or address.
        whole: Whether all files are there, and not the texts alone.
    """

    whole = True

    def __init__(self, folder: Path, shown: str = "") -> None:
        self.texts = folder
        self.shown: Path | str = shown or folder

    @classmethod
    def of(cls, folder: Path | FolderFiles) -> FolderFiles:
        """The files of a folder that is given by its path, or as itself."""
        return folder if isinstance(folder, FolderFiles) else cls(folder)

    def exists(self) -> bool:
        """Whether there is such a folder."""
        return self.texts.is_dir()

    def names(self) -> Iterable[str]:
        """All files, as `files_in` gives them."""
        return files_in(self.texts)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        try:
            return (self.texts / name).stat().st_size
        except OSError:
            return None

    def digest(self, name: str) -> str:
        """The SHA-256 of a file."""
        return digest_file(self.texts / name)

    def path(self, name: str) -> str:
        """Where a file is: its path or address."""
        return str(self.texts / name)

    def below(self, name: str) -> FolderFiles:
        """A folder in the folder; "" for itself."""
        shown = "" if isinstance(self.shown, Path) else f"{self.shown}/{name}"
        return FolderFiles(self.texts / name, shown) if name else self
