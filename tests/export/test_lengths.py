"""The chosen numbers of frames against every possible choice."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tools.export.lengths import few_lengths


def used(lengths, chosen):
    """Frames that are used where each clip is cut to the longest of the chosen numbers that it has."""
    return sum(max((n for n in chosen if n <= length), default=0) for length in lengths)


@pytest.mark.parametrize("most", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_choice_that_uses_every_clip_uses_more_frames(seed, most):
    """Every set of so many numbers is tried, of all that a model takes, not only of those that clips have."""
    random = np.random.default_rng(seed)
    lengths = [int(4 * number + 1) for number in random.integers(1, 12, 25)]
    chosen = few_lengths(lengths, most)
    assert len(chosen) <= most
    others = combinations(range(5, 50, 4), most)
    assert used(lengths, chosen) == max(used(lengths, one) for one in others if min(one) <= min(lengths))


@pytest.mark.parametrize("seed", range(4))
def test_of_one_number_none_uses_more_frames(seed):
    random = np.random.default_rng(seed)
    lengths = [int(4 * number + 1) for number in random.integers(1, 20, 30)]
    (length,) = few_lengths(lengths, 1)
    assert used(lengths, [length]) == max(used(lengths, [one]) for one in range(5, 82, 4))


@pytest.mark.parametrize(
    ("lengths", "most", "shortest", "chosen"),
    [
        ([], 5, None, ()),
        ([], 1, None, ()),
        ([33], 5, None, (33,)),
        ([33, 33, 81], 5, None, (33, 81)),
        ([20, 40], 1, None, (20,)),  # 40 frames of either: the number that loses no clip
        ([9, 17, 33, 49, 65, 81], None, None, (9, 17, 33, 49, 65, 81)),
        ([5, 81, 81, 33], 5, 33, (33, 81)),  # 5 is a piece of a longer clip
    ],
)
def test_by_hand(lengths, most, shortest, chosen):
    assert few_lengths(lengths, most, shortest) == chosen
