"""The sound of clips: a tone that sounds while a picture flashes must do so in every clip."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.sounds import noise, spoil_sound
from tests.support import barcode_picture, ffmpeg_frames, make_video, read_barcode, remux, run_ffmpeg
from tools.media.reading.frames import read_frames
from tools.media.reading.probe import probe
from tools.media.reading.timeline.scan import index_packets
from tools.media.writing.sound import read_sound, sound_format
from tools.scene_cut.clips.cutting import Clip, CutOptions, cut_clips

RATE = 48_000
FLASHES = [3, 30, 31, 62, 90, 110]
SCENES = [(0, 25), (25, 60), (60, 61), (61, 120)]


def samples(path: Path) -> np.ndarray:
    """The sound as the ffmpeg program plays it, mono, from the file's time 0 on; gaps are silent."""
    form = ["-af", "aresample=async=1:first_pts=0", "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    return np.frombuffer(run_ffmpeg(["-i", str(path), "-map", "0:a:0", *form]), np.float32)


def beeps(sound: np.ndarray) -> list[tuple[float, float]]:
    """Start and end of every tone, seconds."""
    loud = np.convolve(np.abs(sound), np.ones(48) / 48, "same") > 0.1  # over one period of the tone
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    return [(a / RATE, b / RATE) for a, b in edges.reshape(-1, 2)]


def flashes(clip: Clip) -> list[int]:
    images = ffmpeg_frames(clip.path, clip.width, clip.height)
    return [i for i, image in enumerate(images) if image[image.shape[0] // 2 :].mean() > 200]


def check_sync(clips: list[Clip], fps: Fraction, tolerance: float, count: int = 5) -> None:
    seen = 0
    for clip in clips:
        assert clip.has_audio and probe(clip.path).has_audio
        wanted: list[list[float]] = []
        for i in flashes(clip):
            start, end = float(i / fps), float((i + 1) / fps)
            if wanted and abs(wanted[-1][1] - start) < 1e-6:
                wanted[-1][1] = end
            else:
                wanted.append([start, end])
        heard = beeps(samples(clip.path))
        assert len(heard) == len(wanted)
        for (start, end), (own_start, own_end) in zip(heard, wanted, strict=True):
            assert abs(start - own_start) < tolerance, (clip.scene, heard, wanted)
            assert abs(end - own_end) < tolerance, (clip.scene, heard, wanted)
            seen += 1
    assert seen == count  # frames 30 and 31 are one tone


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
@pytest.mark.parametrize(
    ("file", "how"),
    [
        ("s.mp4", {}),
        ("s.mp4", {"fps": Fraction(24000, 1001)}),
        ("s.mkv", {"fps": Fraction(30000, 1001)}),
        ("s.webm", {"codec": "vp9"}),
        ("s.ts", {}),
        ("s.mp4", {"codec": "hevc", "open_gop": True}),
    ],
)
def test_sound_stays_with_the_pictures(tmp_path: Path, file: str, how: dict, engine: str) -> None:
    source = make_video(tmp_path / file, 120, audio="beeps", flashes=FLASHES, **how)
    fps = Fraction(how.get("fps", 25))
    scenes = [(Fraction(a) / fps, Fraction(b) / fps) for a, b in SCENES]
    result = cut_clips(source, scenes, tmp_path, options=CutOptions(engine=engine))
    check_sync([c for c in result.clips if c.num_frames > 1], fps, 0.004)


@pytest.mark.parametrize(
    ("starts", "how"),
    [
        ((0, 0), {}),
        ((0, 1.5), {}),  # an overlap
        ((1000, 0), {}),  # so far back that libav takes it for the clock's wrap
        ((0, 30), {}),
        ((95_443, 0, 30), {}),  # 2**33 / 90000 s: the clock wraps within the first part
        ((0, 0), {"mode": "copy"}),
        ((0, 0), {"mode": "smart"}),
        ((0, 0), {"engine": "ffmpeg"}),
    ],
)
def test_sound_of_joined_recordings(tmp_path: Path, starts: tuple[float, ...], how: dict) -> None:
    length, flashing = 50, (10, 40)
    joined = tmp_path / "joined.ts"
    for part, start in enumerate(starts):
        numbers = range(part * length, (part + 1) * length)
        pictures = [barcode_picture(n, 192, 128, flash=n % length in flashing) for n in numbers]
        own = make_video(tmp_path / "own.ts", pictures=pictures, gop=25, audio="beeps", flashes=flashing)
        moved = remux(own, tmp_path / "part.ts", after=["-output_ts_offset", str(start)])
        with joined.open("ab") as file:
            file.write(moved.read_bytes())
    index = index_packets(joined)
    assert index.timing == "restarted"
    assert index.times == pytest.approx(np.arange(length * len(starts)) / 25, abs=1e-6)
    frames = read_frames(joined, range(len(index.pts)), index=index)
    assert [read_barcode(f.image) for f in frames if f.index % length not in flashing] == [
        n for n in range(len(index.pts)) if n % length not in flashing
    ]
    (clip,) = cut_clips(
        joined, [(Fraction(6, 5), Fraction(19, 5))], tmp_path, options=CutOptions(**how)
    ).clips
    # Copied packets of sound cannot be moved by less than half of one.
    exact = how.get("mode", "exact") != "copy" and "engine" not in how
    check_sync([clip], Fraction(25), 0.004 if exact else 0.011, count=3)


def test_smart_clips_are_in_sync_too(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 120, audio="beeps", flashes=FLASHES)
    scenes = [(Fraction(a, 25), Fraction(b, 25)) for a, b in SCENES]
    clips = cut_clips(source, scenes, tmp_path, options=CutOptions(mode="smart")).clips
    assert sum(c.copied_seconds for c in clips) > 3
    check_sync([c for c in clips if c.num_frames > 1], Fraction(25), 0.004)


def test_copied_sound_is_within_one_packet(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 120, audio="beeps", flashes=FLASHES, b_frames=0)
    scenes = [(Fraction(a, 25), Fraction(b, 25)) for a, b in [(0, 24), (24, 60), (60, 120)]]  # at key frames
    clips = cut_clips(source, scenes, tmp_path, options=CutOptions(mode="copy")).clips
    assert [(c.snap_start, c.snap_end) for c in clips] == [(0, 0)] * 3
    check_sync(clips, Fraction(25), 1024 / RATE + 0.004)


def test_copied_packets_that_are_shorter_than_a_tick_are_complete(tmp_path: Path) -> None:
    made = make_video(tmp_path / "made.mp4", 25, gop=25, audio="sine")
    # 40 samples in a packet, 0.83 ms, of which Matroska stores whole milliseconds
    source = remux(made, tmp_path / "s.mkv", after=["-c:a", "truehd", "-ac", "2", "-strict", "-2"])
    (clip,) = cut_clips(source, [(0, 1)], tmp_path, options=CutOptions(mode="copy")).clips
    counts = []
    for path in (source, clip.path):
        with av.open(str(path)) as container:
            counts.append(sum(p.pts < 999 for p in container.demux(audio=0) if p.size))
    assert counts[0] > 1190 and counts[1] == counts[0]


def test_copied_sound_of_avi_is_complete(tmp_path: Path) -> None:
    # a packet of this sound is a tick of 32 ms: frame 14 begins half a tick after packet 17
    made = make_video(tmp_path / "made.mp4", 75, codec="mpeg4", gop=14, b_frames=0, audio="sine")
    source = remux(made, tmp_path / "s.avi", after=["-c:a", "ac3"])
    (clip,) = cut_clips(source, [(0.56, 3)], tmp_path, options=CutOptions(mode="copy")).clips
    times = []
    for path in (source, clip.path):
        with av.open(str(path)) as container:
            times.append([float(p.pts * p.time_base) for p in container.demux(audio=0) if p.size])
    assert times[1] == pytest.approx([t - 0.56 for t in times[0] if 0.56 <= t < 3], abs=0.001)


@pytest.mark.parametrize(
    ("file", "encode", "channels", "rate"),
    [
        ("s.mov", ["-c:a", "pcm_s16le"], 1, 48_000),
        ("s.avi", ["-c:a", "pcm_u8", "-ar", "11025"], 1, 11_025),
        ("s.mkv", ["-c:a", "flac", "-ar", "96000", "-ac", "2"], 2, 96_000),
        ("s.mkv", ["-c:a", "libvorbis", "-ac", "2"], 2, 48_000),
        ("s.mkv", ["-c:a", "ac3", "-ac", "6", "-ar", "44100"], 6, 44_100),
        ("s.mp4", ["-c:a", "mp3", "-ar", "22050"], 1, 22_050),
        ("s.mkv", ["-c:a", "pcm_s16le", "-ar", "37800"], 1, 48_000),  # a rate that AAC lacks
        ("s.mov", ["-c:a", "pcm_s24le", "-ac", "8"], 8, 48_000),
        ("s.mkv", ["-c:a", "pcm_s16le", "-ac", "3"], 2, 48_000),  # a layout that players lack
    ],
)
def test_any_sound_becomes_aac(
    tmp_path: Path, file: str, encode: list[str], channels: int, rate: int
) -> None:
    made = make_video(tmp_path / "made.mp4", 120, audio="beeps", flashes=FLASHES)
    source = remux(made, tmp_path / file, after=encode)
    scenes = [(Fraction(a, 25), Fraction(b, 25)) for a, b in SCENES]
    clips = cut_clips(source, scenes, tmp_path / "out").clips
    check_sync([c for c in clips if c.num_frames > 1], Fraction(25), 0.008)
    with av.open(str(clips[0].path)) as container:
        context = container.streams.audio[0].codec_context
        assert (context.name, context.layout.nb_channels, context.sample_rate) == ("aac", channels, rate)


@pytest.mark.parametrize(
    ("file", "encode"),
    [("s.mov", ["pcm_s16le"]), ("s.mkv", ["libopus", "-mapping_family", "255"])],  # which stores no layout
)
def test_every_channel_stays_in_its_place(tmp_path: Path, file: str, encode: list[str]) -> None:
    hertz = [200, 300, 400, 60, 500, 600, 700, 800]  # the fourth of 7.1 is low sounds alone
    tones = "|".join(f"sin({f}*2*PI*t)/3" for f in hertz)
    sound = ["-f", "lavfi", "-i", f"aevalsrc={tones}:s={RATE}:c=7.1:d=2"]
    made, source = make_video(tmp_path / "made.mp4", 50), tmp_path / file
    run_ffmpeg([*sound, "-i", str(made), "-c:v", "copy", "-c:a", *encode, str(source)])
    (clip,) = cut_clips(source, [(0.4, 1.8)], tmp_path / "out").clips
    raw = run_ffmpeg(["-i", str(clip.path), "-f", "f32le", "-ac", "8", "-"])
    heard = np.frombuffer(raw, np.float32).reshape(-1, 8)[RATE // 10 :][:RATE]  # a second: 1 Hz per bin
    assert np.abs(np.fft.rfft(heard, axis=0)).argmax(axis=0).tolist() == hertz


@pytest.mark.parametrize(
    ("channels", "encode"),
    [
        (["-ch_layout", "ambisonic 1"], ["libopus", "-mapping_family", "2"]),
        (["-ac", "9"], ["pcm_s16le"]),
    ],
)
def test_channels_that_libav_does_not_mix(tmp_path: Path, channels: list[str], encode: list[str]) -> None:
    made, source, raw = make_video(tmp_path / "made.mp4", 50), tmp_path / "s.mkv", tmp_path / "s.f32"
    tone = noise(2.0)[0]
    raw.write_bytes(np.repeat(tone[:, None], 9 if channels[1] == "9" else 4, axis=1).tobytes())
    sound = ["-f", "f32le", "-ar", str(RATE), *channels, "-i", str(raw)]
    run_ffmpeg(["-i", str(made), *sound, "-c:v", "copy", "-c:a", *encode, str(source)])
    (clip,) = cut_clips(source, [(0, 1)], tmp_path).clips
    heard = samples(clip.path)[: RATE - 2000]
    assert np.corrcoef(heard, tone[: len(heard)])[0, 1] > 0.95


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
def test_sound_that_begins_late_begins_late_in_the_clip(tmp_path: Path, engine: str) -> None:
    made = make_video(tmp_path / "made.mp4", 120, audio="beeps", flashes=FLASHES)
    source = tmp_path / "late.mkv"
    late = ["-itsoffset", "0.6", "-i", str(made), "-i", str(made), "-map", "1:v", "-map", "0:a"]
    run_ffmpeg([*late, "-c", "copy", str(source)])
    scenes = [(Fraction(a, 25), Fraction(b, 25)) for a, b in [(0, 50), (50, 120)]]
    clips = cut_clips(source, scenes, tmp_path, options=CutOptions(engine=engine)).clips
    for clip, (start, end) in zip(clips, [(0, 2), (2, 4.8)], strict=True):
        # The tones of frames 3, 30 and 31, 62, 90 and 110, all 0.6 s later.
        wanted = [i / 25 + 0.6 - start for i in (3, 30, 62, 90, 110) if start <= i / 25 + 0.6 < end]
        heard = [a for a, _ in beeps(samples(clip.path))]
        assert np.allclose(heard, wanted, atol=0.004), (heard, wanted)


@pytest.mark.parametrize(
    ("mode", "sound"), [("exact", "aac"), ("copy", "aac"), ("copy", "flac"), ("copy", "vorbis")]
)
def test_sound_that_ends_early_leaves_later_clips_silent(tmp_path: Path, mode: str, sound: str) -> None:
    made = make_video(tmp_path / "made.mp4", 120, gop=25, audio="beeps", flashes=FLASHES)
    source = tmp_path / "short.mkv"
    streams = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", sound, "-ac", "2", "-strict", "-2"]
    run_ffmpeg(["-i", str(made), "-t", "2", "-i", str(made), *streams, str(source)])
    scenes = [(Fraction(a), Fraction(b)) for a, b in [(0, 1), (1, 3), (3, 4)]]
    clips = cut_clips(source, scenes, tmp_path, options=CutOptions(mode=mode)).clips
    assert [clip.has_audio for clip in clips] == [True, True, False]
    assert [probe(clip.path).has_audio for clip in clips] == [True, True, False]
    assert abs(len(samples(clips[1].path)) / RATE - 1) < 0.05  # nothing is invented after the end


@pytest.mark.parametrize("engine", ["pyav", "ffmpeg"])
def test_clips_whose_sound_is_damaged_fail(tmp_path: Path, engine: str) -> None:
    made = make_video(tmp_path / "made.mp4", 75, audio="sine", b_frames=0)
    source = spoil_sound(made, tmp_path / "spoilt.mp4", keep=75)  # of 142: 1.6 s
    scenes, options = [(0, 1), (2, 3)], CutOptions(engine=engine)
    result = cut_clips(source, scenes, tmp_path, options=options)
    assert [clip.scene for clip in result.clips] == [0]
    assert result.failures[1].kind == "decode" and "audio packets" in str(result.failures[1])
    options = dataclasses.replace(options, keep_audio=False)
    assert len(cut_clips(source, scenes, tmp_path / "mute", options=options).clips) == 2


def test_sound_that_changes_its_format_is_not_copied(tmp_path: Path) -> None:
    made = make_video(tmp_path / "made.ts", 50, gop=25, audio="sine")
    source = tmp_path / "joined.ts"
    later = ["-output_ts_offset", "2", "-muxdelay", "0", "-muxpreload", "0"]
    stereo = remux(made, tmp_path / "stereo.ts", after=["-c:a", "aac", "-ac", "2", *later])
    source.write_bytes(made.read_bytes() + stereo.read_bytes())
    scenes = [(0, 1), (1, 3)]
    copies = cut_clips(source, scenes, tmp_path, options=CutOptions(mode="copy"))
    assert [clip.scene for clip in copies.clips] == [0] and "mode exact" in str(copies.failures[1])


@pytest.mark.parametrize("mode", ["exact", "smart", "copy"])
def test_sound_can_be_dropped(tmp_path: Path, mode: str) -> None:
    source = make_video(tmp_path / "s.mp4", 30, audio="sine")
    for keep in (True, False):
        options = CutOptions(mode=mode, keep_audio=keep)
        (clip,) = cut_clips(source, None, tmp_path / str(keep), options=options).clips
        assert clip.has_audio == probe(clip.path).has_audio == keep


def test_clip_sound_is_as_long_as_the_pictures(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 60, audio="sine")
    (clip,) = cut_clips(source, [(Fraction(1, 2), Fraction(3, 2))], tmp_path).clips
    sound = samples(clip.path)
    assert RATE - 48 <= len(sound) <= RATE + 1024  # AAC has whole packets
    assert np.abs(sound[200 : RATE - 200]).max() > 0.3
    crossings = np.flatnonzero(np.diff(np.signbit(sound[1000 : RATE - 1000]).astype(int)))
    assert np.ptp(np.diff(crossings)) <= 2  # a 1 kHz tone without a click: half a period is 24 samples


@pytest.mark.parametrize("start", [Fraction(1, 2), Fraction(7, 8), Fraction(4, 3)])
def test_the_first_samples_of_a_clip_are_those_of_the_source(tmp_path: Path, start: Fraction) -> None:
    # the packet in which a clip begins is cut at that sample, wherever in the packet it lies
    source = make_video(tmp_path / "v.mp4", 75, audio="sine")
    form = sound_format(source)
    whole = np.concatenate(list(read_sound(source, form, Fraction(0), Fraction(3))), axis=1)
    clip = np.concatenate(list(read_sound(source, form, start, Fraction(1))), axis=1)
    first = round(start * form.rate)
    assert clip.shape[1] == form.rate
    assert clip == pytest.approx(whole[:, first : first + form.rate], abs=1e-3)
