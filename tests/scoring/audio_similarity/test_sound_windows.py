"""Which sound belongs to which moment, and how silence is recognised."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.media.sounds import RATE, noise, sine, video_with_sound
from tools.errors import MediaError, UserError
from tools.media.reading.sound.audio import read_audio
from tools.models.clap_mel import MelOptions, log_mel
from tools.scoring.audio_similarity.sound_windows import (
    NO_SOUND,
    SoundSettings,
    covering_moments,
    picture_index,
    place_windows,
    read_windows,
)

MEL = MelOptions(rate=48_000, seconds=2, hop=480, fft=1024, truncation="rand_trunc")


def windows_of(path, moments, audio=None, **options):
    settings = SoundSettings(options.pop("mel", MEL), **options)
    return read_windows(
        str(path), None if audio is None else str(audio), moments, settings, picture_index(str(path))
    )


def same_spectrum(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether they agree in what is louder than the rounding to 16 bits."""
    return bool(np.abs(np.maximum(found, -50) - np.maximum(expected, -50)).max() < 0.5)


def test_windows_lie_around_their_moments_and_inside():
    assert place_windows([0.0, 1.0, 5.0, 9.9, 10.0], 10.0, 2.0) == [
        (0.0, 2.0),
        (0.0, 2.0),
        (4.0, 6.0),
        (8.0, 10.0),
        (8.0, 10.0),
    ]
    assert place_windows([0.0, 0.7], 0.8, 2.0) == [(0.0, 0.8), (0.0, 0.8)]


@pytest.mark.parametrize("end", [0.5, 2.0, 2.1, 6.0, 19.99])
def test_windows_cover_everything(end):
    windows = place_windows(covering_moments(end, 2.0), end, 2.0)
    assert windows[0][0] == 0 and windows[-1][1] == pytest.approx(end)
    assert all(b[0] <= a[1] + 1e-9 for a, b in pairwise(windows))
    assert len(windows) == max(1, np.ceil(end / 2.0))  # as few as can be


def test_a_window_is_the_sound_around_its_moment(films):
    found = windows_of(films["parts"], [1.0, 2.5, 2.5, 4.4])
    assert found.window_of == (0, 1, 1, 2) and found.failure is None and found.remarks == []
    whole = read_audio(films["parts"]).samples
    end = 4.44  # 111 frames at 25 per second
    for number, start in enumerate((0.0, 1.5, end - 2.0)):
        part = whole[round(start * RATE) : round((start + 2.0) * RATE)]
        assert found.mels[number] == pytest.approx(log_mel(part, MEL), abs=1e-3)
    assert found.offset == 0.0
    assert found.level == pytest.approx(
        20 * np.log10(np.sqrt(np.mean(whole[: round(end * RATE)] ** 2))), abs=0.01
    )


def test_sound_that_begins_late_belongs_to_later_moments(tmp_path):
    video = video_with_sound(tmp_path / "late.mov", sine(2.0, 500.0), num_frames=100, delay=2.0)
    found = windows_of(video, [0.5, 3.0], window=1.0)
    assert found.window_of == (NO_SOUND, 0) and found.offset == pytest.approx(2.0, abs=1 / RATE)
    assert same_spectrum(found.mels[0], log_mel(sine(1.0, 500.0)[0], MEL))  # 0.5 s later is the same phase
    assert len(found.remarks) == 1


def test_sound_that_ends_early(films):
    found = windows_of(films["half"], [1.0, 3.0, 5.0])  # the sound ends at 2.2 s
    assert found.window_of == (0, NO_SOUND, NO_SOUND)
    assert found.failure is None and len(found.remarks) == 1
    none = windows_of(films["half"], [5.0])
    assert none.failure[0] == "too_short" and not len(none.mels)
    everything = windows_of(films["half"], None)
    assert everything.window_of == (0, NO_SOUND, NO_SOUND)


def test_moments_of_silence_are_left_out(films):
    found = windows_of(films["quiet"], [0.5, 4.0], window=0.5)  # noise until 2.5 s
    assert found.window_of == (0, NO_SOUND) and len(found.remarks) == 1
    silent = windows_of(films["quiet"], [4.0], window=0.5)
    assert silent.failure[0] == "silent" and silent.level > -60


def test_silence_and_no_sound_are_told_apart(films):
    found = windows_of(films["silent"], [0.5])
    assert found.failure[0] == "silent" and "digital silence" in found.failure[1]
    assert found.level == -120.0 and found.offset == pytest.approx(0.0, abs=0.03)
    with pytest.raises(MediaError) as caught:
        windows_of(films["mute"], [0.5])
    assert caught.value.kind == "no_audio"


def test_what_counts_as_silence(tmp_path):
    video = video_with_sound(tmp_path / "low.mov", 0.01 * noise(2.0) / 0.5)  # peak at -40 dBFS
    assert windows_of(video, [1.0]).failure is None
    found = windows_of(video, [1.0], silence=-39.0)
    assert found.failure[0] == "silent" and "-40.0 dBFS" in found.failure[1]


def test_sound_of_another_file(films):
    found = windows_of(films["mute"], [0.0, 1.0], films["wav"])
    assert found.failure is None and found.offset is None  # two files share no clock
    assert same_spectrum(found.mels[0], log_mel(sine(1.2, 900.0)[0], MEL))  # 30 frames last 1.2 s
    same = windows_of(films["parts"], [1.0], films["parts"])
    assert same.offset == 0.0
    with pytest.raises(MediaError) as caught:
        windows_of(films["mute"], [0.0], films["mute"].with_name("none.wav"))
    assert caught.value.kind == "missing" and caught.value.path.endswith("none.wav")


def test_a_file_of_sound_alone(films):
    found = windows_of(films["wav"], None)
    assert found.window_of == (0, 1) and found.failure is None and found.offset is None


def test_without_clap_only_the_level_is_found(films):
    found = windows_of(films["parts"], [1.0, 2.0], mel=None)
    assert not found.mels.size and found.failure is None and found.level is not None
    assert windows_of(films["flat"], None, mel=None).failure[0] == "silent"


def test_options_are_checked():
    for options in ({"window": 0.0}, {"window": 2.5}, {"silence": 3.0}, {"silence": -130.0}):
        with pytest.raises(UserError, match=next(iter(options))):
            SoundSettings(MEL, **options)
