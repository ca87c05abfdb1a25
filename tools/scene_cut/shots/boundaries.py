"""From cuts and transitions to shots: what lies between them, and how each begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

CUT = "cut"
"""Kind of a boundary: from one frame to the next."""
GRADUAL = "gradual"
"""Kind of a boundary: a dissolve or a fade."""
SLICE = "slice"
"""Kind of a boundary: none in the video; a long shot was sliced there."""
EDGE = "edge"
"""Kind of a boundary: where the video, or what was searched of it, begins or ends."""

_NEAR = 3  # frames by which the cut that a detector makes of a transition may lie outside it
_LONG_RUN = 4  # frames; shorter runs of TransNetV2's second head are hard cuts, flashes and fast motion
_FLANK = 0.2  # probability down to which such a run goes on beyond what is above the threshold


@dataclass(frozen=True)
class Gap:
    """What lies between two shots.

    Attributes:
        frames: Frames that belong to neither; empty, and where the new shot begins, for a cut.
        kind: `CUT` or `GRADUAL`.
    """

    frames: range
    kind: str


@dataclass(frozen=True)
class Shot:
    """Consecutive frames, and the kinds of the boundaries before and behind them."""

    frames: range
    begins: str
    ends: str


def gaps_at_cuts(cuts: Iterable[int], transitions: Sequence[range], *, trim: bool = False) -> list[Gap]:
    """What lies between the shots of a detector that finds cuts only.

    Args:
        cuts: Numbers of the first frames of new shots.
        transitions: Frames of dissolves and fades, see `tools.scene_cut.shots.transitions`.
        trim: Leave these frames out, and begin a new shot after each. Else they only determine the kind.

    Returns:
        The gaps, not in order.
    """
    cuts = list(cuts)
    if not trim:
        return [Gap(range(c, c), GRADUAL if _beside(c, transitions) else CUT) for c in cuts]
    return [*_wide(transitions, cuts), *(Gap(range(c, c), CUT) for c in cuts if not _beside(c, transitions))]


def decisive_values(threshold: float) -> tuple[float, ...]:
    """The values that `gaps_of_probabilities` compares TransNetV2's outputs with, by its threshold."""
    return threshold, min(_FLANK, threshold)


def gaps_of_probabilities(
    single: np.ndarray, many: np.ndarray, threshold: float, transitions: Sequence[range] = ()
) -> list[Gap]:
    """What lies between the shots by TransNetV2's two outputs and the mixture test.

    The network (Souček and Lokoč 2020, arXiv 2008.04838) is trained to mark with its first head one frame of
    each transition, of a hard cut the last frame before it, and with its second head all frames of one. So
    cuts are taken from the first. Long runs of the second are gradual transitions, and go on for as long as
    its output is above 0.2. Its short runs are not used: they are less reliable than the first head.

    Args:
        single: float, shape (n,): output of the first head, 0 to 1.
        many: float, shape (n,): output of the second head.
        threshold: Above it, a frame is in a transition.
        transitions: What the mixture test finds, see `tools.scene_cut.shots.transitions`.

    Returns:
        The gaps, not in order; frames are counted from 0.
    """
    _, flank = decisive_values(threshold)
    long = [run for run in _runs(many > threshold) if len(run) >= _LONG_RUN]
    flanked = [run for run in _runs(many > flank) if any(_overlap(run, seed) for seed in long)]
    gradual = [*flanked, *transitions]
    # The first frame of a run is the last of the shot.
    short = [range(run.start + 1, run.stop) for run in _runs(single > threshold)]
    gaps = _wide(gradual, [run.start for run in short])
    alone = [run for run in short if not _beside(run.start, gradual)]
    return gaps + [Gap(run, GRADUAL if run else CUT) for run in alone]


def shots_between(gaps: Iterable[Gap], frames: range) -> list[Shot]:
    """The shots that gaps leave of some frames.

    Args:
        gaps: In any order; they may overlap.
        frames: Numbers of the frames that were searched.

    Returns:
        Shots in order, at least one frame each; all frames as one where the gaps leave nothing.
    """
    shots: list[Shot] = []
    start, begins = frames.start, EDGE
    for gap in sorted(gaps, key=lambda gap: (gap.frames.start, gap.frames.stop)):
        if not gap.frames and not frames.start < gap.frames.start < frames.stop:
            continue  # a cut where nothing ends or nothing begins
        if gap.frames.start > start:
            shots.append(Shot(range(start, gap.frames.start), begins, gap.kind))
        elif gap.frames.stop < start:
            continue
        start, begins = max(start, gap.frames.stop), gap.kind
    if start < frames.stop:
        shots.append(Shot(range(start, frames.stop), begins, EDGE))
    return shots or [Shot(frames, EDGE, EDGE)]


def _wide(transitions: Iterable[range], cuts: Sequence[int]) -> list[Gap]:
    """Gaps of transitions, each with the cuts beside it: what lies between the two is of neither shot."""
    gaps = []
    for gap in transitions:
        ends = [gap.start, gap.stop, *(cut for cut in cuts if _beside(cut, [gap]))]
        gaps.append(Gap(range(min(ends), max(ends)), GRADUAL))
    return gaps


def _beside(cut: int, transitions: Iterable[range]) -> bool:
    return any(gap.start - _NEAR <= cut <= gap.stop + _NEAR for gap in transitions)


def _overlap(a: range, b: range) -> bool:
    return a.start < b.stop and b.start < a.stop


def _runs(marked: np.ndarray) -> list[range]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [range(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
