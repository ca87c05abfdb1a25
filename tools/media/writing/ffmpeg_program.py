"""The ffmpeg program: which one to use, what it can encode, and running it without orphans."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tools.base.signals import ending_with_parent
from tools.errors import UserError
from tools.media.workers.exit_codes import was_killed

_TAIL = 400  # characters of stderr in an error
_QUERY_SECONDS = 20  # for a query such as -version
_SIGNALLED = 255  # exit code of the program when a signal ends it


class FfmpegError(Exception):
    """The program failed or ran out of time; the message is the end of its output.

    Args:
        message: The end of its standard error.
        output: All of it.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class FfmpegKilled(FfmpegError):
    """The program was killed from outside, by the system or by hand, and so it was when it ran once more."""


def find_ffmpeg(encoder: str | None = None) -> str:
    """Find the program.

    ``$FFMPEG`` first. Then the one that comes with imageio-ffmpeg, or one on the PATH where that is newer or
    is the only one with the encoder.

    Args:
        encoder: An encoder that it must have.

    Returns:
        Its path.

    Raises:
        UserError: There is none, or none with this encoder.
    """
    chosen = os.environ.get("FFMPEG")
    candidates = [chosen] if chosen else _installed()
    if not candidates:
        raise UserError("there is no ffmpeg program; `pip install imageio-ffmpeg` brings one")
    able = [path for path in candidates if encoder is None or encoder in encoders(path)]
    if not able:
        raise UserError(f"no ffmpeg program has the encoder '{encoder}' (tried: {', '.join(candidates)})")
    return max(able, key=version)


@cache
def encoders(program: str) -> frozenset[str]:
    """Names of the video encoders that a program was built with.

    That a hardware encoder is among them does not mean that there is such hardware.
    """
    lines = _query(program, "-encoders").splitlines()
    return frozenset(match.group(1) for line in lines if (match := re.match(r" V[.A-Z]{5} (\S+)", line)))


@cache
def version(program: str) -> tuple[int, ...]:
    """Version of a program: (7, 1); (0,) for a build that has no number."""
    match = re.match(r"ffmpeg version n?(\d+(?:\.\d+)*)", _query(program, "-version"))
    return tuple(int(part) for part in match.group(1).split(".")) if match else (0,)


def run_ffmpeg(program: str, arguments: Sequence[str], *, timeout: float | None = None) -> None:
    """Run the program without terminal input and without chatter.

    Args:
        program: Its path.
        arguments: Everything after the global options, as a list: no shell reads it.
        timeout: Seconds after which it is killed, with all it has started.

    Raises:
        FfmpegKilled: It was killed from outside, twice.
        FfmpegError: It failed or took too long.
    """
    try:
        _run(program, arguments, timeout)
    except FfmpegKilled:
        _run(program, arguments, timeout)


def _run(program: str, arguments: Sequence[str], timeout: float | None) -> None:
    command = [program, "-nostdin", "-hide_banner", "-v", "error", "-y", *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that all it starts can be killed with it
        preexec_fn=ending_with_parent(signal.SIGKILL),
    )
    try:
        _, output = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise FfmpegError(f"took longer than {timeout:g} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        text = " ".join(output.decode(errors="replace").split())
        if was_killed(process.returncode) or (process.returncode == _SIGNALLED and not text):
            raise FfmpegKilled("was killed from outside twice; the system may be short of memory")
        if process.returncode < 0:
            text += f" (killed by {signal.Signals(-process.returncode).name})"
        raise FfmpegError(text[-_TAIL:].strip() or f"exit code {process.returncode}", text)


def _installed() -> list[str]:
    found = []
    try:
        import imageio_ffmpeg

        found.append(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        pass
    system = shutil.which("ffmpeg")
    if system and system not in found:
        found.append(system)
    return found


def _query(program: str, query: str) -> str:
    try:
        done = subprocess.run(
            [program, "-hide_banner", query] if query != "-version" else [program, query],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_QUERY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{Path(program)}: cannot run the ffmpeg program: {error}") from None
    return done.stdout.decode(errors="replace")
