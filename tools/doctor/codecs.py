"""Codecs that work: a few pictures are encoded and decoded again, in a process of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.packages import how_to_install
from tools.doctor.findings import MISSING, OK, PROBLEM, Finding
from tools.errors import UserError, first_line

if TYPE_CHECKING:
    import numpy as np

_GROUP = "video codecs (encoded and decoded on trial)"
_SIZE = (256, 144)
_LEVELS = (40, 80, 120, 160, 200)
_TOLERANCE = 8  # levels of gray of 255, more than any of these codecs loses of a flat picture
_SECONDS = 60  # for one codec


@dataclass(frozen=True)
class Trial:
    """A codec to try.

    Attributes:
        encoders: Encoders of libav; the first one that there is makes the pictures.
        pixels: Pixel format.
        hardware: Decode with this device of libav; empty for the processor.
        needed: Whether the quickstart needs it.
    """

    encoders: tuple[str, ...]
    pixels: str = "yuv420p"
    hardware: str = ""
    needed: bool = False


TRIALS = {
    "h264": Trial(("libx264",), needed=True),
    "h264 10 bit": Trial(("libx264",), "yuv420p10le"),
    "hevc": Trial(("libx265",)),
    "hevc 10 bit": Trial(("libx265",), "yuv420p10le"),
    "vp9": Trial(("libvpx-vp9",)),
    "av1": Trial(("libsvtav1", "libaom-av1")),
    "av1 10 bit": Trial(("libsvtav1", "libaom-av1"), "yuv420p10le"),
    "NVENC h264": Trial(("h264_nvenc",)),
    "NVENC hevc": Trial(("hevc_nvenc",)),
    "NVDEC h264": Trial(("libx264",), hardware="cuda"),
}
"""By the name that is shown."""


def codec_findings() -> list[Finding]:
    """What becomes of each trial."""
    return [_guarded(name, trial) for name, trial in TRIALS.items()]


def _guarded(name: str, trial: Trial) -> Finding:
    """Try a codec in a process of its own: a library that crashes is one that does not work."""
    words = [sys.executable, "-c", f"from tools.doctor.codecs import main; main({name!r})"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "SVT_LOG": "1",
    }
    try:
        run = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return _failed(name, trial, f"no picture after {_SECONDS} s")
    if run.returncode == 0:
        return Finding(_GROUP, name, OK, run.stdout.strip())
    if run.returncode < 0:
        return _failed(name, trial, f"crashed, signal {-run.returncode}")
    if name.startswith("NV") and not any(Path("/dev").glob("nvidia[0-9]*")):
        return _failed(name, trial, "no NVIDIA device here")
    lines = run.stdout.strip().splitlines() or run.stderr.strip().splitlines() or ["failed"]
    return _failed(name, trial, lines[-1])


def _failed(name: str, trial: Trial, why: str) -> Finding:
    if trial.needed:
        return Finding(_GROUP, name, PROBLEM, why, f"{how_to_install('av')} --force-reinstall")
    return Finding(_GROUP, name, MISSING, why)


def main(name: str) -> None:
    """Try one codec; print what worked, or end with exit code 1 after what did not."""
    try:
        print(try_codec(TRIALS[name]))
    except Exception as error:  # libav and PyAV raise many kinds
        print(first_line(error))
        sys.exit(1)


def try_codec(trial: Trial) -> str:
    """Encode flat pictures and decode them again.

    Returns:
        The encoder and the decoder that worked.

    Raises:
        UserError: There is no such encoder, or other pictures came back.
        Exception: What libav raises.
    """
    import av
    import numpy as np

    there = [name for name in trial.encoders if name in av.codecs_available]
    if not there:
        raise UserError(f"this build of PyAV has no encoder {' or '.join(trial.encoders)}")
    pictures = [np.full((_SIZE[1], _SIZE[0], 3), level, np.uint8) for level in _LEVELS]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream: Any = out.add_stream(there[0], rate=25)
        stream.width, stream.height = _SIZE
        stream.pix_fmt = trial.pixels
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode(None))
    file.seek(0)
    decoder, decoded = _decoded(file, trial.hardware)
    check_pictures(decoded)
    return f"{there[0]}, decoded by {decoder}"


def _decoded(file: io.BytesIO, hardware: str) -> tuple[str, list[np.ndarray]]:
    import av
    from av.codec.hwaccel import HWAccel

    accelerated = HWAccel(hardware, allow_software_fallback=False) if hardware else None
    with av.open(file, hwaccel=accelerated) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        name = stream.codec_context.codec.name
    return f"{name} on {hardware}" if hardware else name, frames


def check_pictures(pictures: list[np.ndarray]) -> None:
    """Check that these are the pictures that were encoded.

    Args:
        pictures: uint8, shape (height, width, 3).

    Raises:
        UserError: They are not.
    """
    if len(pictures) != len(_LEVELS):
        raise UserError(f"{len(pictures)} of {len(_LEVELS)} pictures came back")
    for level, picture in zip(_LEVELS, pictures, strict=True):
        off = abs(picture.astype(float) - level).max()
        if off > _TOLERANCE:
            raise UserError(f"a picture came back with other colours ({off:.0f} of 255 off)")
