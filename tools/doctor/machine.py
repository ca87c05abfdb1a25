"""The machine: Python, PyTorch and its devices, the ffmpeg program, disk, limits and shared memory."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools import __version__
from tools.base.memory import usable_memory
from tools.base.packages import how_to_install
from tools.doctor.findings import MISSING, OK, PROBLEM, Finding
from tools.errors import UserError

_OLDEST = (3, 10)
_LEAST_SPACE = 2 << 30  # bytes for the environment's cache, clips and tables of the quickstart
_LEAST_FILES = 256  # open files: some for each worker process
_LEAST_SHARED = 32 << 20  # bytes; workers have memory of their own, Ray keeps its objects there
_SHARED = Path("/dev/shm")  # noqa: S108 (only looked at)


def machine_findings() -> Iterator[Finding]:
    """What there is of each."""
    yield _python()
    yield Finding("machine", "processors", OK, _processors())
    yield _space("current folder", Path.cwd())
    yield _space("temporary folder", Path(tempfile.gettempdir()))
    yield _open_files()
    yield _shared_memory()
    yield from _torch()
    yield _ffmpeg()


def _python() -> Finding:
    detail = f"{platform.python_version()} at {sys.executable}, vidsieve {__version__}"
    if sys.version_info < _OLDEST:
        return Finding("machine", "Python", PROBLEM, detail, "PYTHON=/path/to/python3.10 scripts/setup.sh")
    return Finding("machine", "Python", OK, detail)


def _processors() -> str:
    from tools.media.workers.pool import usable_cores

    return f"{usable_cores()} of {os.cpu_count()} usable, {_size(usable_memory())} of memory"


def _space(name: str, folder: Path) -> Finding:
    detail = f"{folder}: {_size(shutil.disk_usage(folder).free)} free"
    if not os.access(folder, os.W_OK):
        return Finding("machine", name, PROBLEM, f"{folder}: cannot be written", _elsewhere(name))
    if shutil.disk_usage(folder).free < _LEAST_SPACE:
        return Finding("machine", name, PROBLEM, detail, _elsewhere(name))
    return Finding("machine", name, OK, detail)


def _elsewhere(name: str) -> str:
    return "export TMPDIR=FOLDER" if name.startswith("temporary") else "work in a folder with more space"


def _open_files() -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    detail = f"ulimit -n is {_limit(soft)}"
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        enough = hard == resource.RLIM_INFINITY or hard >= _LEAST_FILES
        fix = f"ulimit -n {_LEAST_FILES * 4 if hard == resource.RLIM_INFINITY else hard}"
        fix = fix if enough else "raise nofile in /etc/security/limits.conf"
        return Finding("machine", "open files", PROBLEM, detail, fix)
    return Finding("machine", "open files", OK, detail)


def _limit(value: int) -> str:
    import resource

    return "unlimited" if value == resource.RLIM_INFINITY else str(value)


def _shared_memory() -> Finding:
    if not _SHARED.is_dir():
        return Finding("machine", "shared memory", OK, f"no {_SHARED} on this system")
    usage = shutil.disk_usage(_SHARED)
    detail = f"{_SHARED}: {_size(usage.free)} of {_size(usage.total)} free"
    if usage.free < _LEAST_SHARED or not os.access(_SHARED, os.W_OK):
        fix = f"mount -o remount,size=2G {_SHARED}, or docker run --shm-size 2g"
        return Finding("machine", "shared memory", MISSING, f"{detail}, little for Ray", fix)
    return Finding("machine", "shared memory", OK, detail)


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # a library that is missing, or one for another processor
        yield Finding("devices", "PyTorch", PROBLEM, f"cannot be imported: {error}", how_to_install("torch"))
        return
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    yield Finding(
        "devices", "PyTorch", OK, f"{torch.__version__}, {built}, {torch.get_num_threads()} threads"
    )
    if not torch.cuda.is_available():
        driver = Path("/proc/driver/nvidia/version").exists()
        fix = "pip install torch for the CUDA version that nvidia-smi shows" if driver else ""
        detail = (
            "PyTorch does not see it, a driver is there" if driver else "none: models run on the processor"
        )
        yield Finding("devices", "GPU", MISSING, detail, fix)
    for number in range(torch.cuda.device_count()):
        yield _gpu(number)


def _gpu(number: int) -> Finding:
    import torch

    name = f"GPU {number}"
    try:
        value = (
            torch.ones(64, 64, device=f"cuda:{number}") @ torch.ones(64, 64, device=f"cuda:{number}")
        ).sum()
        free, total = torch.cuda.mem_get_info(number)
    except RuntimeError as error:
        return Finding("devices", name, MISSING, str(error).splitlines()[0], "nvidia-smi shows who uses it")
    if value.item() != 64**3:
        return Finding("devices", name, MISSING, "a product of matrices came out wrong")
    what = torch.cuda.get_device_name(number)
    return Finding("devices", name, OK, f"{what}, {_size(free)} of {_size(total)} free")


def _ffmpeg() -> Finding:
    from tools.media.writing.ffmpeg_program import encoders, find_ffmpeg, version

    try:
        program = find_ffmpeg()
        numbers = ".".join(map(str, version(program)))
    except UserError as error:
        return Finding("devices", "ffmpeg program", MISSING, str(error), how_to_install("imageio-ffmpeg"))
    wanted = ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "h264_nvenc")
    has = [name for name in wanted if name in encoders(program)]
    return Finding("devices", "ffmpeg program", OK, f"{numbers} at {program}, built with {', '.join(has)}")


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
