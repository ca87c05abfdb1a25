"""The moments of a video that are scored: sampled frames, or shot changes; and the option for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.errors import UserError
from tools.media.reading.requests import FrameRequest
from tools.media.reading.sampling import Sampling
from tools.options import Option, option_field
from tools.scoring.clip_stage import FIRST_MIDDLE_LAST
from tools.stage.common_options import FramesOption

SHOT_CHANGES = "all_keyframes"
"""The name of `ShotChanges` as a ``--sampling``."""

_THUMBNAIL = (128, 72)


@dataclasses.dataclass(frozen=True)
class ShotChanges:
    """A choice of frames by what they show: the first, and each that differs much from the one before.

    Two frames differ by the mean absolute difference of their luma, 0 to 255, here of pictures of 128 x 72,
    averaged over areas. That is never more than in full size, and for a cut hardly less.

    Attributes:
        threshold: A frame is taken when it differs by more.
    """

    threshold: float = 30.0

    def choose(self, thumbnails: np.ndarray) -> list[int]:
        """Which of these pictures are taken: uint8, shape (n, height, width), to numbers."""
        taken = [0]
        before = thumbnails[0].astype(np.int16)
        for number, picture in enumerate(thumbnails[1:], start=1):
            now = picture.astype(np.int16)
            if np.abs(now - before).mean() > self.threshold:
                taken.append(number)
            before = now
        return taken

    def asdict(self) -> dict[str, Any]:
        """The choice as JSON."""
        return {"policy": "shot_changes", "threshold": self.threshold, "size": list(_THUMBNAIL)}


Moments = Sampling | ShotChanges
"""How the moments of a video are chosen."""


def request_of(moments: Moments | None, *, pictures: bool) -> FrameRequest:
    """What has to be read of a video to know its moments, and their pictures where these are needed.

    The pictures of `ShotChanges` are known too late for this.
    """
    if isinstance(moments, ShotChanges):
        return FrameRequest(None, _THUMBNAIL)
    return FrameRequest(moments if pictures else None)


def moments_option(default: Moments | None) -> Any:
    """The field ``sampling: Moments``; its flags are those of `tools.stage.common_options.frames_option`."""
    return option_field(default, _MomentsOption("which moments of a video", shown="3", limits=True))


@dataclasses.dataclass(frozen=True)
class _MomentsOption(FramesOption):
    """Frames as for all scores, or shot changes."""

    def check(self, name: str, value: Any, default: Any) -> Any:
        """The moments; shot changes may also be given by their name."""
        return ShotChanges() if value == SHOT_CHANGES else super().check(name, value, default)

    def parts(self, name: str, default: Any) -> dict[str, Option]:
        """The flags by name."""
        parts = super().parts(name, default)
        shown = f"first_middle_last; clap: as many windows as cover the video; {SHOT_CHANGES}: shot changes"
        return {**parts, name: dataclasses.replace(parts[name], shown=shown)}

    def combine(self, given: Mapping[str, Any], name: str, default: Any) -> Any:
        """The moments from the values of the flags.

        Raises:
            UserError: The flags contradict each other.
        """
        given = {part: value for part, value in given.items() if value is not None}
        if given.get(name) == SHOT_CHANGES or isinstance(given.get(name), ShotChanges):
            for part in given:
                if part != name:
                    flag = part.replace("_", "-")
                    raise UserError(f"--sampling {SHOT_CHANGES} takes all of them: leave out --{flag}")
            return self.check(name, given[name], default)
        return super().combine(given, name, default or FIRST_MIDDLE_LAST) if given else default
