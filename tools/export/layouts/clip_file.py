"""A clip while it is packed: what cannot be read of it is told of the clip, not of the shard."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from tools.base.disk import system_message
from tools.errors import UserError


class ClipFile:
    """A clip, open for reading from its beginning to the end that it had when it was opened.

    Attributes:
        path: The file.
        size: Its bytes.

    Raises:
        UserError: It cannot be read. `read` raises it as well, also where the file has become shorter.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise self._fault(error) from None
        self._rest = self.size

    def read(self, most: int = -1) -> bytes:
        """The next bytes, all that are left by default; none at the end."""
        wanted = self._rest if most < 0 else min(most, self._rest)
        try:
            block = self._file.read(wanted)
        except OSError as error:
            raise self._fault(error) from None
        if len(block) < wanted:
            raise UserError(f"{self.path}: has become shorter while it was packed; run it again")
        self._rest -= len(block)
        return block

    def _fault(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be read: {system_message(error)}")

    def __enter__(self) -> ClipFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
