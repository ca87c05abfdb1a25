"""Codecs on trial: the pictures that come back are those that were drawn."""

import av
import numpy as np
import pytest

from tools.doctor.codecs import TRIALS, Trial, check_pictures, try_codec
from tools.errors import UserError

GRAYS = (40, 80, 120, 160, 200)
SOFTWARE = [name for name, trial in TRIALS.items() if not name.startswith("NV")]


@pytest.mark.parametrize("name", SOFTWARE)
def test_a_codec_of_the_installed_build_works(name):
    there = [encoder for encoder in TRIALS[name].encoders if encoder in av.codecs_available]
    if there:
        assert try_codec(TRIALS[name]).startswith(f"{there[0]}, decoded by ")
    else:
        with pytest.raises(UserError, match="this build of PyAV has no encoder"):
            try_codec(TRIALS[name])


def test_what_is_not_there_is_said():
    with pytest.raises(UserError, match="has no encoder h266 or vp10"):
        try_codec(Trial(("h266", "vp10")))
    with pytest.raises((av.FFmpegError, ValueError)):
        try_codec(Trial(("libx264",), "no_such_format"))


def test_other_pictures_are_no_success():
    pictures = [np.full((4, 6, 3), level, np.uint8) for level in GRAYS]
    check_pictures(pictures)
    with pytest.raises(UserError, match="4 of 5 pictures came back"):
        check_pictures(pictures[:4])
    with pytest.raises(UserError, match="other colours"):
        check_pictures(pictures[::-1])
    pictures[2][3, 5, 1] += 30
    with pytest.raises(UserError, match=r"other colours \(\d\d of 255 off\)"):
        check_pictures(pictures)
