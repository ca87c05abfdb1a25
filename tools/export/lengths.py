"""Few numbers of frames for clips of many lengths, so that most of their frames are trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate


def few_lengths(lengths: Sequence[int], most: int | None, shortest: int | None = None) -> tuple[int, ...]:
    """Numbers of frames with which most frames are used, where each clip is cut to the longest that it has.

    Found by dynamic programming over the lengths that there are: a number between two of them would only
    shorten the clips of the longer one. Of choices that use as many frames the one of fewer and shorter
    numbers is taken.

    Args:
        lengths: Of each clip the longest number of frames that it can be cut to.
        most: Numbers of frames at most, None for all. Of one, clips that are shorter are not used at all.
        shortest: With several, the shortest clip that must be used; the shortest there is by default.

    Returns:
        The numbers of frames, rising; none if there are no lengths.
    """
    counts = Counter(lengths)
    known = sorted(counts)
    if most == 1 or len(known) < 2:
        clips = dict(zip(known[::-1], accumulate(counts[length] for length in known[::-1]), strict=True))
        return tuple(sorted(known, key=lambda length: (-length * clips[length], length))[:1])
    known = [length for length in known if shortest is None or length >= shortest]
    if most is None or len(known) <= most:
        return tuple(known)
    below = [0, *accumulate(counts[length] for length in known)]  # clips shorter than each length
    # For each last number so far: frames that it and those above it give, and which these are.
    best: dict[int, tuple[int, tuple[int, ...]]] = {
        place: (length * (below[-1] - below[place]), (length,)) for place, length in enumerate(known)
    }
    for _ in range(most - 1):
        longer = dict(best)
        for place, length in enumerate(known):
            for above, (frames, chosen) in best.items():
                if above > place:
                    used = frames + length * (below[above] - below[place])
                    longer[place] = max(longer[place], (used, (length, *chosen)), key=_used_then_fewer)
        best = longer
    return best[0][1]


def _used_then_fewer(choice: tuple[int, tuple[int, ...]]) -> tuple[int, int, int]:
    frames, chosen = choice
    return frames, -len(chosen), -sum(chosen)
