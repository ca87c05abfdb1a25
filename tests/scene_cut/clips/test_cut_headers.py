"""What copies keep beside the pictures: the first samples of the sound, the tag of HEVC, the pixel ratio."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import make_video, remux, run_ffmpeg
from tools.datasets.transforms.videos import remux_video
from tools.media.reading.probe import probe
from tools.scene_cut.clips.cutting import CutOptions, cut_clips

COPY = CutOptions(mode="copy")
SCENES = [(Fraction(1), Fraction(2)), (Fraction(2), Fraction(3))]


def samples(path: Path, *cut: str) -> np.ndarray:
    """The sound as the ffmpeg program decodes it, mono."""
    form = ["-map", "0:a:0", "-ac", "1", "-f", "f32le", "-"]
    return np.frombuffer(run_ffmpeg(["-i", str(path), *cut, *form]), np.float32)


def with_sound(folder: Path, container: str) -> Path:
    """Three seconds, a key frame each second, and AAC of noise, in which every sample counts."""
    pictures = make_video(folder / "pictures.mp4", 75, size=(64, 48), gop=25, b_frames=0)
    noise = ["-f", "lavfi", "-i", "anoisesrc=d=3:c=pink:r=48000:a=0.5:seed=1"]
    path = folder / f"a.{container}"
    run_ffmpeg(["-i", str(pictures), *noise, "-c:v", "copy", "-c:a", "aac", "-b:a", "128k", str(path)])
    return path


def starts(path: Path, kind: str) -> float:
    with av.open(str(path)) as container:
        frame = next(container.decode(**{kind: 0}))
        return float(frame.pts * frame.time_base)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_copied_sound_is_that_of_the_clip_from_its_first_sample_on(tmp_path, container):
    source = with_sound(tmp_path, container)
    clips = cut_clips(source, SCENES, tmp_path / "c", options=COPY).clips
    late = starts(source, "video") - starts(source, "audio")
    whole = samples(source)
    for clip in clips:
        mine, at = samples(clip.path), round((float(clip.start) + late) * 48_000)
        # Matroska rounds to milliseconds, 48 samples; the order of the samples tells the right one.
        lags = range(-48, 49) if container == "mkv" else range(-1, 2)
        differences = [np.abs(mine[:2048] - whole[at + lag : at + lag + 2048]).max() for lag in lags]
        assert min(differences) < 1e-5
        assert 48_000 <= len(mine) <= 49_024  # to the end of the last packet


def test_the_first_samples_of_a_remuxed_file_are_there(tmp_path):
    source = with_sound(tmp_path, "mp4")
    remux_video(source, tmp_path / "b.mp4")
    mine, theirs = samples(tmp_path / "b.mp4"), samples(source)
    assert np.abs(mine[: len(theirs)] - theirs[: len(mine)]).max() < 1e-6
    assert abs(len(mine) - len(theirs)) <= 1024


def tag(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_tag


@pytest.mark.parametrize(
    ("container", "source_tag"), [("mp4", "hvc1"), ("mp4", "hev1"), ("mkv", None), ("ts", None)]
)
def test_copies_of_hevc_play_on_apple_devices(tmp_path, container, source_tag):
    coded = make_video(tmp_path / "coded.mp4", 50, size=(64, 64), codec="hevc", gop=25)
    extra = ["-tag:v", source_tag] if source_tag else []
    source = remux(coded, tmp_path / f"a.{container}", after=extra)
    if source_tag:
        assert tag(source) == source_tag
    clips = cut_clips(source, [(Fraction(1), Fraction(2))], tmp_path / "c", options=COPY).clips
    remux_video(source, tmp_path / "b.mp4")
    assert [tag(clips[0].path), tag(tmp_path / "b.mp4")] == ["hvc1", "hvc1"]
    assert len(run_ffmpeg(["-i", str(clips[0].path), "-f", "rawvideo", "-"])) == 25 * 64 * 64 * 3 // 2


def test_sets_beside_the_pictures_keep_the_tag_that_allows_them(tmp_path):
    options = {"x265-params": "keyint=25:scenecut=0:repeat-headers=1:log-level=none:pools=none"}
    first = make_video(tmp_path / "a.mp4", 25, size=(64, 64), codec="hevc", options=options)
    other = tmp_path / "b.mp4"  # pictures whose sets are not those of the header
    with av.open(str(first)) as source, av.open(str(other), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream, opaque=True)
        for packet in source.demux(stream):
            if packet.size:
                pps = b"\x00\x00\x00\x04\x44\x01\xc0\x01" if packet.is_keyframe else b""
                changed = av.Packet(pps + bytes(packet))
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.duration, changed.is_keyframe, changed.stream = (
                    packet.duration,
                    packet.is_keyframe,
                    copy,
                )
                out.mux(changed)
    remux_video(other, tmp_path / "c.mp4")
    assert tag(tmp_path / "c.mp4") == "hev1"


@pytest.mark.parametrize("mode", ["copy", "smart", "exact"])
def test_clips_have_the_pixel_ratio_of_the_container(tmp_path, mode):
    coded = make_video(
        tmp_path / "coded.mp4", 75, size=(90, 72), gop=25, sample_aspect_ratio=Fraction(64, 45), b_frames=0
    )
    source = remux(coded, tmp_path / "tv.mkv", after=["-aspect", "4:3"])  # ffmpeg: 16/15 goes before 64/45
    assert (probe(source).width, probe(source).height) == (96, 72)
    (clip,) = cut_clips(source, SCENES[:1], tmp_path / "c", options=CutOptions(mode=mode)).clips
    assert (clip.width, clip.height) == (96, 72)
    assert (probe(clip.path).width, probe(clip.path).height) == (96, 72)


@pytest.mark.parametrize("mode", ["copy", "smart"])
def test_a_container_that_makes_pixels_square(tmp_path, mode):
    coded = make_video(
        tmp_path / "coded.mp4", 75, size=(90, 72), gop=25, sample_aspect_ratio=Fraction(64, 45), b_frames=0
    )
    source = remux(coded, tmp_path / "a.mkv", after=["-aspect", "90:72"])
    assert probe(source).width == 90
    (clip,) = cut_clips(
        source, [(Fraction("0.6"), Fraction("2.4"))], tmp_path / "c", options=CutOptions(mode=mode)
    ).clips
    assert clip.mode == mode
    assert clip.width == probe(clip.path).width == 90


@pytest.mark.parametrize(
    ("container", "codecs", "says"),
    [
        ("avi", ["-c:v", "huffyuv", "-c:a", "pcm_s16le"], ".mkv does not support huffyuv with pcm_s16le"),
        ("avi", ["-c:v", "rawvideo", "-an"], ".mkv does not support rawvideo"),
        ("avi", ["-c:v", "libx264", "-bf", "2", "-an"], "the file does not say when its pictures are shown"),
    ],
)
def test_what_cannot_be_copied_says_why_and_what_to_do(tmp_path, container, codecs, says):
    sources = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1", "-f", "lavfi", "-i", "sine=d=1"]
    path = tmp_path / f"a.{container}"
    run_ffmpeg([*sources, *codecs, "-pix_fmt", "yuv422p" if "huffyuv" in codecs else "yuv420p", str(path)])
    result = cut_clips(path, [(Fraction(0), Fraction(1))], tmp_path / "c", options=COPY)
    assert says in result.failures[0].message
    assert "mode exact" in result.failures[0].message
    assert not list((tmp_path / "c").iterdir())
