"""Which frames the flow is computed between: by number for ``flow``, by time for ``motion``."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tools.media.reading.sampling import SamplingError, frame_at

FLOW_FRAMES = (0, 10, 20, 30)
"""Frames between which Open-Sora computes flow."""

STEP = 1 / 12
"""Seconds between the frames of a pair: nothing moves far, and slow motion is still more than noise."""

SHORT_STEP = 1 / 30
"""Seconds for what moves too far in `STEP`."""

_TIE = 0.001  # seconds: times that were rounded to milliseconds must not decide which frame is nearer


@dataclasses.dataclass(frozen=True)
class MotionPair:
    """Frames to compute motion between.

    Attributes:
        first: Number of the frame that the flow starts at.
        second: Frame about `STEP` later, or the next one.
        near: Frame about `SHORT_STEP` later; None when there is none before `second`.
    """

    first: int
    second: int
    near: int | None = None


@dataclasses.dataclass(frozen=True)
class FlowChoice:
    """The frames that the scores of one video need.

    Attributes:
        motion_pairs: Most pairs for ``motion``, spread over the video; 0 for none.
        padded: Use the last frame for those of `FLOW_FRAMES` that do not exist, as Open-Sora does.
    """

    motion_pairs: int
    padded: bool = False

    def flow_frames(self, times: np.ndarray) -> list[int]:
        """Frames for ``flow``: it is computed from each of them to the next.

        Raises:
            SamplingError: There are not two.
        """
        last = len(times) - 1
        if self.padded:
            return [min(number, last) for number in FLOW_FRAMES]
        found = [number for number in FLOW_FRAMES if number <= last]
        if len(found) < 2:
            raise SamplingError(
                f"flow is computed from frame {FLOW_FRAMES[0]} to frame {FLOW_FRAMES[1]}, the video has "
                f"{len(times)} frames"
            )
        return found

    def motion(self, times: np.ndarray) -> list[MotionPair]:
        """Pairs for ``motion``, in the middle of equal parts of the time; fewer where frames are few.

        Raises:
            SamplingError: No time passes between frames.
        """
        span = max(times[-1] - STEP, 0.0)
        starts = (np.arange(self.motion_pairs) + 0.5) / max(1, self.motion_pairs) * span
        pairs = []
        for first in sorted({min(max(frame_at(times, start), 0), len(times) - 2) for start in starts}):
            second = _nearest(times, first, STEP)
            near = _nearest(times, first, SHORT_STEP)
            if times[second] > times[first]:
                pairs.append(MotionPair(first, second, near if near < second else None))
        if self.motion_pairs and not pairs:
            raise SamplingError(f"no time passes between the {len(times)} frames")
        return pairs

    def indices(self, times: np.ndarray) -> list[int]:
        """All frames, each once, in ascending order.

        Raises:
            SamplingError: The video is too short for one pair.
        """
        wanted = set(self.flow_frames(times))
        for pair in self.motion(times) if self.motion_pairs else ():
            wanted |= {pair.first, pair.second, *([] if pair.near is None else [pair.near])}
        return sorted(wanted)

    def asdict(self) -> dict[str, Any]:
        """The choice as JSON."""
        return dataclasses.asdict(self)


def _nearest(times: np.ndarray, first: int, step: float) -> int:
    """Of the later frames, the one whose time is nearest to ``step`` seconds after; of two, the earlier."""
    passed = times[first + 1 :] - times[first]
    distances = np.where(passed > 0, np.abs(passed - step), np.inf)
    return first + 1 + int(np.argmax(distances <= distances.min() + _TIE))
