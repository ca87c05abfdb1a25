"""Rows of a CSV without quotes, as lines: some of them can be taken without reading the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import UserError

if TYPE_CHECKING:
    import numpy as np

_CLOSEST = 1 << 12  # bytes between the lines whose places are kept, at least
_MOST = 1 << 18  # such lines of a file, but for one in each block that is read


class LinePlaces:
    """Where about every 4,096th byte of a file a line begins, and its number; further apart in a large file.

    Args:
        start: Where the first line begins, in bytes from the beginning of the file.
        size: Bytes of the file.

    Attributes:
        end: Where the lines end that were added so far.
        lines: Their number.
    """

    def __init__(self, start: int, size: int) -> None:
        self.end = start
        self.lines = 0
        self._apart = max(_CLOSEST, size // _MOST)
        self._starts: list[np.ndarray] = []
        self._numbers: list[np.ndarray] = []

    def add(self, ends: np.ndarray, size: int) -> None:
        """Take the lines of the next block.

        Args:
            ends: Where in the block the lines have their line feeds (lines); the last one may have none.
            size: Bytes of the block.
        """
        import numpy as np

        self._starts.append(np.array([self.end]))
        self._numbers.append(np.array([self.lines]))
        if len(ends) > 1 and size > self._apart:
            found = np.searchsorted(ends[:-1], np.arange(self._apart, size, self._apart))
            self._starts.append(ends[found] + (self.end + 1))
            self._numbers.append(found + (self.lines + 1))
        self.end += size
        self.lines += len(ends)

    @classmethod
    def joined(cls, pieces: Sequence[LinePlaces]) -> LinePlaces:
        """The places of the lines of a whole file from those of its pieces."""
        whole = cls(pieces[0].end, 0)
        for piece in pieces:
            whole._starts += piece._starts
            whole._numbers += [numbers + whole.lines for numbers in piece._numbers]
            whole.lines += piece.lines
        whole.end = pieces[-1].end
        return whole

    def picked(self, path: Path, keep: np.ndarray) -> bytes:
        """The header and some rows of the file, as they are in it, without a byte order mark.

        Args:
            path: The file.
            keep: For each row whether it is wanted, Boolean (rows).

        Raises:
            UserError: It is shorter than it was.
            OSError: It cannot be read.
        """
        import numpy as np

        starts, numbers = (np.concatenate(arrays) for arrays in (self._starts, self._numbers))
        wanted = np.flatnonzero(np.concatenate([[True], keep]))
        places = np.searchsorted(numbers, wanted, side="right") - 1
        groups, begins = np.unique(places, return_index=True)
        within = (wanted - numbers[places]).tolist()
        borders = [*begins.tolist(), len(wanted)]
        offsets = starts[groups].tolist()
        lengths = (np.append(starts, self.end)[groups + 1] - starts[groups]).tolist()
        picked: list[bytes] = []
        with path.open("rb", buffering=0) as stream:
            for number, (offset, length) in enumerate(zip(offsets, lengths, strict=True)):
                read = os.pread(stream.fileno(), length, offset)
                if len(read) != length:
                    raise UserError(f"{path}: the table became shorter while it was read")
                lines = read.split(b"\n")
                picked += [lines[place] for place in within[borders[number] : borders[number + 1]]]
        return b"\n".join(picked) + b"\n"


def line_feeds(block: np.ndarray) -> np.ndarray:
    """Where bytes are line feeds; in half the time of `np.flatnonzero` where lines are longer than 8 bytes.

    Eight bytes are compared with none at a time: the only one of them that is 1 is known from the remainder
    of the number that they are, as the powers of 256 differ modulo 19.

    Args:
        block: Unsigned bytes.
    """
    import numpy as np

    marks = block == ord("\n")
    eights = marks[: len(marks) // 8 * 8].view("<u8")
    found = np.flatnonzero(eights != 0)
    values = eights[found]
    if (values & (values - np.uint64(1))).any():
        return np.flatnonzero(marks)
    places = np.zeros(19, np.int64)
    places[[256**place % 19 for place in range(8)]] = range(8)
    found = found * 8 + places[values % np.uint64(19)]
    return np.append(found, np.flatnonzero(marks[len(eights) * 8 :]) + len(eights) * 8)
