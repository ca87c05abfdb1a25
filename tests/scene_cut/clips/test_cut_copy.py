"""Cutting without encoding: copied pictures are the source's, bit for bit."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.scene_cut.copied_clips import BOUNDS, COPIED, cut, hashes_ffmpeg, hashes_pyav, times_of
from tests.support import make_video, remux
from tools.media.reading.probe import index_packets, probe
from tools.media.writing.copying import decoding_ticks
from tools.scene_cut.clips.cutting import CutOptions, cut_clips

SOURCES = COPIED | {
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


def test_pictures_before_the_first_key_frame_are_copied(tmp_path: Path) -> None:
    source = tmp_path / "s.mkv"  # begins with a closed group whose key frame is shown third
    made = make_video(tmp_path / "made.ts", 36, codec="mpeg2video", gop=12, b_frames=2)
    with av.open(str(made)) as read, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        stored = [packet for packet in read.demux(video=0) if packet.size]
        second = [number for number, packet in enumerate(stored) if packet.is_keyframe][1]
        for packet in stored[second:]:
            data = bytearray(bytes(packet))
            if packet.is_keyframe:
                data[data.index(b"\0\0\1\xb8") + 7] |= 0x40  # closed_gop
            copy = av.Packet(bytes(data))
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.duration, copy.is_keyframe, copy.stream = packet.duration, packet.is_keyframe, stream
            out.mux(copy)
    original = hashes_ffmpeg(source)
    clips = cut(source, [(0, 1), (1, 12)], tmp_path / "out", "copy")
    assert [(clip.start_frame, clip.end_frame) for clip in clips] == [(0, 3), (0, 12)]
    assert [hashes_ffmpeg(clip.path) for clip in clips] == [original[:3], original[:12]]


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
