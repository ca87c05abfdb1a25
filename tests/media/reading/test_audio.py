"""The sound of a file: against the samples that were written, and against the ffmpeg program."""

from __future__ import annotations

import math
import os
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.sounds import RATE, burst, noise, save_sound, sine, spoil_sound, video_with_sound
from tests.support import make_video, run_ffmpeg
from tools.errors import MediaError
from tools.media.reading.sound.audio import MIN_LEVEL, AudioTrack, Level, cut_windows, read_audio


def lag(found: np.ndarray, written: np.ndarray) -> float:
    """By how many samples `found` comes later than `written`, and nothing else: the peak of their product."""
    size = 1 << (len(found) + len(written) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(written, size)), size)
    peak = int(product.argmax())
    return peak - size if peak > size // 2 else peak


def kind_of(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        read_audio(path)
    assert caught.value.path == str(path)
    return caught.value.kind


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_lossless_sound_comes_back_sample_for_sample(tmp_path, suffix):
    written = noise(2.0, channels=2)
    audio = read_audio(video_with_sound(tmp_path / f"v{suffix}", written))
    assert audio.rate == RATE and audio.start == 0.0 and audio.samples.dtype == np.float32
    assert audio.samples == pytest.approx(written.mean(axis=0), abs=1 / 32768)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi", ".mkv"])
@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_a_burst_is_heard_when_it_sounds(tmp_path, suffix, rate):
    video = video_with_sound(tmp_path / f"v{suffix}", burst(2.0, 1.0, 1.2))
    audio = read_audio(video, rate)
    signal = np.concatenate([np.zeros(round(audio.start * rate), np.float32), audio.samples])
    written = burst(2.0, 1.0, 1.2)[0][:: RATE // rate]
    # mp3 in avi has no field for what the encoder put in front: 1105 samples that every player plays
    late = 1105 * rate / RATE if suffix == ".avi" else 0
    # opus and webm round times to milliseconds
    allowed = rate / 1000 if suffix == ".webm" else 1
    assert abs(lag(signal, written) - late) <= allowed


def test_a_tone_has_its_pitch_and_level(tmp_path):
    audio = read_audio(video_with_sound(tmp_path / "v.mp4", sine(2.0, 1000.0, 0.5)), 32_000)
    middle = audio.samples[8000:40000] * np.hanning(32000)
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() == 1000  # a second: 1 Hz per bin
    # a sine of amplitude a has the root mean square a / sqrt(2)
    assert audio.level.rms == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.1)
    assert Level().add(audio.samples[8000:40000]).peak == pytest.approx(20 * math.log10(0.5), abs=0.5)


def test_levels_of_what_is_known():
    assert Level().add(np.ones(10, np.float32)).rms == 0.0
    square = np.tile(np.array([0.1, -0.1], np.float32), 50)
    level = Level().add(square[:30]).add(square[30:])
    assert level.count == 100 and level.rms == pytest.approx(-20.0) and level.peak == pytest.approx(-20.0)
    silence = Level().add(np.zeros(5, np.float32))
    assert silence.rms == silence.peak == Level().rms == MIN_LEVEL


@pytest.mark.parametrize("name", ["moviepy_chaplin.mp4", "tc_nasa_13013.mp4", "skv_bigbuckbunny.mp4"])
def test_real_sound_is_that_of_the_ffmpeg_program(videos_dir, name):
    path = videos_dir / name
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.rate, stream.layout.nb_channels
    raw = run_ffmpeg(["-i", str(path), "-map", "0:a:0", "-f", "f32le", "-ac", str(channels), "-"])
    expected = np.frombuffer(raw, np.float32).reshape(-1, channels).mean(axis=1)
    found = read_audio(path, rate).samples
    shared = min(len(expected), len(found))
    assert abs(len(expected) - len(found)) <= 1024  # the last packet: played whole, or as long as stated
    assert np.abs(expected[:shared]).max() > 0.01
    assert np.abs(found[:shared] - expected[:shared]).max() < 1e-3


@pytest.mark.parametrize("delay", [0.0, 0.4, -0.3])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_offset_of_sound_and_pictures(tmp_path, suffix, delay):
    video = video_with_sound(tmp_path / f"v{suffix}", noise(2.0), delay=delay)
    track = AudioTrack(video)
    # mkv counts in milliseconds; ffmpeg lets a late AAC track begin with the encoder's 1024 silent samples
    allowed = {".mkv": 0.001, ".mov": 1 / RATE, ".mp4": 1 / RATE + (1024 / RATE if delay > 0 else 0)}[suffix]
    assert track.offset == pytest.approx(delay, abs=allowed)
    audio = track.read()
    assert audio.start == pytest.approx(max(0.0, delay), abs=allowed)
    heard = np.concatenate([np.zeros(round(audio.start * RATE), np.float32), audio.samples])
    expected = np.concatenate([np.zeros(round(max(0.0, delay) * RATE), np.float32), noise(2.0)[0]])
    assert abs(lag(heard, expected[round(max(0.0, -delay) * RATE) :])) <= (48 if suffix == ".mkv" else 1)


@pytest.mark.parametrize("stretch", [(0.5, 1.25), (0.0, 0.01), (1.9, None), (0.333, 0.777)])
@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_a_stretch_is_that_part_of_the_whole(tmp_path, suffix, stretch):
    video = video_with_sound(tmp_path / f"v{suffix}", noise(2.0))
    start, end = stretch
    whole = read_audio(video)
    part = read_audio(video, start=start, end=end)
    first, stop = round(start * RATE), len(whole.samples) if end is None else round(end * RATE)
    assert part.start == first / RATE and len(part.samples) == stop - first
    # AAC's noise substitution differs with where decoding starts
    assert part.samples == pytest.approx(whole.samples[first:stop], abs=0.01 if suffix == ".mp4" else 1e-6)


@pytest.mark.parametrize(("codec", "bit_rate"), [("mp2", "224k"), ("ac3", "160k")])
def test_frames_that_lie_across_the_blocks_of_a_program_stream(tmp_path, codec, bit_rate):
    # after a seek, libav gives the first frame of mp2 the time of the next; a frame of this ac3 has it anyhow
    pictures = make_video(tmp_path / "p.mpg", 75, codec="mpeg1video")
    sound, video = save_sound(tmp_path / "s.wav", noise(3.0)), tmp_path / "v.mpg"
    streams = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", codec, "-b:a", bit_rate]
    run_ffmpeg(["-i", str(pictures), "-i", str(sound), *streams, str(video)])
    track = AudioTrack(video)
    for start in (0.0, 0.4, 1.0, 2.4):
        found = track.read(start, start + 0.5).samples
        assert found == pytest.approx(noise(3.0)[0, round(start * RATE) :][: RATE // 2], abs=0.05), start
        assert not track.damaged


def test_what_is_outside_the_track_is_not_there(tmp_path):
    video = video_with_sound(tmp_path / "v.mov", noise(1.0), num_frames=50, delay=0.4)
    audio = read_audio(video)
    assert audio.start == pytest.approx(0.4, abs=1 / RATE) and audio.end == pytest.approx(1.4, abs=1e-4)
    assert len(read_audio(video, start=1.5).samples) == 0
    assert len(read_audio(video, end=0.3).samples) == 0


def test_an_audio_file_begins_at_its_first_sample(tmp_path):
    for name, codec in (("a.wav", None), ("a.flac", "flac"), ("a.m4a", "aac"), ("a.ogg", "libopus")):
        track = AudioTrack(save_sound(tmp_path / name, burst(1.0, 0.5, 0.7), codec=codec))
        assert track.offset is None
        assert abs(lag(track.read().samples, burst(1.0, 0.5, 0.7)[0])) <= 1, name


def test_samples_that_are_no_numbers_are_silent(tmp_path):
    written = sine(1.0, 500.0)
    written[0, 5000:5010] = np.nan
    written[0, 9000] = np.inf
    audio = read_audio(save_sound(tmp_path / "a.wav", written, codec="pcm_f32le"))
    assert audio.samples == pytest.approx(np.nan_to_num(written[0], posinf=0), abs=1e-6)
    assert audio.level.rms == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.01)


def test_a_gap_between_packets_is_silent(tmp_path):
    whole = video_with_sound(tmp_path / "whole.mkv", noise(2.0))
    gap = tmp_path / "gap.mkv"
    with av.open(str(whole)) as source, av.open(str(gap), "w") as out:
        copies = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            time = float(packet.pts * packet.time_base)
            if packet.stream.type == "audio" and 0.5 <= time < 1.0:
                continue
            packet.stream = copies[packet.stream.index]
            out.mux(packet)
    audio, intact = read_audio(gap), read_audio(whole)
    assert len(audio.samples) == pytest.approx(len(intact.samples), abs=RATE / 500)
    assert not audio.samples[round(0.6 * RATE) : round(0.98 * RATE)].any()
    assert abs(lag(audio.samples[RATE + 9600 :], intact.samples[RATE + 9600 :])) <= RATE / 500


def test_windows_of_a_stream_of_blocks():
    signal = np.arange(1000, dtype=np.float32)
    blocks = [(at, signal[at : at + 97]) for at in range(97, 1000, 97)]  # it begins late
    windows = [(0, 50), (0, 200), (100, 300), (100, 300), (290, 490), (900, 1100), (1200, 1300)]
    found = list(cut_windows(iter(blocks), windows))
    for (first, stop), window in zip(windows, found, strict=True):
        assert window.tolist() == signal[max(97, first) : max(97, stop)].tolist()


def test_files_without_sound_are_told_apart(tmp_path, videos_dir):
    assert kind_of(make_video(tmp_path / "mute.mp4", 5)) == "no_audio"
    assert kind_of(videos_dir / "skv_bikes.mp4") == "no_audio"
    assert kind_of(tmp_path / "none.mp4") == "missing"
    (tmp_path / "empty.mp4").touch()
    assert kind_of(tmp_path / "empty.mp4") == "empty"
    (tmp_path / "text.wav").write_text("not a sound at all, but some text " * 40)
    assert kind_of(tmp_path / "text.wav") == "unreadable"
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert kind_of(tmp_path / "picture.png") == "no_audio"
    os.mkfifo(tmp_path / "pipe.wav")
    assert kind_of(tmp_path / "pipe.wav") == "not_a_file"


@pytest.mark.parametrize(
    ("name", "silent"),
    [
        ("gradio_a.mp4", True),
        ("gradio_b.avi", True),
        ("sam2_02_cups.mp4", True),
        ("moviepy_chaplin.mp4", False),
        ("skv_bigbuckbunny.mp4", False),
    ],
)
def test_real_tracks_that_hold_nothing(videos_dir, name, silent):
    volume = run_ffmpeg(["-v", "info", "-i", str(videos_dir / name), "-map", "0:a:0", "-f", "f32le", "-"])
    expected = np.abs(np.frombuffer(volume, np.float32)).max() == 0
    assert (read_audio(videos_dir / name).level.peak == MIN_LEVEL) == expected == silent


@pytest.mark.parametrize("keep", [0, 40])
def test_a_broken_track_beside_whole_pictures(tmp_path, keep):
    video = video_with_sound(tmp_path / "v.mp4", noise(2.0))
    broken = spoil_sound(video, tmp_path / "broken.mp4", keep=keep)
    with av.open(str(broken)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    assert kind_of(broken) == "decode"


def test_a_little_damage_is_told(tmp_path):
    whole = video_with_sound(tmp_path / "v.mp4", noise(2.0))
    track = AudioTrack(spoil_sound(whole, tmp_path / "damaged.mp4", keep=88))  # of 95
    samples = track.read().samples
    assert track.damaged and abs(lag(samples[:72_000], noise(2.0)[0][:72_000])) <= 1
    intact = AudioTrack(whole)
    intact.read()
    assert not intact.damaged
