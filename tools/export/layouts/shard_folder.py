"""The folder of shards: made as a whole, kept while nothing has changed, no file of others replaced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from tools.base.disk import make_folder, remove_quietly, writing
from tools.base.temporary_files import write_whole
from tools.errors import UserError

SHARDS = "shards"
_MARK = ".shards.json"
"""Beside the folder: what it was made of, and its files, so that it may be kept, or replaced."""

_FEW = 3  # files that an error names


class ShardFolder:
    """The folder ``shards`` in another one.

    Args:
        parent: The folder that it is in.

    Attributes:
        path: The folder.
    """

    def __init__(self, parent: Path) -> None:
        self.path = parent / SHARDS
        self._parent, self._mark = parent, parent / _MARK

    @classmethod
    def below(cls, folder: Path) -> list[ShardFolder]:
        """Those that were made in a folder, and in the folders in it: one for each split."""
        marks = [folder / _MARK, *sorted(folder.glob(f"*/{_MARK}"))]
        return [cls(mark.parent) for mark in marks if mark.is_file()]

    def is_made_of(self, digest: str, clips: Iterable[Path]) -> bool:
        """Whether the folder is what was made of that, and neither it nor one of the clips has changed since.

        The list of shards is written last, and has no times in it, so that it is the same each time.
        """
        made = self._made()
        if made.get("made_of") != digest or not made["files"] or made["files"] != _listing(self.path):
            return False
        written = self._mark.stat().st_mtime_ns
        files = chain((self.path / name for name in made["files"]), clips)
        return all(max(state.st_mtime_ns, state.st_ctime_ns) <= written for state in map(Path.stat, files))

    def replace(self, digest: str, pack: Callable[[Path], None]) -> None:
        """Make the folder anew; the one that is there stays until the new one is complete.

        Args:
            digest: Of what it is made of.
            pack: Writes the shards into a folder that does not yet exist.

        Raises:
            UserError: There are files in it that were not made here.
            DiskError: The disk is at fault.
        """
        self._refuse_others()
        make_folder(self._parent)
        temporary = self._parent / f".{SHARDS}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with writing(self.path):
                pack(temporary)
                made = {"made_of": digest, "files": _listing(temporary)}
                # Until the folders have changed places, files of both are known.
                self._write({**made, "earlier": sorted(_listing(self.path))})
                if self.path.exists():
                    shutil.rmtree(self.path)
                temporary.rename(self.path)
                self._write(made)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder, and the one that it is in if that is then empty.

        Raises:
            UserError: There are files in it that were not made here.
            DiskError: The disk is at fault.
        """
        self._refuse_others()
        with writing(self.path):
            if self.path.exists():
                shutil.rmtree(self.path)
        remove_quietly(self._mark)
        with suppress(OSError):
            self._parent.rmdir()

    def _refuse_others(self) -> None:
        made = self._made()
        own = {*made["files"], *made.get("earlier", ())}
        if others := [name for name in _listing(self.path) if name not in own]:
            shown = ", ".join(others[:_FEW]) + (", …" if len(others) > _FEW else "")
            raise UserError(
                f"{self.path}: has files that were not made by this command ({shown}): move them, or choose "
                "another folder"
            )
        if self.path.exists() and not self._mark.exists():
            raise UserError(f"{self.path}: was not made by this command: move it, or choose another folder")

    def _made(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            made = json.loads(self._mark.read_bytes())
            if isinstance(made, dict) and isinstance(made.get("files"), dict):
                return made
        return {"files": {}}

    def _write(self, made: dict[str, Any]) -> None:
        write_whole(self._mark, json.dumps(made, indent=1).encode(), "the list of shards")


def _listing(folder: Path) -> dict[str, int]:
    """Every file below a folder, with its size."""
    files = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files}
