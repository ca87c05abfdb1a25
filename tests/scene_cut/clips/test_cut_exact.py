"""Exact cutting: the frames of each clip, read back by two other decoders, are those of its scene."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.support import barcode_picture, ffmpeg_frames, make_video, read_barcode, remux, run_ffmpeg
from tools.errors import MediaError, UserError
from tools.media.reading.probe import index_packets, probe
from tools.scene_cut.clips.cutting import CutOptions, cut_clips
from tools.scene_cut.timestamps import format_timestamps, parse_timestamps, readable_boundary

NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)
# Intervals of a screen recording: 20, 70, 33 and 41 ms in turn.
VFR = np.cumsum([0.0] + [0.020, 0.070, 0.033, 0.041] * 15)[:60].tolist()


def opencv_numbers(path: Path) -> list[int | None]:
    reader = cv2.VideoCapture(str(path))
    numbers = []
    while True:
        there, image = reader.read()
        if not there:
            return numbers
        numbers.append(read_barcode(image))


def ffmpeg_numbers(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        width, height = stream.width, stream.height
    return [read_barcode(image) for image in ffmpeg_frames(path, width, height)]


def small_frames(path: Path) -> np.ndarray:
    """Luma of all pictures as the ffmpeg program decodes them, 160 x 96."""
    form = [
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-vf",
        "extractplanes=y,scale=160:96",
    ]
    return (
        np.frombuffer(run_ffmpeg(["-i", str(path), "-map", "0:v:0", *form, "-"]), np.uint8)
        .reshape(-1, 96, 160)
        .astype(np.int16)
    )


def scenes_at(times: list[Fraction], bounds: list[int], end: Fraction) -> list[tuple[Fraction, Fraction]]:
    """Scenes between frames, through the text of a timestamp cell."""
    starts = [readable_boundary(times[b], times[b - 1] if b else None) for b in bounds]
    return parse_timestamps(format_timestamps(list(zip(starts, [*starts[1:], end], strict=True))))


def rounded_scenes(
    times: list[Fraction], bounds: list[int], end: Fraction
) -> list[tuple[Fraction, Fraction]]:
    """Scenes between frames, rounded to milliseconds up or down as PySceneDetect writes them."""
    starts = [Fraction(round(times[b] * 1000), 1000) for b in bounds]
    return list(zip(starts, [*starts[1:], end], strict=True))


SOURCES = {
    "25": ("s.mp4", {"fps": 25}),
    "29.97": ("s.mp4", {"fps": NTSC}),
    "23.976 mkv": ("s.mkv", {"fps": FILM}),
    "vfr": ("s.mp4", {"times": VFR}),
    "vfr mkv": ("s.mkv", {"times": VFR}),
    "hevc open gop": ("s.mp4", {"codec": "hevc", "open_gop": True}),
    "av1": ("s.mkv", {"codec": "av1"}),
    "vp9": ("s.webm", {"codec": "vp9"}),
    "mpegts": ("s.ts", {"fps": NTSC}),
    "mpeg4 avi": ("s.avi", {"codec": "mpeg4", "b_frames": 0}),
    "rotated": ("s.mp4", {"rotation": 90, "size": (128, 192)}),
}


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
@pytest.mark.parametrize("name", SOURCES)
def test_clips_hold_exactly_their_frames(tmp_path: Path, name: str, engine: str) -> None:
    file, how = SOURCES[name]
    source = make_video(tmp_path / file, 60, **how)
    rate = Fraction(how.get("fps", 25))
    times = [Fraction(t) for t in how["times"]] if "times" in how else [i / rate for i in range(60)]
    bounds = [0, 7, 8, 30]
    scenes = scenes_at(times, bounds, times[-1] + 1)
    result = cut_clips(source, scenes, tmp_path, options=CutOptions(engine=engine))
    assert result.failures == {}
    for clip, first, stop in zip(result.clips, bounds, [*bounds[1:], 60], strict=True):
        wanted = list(range(first, stop))
        assert (clip.start_frame, clip.end_frame, clip.num_frames) == (first, stop, len(wanted))
        assert ffmpeg_numbers(clip.path) == wanted
        assert opencv_numbers(clip.path) == wanted
        shown = index_packets(clip.path)
        assert shown.pts[0] == 0
        expected = [float(t - times[first]) for t in times[first:stop]]
        assert np.abs(shown.times - expected).max() < 0.0006  # Matroska rounds to milliseconds
        assert shown.rotation == 0
        if "times" not in how and len(wanted) > 1:
            assert shown.average_rate == rate
    rounded = rounded_scenes(times, bounds, times[-1] + 1)
    again = cut_clips(source, rounded, tmp_path, options=CutOptions(engine=engine)).clips
    assert [(c.start_frame, c.end_frame) for c in again] == list(zip(bounds, [*bounds[1:], 60], strict=True))


@pytest.mark.parametrize(
    ("file", "cuts"),
    [
        ("skv_bikes.mp4", [0, 30, 76, 137, 187, 242]),
        ("bikes_rot90.mp4", [0, 30, 76]),
        ("bikes_av1.mkv", [0, 30, 76]),
        ("psd_testvideo.mp4", [30, 180]),
        ("iscc_demo.mpg", [183, 243]),
        ("tc_nasa_13013.mp4", [0, 202]),
        ("gradio_b.avi", [0, 40, 77]),
    ],
)
def test_first_and_last_frame_of_real_clips(
    tmp_path: Path, videos_dir: Path, file: str, cuts: list[int]
) -> None:
    source = videos_dir / file
    frames = small_frames(source)
    index = index_packets(source)
    times = [int(p - index.pts[0]) * index.time_base for p in index.pts]
    stops = [*cuts[1:], min(cuts[-1] + 40, len(frames))]
    scenes = [
        (
            readable_boundary(times[a], times[a - 1] if a else None),
            times[b] if b < len(times) else times[-1] + 1,
        )
        for a, b in zip(cuts, stops, strict=True)
    ]
    almost_lossless = CutOptions(crf=1, preset="ultrafast")  # neighbours in still shots differ by very little
    result = cut_clips(source, scenes, tmp_path, options=almost_lossless)
    for clip, first, stop in zip(result.clips, cuts, stops, strict=True):
        got = small_frames(clip.path)
        assert len(got) == stop - first
        for k in (0, -1):
            own = first if k == 0 else stop - 1
            near = range(max(0, own - 3), min(len(frames), own + 4))
            distance = {i: np.abs(frames[i] - got[k]).mean() for i in near}
            assert distance[own] == min(distance.values()), (clip.scene, k, distance)
            assert distance[own] < 1


def test_overlapping_scattered_and_single_frame_scenes(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 250, gop=25)
    ranges = [(200, 230), (10, 40), (20, 50), (20, 21), (30, 31), *[(100, 110 + i) for i in range(12)]]
    scenes = [(Fraction(a, 25), Fraction(b, 25)) for a, b in ranges]
    result = cut_clips(source, scenes, tmp_path)
    assert [c.scene for c in result.clips] == list(range(len(ranges)))
    for clip, (a, b) in zip(result.clips, ranges, strict=True):
        assert ffmpeg_numbers(clip.path) == list(range(a, b))


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
@pytest.mark.parametrize("target", [10, 50, NTSC])
@pytest.mark.parametrize("times", [None, VFR], ids=["25 fps", "vfr"])
def test_target_fps_shows_what_is_on_screen(
    tmp_path: Path, target: Fraction, times: list[float] | None, engine: str
) -> None:
    source = make_video(tmp_path / "s.mp4", 60, times=times)
    exact = (
        [Fraction(t).limit_denominator(1000) for t in times]
        if times
        else [Fraction(i, 25) for i in range(60)]
    )
    first, stop = 5, 45
    options = CutOptions(target_fps=Fraction(target), engine=engine)
    (clip,) = cut_clips(source, [(exact[first], exact[stop])], tmp_path, options=options).clips
    wanted, k = [], 0
    while Fraction(k) / target < exact[stop] - exact[first]:
        wanted.append(max(i for i in range(first, stop) if exact[i] - exact[first] <= Fraction(k) / target))
        k += 1
    assert ffmpeg_numbers(clip.path) == wanted
    assert index_packets(clip.path).average_rate == target


def test_a_rate_that_is_the_sources_changes_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mkv", 60, fps=NTSC)  # times rounded to milliseconds
    (clip,) = cut_clips(source, None, tmp_path, options=CutOptions(target_fps=NTSC)).clips
    assert ffmpeg_numbers(clip.path) == list(range(60))


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
@pytest.mark.parametrize(
    ("size", "shorter", "expected"),
    [
        ((192, 128), 64, (96, 64)),
        ((128, 192), 64, (64, 96)),
        ((192, 128), 128, (192, 128)),
        ((192, 128), 1080, (192, 128)),
        ((250, 130), 64, (124, 64)),
    ],
)
def test_sizes_shrink_and_never_grow(
    tmp_path: Path, size: tuple[int, int], shorter: int, expected: tuple[int, int], engine: str
) -> None:
    source = make_video(tmp_path / "s.mp4", 6, size=size)
    options = CutOptions(shorter_size=shorter, engine=engine)
    (clip,) = cut_clips(source, None, tmp_path, options=options).clips
    info = probe(clip.path)
    assert (clip.width, clip.height) == (info.width, info.height) == expected


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
def test_odd_sizes_lose_one_row_or_column_and_nothing_else(tmp_path: Path, engine: str) -> None:
    pictures = [barcode_picture(i, 191, 127) for i in range(5)]
    source = make_video(tmp_path / "s.mp4", pictures=pictures, pix_fmt="yuv444p", options={"crf": "1"})
    (clip,) = cut_clips(source, None, tmp_path, options=CutOptions(engine=engine, crf=4)).clips
    assert (probe(clip.path).coded_width, probe(clip.path).coded_height) == (190, 126)
    got = ffmpeg_frames(clip.path, 190, 126).mean(axis=-1)
    wanted = np.array(pictures)[:, :126, :190].mean(axis=-1)
    shifted = np.array(pictures)[:, 1:127, 1:191].mean(axis=-1)
    assert np.abs(got - wanted).mean() < 2 < np.abs(got - shifted).mean()


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
def test_pixels_are_made_square(tmp_path: Path, engine: str) -> None:
    source = make_video(tmp_path / "s.mp4", 5, sample_aspect_ratio=Fraction(4, 3))
    (clip,) = cut_clips(source, None, tmp_path, options=CutOptions(engine=engine)).clips
    info = probe(clip.path)
    assert (info.coded_width, info.coded_height, info.sample_aspect_ratio) == (256, 128, 1)
    assert ffmpeg_numbers(clip.path) == list(range(5))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_goes_into_the_pixels(tmp_path: Path, rotation: int) -> None:
    source = make_video(tmp_path / "s.mp4", 5, rotation=rotation)
    (clip,) = cut_clips(source, None, tmp_path).clips
    info = probe(clip.path)
    assert (info.width, info.height, info.rotation) == (192, 128, 0)
    got = ffmpeg_frames(clip.path, 192, 128, rotate=False).astype(int)
    wanted = np.array([barcode_picture(i, 192, 128) for i in range(5)]).astype(int)
    assert np.abs(got - wanted).mean() < 6


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_colours_are_carried_over(tmp_path: Path, videos_dir: Path, codec: str, engine: str) -> None:
    source = videos_dir / "tc_bt709_full_range.mp4"
    options = CutOptions(codec=codec, shorter_size=180, engine=engine)
    (clip,) = cut_clips(source, [(Fraction(0), Fraction(1, 10))], tmp_path, options=options).clips
    with av.open(str(source)) as before, av.open(str(clip.path)) as after:
        old, new = next(before.decode(video=0)), next(after.decode(video=0))
        assert (new.color_range, new.colorspace) == (old.color_range, old.colorspace) == (2, 1)
    new_image = ffmpeg_frames(clip.path, 320, 180)[0]
    small = cv2.resize(ffmpeg_frames(source, 1280, 720)[0], (320, 180), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - new_image).mean() < 4  # a wrong range shifts by more than 8


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("h264", "yuv420p"), ("hevc", "yuv420p10le"), ("av1", "yuv420p10le")]
)
def test_ten_bits_stay_where_they_play(tmp_path: Path, videos_dir: Path, codec: str, pix_fmt: str) -> None:
    options = CutOptions(codec=codec)
    scene = [(Fraction(0), Fraction(1, 5))]
    (clip,) = cut_clips(videos_dir / "bikes_hevc10.mp4", scene, tmp_path, options=options).clips
    assert probe(clip.path).pix_fmt == pix_fmt


def test_min_and_max_seconds(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 100)
    scenes = [(Fraction(0), Fraction(1)), (Fraction(1), Fraction(3, 2)), (Fraction(3, 2), Fraction(4))]
    options = CutOptions(min_seconds=0.6, max_seconds=2)
    result = cut_clips(source, scenes, tmp_path, options=options)
    assert [clip.path.name for clip in result.clips] == ["s_scene-0.mp4", "s_scene-2.mp4"]
    assert result.skipped == [1]
    assert ffmpeg_numbers(result.clips[1].path) == list(range(38, 88))  # shown from 1.52 s to 3.48 s
    assert math.isclose(result.clips[1].seconds_left, 0.5)
    (whole,) = cut_clips(source, None, tmp_path / "whole", options=options).clips
    assert ffmpeg_numbers(whole.path) == list(range(50))


def test_a_scene_that_cannot_be_cut_leaves_the_others_alone(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 50)
    scenes = [(Fraction(0), Fraction(1)), (Fraction(7), Fraction(8)), (Fraction(1), Fraction(2))]
    result = cut_clips(source, scenes, tmp_path)
    assert [clip.scene for clip in result.clips] == [0, 2]
    assert {scene: error.kind for scene, error in result.failures.items()} == {1: "too_short"}
    assert result.failures[1].path == str(source) and result.failures[1].message.startswith("scene 1: ")


def test_a_damaged_packet_costs_the_clips_that_show_it(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 72, b_frames=0, gop=12)
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        where, size = packets[30].pos, packets[30].size
    data = bytearray(source.read_bytes())
    data[where : where + size] = bytes(size)
    source.write_bytes(data)
    scenes = [(Fraction(a, 25), Fraction(b, 25)) for a, b in [(0, 24), (24, 36), (33, 36), (36, 72)]]
    result = cut_clips(source, scenes, tmp_path / "out")
    # Frames 31 to 35 refer to the lost frame 30, so a clip of them would show invented pictures.
    assert [clip.scene for clip in result.clips] == [0, 3]
    assert {scene: error.kind for scene, error in result.failures.items()} == {1: "decode", 2: "decode"}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["s_scene-0.mp4", "s_scene-3.mp4"]


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError) as caught:
        cut_clips(tmp_path / "text.mp4", None, tmp_path / "out")
    assert caught.value.kind == "unreadable"
    (tmp_path / "picture.png").write_bytes(b"whatever it holds")
    with pytest.raises(MediaError) as caught:
        cut_clips(tmp_path / "picture.png", None, tmp_path / "out")
    assert caught.value.kind == "no_video"


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "fast"},
        {"engine": "x"},
        {"shorter_size": 33},
        {"target_fps": 0},
        {"mode": "copy", "shorter_size": 64},
        {"mode": "smart", "engine": "ffmpeg"},
    ],
)
def test_options_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(UserError):
        CutOptions(**wrong)


def test_remuxed_edit_list_is_cut_by_what_is_shown(tmp_path: Path) -> None:
    """A stream copy that starts between key frames hides its first packets by an edit list."""
    whole = make_video(tmp_path / "whole.mp4", 100, gop=25)
    source = remux(whole, tmp_path / "s.mp4", before=["-ss", "1.5"])
    shown = ffmpeg_numbers(source)
    (clip,) = cut_clips(source, [(Fraction(0), Fraction(1))], tmp_path / "out").clips
    assert ffmpeg_numbers(clip.path) == shown[:25]
