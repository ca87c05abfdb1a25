"""Whether two small pictures show the same shot, and where in a series of them a new one begins."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

_CHANGED = 8.0  # mean difference of two pictures, of 255, that a cut has at least
_CHANGED_PLAIN = 12.0  # the same, if one of the two shows nothing
_CORRELATION = 0.7  # of the luma of two shots, at most
_ALIKE = 0.75  # of one shot, at least
_PLAIN = 3.0  # contrast, in luma, of a picture that shows nothing
_DARK = 24  # luma of black bars, which every shot of a video may have
_OUTSTANDING = 2.0  # change at a cut by that between the frames around it
_CONTEXT = 3  # frames before and behind that are around it
_FLASH = 6  # frames; a picture that is back after fewer was only covered
_BACK = 0.4  # change to the picture before a flash, by that at its beginning


def unlike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two pictures, uint8 (height, width, 3), may be of two shots."""
    return _unlike(a, b, difference(a, b))


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two pictures are surely of one shot; both this and `unlike` may be false."""
    return difference(a, b) < _CHANGED or (_contrasts(a, b) and _correlation(a, b) >= _ALIKE)


class Sequences:
    """Pictures of some frames of a video.

    Args:
        pictures: By frame number: uint8, shape (height, width, 3).
        longest_gap: Frames between two that are compared.
    """

    def __init__(self, pictures: Mapping[int, np.ndarray], longest_gap: int) -> None:
        self._numbers = np.array(sorted(pictures), np.int64)
        self._pictures = [pictures[number] for number in self._numbers.tolist()]
        self._gaps = np.diff(self._numbers, prepend=self._numbers[0] - 2 * longest_gap)
        changes = [0.0, *itertools.starmap(difference, itertools.pairwise(self._pictures))]
        self._changes = np.where(self._gaps <= longest_gap, changes, 0.0)
        self._longest_gap = longest_gap

    def cuts(self) -> list[int]:
        """Numbers of the frames that begin a shot, where the frame before is there, too."""
        return [int(self._numbers[i]) for i in self._jumps() if self._gaps[i] == 1]

    def doubts(self) -> list[tuple[int, int]]:
        """First and last frame of each jump over frames that are not there."""
        return [
            (int(self._numbers[i - 1]), int(self._numbers[i])) for i in self._jumps() if self._gaps[i] > 1
        ]

    def runs(self) -> list[np.ndarray]:
        """Frame numbers, split where the gap is longest."""
        return np.split(self._numbers, np.flatnonzero(self._gaps > self._longest_gap)[1:])

    def _jumps(self) -> list[int]:
        return [int(i) for i in np.flatnonzero(self._changes >= _CHANGED) if self._is_jump(int(i))]

    def _is_jump(self, i: int) -> bool:
        """Whether picture i is of another shot than that before it.

        The change stands out from those around it, but for one, which may be another jump. A flash is none:
        behind it, the picture is that from before it.
        """
        change = self._changes[i]
        low, high = max(0, i - _CONTEXT), i + _CONTEXT + 1
        around = np.delete(self._changes[low:high], i - low)
        if len(around) > 1 and change < _OUTSTANDING * np.partition(around, -2)[-2]:
            return False
        before, after = self._pictures[i - 1], self._pictures[i]
        return _unlike(before, after, change) and not self._is_flash(i)

    def _is_flash(self, i: int) -> bool:
        change, at = self._changes[i], self._numbers
        for j in range(i + 1, len(at)):
            if at[j] - at[i] >= _FLASH:
                break
            if self._is_back(i - 1, j, change):
                return True
        for j in range(i - 2, -1, -1):
            if at[i - 1] - at[j] >= _FLASH:
                break
            if self._is_back(j, i, change):
                return True
        return False

    def _is_back(self, first: int, second: int, change: float) -> bool:
        a, b = self._pictures[first], self._pictures[second]
        return difference(a, b) < _BACK * change and alike(a, b)


def _unlike(a: np.ndarray, b: np.ndarray, change: float) -> bool:
    if not _contrasts(a, b):
        return change >= _CHANGED_PLAIN
    return change >= _CHANGED and _correlation(a, b) < _CORRELATION


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference of two pictures, 0 to 255."""
    return float(np.abs(a.astype(np.int16) - b).mean())


def _luma(picture: np.ndarray) -> np.ndarray:
    return picture.reshape(-1, 3) @ np.array([0.299, 0.587, 0.114], np.float32)


def _contrasts(a: np.ndarray, b: np.ndarray) -> bool:
    return min(_luma(a).std(), _luma(b).std()) >= _PLAIN


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of luma where at least one of the two is not dark."""
    x, y = _luma(a), _luma(b)
    seen = (x > _DARK) | (y > _DARK)
    if seen.sum() > len(seen) // 20:
        x, y = x[seen], y[seen]
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / max(1e-3, np.linalg.norm(x) * np.linalg.norm(y)))
