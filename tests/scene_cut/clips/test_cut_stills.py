"""Clips of pictures that stand longer than a scene: slides with speech, screen recordings, gaps.

Truth by rendering: frames carry their number and are shown at known times. A clip must show at every moment
what the source shows then, be as long as its scene, and sound like the source does, by the ffmpeg program.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import make_video, read_barcode, remux, run_ffmpeg
from tools.media.reading.timeline.scan import index_packets
from tools.media.writing.plan import plan_clips
from tools.scene_cut.clips.cutting import Clip, CutOptions, cut_clips
from tools.scene_cut.shots.boundaries import Shot
from tools.scene_cut.shots.scenes import detect_scenes, make_scenes

TIMES = [0, 0.04, 4, 8, *(8.04 + 0.04 * i for i in range(24))]
END = 9.0
SIZE = (96, 64)
# From standing into standing, within one, off the clock's ticks, into frames of 25 per second.
SCENES = [(0, 2), (2, 5), (5, 7), ("1.234567", "1.5"), ("4.001", "4.321"), ("6.5", "8.5"), ("8.2", "9")]


def scenes(pairs=SCENES) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(start), Fraction(end)) for start, end in pairs]


@pytest.fixture(scope="module")
def slides(tmp_path_factory) -> Path:
    """Slides that stand for 4 s, then 25 frames per second; with a sound that rises from 500 Hz."""
    folder = tmp_path_factory.mktemp("stills")
    silent = make_video(folder / "silent.mp4", len(TIMES), size=SIZE, times=TIMES, gop=1000, b_frames=0)
    sweep = ["-f", "lavfi", "-i", f"aevalsrc=0.5*sin(2*PI*(500*t+100*t*t)):s=48000:d={END}"]
    run_ffmpeg(["-i", str(silent), *sweep, "-c:v", "copy", "-c:a", "aac", str(folder / "slides.mp4")])
    return folder / "slides.mp4"


def shown(path: Path, seconds: float) -> list[tuple[float, int | None]]:
    """What a file shows every 20 ms: the number of the frame on screen, in the decoder's own times."""
    with av.open(str(path)) as container:
        pictures = [
            (float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)
        ]
    starts = [at for at, _ in pictures]
    numbers = [read_barcode(image) for _, image in pictures]
    moments = np.arange(0.01, seconds, 0.02)
    return [(float(t), numbers[int(np.searchsorted(starts, t, side="right")) - 1]) for t in moments]


def length(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def pcm(path: Path, *cut: str) -> np.ndarray:
    raw = run_ffmpeg(["-i", str(path), *cut, "-vn", "-ac", "1", "-ar", "48000", "-f", "s16le", "-"])
    return np.frombuffer(raw, "<i2").astype(float)


def check_pictures(clip: Clip, *, step: float = 0.0) -> None:
    """At every moment the picture of the source; within `step` of a change either one."""
    for at, number in shown(clip.path, float(clip.duration)):
        source = float(clip.start) + at
        early, late = (
            np.searchsorted(TIMES, [max(0, source - step - 0.002), source + 0.002], side="right") - 1
        )
        assert early <= number <= late, (clip.scene, at)


def check_sound(clip: Clip, source: Path) -> None:
    """The same stretch of the source's sound, compared sample by sample."""
    mine = pcm(clip.path)
    theirs = pcm(source, "-af", f"atrim={float(clip.start)}:{float(clip.end)}")
    count = min(len(mine), len(theirs))
    assert abs(len(mine) - len(theirs)) <= 2 * 1024  # AAC comes in packets
    assert np.corrcoef(mine[:count], theirs[:count])[0, 1] > 0.98


WAYS = {
    "exact": {},
    "smart": {"mode": "smart"},
    "ffmpeg": {"engine": "ffmpeg"},
    "hevc": {"codec": "hevc", "preset": "ultrafast"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_clip_shows_what_is_on_screen_from_its_start_to_its_end(slides, tmp_path, way):
    result = cut_clips(slides, scenes(), tmp_path, options=CutOptions(**WAYS[way]))
    assert not result.failures
    for clip, (start, end) in zip(result.clips, scenes(), strict=True):
        # A frame of 40 ms is not split; one that stands is.
        assert float(clip.start) == pytest.approx(float(start), abs=1e-5)
        assert float(clip.end) == pytest.approx(float(end), abs=0.04 if end == Fraction("8.5") else 1e-5)
        assert length(clip.path) == pytest.approx(float(clip.end - clip.start), abs=0.001)
        assert float(clip.duration) == pytest.approx(float(clip.end - clip.start), abs=1e-6)
        check_pictures(clip)
        check_sound(clip, slides)
    assert [(c.start_frame, c.end_frame) for c in result.clips[:4]] == [(0, 2), (1, 3), (2, 3), (1, 2)]


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
def test_target_fps_repeats_what_stands(slides, tmp_path, engine):
    options = CutOptions(engine=engine, target_fps=Fraction(10), shorter_size=32)
    result = cut_clips(slides, scenes(SCENES[:3]), tmp_path, options=options)
    assert [(c.num_frames, c.fps, c.height) for c in result.clips] == [
        (20, 10, 32),
        (30, 10, 32),
        (20, 10, 32),
    ]
    for clip in result.clips:
        check_pictures(clip, step=0.1)
        check_sound(clip, slides)


@pytest.mark.parametrize("way", ["exact", "ffmpeg", "smart"])
def test_max_seconds_cuts_off_what_stands(slides, tmp_path, way):
    options = CutOptions(max_seconds=1.5, **WAYS[way])
    result = cut_clips(slides, scenes(SCENES[:3]), tmp_path, options=options)
    assert [length(c.path) for c in result.clips] == pytest.approx([1.5] * 3, abs=0.001)
    assert [c.seconds_left for c in result.clips] == pytest.approx([0.5, 1.5, 0.5])


def test_max_seconds_of_scene_detect_slices_what_stands(slides, tmp_path):
    found = [scene.interval for scene in detect_scenes(slides, "content", max_seconds=2, min_scene_len=1)]
    assert found[0][0] == 0
    assert float(found[-1][1]) == pytest.approx(END, abs=0.001)
    assert all(before[1] == after[0] for before, after in pairwise(found))  # nothing is lost
    assert max(end - start for start, end in found) <= 2
    assert found[:4] == [(0, 2), (2, 4), (4, 6), (6, 8)]
    clips = cut_clips(slides, found, tmp_path).clips
    assert [float(clip.end) for clip in clips] == pytest.approx([float(end) for _, end in found], abs=0.001)
    assert max(length(clip.path) for clip in clips) <= 2.001


def test_slices_lie_between_frames_that_are_short(tmp_path):
    index = index_packets(make_video(tmp_path / "a.mp4", 12, size=SIZE, times=[0, 1, 2, 7, *range(8, 16)]))
    shots = [Shot(range(12), "edge", "edge")]
    found = make_scenes(shots, index, max_seconds=Fraction("2.5"))
    # Only the picture from 2 to 7 s is longer than 2.5 s.
    starts = [0, 2.5, 5, 7, 9, 11, 13, 15]
    assert [float(scene.start) for scene in found] == starts
    assert [scene.start_frame for scene in found] == [0, 2, 2, 3, 5, 7, 9, 11]
    assert [scene.end_frame for scene in found] == [3, 3, 3, 5, 7, 9, 11, 12]


def test_copies_begin_at_a_key_frame_and_end_with_their_scene(slides, tmp_path):
    result = cut_clips(slides, scenes(SCENES[:3]), tmp_path, options=CutOptions(mode="copy"))
    assert [(float(c.start), float(c.end)) for c in result.clips] == [(0, 2), (0, 5), (0, 7)]
    assert [c.snap_start for c in result.clips] == [0, 2, 5]
    for clip in result.clips:
        assert length(clip.path) == pytest.approx(float(clip.end), abs=0.001)
        check_pictures(clip)
        check_sound(clip, slides)


def test_a_key_frame_that_stands_begins_a_copy_where_its_scene_begins(tmp_path):
    path = make_video(tmp_path / "a.mp4", 4, size=SIZE, times=[0, 5, 10, 15], gop=1, audio="sine")
    result = cut_clips(path, scenes([(2, 4), (6, 12)]), tmp_path / "c", options=CutOptions(mode="copy"))
    assert [(float(c.start), float(c.end), c.num_frames) for c in result.clips] == [(2, 4, 1), (6, 12, 2)]
    assert [length(c.path) for c in result.clips] == pytest.approx([2, 6], abs=0.001)


def test_a_scene_within_one_short_frame_is_a_clip(tmp_path):
    path = make_video(tmp_path / "a.mp4", 25, size=SIZE)
    result = cut_clips(path, scenes([("0.05", "0.07"), ("0.5", "0.5001")]), tmp_path / "c")
    assert not result.failures
    assert [c.num_frames for c in result.clips] == [1, 1]
    assert length(result.clips[0].path) == pytest.approx(0.02, abs=0.001)


def test_what_lies_behind_the_end_is_too_short(slides, tmp_path):
    result = cut_clips(slides, scenes([(9, 10), (20, 30)]), tmp_path)
    assert [e.kind for e in result.failures.values()] == ["too_short", "too_short"]
    assert "starts at 20.000 s, the video ends at 9.000 s" in result.failures[1].message


def test_a_gap_in_a_transport_stream(tmp_path):
    path = make_video(
        tmp_path / "a.mp4", 40, size=SIZE, times=[i / 25 + (20 if i >= 20 else 0) for i in range(40)]
    )
    stream = remux(path, tmp_path / "a.ts")
    result = cut_clips(stream, scenes([("0.4", "1.7"), (10, 12)]), tmp_path / "c")
    assert [float(c.duration) for c in result.clips] == pytest.approx([1.3, 2.0], abs=0.001)


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
@pytest.mark.parametrize("container", ["mkv", "ts", "avi"])
def test_slides_of_a_constant_rate(tmp_path, container, engine):
    """One picture a second, stored out of order, in containers that keep time in other ways."""
    coded = make_video(tmp_path / "a.mp4", 8, size=SIZE, fps=1, gop=8, b_frames=2, audio="sine")
    source = remux(coded, tmp_path / f"b.{container}")
    result = cut_clips(
        source, scenes([("0.5", "3.25"), ("1.1", "1.9")]), tmp_path / "c", options=CutOptions(engine=engine)
    )
    first, second = result.clips
    with av.open(str(first.path)) as opened:
        found = [
            (float(f.pts * f.time_base), read_barcode(f.to_ndarray(format="rgb24")))
            for f in opened.decode(video=0)
        ]
    assert found == [(0, 0), (0.5, 1), (1.5, 2), (2.5, 3)]
    assert [length(first.path), length(second.path)] == pytest.approx([2.75, 0.8], abs=0.001)


def test_short_frames_are_never_split(tmp_path):
    """At 10 frames per second and more a clip keeps the rate of its source, wherever its scene lies."""
    for fps in (10, 12, 25, Fraction(30000, 1001), 60):
        index = index_packets(make_video(tmp_path / f"{float(fps):.0f}.mp4", 30, size=SIZE, fps=fps))
        plans, errors, _ = plan_clips(index, scenes([("0.117", "0.423"), ("0.2", "0.45")]))
        assert not errors
        assert [plan.rate for plan in plans] == [fps, fps]
        assert all(
            plan.start * fps == plan.frames.start and plan.end * fps == plan.frames.stop for plan in plans
        )


def test_clips_by_the_ffmpeg_program_last_as_long_as_by_pyav(tmp_path):
    """Neither its guess at the last picture nor the clock of the pictures is right for the rest."""
    times = np.cumsum([0, *([0.04, 0.04, 0.12, 0.08] * 12)]).tolist()
    path = make_video(tmp_path / "a.mp4", len(times), size=SIZE, times=times, audio="sine")
    for name, target in (("own", None), ("12", Fraction(12))):
        result = cut_clips(
            path, None, tmp_path / name, options=CutOptions(engine="ffmpeg", target_fps=target)
        )
        with av.open(str(result.clips[0].path)) as container:
            video, sound = container.streams.video[0], container.streams.audio[0]
            gaps = np.diff([packet.pts for packet in container.demux(sound) if packet.size])
            assert float(video.duration * video.time_base) == pytest.approx(float(result.clips[0].duration))
            assert set(gaps.tolist()) == {1024}
