"""Synthetic videos whose every frame carries its own number, and the reader of that number."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from unittest import mock

import av
import numpy as np

BITS = 16
"""Blocks of the barcode, side by side across the picture; the row below carries the complement."""

SAMPLE_RATE = 48_000

MEASURED_ON_FILE = [
    "filesize",
    "timing",
    "codec",
    "bit_depth",
    "color",
    "hdr",
    "bitrate",
    "gop",
    "size_changes",
    "audio_codec",
    "audio_tracks",
    "timestamp",
    "stats",
    "aes",
    "flow",
    "motion",
    "motion_p95",
    "motion_camera",
    "motion_subject",
    "match",
    "emscore",
    "emscore_ref",
    "emscore_full_p",
    "audio_match",
    "audio_mode",
    "audio_level",
    "av_offset",
    "frame_details",
    "ocr",
    "ocr_area",
    "ocr_text",
    "quality",
    "quality_sharpness",
    "quality_user0",
    "quality_p10",
    "sharpness",
    "luminance",
    "contrast",
    "colorfulness",
    "blockiness",
    "upscaled",
    "black_bars",
    "crop",
    "interlaced",
    "static_ratio",
    "true_fps",
    "fade",
    "logo",
    "niqe",
    "dup_of",
    "dup_score",
    "suitability",
    "suitability_std",
    "cmotion",
    "pan",
    "tilt",
    "zoom",
    "roll",
    "shake",
    "intact",
    "broken_at",
    "broken_frames",
    "decoded_frames",
    "broken_reason",
    "bucket",
    "first_frame_path",
]
"""Columns that say what a file looks or sounds like: another file made of it is measured anew."""
NOT_MEASURED_ON_FILE = [
    "id",
    "text",
    "text_len",
    "caption_flags",
    "text_finish",
    "objects",
    "rejected_by",
    "my_own",
    "camera",
]
"""Columns of the caption, of the table and of the user's own, which stay with the row."""


def barcode_picture(number: int, width: int, height: int, *, flash: bool = False) -> np.ndarray:
    """Draw one frame: the number as black and white blocks in the top quarter, a moving pattern below.

    Returns:
        uint8, shape (height, width, 3), RGB. With `flash` the lower part is white, else it is mid-dark.
    """
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = 40 + (columns + 3 * number) % 64
    picture[..., 1] = 40 + (rows + 2 * number) % 64
    picture[..., 2] = 60 + (number * 7) % 48
    if flash:
        picture[...] = 255
    ones = np.array([(number >> bit) & 1 for bit in range(BITS)], bool)
    blocks = ones[np.arange(width) * BITS // width]
    band = height // 8
    picture[:band] = np.where(blocks, 235, 20)[None, :, None]
    picture[band : 2 * band] = np.where(blocks, 20, 235)[None, :, None]
    return picture


def read_barcode(image: np.ndarray) -> int | None:
    """Read the number of a frame made by `barcode_picture`, at any scale; None when it is not legible.

    Args:
        image: uint8, shape (height, width, 3) or (height, width).
    """
    gray = image.mean(axis=2) if image.ndim == 3 else image.astype(float)
    height, width = gray.shape
    middles = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    upper, lower = gray[height // 16, middles], gray[height * 3 // 16, middles]
    if np.abs(upper - lower).min() < 60:
        return None
    return int(sum(1 << bit for bit in range(BITS) if upper[bit] > lower[bit]))


def make_video(
    path: Path,
    num_frames: int = 60,
    *,
    size: tuple[int, int] = (192, 128),
    codec: str = "h264",
    fps: Fraction | int = 25,
    times: Sequence[float] | None = None,
    gop: int = 12,
    b_frames: int = 2,
    open_gop: bool = False,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    sample_aspect_ratio: Fraction | None = None,
    audio: str | None = None,
    flashes: Sequence[int] = (),
    container: str | None = None,
    pictures: Sequence[np.ndarray] | None = None,
) -> Path:
    """Write a video whose frame i shows the number i.

    Args:
        path: Where to; the suffix gives the container unless `container` (a libav muxer name) does.
        num_frames: Number of frames.
        size: Width and height as displayed, before the sample aspect ratio.
        codec: h264, hevc, vp8, vp9, av1, mpeg4, mpeg2video, mpeg1video, mjpeg or any encoder name.
        fps: Frame rate, and the rate written in the header.
        times: Seconds at which each frame is shown, for a variable frame rate.
        gop: Frames from key frame to key frame.
        b_frames: Consecutive B-frames (h264, hevc, mpeg1, mpeg2, mpeg4).
        open_gop: Let pictures before a key frame (in presentation) refer across it (h264, hevc).
        options: Further options of the encoder.
        pix_fmt: Pixel format to encode.
        rotation: Degrees clockwise that a player has to turn the picture (0, 90, 180, 270).
        sample_aspect_ratio: Width of a stored pixel by its height.
        audio: "sine" for a steady tone, "beeps" for a tone that sounds during `flashes` only.
        flashes: Frames whose lower part is white.
        container: libav muxer, where the suffix does not tell.
        pictures: uint8 RGB pictures to use instead of numbered ones; gives `num_frames` and `size`.

    Returns:
        The path.
    """
    if pictures is not None:
        num_frames, size = len(pictures), (pictures[0].shape[1], pictures[0].shape[0])
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    rate = Fraction(fps)
    starts = [Fraction(i) / rate for i in range(num_frames)]
    if times is not None:
        starts = [Fraction(t).limit_denominator(90_000) for t in times]
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(_encoder(codec), rate=rate)
        coded = size if rotation % 180 == 0 else size[::-1]
        stream.width, stream.height = coded
        stream.pix_fmt = pix_fmt
        stream.gop_size = gop
        # VFR needs finer ticks than one per frame; mpeg1/2 and mpeg4 know only the frame rate.
        ticks = Fraction(1, 90_000) if times is not None else 1 / rate
        stream.codec_context.time_base = ticks
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        stream.options = _encoder_options(codec, gop, b_frames, open_gop) | (options or {})
        if codec.startswith("mpeg") and b_frames:
            stream.codec_context.max_b_frames = b_frames
        stream.thread_count = 1
        if rotation:
            stream.set_display_rotation(-rotation)  # libav counts counter-clockwise
        sound = _add_audio(out) if audio else None
        for i in range(num_frames):
            picture = barcode_picture(i, *size, flash=i in flashes) if pictures is None else pictures[i]
            turned = np.ascontiguousarray(np.rot90(picture, rotation // 90))
            frame = av.VideoFrame.from_ndarray(turned, format="rgb24")
            frame.pts = round(starts[i] / ticks)
            frame.time_base = ticks
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            ends = [*starts[1:], starts[-1] + 1 / rate]
            _write_audio(
                out, sound, [(starts[i], ends[i]) for i in flashes], ends[-1], steady=audio == "sine"
            )
    return path


def run_command(
    main: Callable[[list[str]], int | None], *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as ``python -m`` does, errors and exit code included, but in this process.

    Most of the time of a process would go into its imports.

    Args:
        main: The command's function.
        arguments: Its command line.
        environment: Variables that are set meanwhile.

    Returns:
        Exit code, standard output and standard error.
    """
    from tools import cli

    words = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    code: int | str | None = 0
    with (
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.run(lambda: main(words))
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess(words, int(code or 0), out.getvalue(), err.getvalue())


def remux(source: Path, target: Path, *, before: Sequence[str] = (), after: Sequence[str] = ()) -> Path:
    """Copy the streams of a file into another with the ffmpeg program, without encoding.

    Args:
        source: The input.
        target: The output; its suffix gives the container.
        before: Arguments ahead of the input (``-ss 1.2``).
        after: Arguments ahead of the output.
    """
    run_ffmpeg([*before, "-i", str(source), "-c", "copy", *after, str(target)])
    return target


def run_ffmpeg(arguments: Sequence[str]) -> bytes:
    """Run the ffmpeg program that comes with imageio-ffmpeg and return what it prints on stdout."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-800:]}")
    return done.stdout


def ffmpeg_frames(path: Path, width: int, height: int, *, rotate: bool = True) -> np.ndarray:
    """Decode a whole video with the ffmpeg program.

    Args:
        path: The video.
        width: Width of the pictures that come out.
        height: Their height.
        rotate: Apply the rotation of the header, as ffmpeg does unless told otherwise.

    Returns:
        uint8, shape (frames, height, width, 3), RGB.
    """
    turn = [] if rotate else ["-noautorotate"]
    form = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    raw = run_ffmpeg([*turn, "-i", str(path), "-map", "0:v:0", *form, "-"])
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def _encoder(codec: str) -> str:
    return {
        "h264": "libx264",
        "hevc": "libx265",
        "vp8": "libvpx",
        "vp9": "libvpx-vp9",
        "av1": "libsvtav1",
    }.get(codec, codec)


def _encoder_options(codec: str, gop: int, b_frames: int, open_gop: bool) -> dict[str, str]:
    """Options that make the asked structure of pictures certain, and the encoder quick."""
    if codec == "h264":
        flags = (
            f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:open-gop={int(open_gop)}"
        )
        return {"preset": "veryfast", "crf": "18", "x264-params": flags}
    if codec == "hevc":
        flags = (
            f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:open-gop={int(open_gop)}"
        )
        return {"preset": "ultrafast", "crf": "18", "x265-params": f"{flags}:log-level=none:pools=none"}
    if codec in ("vp8", "vp9"):
        return {"deadline": "realtime", "cpu-used": "6", "crf": "20", "b": "2M"}
    if codec == "av1":
        return {"preset": "10", "crf": "10", "svtav1-params": "lp=1"}
    return {"qscale": "3", "qmax": "4", "sc_threshold": "1000000000"}


def _add_audio(out: av.container.OutputContainer) -> av.AudioStream:
    codec = {"webm": "libopus", "avi": "mp3", "mpeg": "mp2"}.get(out.format.name, "aac")
    return out.add_stream(codec, rate=SAMPLE_RATE, layout="mono")


def _write_audio(
    out: av.container.OutputContainer,
    stream: av.AudioStream,
    beeps: Sequence[tuple[Fraction, Fraction]],
    duration: Fraction,
    *,
    steady: bool,
) -> None:
    samples = np.arange(int(duration * SAMPLE_RATE))
    sound = (0.5 * np.sin(2 * np.pi * 1000 * samples / SAMPLE_RATE)).astype(np.float32)
    if not steady:
        audible = np.zeros(len(samples), bool)
        for start, end in beeps:
            audible[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] = True
        sound = np.where(audible, sound, 0).astype(np.float32)
    resampler = av.AudioResampler(format=stream.format, layout="mono", rate=SAMPLE_RATE)
    for at in range(0, len(sound), 1024):
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, at, Fraction(1, SAMPLE_RATE)
        for piece in resampler.resample(frame):
            out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


def process_exists(pid: int) -> bool:
    """Whether there is a process with this id on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
