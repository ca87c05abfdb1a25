"""Mode smart: clips are exact, groups of pictures in them are copied bit for bit, the rest is close."""

from __future__ import annotations

import hashlib
import itertools
import math
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from tests.scene_cut.copied_clips import (
    BOUNDS,
    COPIED,
    VFR,
    cut,
    hashes_ffmpeg,
    hashes_pyav,
    numbers_opencv,
    times_of,
)
from tests.support import make_video, read_barcode, remux, run_command, run_ffmpeg
from tools.media.reading.frames import read_frames
from tools.media.reading.timeline.scan import index_packets
from tools.media.writing import hevc
from tools.scene_cut import cut as command
from tools.scene_cut.clips.cutting import Clip, CutOptions, cut_clips

GROUP = 12
SOURCES = COPIED | {
    "h264 10 bit": ("s.mp4", {"pix_fmt": "yuv420p10le"}),
    "h264 open ts pyramid": ("s.ts", {"open_gop": True, "b_frames": 5}),
    "h264 open 10 bit": ("s.mkv", {"open_gop": True, "pix_fmt": "yuv420p10le"}),
    "hevc in order": ("s.mp4", {"codec": "hevc", "b_frames": 0}),
    "hevc ts": ("s.ts", {"codec": "hevc", "b_frames": 4}),
    "hevc open 10 bit vfr": (
        "s.mkv",
        {"codec": "hevc", "open_gop": True, "pix_fmt": "yuv420p10le", "times": VFR},
    ),
}
X264 = "keyint=12:min-keyint=12:scenecut=0:open-gop=1:"
X265 = "log-level=none:pools=none:" + X264
# Streams whose slices, parameter sets or references differ from those of the usual settings.
ODD = {
    "slices without arithmetic coding": ("h264", X264 + "slices=3:cabac=0:weightp=2:ref=4"),
    "references marked by hand": (
        "h264",
        X264 + "b-pyramid=strict:bframes=5:ref=6:weightb=1:direct=temporal",
    ),
    "scaling matrices": ("h264", X264 + "cqm=jvt:aud=1"),
    "temporal layers": ("hevc", X265 + "temporal-layers=3"),
    "sets in each group": ("hevc", X265 + "repeat-headers=1:ref=5:bframes=4:wpp=1"),
}


def pictures(path: Path, count: int | None = None) -> list[np.ndarray]:
    """The first ones as they are stored, by PyAV."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in itertools.islice(container.decode(video=0), count)]


def check(clip: Clip, source: Path, bounds: tuple[int, int], original: list[np.ndarray]) -> None:
    """All that mode smart promises of one clip of a source that counts its frames."""
    first, stop = bounds
    assert (clip.start_frame, clip.end_frame, clip.num_frames) == (first, stop, stop - first)
    shown = pictures(clip.path)
    assert len(shown) == stop - first
    key = -(-first // GROUP) * GROUP if clip.mode == "smart" else stop  # by construction of the source
    inside = range(key, key + clip.copied_frames)
    assert all(np.array_equal(shown[n - first], original[n]) for n in inside)
    assert clip.copied_frames >= stop - key - 6  # but for the few pictures that are stored late
    assert (
        min(psnr(shown[n - first], original[n]) for n in range(first, stop) if n not in inside or n == key)
        > 36
    )
    said, hashes = by_ffmpeg(clip.path)
    assert said == "" and hashes == [hashlib.md5(picture.tobytes()).hexdigest() for picture in shown]
    numbers = list(range(first, stop))
    assert numbers_opencv(clip.path) == numbers
    if decord_reads(source):  # no HEVC with reordered pictures before an IDR picture
        assert numbers_decord(clip.path) == numbers
    got, times = times_of(clip.path), times_of(source)[first:stop]
    assert max(abs(g - (t - times[0])) for g, t in zip(got, times, strict=True)) < Fraction(11, 10_000)


def by_ffmpeg(path: Path) -> tuple[str, list[str]]:
    """What the ffmpeg program complains of, and the digests of its pictures."""
    form = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    program = imageio_ffmpeg.get_ffmpeg_exe()
    words = [program, "-nostdin", "-v", "error", "-i", str(path), *form]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return done.stderr, [line.split()[-1] for line in lines]


def decord_reads(path: Path) -> bool:
    index = index_packets(path)
    return index.codec == "h264" or bool((np.diff(index.positions) > 0).all())


def numbers_decord(path: Path) -> list[int | None]:
    import decord

    return [read_barcode(frame.asnumpy()) for frame in decord.VideoReader(str(path), num_threads=1)]


def psnr(picture: np.ndarray, other: np.ndarray) -> float:
    most = 255 if picture.dtype == np.uint8 else 1023
    error = ((picture.astype(float) - other) ** 2).mean()
    return 10 * math.log10(most**2 / max(error, 1e-9))


@pytest.mark.parametrize("name", SOURCES)
def test_clips_are_exact_and_mostly_copied(tmp_path: Path, name: str) -> None:
    file, how = SOURCES[name]
    source = make_video(tmp_path / file, 60, **how)
    # The second begins with pictures that are shown before a key frame and, in open groups, stored after it.
    bounds = BOUNDS if name == "hevc open" else [(5, 33), (10, 27)]
    clips = cut(source, bounds, tmp_path / "out", "smart")
    assert {clip.mode for clip in clips[:2]} == {"smart"}
    original = pictures(source)
    for clip, scene in zip(clips, bounds, strict=True):
        check(clip, source, scene, original)


@pytest.mark.parametrize("name", ODD)
def test_streams_that_are_coded_in_unusual_ways(tmp_path: Path, name: str) -> None:
    codec, how = ODD[name]
    params = {"h264": "x264-params", "hevc": "x265-params"}[codec]
    source = make_video(tmp_path / "s.mkv", 48, codec=codec, options={params: how, "preset": "fast"})
    (clip,) = cut(source, [(10, 45)], tmp_path / "out", "smart")
    assert clip.mode == "smart"
    check(clip, source, (10, 45), pictures(source))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_sets_that_change_within_the_file(tmp_path: Path, codec: str) -> None:
    """Two recordings in one file: their parameter sets differ, and have the same numbers."""
    whole = tmp_path / "s.ts"
    parts = [
        make_video(tmp_path / f"{n}.ts", 24, codec=codec, b_frames=b, size=(192, 128))
        for n, b in enumerate((0, 3))
    ]
    joined = tmp_path / "list.txt"
    joined.write_text("".join(f"file '{part}'\n" for part in parts))
    run_ffmpeg(["-f", "concat", "-safe", "0", "-i", str(joined), "-c", "copy", str(whole)])
    original = hashes_ffmpeg(whole)
    for clip, (first, stop) in zip(
        cut(whole, [(5, 45), (26, 47)], tmp_path / "out", "smart"), [(5, 45), (26, 47)], strict=True
    ):
        assert clip.mode == "smart" and clip.copied_frames > (stop - first) // 2 - 2
        got = hashes_ffmpeg(clip.path)
        same = [a == b for a, b in zip(got, original[first:stop], strict=True)]
        assert sum(same) == clip.copied_frames
        assert by_ffmpeg(clip.path) == ("", hashes_pyav(clip.path))
        assert numbers_opencv(clip.path) == [n % 24 for n in range(first, stop)]
        with av.open(str(clip.path)) as container:  # not all sets are in the header
            assert container.streams.video[0].codec_tag == {"h264": "avc3", "hevc": "hev1"}[codec]


def test_the_header_has_the_sets_of_all_parts(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 48, codec="hevc", open_gop=True)
    (clip,) = cut(source, [(5, 40)], tmp_path / "out", "smart")
    with av.open(str(source)) as theirs, av.open(str(clip.path)) as mine:
        before, after = (c.streams.video[0].codec_context.extradata for c in (theirs, mine))
        assert mine.streams.video[0].codec_tag == "hvc1"
    sets = hevc.parameter_sets(bytes(after))
    assert [hevc.unit_type(unit) for unit in sets] == [32, 32, 33, 33, 34, 34]
    assert sets[::2] == hevc.parameter_sets(bytes(before))  # the source's come first
    assert len({hevc.set_key(unit) for unit in sets}) == 6


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_clips_can_be_read_from_any_frame(tmp_path: Path, codec: str) -> None:
    """A decoder that starts at each key frame of the clip, encoded or copied, gives the same pictures."""
    source = make_video(tmp_path / "s.mp4", 100, codec=codec, gop=12, open_gop=True)
    (clip,) = cut(source, [(5, 95)], tmp_path / "out", "smart")
    for number in range(0, 90, 7):
        (frame,) = read_frames(clip.path, [number])
        assert read_barcode(frame.image) == 5 + number


def test_a_file_that_does_not_begin_at_zero(tmp_path: Path) -> None:
    made = make_video(tmp_path / "made.mp4", 60, codec="hevc", open_gop=True)
    source = remux(made, tmp_path / "s.mp4", after=["-output_ts_offset", "7.3"])
    (clip,) = cut(source, [(5, 45)], tmp_path / "out", "smart")
    check(clip, source, (5, 45), pictures(source))


@pytest.mark.parametrize(
    ("how", "options", "why"),
    [
        ({"codec": "mpeg4"}, {}, "mpeg4"),
        ({"codec": "hevc"}, {"codec": "h264"}, "hevc"),
        ({"rotation": 90}, {}, "turned"),
        ({}, {"shorter_size": 64}, "scaled"),
        ({}, {"codec": "hevc"}, "not into hevc"),
        ({}, {"target_fps": Fraction(10)}, "rate"),
        ({"pix_fmt": "yuv444p"}, {}, "yuv444p"),
        ({"codec": "hevc", "pix_fmt": "yuv422p10le"}, {}, "yuv422p10le"),
        # Pictures are refreshed bit by bit: there is no key frame but the first.
        ({"options": {"x264-params": "intra-refresh=1:keyint=12"}}, {}, "no group of pictures"),
    ],
)
def test_it_is_said_why_clips_are_encoded(tmp_path: Path, how: dict, options: dict, why: str) -> None:
    source = make_video(tmp_path / "s.mp4", 36, **how)
    scene = [(Fraction("0.2"), Fraction("1.4"))]
    (clip,) = cut_clips(source, scene, tmp_path / "out", options=CutOptions(mode="smart", **options)).clips
    assert clip.mode == "exact" and why in clip.note and clip.copied_seconds == clip.copied_frames == 0


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_all_clips_of_a_source_have_its_bits(tmp_path: Path, pix_fmt: str) -> None:
    """Also those of which nothing can be copied."""
    source = make_video(tmp_path / "s.mp4", 40, pix_fmt=pix_fmt)
    clips = cut(source, [(5, 30), (14, 20)], tmp_path / "out", "smart")
    assert [clip.mode for clip in clips] == ["smart", "exact"]
    for clip in clips:
        with av.open(str(clip.path)) as container:
            assert container.streams.video[0].format.name == pix_fmt


def test_damage_of_a_transport_stream_is_not_copied(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.ts", 60, b_frames=0)
    with av.open(str(whole)) as container:
        at = next(p.pos for n, p in enumerate(container.demux(video=0)) if n == 27)
    data = whole.read_bytes()
    (tmp_path / "s.ts").write_bytes(data[: at + 188] + data[at + 376 :])  # frame 27 has lost bytes
    scenes = [(Fraction(a, 25), Fraction(b, 25)) for a, b in ((0, 24), (24, 36), (36, 60))]
    result = cut_clips(tmp_path / "s.ts", scenes, tmp_path / "out", options=CutOptions(mode="smart"))
    assert [(clip.start_frame, clip.mode) for clip in result.clips] == [(0, "smart"), (36, "smart")]
    assert "frame 27 (at 1.080 s) is damaged" in result.failures[1].message


def test_the_summary_says_what_share_of_frames_is_copied(tmp_path: Path) -> None:
    make_video(tmp_path / "s.mp4", 60, codec="hevc")
    table = tmp_path / "meta.csv"
    table.write_text(f'path,timestamp\n{tmp_path}/s.mp4,"[[0.2, 2.0], [0.52, 0.8]]"\n')
    done = run_command(
        command.main, table, "--save-dir", tmp_path / "clips", "--mode", "smart", "--num-workers", 0
    )
    assert done.returncode == 0
    import polars as pl

    clips = pl.read_csv(tmp_path / "meta_clips.csv")
    copied, frames = round(clips["copied_seconds"].sum() * 25), clips["num_frames"].sum()
    assert frames == 52 and 30 <= copied <= 38
    assert f"{copied} of {frames} frames copied ({copied / frames:.1%}), the others encoded" in done.stderr
    assert "1 clip cut exactly instead: they have no group of pictures that can be copied" in done.stderr


@pytest.mark.parametrize(
    ("file", "bounds", "least"),
    [
        ("iscc_demo.mp4", (230, 300), 0.7),
        ("bikes_hevc10.mp4", (27, 40), 0.6),
        ("tc_h265_video.mp4", (1, 9), 0.7),
        ("tc_h264_10bits.mp4", (0, 10), 0.7),
    ],
)
def test_real_clips_copied_in_part(
    tmp_path: Path, videos_dir: Path, file: str, bounds: tuple[int, int], least: float
) -> None:
    source, (first, stop) = videos_dir / file, bounds
    (clip,) = cut(source, [bounds], tmp_path, "smart")
    shown = pictures(clip.path)
    same = [np.array_equal(a, b) for a, b in zip(shown, pictures(source, stop)[first:], strict=True)]
    assert sum(same) >= clip.copied_frames >= least * len(same)
    said, hashes = by_ffmpeg(clip.path)
    assert said == "" and len(hashes) == len(shown)


def test_numbers_that_the_source_uses_are_left_to_it() -> None:
    assert hevc.free_numbers([(32, 0), (33, 0), (33, 1), (34, 15)]) == hevc.Numbers(1, 2, 16)
    assert hevc.free_numbers([(34, n) for n in range(64)]) is None


def test_encoded_pixels_are_as_close_as_in_mode_exact(tmp_path: Path) -> None:
    """A clip of which nothing can be copied is the clip of mode exact."""
    source = make_video(tmp_path / "s.mp4", 40)
    (smart,) = cut(source, [(14, 20)], tmp_path / "smart", "smart")
    (exact,) = cut(source, [(14, 20)], tmp_path / "exact", "exact")
    assert np.array_equal(hashes_ffmpeg(smart.path), hashes_ffmpeg(exact.path))
