"""Rows of a CSV without quotes, as lines: some of them can be taken without parsing the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.table.opening import line_blocks, open_bytes

if TYPE_CHECKING:
    import numpy as np


def picked_lines(path: Path, keep: np.ndarray) -> bytes:
    """The header and some rows of a CSV, as they are in the file.

    Args:
        path: A CSV that is not compressed, with a row in each line; see `tools.table.csv_check`.
        keep: For each row whether it is wanted, Boolean (rows).

    Raises:
        OSError: It cannot be read.
    """
    import numpy as np

    pieces: list[bytes] = []
    wanted = np.concatenate([[True], keep])  # with the header
    row = 0
    with open_bytes(path) as stream:
        for buffer, size in line_blocks(stream):
            ends = np.flatnonzero(np.frombuffer(buffer, np.uint8, size) == ord("\n")) + 1
            if not len(ends) or ends[-1] != size:
                ends = np.append(ends, size)  # the last line has no end
            places = np.flatnonzero(wanted[row : row + len(ends)])
            starts = np.concatenate([[0], ends[:-1]])[places].tolist()
            pieces += [bytes(buffer[a:b]) for a, b in zip(starts, ends[places].tolist(), strict=True)]
            row += len(ends)
    return b"".join(pieces)
