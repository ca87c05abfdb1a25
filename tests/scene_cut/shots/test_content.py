"""Scores of the faster detectors beside those of PySceneDetect's own, to the last bit."""

from fractions import Fraction

import numpy as np
import pytest
from scenedetect.common import FrameTimecode, Timecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector
from scenedetect.stats_manager import StatsManager

from tools.scene_cut.shots.content import FastAdaptiveDetector, FastContentDetector

WEIGHTS = ((1, 1, 1, 0), (0.3, 0.7, 0.11, 0), (0, 0, 1, 0), (1, 0.5, 0.25, 2))
PAIRS = ((FastAdaptiveDetector, AdaptiveDetector), (FastContentDetector, ContentDetector))


def pictures():
    """Noise over plain colours that change at frames 20 and 40."""
    rng = np.random.default_rng(1)
    colours = np.array([[0, 0, 0], [190, 150, 190], [20, 250, 20]])
    for number in range(60):
        yield (colours[number // 20] + rng.integers(0, 56, (45, 79, 3))).astype(np.uint8)


def run(detector, stats=None):
    detector.stats_manager = stats
    scores, cuts = [], []
    for number, picture in enumerate(pictures()):
        code = FrameTimecode(Timecode(pts=number, time_base=Fraction(1, 25)), fps=25.0)
        cuts += detector.process_frame(code, picture)
        scores.append(detector._frame_score)
    return scores, [cut.frame_num for cut in cuts]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(("fast", "original"), PAIRS)
def test_scores_are_those_of_pyscenedetect(fast, original, weights):
    weights = ContentDetector.Components(*weights)
    ours, theirs = run(fast(weights=weights)), run(original(weights=weights))
    assert ours == theirs
    assert max(theirs[0]) > 15
    if weights == ContentDetector.DEFAULT_COMPONENT_WEIGHTS:
        assert theirs[1]


@pytest.mark.parametrize(("fast", "original"), PAIRS)
def test_statistics_are_those_of_pyscenedetect(fast, original):
    measured = [StatsManager(), StatsManager()]
    assert run(fast(), measured[0]) == run(original(), measured[1])
    code = FrameTimecode(Timecode(pts=20, time_base=Fraction(1, 25)), fps=25.0)
    names = [*ContentDetector.METRIC_KEYS]
    ours, theirs = (stats.get_metrics(code, names) for stats in measured)
    assert ours == theirs and None not in theirs
