"""Which tracks are read: files with several, made by the ffmpeg program; each sound has a tone of its own."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import run_ffmpeg
from tools.datasets import transform
from tools.errors import MediaError, UserError
from tools.media.reading.frames import read_frames
from tools.media.reading.probe import probe
from tools.media.reading.sound.audio import read_audio
from tools.media.reading.tracks import check_audio_track, choose_audio, language_code
from tools.scene_cut import cut
from tools.scene_cut.clips.cutting import CutOptions, cut_clips

TONES = (300, 900, 2100)
VIDEO = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


def with_tones(path: Path, *dispositions: str, languages: tuple[str, ...] = (), titles: tuple[str, ...] = ()):
    """A file with a picture and one sound track for each disposition, of 300, 900 and 2100 Hz."""
    command = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1"]
    for tone, _ in zip(TONES, dispositions, strict=False):
        command += ["-f", "lavfi", "-i", f"sine=frequency={tone}:duration=1"]
    command += ["-map", "0:v", *(text for n in range(len(dispositions)) for text in ("-map", f"{n + 1}:a"))]
    for n, disposition in enumerate(dispositions):
        command += [f"-disposition:a:{n}", disposition]
    for n, language in enumerate(languages):
        command += [f"-metadata:s:a:{n}", f"language={language}"]
    for n, title in enumerate(titles):
        command += [f"-metadata:s:a:{n}", f"title={title}"]
    run_ffmpeg([*command, *VIDEO, "-c:a", "aac", str(path)])
    return path


def tone(path: Path, track: str | None = None) -> int:
    """The loudest frequency that is read of a file, as the nearest of `TONES`."""
    sound = read_audio(path, 16_000, track=track)
    spectrum = np.abs(np.fft.rfft(sound.samples))
    peak = np.fft.rfftfreq(len(sound.samples), 1 / 16_000)[spectrum.argmax()]
    return min(TONES, key=lambda t: abs(t - peak))


@pytest.mark.parametrize(
    ("dispositions", "expected"),
    [
        (("0", "0"), 300),
        (("comment", "default"), 900),  # what players and the ffmpeg program take
        (("comment", "0"), 900),
        (("visual_impaired", "hearing_impaired", "0"), 2100),
        (("default+comment", "default"), 900),  # Matroska files that mark nothing have default everywhere
        (("comment", "comment"), 300),
    ],
)
def test_the_default_track_then_the_first_that_is_no_commentary(tmp_path, dispositions, expected):
    assert tone(with_tones(tmp_path / "a.mkv", *dispositions)) == expected


def test_a_title_tells_a_commentary(tmp_path):
    path = with_tones(tmp_path / "a.mkv", "0", "0", titles=("Director's Commentary", "Stereo"))
    assert tone(path) == 900


def test_a_track_by_number_or_language(tmp_path):
    path = with_tones(tmp_path / "a.mkv", "default", "0", "0", languages=("eng", "ger", "fra"))
    assert [tone(path, track) for track in ("0", "2", "deu", "de", "ger", "fre", "en-US")] == [
        300,
        2100,
        900,
        900,
        900,
        2100,
        300,
    ]
    with pytest.raises(MediaError, match=r"no audio track jpn .* it has 0: aac \(eng\), 1: aac \(ger\)"):
        read_audio(path, track="jpn")
    with pytest.raises(MediaError, match="no audio track 3"):
        read_audio(path, track="3")


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "english!", "²"])
def test_what_is_no_track(value):
    with pytest.raises(UserError, match=r"Invalid audio_track .* Supported values are"):
        check_audio_track(value)


def test_codes_of_languages_are_those_of_lingua():
    lingua = pytest.importorskip("lingua", reason="lingua is not installed")
    for language in lingua.Language.all():
        short, long = language.iso_code_639_1.name.lower(), language.iso_code_639_3.name.lower()
        assert language_code(short) == language_code(long) == long
    assert language_code("chi") == language_code("zh-Hans") == "zho"


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tracks") / "two.mkv"
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=2"]
    large = ["-f", "lavfi", "-i", "testsrc=size=128x96:rate=10:duration=2"]
    marks = ["-disposition:v:0", "0", "-disposition:v:1", "default"]
    run_ffmpeg([*source, *large, "-map", "0:v", "-map", "1:v", *VIDEO, *marks, str(path)])
    return path


def test_the_default_video_track(two_videos, tmp_path):
    assert probe(two_videos).width == 128
    clips = cut_clips(two_videos, None, tmp_path).clips
    assert (clips[0].width, clips[0].num_frames) == (128, 20)
    assert cut_clips(two_videos, None, tmp_path).left_behind == ["video h264"]


def test_the_default_video_track_by_decord(two_videos):
    pytest.importorskip("decord", reason="decord2 is not installed")
    by_decord = read_frames(two_videos, [5], decoder="decord")[0].image
    assert by_decord.shape == read_frames(two_videos, [5])[0].image.shape == (96, 128, 3)


@pytest.mark.parametrize("options", [{}, {"mode": "copy"}, {"mode": "smart"}, {"engine": "ffmpeg"}])
def test_clips_have_the_default_track_and_say_what_they_leave(tmp_path, options):
    path = with_tones(tmp_path / "a.mkv", "comment", "default", languages=("eng", "fra"))
    result = cut_clips(path, None, tmp_path / "c", options=CutOptions(**options))
    assert tone(result.clips[0].path) == 900
    assert result.left_behind == ["audio aac (eng)"]
    options["audio_track"] = "eng"
    result = cut_clips(path, None, tmp_path / "c", options=CutOptions(**options))
    assert tone(result.clips[0].path) == 300
    assert result.left_behind == ["audio aac (fra)"]


def test_the_last_lines_count_sources_and_not_tracks(tmp_path, capsys):
    path = with_tones(tmp_path / "a.mkv", "default", "0", "0")
    meta = tmp_path / "meta.csv"
    meta.write_text(f"path\n{path}\n")
    assert cut.main([str(meta), "--save_dir", str(tmp_path / "c"), "--quiet", "--num_workers", "0"]) == 0
    assert "1 row: audio aac left behind" in capsys.readouterr().err
    arguments = ["vid_resize", str(meta), "--output-dir", str(tmp_path / "d"), "--length", "48"]
    assert transform.main([*arguments, "--quiet", "--num-workers", "0"]) == 0
    assert "1 row: audio aac left behind" in capsys.readouterr().err


def test_a_sound_track_that_is_not_there_fails_the_source(tmp_path):
    path = with_tones(tmp_path / "a.mkv", "default", languages=("eng",))
    with pytest.raises(MediaError, match="no audio track fra"):
        cut_clips(path, None, tmp_path / "c", options=CutOptions(audio_track="fra"))
    with av.open(str(path)) as container:
        assert choose_audio(container, path, "eng").index == 1
