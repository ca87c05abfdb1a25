"""The detector ``fast``: hard cuts from few pictures, by what packets and key frames tell beforehand.

A cut changes the picture, so its first frame needs many bytes. Most of a video can therefore be left out
without decoding it: stretches between two key frames that look alike, in which no packet is much larger than
those around it. Elsewhere only reference frames are decoded, without the loop filter; around candidates all
frames are, so that the first frame of a shot is exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.errors import MediaError
from tools.scene_cut.shots.alike import Sequences, alike, difference, unlike
from tools.scene_cut.shots.packet_sizes import PacketSizes
from tools.scene_cut.shots.transitions import SIZE, find_transitions, grey

if TYPE_CHECKING:
    from tools.media.reading.decoders.pyav import Decoder
    from tools.media.reading.timeline.packets import PacketIndex

_AROUND = 3  # frames before and behind a candidate that are decoded
_APART = 12  # frames; of key frames that are closer only some are examined
_LONGEST_GAP = 24  # frames; decoded frames that are further apart are not neighbours


def find_cuts_fast(path: str | Path, index: PacketIndex, frames: range) -> tuple[list[int], list[range]]:
    """Find hard cuts, and dissolves and fades where reference frames are decoded.

    Args:
        path: The video.
        index: Its packets.
        frames: Numbers of the frames to search.

    Returns:
        Number of the first frame of each new shot, ascending; and the frames of each transition.

    Raises:
        MediaError: The video cannot be opened, or none of these frames can be decoded.
    """
    from tools.media.reading.decoders.pyav import Decoder

    with Decoder(path, index, loop_filter=False) as decoder:
        search = _Search(decoder, index, frames)
        search.look()
    if not search.seen:
        raise MediaError("decode", path, f"none of its frames {frames.start} to {frames[-1]} can be decoded")
    return search.found()


class _Stretch(NamedTuple):
    """Frames from one key frame to the next that is examined, or to the end."""

    frames: range
    ends: bool
    """No key frame follows."""


class _Search:
    """What is known of the frames of one video.

    Attributes:
        seen: Small pictures of the frames that were decoded.
        certain: Frames around candidates, all of which are decoded.
        decided: Cuts that packets and key frames tell.
    """

    def __init__(self, decoder: Decoder, index: PacketIndex, frames: range) -> None:
        from tools.media.reading.pictures import PictureConverter

        self.decoder, self.index, self.frames = decoder, index, frames
        self.seen: dict[int, np.ndarray] = {}
        self.certain: set[int] = set()
        self.decided: list[int] = []
        self._convert = PictureConverter(index, size=SIZE, format="rgb24", interpolation="fast_bilinear")

    def look(self) -> None:
        """Decode what is needed to decide."""
        keys = [key for key in self.index.key_frames.tolist() if key in self.frames]
        if not keys:  # frames are found by decoding only
            self.certain = set(self.frames)
            self._decode(self.frames)
            return
        posts = _spaced(keys)
        self._decode(posts)
        sizes = PacketSizes(self.index)
        wanted: set[int] = set()
        for stretch in _stretches(posts, self.frames):
            wanted |= self._wanted(stretch, sizes)
        self._decode(sorted(wanted))
        if self.seen and (doubts := Sequences(self.seen, _LONGEST_GAP).doubts()):
            # A jump between reference frames that no packet told of: once more, with all frames there.
            around = {n for first, last in doubts for n in range(first - _AROUND, last + _AROUND)}
            self.certain |= around
            self._decode(sorted(around & set(self.frames)))

    def _wanted(self, stretch: _Stretch, sizes: PacketSizes) -> set[int]:
        """Frames of a stretch, and behind it, from which reference frames are to be decoded."""
        first, stop = stretch.frames.start, stretch.frames.stop
        candidates = sizes.jumps(stretch.frames)
        self._surround(candidates)
        behind = range(first, min(stop + _AROUND, self.frames.stop))
        known = first in self.seen and (stretch.ends or stop in self.seen)
        if not known or not sizes.conclusive(stretch.frames):
            everything = True
        elif stretch.ends:
            everything = not sizes.steady(stretch.frames)
        else:
            everything = not alike(self.seen[first], self.seen[stop])
            if everything and not candidates and self._told(stretch, sizes):
                self.decided.append(stop)
                return set()
        if everything:
            if not stretch.ends:
                self._surround([range(stop, stop + 1)])
            return set(behind)
        if candidates:
            return set(range(first, min(candidates[-1].stop + _AROUND, self.frames.stop)))
        return set()

    def _told(self, stretch: _Stretch, sizes: PacketSizes) -> bool:
        """Whether the key frame behind a stretch surely begins a shot: the encoder put it there for that."""
        stop = stretch.frames.stop
        if not (sizes.out_of_turn(stop, stretch.frames.start) and sizes.steady(stretch.frames)):
            return False
        following = [n for n in range(stop + 1, stop + 4) if n in self.frames]
        self.certain |= set(following)
        self._decode([n for n in following if n not in self.seen])
        if not following or any(n not in self.seen for n in following):
            return False
        before = self.seen[stretch.frames.start]
        shown = [self.seen[n] for n in (stop, *following)]
        largest = max(difference(a, b) for a, b in itertools.pairwise(shown))
        return 2 * largest < difference(before, shown[0]) and all(unlike(before, seen) for seen in shown)

    def _surround(self, candidates: Iterable[range]) -> None:
        for candidate in candidates:
            self.certain |= set(range(candidate.start - _AROUND, candidate.stop + _AROUND))

    def _decode(self, numbers: Sequence[int]) -> None:
        for number, picture in self.decoder.pictures(numbers, self.certain):
            self.seen[number] = self._convert(picture)

    def found(self) -> tuple[list[int], list[range]]:
        """The first frames of new shots; dissolves and fades where reference frames were decoded."""
        sequences = Sequences(self.seen, _LONGEST_GAP)
        cuts = {cut for cut in [*self.decided, *sequences.cuts()] if cut > self.frames.start}
        transitions: list[range] = []
        for numbers in sequences.runs():
            offset = int(numbers[0])
            pictures = _filled(numbers - offset, [grey(self.seen[n]) for n in numbers.tolist()])
            transitions += [range(offset + t.start, offset + t.stop) for t in find_transitions(pictures)]
        return sorted(cuts), transitions


def _spaced(keys: Sequence[int]) -> list[int]:
    """Key frames, without those that are close behind the one before."""
    posts = [keys[0]]
    for key in keys[1:]:
        if key - posts[-1] >= _APART:
            posts.append(key)
    return posts


def _stretches(posts: Sequence[int], frames: range) -> list[_Stretch]:
    bounds = [*([frames.start] if posts[0] > frames.start else []), *posts]
    stretches = [_Stretch(range(a, b), ends=False) for a, b in itertools.pairwise(bounds)]
    return [*stretches, _Stretch(range(bounds[-1], frames.stop), ends=True)]


def _filled(numbers: np.ndarray, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of all frames from the first to the last: those left out are mixtures of their neighbours.

    Args:
        numbers: Of the pictures, ascending from 0.
        pictures: uint8, of one shape.
    """
    every = np.empty((numbers[-1] + 1, *pictures[0].shape), np.uint8)
    every[numbers] = pictures
    for at in (np.flatnonzero(np.diff(numbers) > 1)).tolist():
        first, last = int(numbers[at]), int(numbers[at + 1])
        share = (np.arange(1, last - first, dtype=np.float32) / (last - first))[:, None, None]
        every[first + 1 : last] = ((1 - share) * pictures[at] + share * pictures[at + 1]).round()
    return every
