"""What the sizes of packets tell about a video before it is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tools.media.reading.timeline.packets import PacketIndex

_JUMP = 1.8  # size of a packet by those around it
_FEW_BYTES = 48  # differences that say nothing: headers
_NEIGHBOURS = 6  # packets on either side
_SMOOTHED = 3  # packets averaged
_HIGHER, _LOWER = 2.5, 0.15  # sizes that are steady are within these, relative to their median
_CUT = 0.35  # size of the packet that begins a shot by that of a key frame, at least
_LARGE = 0.33  # the same, of packets among which one that begins a shot would not stand out
_MIXED = 0.06  # the same, of packets of mixed frames
_RARE = 0.2  # share of a distance of key frames that is not the usual one


class PacketSizes:
    """Sizes of the packets of anchors: frames that are stored before all that are shown after them.

    Other frames (B-frames) lie between two anchors, refer to both, and are small also at a cut.

    Args:
        index: The packets of the video.
    """

    def __init__(self, index: PacketIndex) -> None:
        self._keys = index.key_frames
        is_key = np.zeros(len(index.pts), bool)
        is_key[self._keys] = True
        is_anchor = index.positions == np.minimum.accumulate(index.positions[::-1])[::-1]
        self._anchors = np.flatnonzero(is_anchor)
        self._inter = np.flatnonzero(is_anchor & ~is_key)
        self._sizes = index.sizes
        self._spaces = np.diff(self._keys)

    def jumps(self, frames: range) -> list[range]:
        """Frames among which a cut may be: from behind one anchor to the next, whose packet is large."""
        low, high = np.searchsorted(self._inter, [frames.start, frames.stop])
        if high <= low:
            return []
        numbers = self._inter[low:high]
        sizes = self._sizes[numbers].astype(np.float64)
        padded = np.pad(sizes, _NEIGHBOURS, mode="reflect" if len(sizes) > _NEIGHBOURS else "edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
        usual = np.median(windows, axis=1)
        least = _CUT * self._key_size(frames)
        large = (sizes > _JUMP * usual + _FEW_BYTES) & (sizes > least)
        before = self._anchors[np.searchsorted(self._anchors, numbers[large]) - 1]
        return [range(int(a) + 1, int(b) + 1) for a, b in zip(before, numbers[large], strict=True)]

    def conclusive(self, frames: range) -> bool:
        """Whether a cut would stand out: the packets of anchors are small beside a key frame."""
        low, high = np.searchsorted(self._inter, [frames.start, frames.stop])
        sizes = self._sizes[self._inter[low:high]]
        return not len(sizes) or float(np.median(sizes)) <= _LARGE * self._key_size(frames)

    def steady(self, frames: range) -> bool:
        """Whether the packets of anchors have about one size: no dissolve or fade."""
        low, high = np.searchsorted(self._inter, [frames.start, frames.stop])
        sizes = self._sizes[self._inter[low:high]].astype(np.float64)
        if len(sizes) <= _SMOOTHED:
            return True
        mean = np.convolve(sizes, np.ones(_SMOOTHED) / _SMOOTHED, "valid")
        usual = max(float(np.median(sizes)), _MIXED * self._key_size(frames), _FEW_BYTES)
        falls = np.median(sizes) >= usual and (mean < _LOWER * usual).any()
        return not (falls or (mean > _HIGHER * usual).any())

    def out_of_turn(self, key: int, before: int) -> bool:
        """Whether a key frame comes earlier than the distance that the encoder was given demands.

        Args:
            key: The key frame.
            before: Another; the answer is no if it is not the one directly before.
        """
        at = int(np.searchsorted(self._keys, key))
        if at == 0 or self._keys[at - 1] != before:
            return False
        space = self._spaces[at - 1]
        rare = (self._spaces == space).sum() <= max(1, _RARE * len(self._spaces))
        # the largest distance may be what the encoder was given, mostly a round number
        return bool(rare and (space < self._spaces.max() or (space % 10 and space % 12)))

    def _key_size(self, frames: range) -> int:
        """Size of the key frame before or behind, whichever is smaller."""
        ends = [n for n in (frames.start, frames.stop) if n < len(self._sizes)]
        return int(self._sizes[ends].min())
