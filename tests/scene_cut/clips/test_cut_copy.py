"""Cutting without (or almost without) encoding: copied pictures are the source's, bit for bit."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import ffmpeg_frames, make_video, read_barcode, remux, run_ffmpeg
from tools.media.reading.probe import index_packets, probe
from tools.media.writing.copying import decoding_ticks
from tools.media.writing.h264 import ParameterSets, split_annexb
from tools.scene_cut.clips.cutting import Clip, CutOptions, cut_clips

BOUNDS = [(0, 60), (5, 45), (12, 36), (13, 23), (40, 41), (30, 57)]
VFR = np.cumsum([0.0] + [0.020, 0.070, 0.033, 0.041] * 15)[:60].tolist()


def hashes_ffmpeg(path: Path) -> list[str]:
    """Digest of every picture as stored, by the ffmpeg program."""
    said = run_ffmpeg(["-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
    return [line.split()[-1].decode() for line in said.splitlines() if not line.startswith(b"#")]


def hashes_pyav(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [hashlib.md5(f.to_ndarray().tobytes()).hexdigest() for f in container.decode(video=0)]


def numbers_opencv(path: Path) -> list[int | None]:
    import cv2

    reader = cv2.VideoCapture(str(path))
    numbers = []
    while (answer := reader.read())[0]:
        numbers.append(read_barcode(answer[1]))
    return numbers


def times_of(path: Path) -> list[Fraction]:
    index = index_packets(path)
    return [int(p - index.pts[0]) * index.time_base for p in index.pts]


def cut(source: Path, bounds: list[tuple[int, int]], folder: Path, mode: str) -> list[Clip]:
    times = times_of(source)
    times.append(times[-1] + 1)
    scenes = [(times[a], times[b]) for a, b in bounds]
    result = cut_clips(source, scenes, folder, options=CutOptions(mode=mode))
    assert result.failures == {}
    return result.clips


SOURCES = {
    "h264": ("s.mp4", {}),
    "h264 vfr": ("s.mp4", {"times": VFR}),
    "h264 pyramid": ("s.mp4", {"b_frames": 5}),
    "h264 mkv": ("s.mkv", {"fps": Fraction(24000, 1001)}),
    "h264 ts": ("s.ts", {}),
    "h264 main": ("s.mp4", {"options": {"profile": "main"}}),
    "h264 baseline": ("s.mp4", {"b_frames": 0, "options": {"profile": "baseline"}}),
    "h264 open gop": ("s.mp4", {"open_gop": True}),
    "hevc": ("s.mp4", {"codec": "hevc"}),
    "hevc open gop": ("s.mp4", {"codec": "hevc", "open_gop": True}),
    "vp9": ("s.webm", {"codec": "vp9"}),
    "vp8": ("s.webm", {"codec": "vp8"}),
    "av1": ("s.mkv", {"codec": "av1"}),
    "mpeg4": ("s.avi", {"codec": "mpeg4", "b_frames": 0}),
    "mpeg2": ("s.mpg", {"codec": "mpeg2video"}),
    "rotated": ("s.mp4", {"rotation": 90, "size": (128, 192)}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_copies_are_the_sources_pictures(tmp_path: Path, name: str) -> None:
    file, how = SOURCES[name]
    source = make_video(tmp_path / file, 60, **how)
    original = hashes_ffmpeg(source)
    keys = set(np.flatnonzero(np.isin(index_packets(source).pts, index_packets(source).key_pts)).tolist())
    times = times_of(source)
    for clip, (first, stop) in zip(cut(source, BOUNDS, tmp_path / "out", "copy"), BOUNDS, strict=True):
        assert clip.mode == "copy" and clip.copied_seconds == pytest.approx(float(clip.duration))
        assert clip.start_frame == max(k for k in keys if k <= first)  # the key frame at or before
        assert stop <= clip.end_frame <= stop + 6  # no frame is lost, and few are more than asked for
        assert clip.snap_start == pytest.approx(float(times[first] - times[clip.start_frame]))
        assert (clip.snap_end > 0) == (clip.end_frame > stop)
        wanted = original[clip.start_frame : clip.end_frame]
        assert hashes_ffmpeg(clip.path) == wanted
        assert len(hashes_pyav(clip.path)) == len(wanted)
        assert probe(clip.path).rotation == probe(source).rotation
        got = times_of(clip.path)
        shown = times[clip.start_frame : clip.end_frame]
        assert max(abs(g - (t - shown[0])) for g, t in zip(got, shown, strict=True)) < Fraction(11, 10_000)


@pytest.mark.parametrize("name", [n for n in SOURCES if n.startswith("h264")])
def test_smart_clips_are_exact_and_mostly_copied(tmp_path: Path, name: str) -> None:
    file, how = SOURCES[name]
    source = make_video(tmp_path / file, 60, **how)
    original = hashes_ffmpeg(source)
    times = times_of(source)
    for clip, (first, stop) in zip(cut(source, BOUNDS, tmp_path / "out", "smart"), BOUNDS, strict=True):
        assert (clip.start_frame, clip.end_frame, clip.num_frames) == (first, stop, stop - first)
        by_ffmpeg, by_pyav = hashes_ffmpeg(clip.path), hashes_pyav(clip.path)
        images = ffmpeg_frames(clip.path, clip.width, clip.height)
        assert [read_barcode(image) for image in images] == list(range(first, stop))
        assert numbers_opencv(clip.path) == list(range(first, stop))
        same = [a == b for a, b in zip(by_ffmpeg, original[first:stop], strict=True)]
        if clip.mode == "smart":
            assert sum(same) >= round(clip.copied_seconds / float(clip.duration) * len(same)) - 1
        assert by_ffmpeg == by_pyav
        got = times_of(clip.path)
        assert max(
            abs(g - (t - times[first])) for g, t in zip(got, times[first:stop], strict=True)
        ) < Fraction(11, 10_000)
        if "open" not in name and clip.mode == "smart":
            # Groups of 12 pictures: the first key frame in the clip begins the copied part, which lacks at
            # most the few pictures that are stored late.
            key = -(-first // 12) * 12
            assert sum(same) >= max(0, stop - key - 6)
            if (first, stop) == (12, 36):
                assert all(same) or how.get("b_frames") != 0


def test_smart_clips_can_be_read_from_any_frame(tmp_path: Path) -> None:
    """A decoder that starts at each key frame of the clip, encoded or copied, gives the same pictures."""
    source = make_video(tmp_path / "s.mp4", 100, gop=12)
    (clip,) = cut(source, [(5, 95)], tmp_path / "out", "smart")
    from tools.media.reading.frames import read_frames

    for number in range(0, 90, 7):
        (frame,) = read_frames(clip.path, [number])
        assert read_barcode(frame.image) == 5 + number


@pytest.mark.parametrize(
    ("how", "options", "why"),
    [
        ({"codec": "hevc"}, {}, "hevc"),
        ({"rotation": 90}, {}, "turned"),
        ({}, {"shorter_size": 64}, "scaled"),
        ({}, {"codec": "hevc"}, "hevc"),
        ({}, {"target_fps": Fraction(10)}, "rate"),
        ({"pix_fmt": "yuv444p"}, {}, "yuv444p"),
    ],
)
def test_smart_says_why_it_encodes(tmp_path: Path, how: dict, options: dict, why: str) -> None:
    source = make_video(tmp_path / "s.mp4", 12, **how)
    (clip,) = cut_clips(source, None, tmp_path / "out", options=CutOptions(mode="smart", **options)).clips
    assert clip.mode == "exact" and why in clip.note and clip.copied_seconds == 0


def test_real_clips_copied_in_part(tmp_path: Path, videos_dir: Path) -> None:
    source = videos_dir / "iscc_demo.mp4"
    original = hashes_ffmpeg(source)
    (clip,) = cut(source, [(183, 552)], tmp_path, "smart")
    got = hashes_ffmpeg(clip.path)
    same = [a == b for a, b in zip(got, original[183:552], strict=True)]
    assert sum(same) / len(same) > 0.8
    assert clip.copied_seconds == pytest.approx(sum(same) / 24, abs=0.2)


def test_packets_without_times_are_not_copied(tmp_path: Path) -> None:
    made = make_video(tmp_path / "made.mp4", 30)
    source = remux(made, tmp_path / "s.avi")  # H.264 in AVI keeps only the order of decoding
    result = cut_clips(source, None, tmp_path / "out", options=CutOptions(mode="copy"))
    assert result.clips == [] and "mode exact" in result.failures[0].message


def test_what_mp4_does_not_hold_goes_into_matroska(tmp_path: Path, videos_dir: Path) -> None:
    source = videos_dir / "ocv_vtest.avi"  # MPEG-4 by Microsoft
    (clip,) = cut(source, [(30, 60)], tmp_path, "copy")
    assert clip.path.name == "ocv_vtest_scene-0.mkv"
    assert hashes_ffmpeg(clip.path) == hashes_ffmpeg(source)[clip.start_frame : clip.end_frame]


def test_decoding_times() -> None:
    # I0 P4 B2 b1 b3, as libx264 stores a pyramid: the delay is two pictures.
    assert decoding_ticks([0, 4, 2, 1, 3]) == [-2, -1, 0, 1, 2]
    assert decoding_ticks([0, 10, 25]) == [0, 10, 25]
    assert decoding_ticks([]) == []


def test_parameter_sets_are_read_as_x264_wrote_them() -> None:
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
    context.time_base, context.options = Fraction(1, 25), {"x264-params": "sps-id=7"}
    context.flags |= 1 << 22
    context.open()
    sets = ParameterSets(bytes(context.extradata))
    assert (len(sets.sps), len(sets.pps), sets.profile) == (1, 1, 100)
    assert sets.free_number() == 1
    units = split_annexb(bytes(context.extradata))
    assert units[0] == sets.sps[0] and units[1] == sets.pps[0]
