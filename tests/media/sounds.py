"""Videos and audio files with given samples as their sound."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.support import make_video, run_ffmpeg

RATE = 48_000
ENCODERS = {".mp4": "aac", ".mov": "pcm_s16le", ".mkv": "flac", ".webm": "libopus", ".avi": "mp3"}
VIDEO = {".webm": "vp9", ".avi": "mpeg4"}  # AVI has no field for the order of pictures, which H.264 needs


def noise(seconds: float, *, rate: int = RATE, seed: int = 0, channels: int = 1) -> np.ndarray:
    """Noise that lossy codecs keep the shape of: float32, shape (channels, n), below 4 kHz, peak 0.5."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((channels, round(seconds * rate))), axis=1)
    spectrum[:, np.fft.rfftfreq(round(seconds * rate), 1 / rate) > 4000] = 0
    wave = np.fft.irfft(spectrum, round(seconds * rate), axis=1)
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def burst(seconds: float, start: float, end: float, *, rate: int = RATE) -> np.ndarray:
    """Silence with noise from start to end, float32, shape (1, n)."""
    wave = np.zeros((1, round(seconds * rate)), np.float32)
    wave[:, round(start * rate) : round(end * rate)] = noise(end - start, rate=rate)
    return wave


def sine(seconds: float, hertz: float, amplitude: float = 0.5, *, rate: int = RATE) -> np.ndarray:
    """A tone, float32, shape (1, n)."""
    times = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)[None]


def save_sound(path: Path, samples: np.ndarray, *, rate: int = RATE, codec: str | None = None) -> Path:
    """Write samples as an audio file; by default 16-bit PCM (.wav).

    Args:
        path: Where to; the suffix gives the container.
        samples: float32, shape (channels, n).
        rate: Samples per second.
        codec: libav's name of the encoder.
    """
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec or "pcm_s16le", rate=rate, layout=layout)
        resampler = av.AudioResampler(stream.format, stream.layout, rate)
        for at in range(0, samples.shape[1], 1024):
            part = np.ascontiguousarray(samples[:, at : at + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            for piece in resampler.resample(frame):
                out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return path


def video_with_sound(
    path: Path,
    samples: np.ndarray,
    *,
    rate: int = RATE,
    num_frames: int = 50,
    delay: float = 0.0,
    pictures: Sequence[np.ndarray] | None = None,
) -> Path:
    """Write a video of 25 frames per second with given sound, put together by the ffmpeg program.

    Args:
        path: Where to; the suffix gives the container, and `ENCODERS` the codec.
        samples: float32, shape (channels, n).
        rate: Their rate, and that of the track.
        num_frames: Frames of the video.
        delay: Seconds by which the sound begins after (or, negative, before) the pictures.
        pictures: As for `make_video`.
    """
    silent = make_video(
        path.with_name(f"pictures_{path.name}"),
        num_frames,
        codec=VIDEO.get(path.suffix, "h264"),
        pictures=pictures,
        b_frames=0,
    )
    sound = save_sound(path.with_name(f"{path.name}.wav"), samples, rate=rate)
    late_pictures = ["-itsoffset", str(max(0.0, -delay))]
    late_sound = ["-itsoffset", str(max(0.0, delay))]
    inputs = [*late_pictures, "-i", str(silent), *late_sound, "-i", str(sound)]
    codecs = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", ENCODERS[path.suffix]]
    run_ffmpeg([*inputs, *codecs, str(path)])
    return path


def spoil_sound(source: Path, target: Path, *, keep: int) -> Path:
    """Copy a video, with random bytes in all packets of its sound but the first `keep`."""
    data = bytearray(source.read_bytes())
    rng = np.random.default_rng(5)
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(audio=0) if p.size]
        for packet in packets[keep:]:
            data[packet.pos : packet.pos + packet.size] = rng.bytes(packet.size)
    target.write_bytes(data)
    return target
