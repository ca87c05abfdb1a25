"""The folder of shards: made as a whole, kept while nothing has changed, no file of others replaced."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.base.disk import make_folder, remove_quietly, sync, sync_names, writing
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.stage.shards import STATE_FOLDER

SHARDS = "shards"
_MARK = ".shards.json"
"""Beside the folder: what it was made of, and its files, so that it may be kept, or replaced."""
_STATE = f"{STATE_FOLDER}.{SHARDS}"
"""Beside it, too: a digest of the times of its files, and of those of the clips, when it was made."""

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
        self._parent, self._mark, self._state = parent, parent / _MARK, parent / _STATE

    @classmethod
    def below(cls, folder: Path) -> list[ShardFolder]:
        """Those that were made in a folder, and in the folders in it: one for each split."""
        marks = [folder / _MARK, *sorted(folder.glob(f"*/{_MARK}"))]
        return [cls(mark.parent) for mark in marks if mark.is_file()]

    def is_made_of(self, digest: str, clips: Iterable[Path]) -> bool:
        """Whether the folder is what was made of that, and neither it nor one of the clips has changed since.

        Times are those of the files then and now, and are not compared with each other: a clock may be set
        back. The list of shards has none, so that it is the same each time.
        """
        made = self._made()
        if made.get("made_of") != digest or not made["files"] or made["files"] != _listing(self.path):
            return False
        with suppress(OSError):
            return self._state.read_bytes() == self._times(_times(clips))
        return False

    def replace(self, digest: str, clips: Iterable[Path], pack: Callable[[Path], None]) -> None:
        """Make the folder anew; the one that is there stays until the new one is complete.

        Only one process at a time may do so.

        Args:
            digest: Of what it is made of.
            clips: The files that go into it.
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
                before = _times(clips)
                pack(temporary)
                made = {"made_of": digest, "files": _listing(temporary)}
                _sync_all(temporary)
                # Until the folders have changed places, files of both are known.
                self._write({**made, "earlier": sorted(_listing(self.path))})
                if self.path.exists():
                    shutil.rmtree(self.path)
                temporary.rename(self.path)
                sync_names([self._parent])
                self._write(made)
                write_whole(self._state, self._times(before))
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _times(self, clips: str) -> bytes:
        return f"{clips} {_times(self.path / name for name in sorted(_listing(self.path)))}\n".encode()

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
        remove_quietly(self._state)
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


def _times(files: Iterable[Path]) -> str:
    """A digest of the times of files; their sizes are known otherwise."""
    total = hashlib.sha256()
    for status in map(Path.stat, files):
        total.update(f"{status.st_mtime_ns} {status.st_ctime_ns}\n".encode())
    return total.hexdigest()


def _sync_all(folder: Path) -> None:
    """Write every file below a folder, and all names, through to the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
