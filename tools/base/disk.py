"""Faults of the disk and of the machine: they end the run, and are no failure of the file being worked on."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tools.errors import DiskError, MediaError, UserError, VidsieveError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_GONE = (errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO)

ALWAYS = frozenset((*_FULL, errno.EROFS, errno.EFBIG, *_OUT_OF_FILES))
"""Errors that reading a file never has of its own: wherever they arise, the run cannot go on."""
WHEN_WRITING = ALWAYS | frozenset((*_CLOSED, *_GONE, errno.EIO, errno.ENOENT))
"""Errors that are the disk's where something is written. ENOENT: the folder, made before, has gone."""

_NUMBER = re.compile(r"\(os error (\d+)\)")  # Rust's way to tell errno: Polars' errors have no other
_PROBE = 1 << 16  # bytes
_BLOCK = 1 << 20  # bytes


def errno_of(error: BaseException) -> int | None:
    """The number of a system error: of Python, of libav, or in the text of an error of Polars."""
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    found = _NUMBER.findall(str(error))
    return int(found[-1]) if found else None


def system_message(error: BaseException) -> str:
    """The system's text of an error, without number and path ("Permission denied"); else the error's own."""
    return str(getattr(error, "strerror", None) or error)


def disk_error(
    place: str | Path, error: BaseException, numbers: frozenset[int] = WHEN_WRITING
) -> DiskError | None:
    """The error that ends the run, where the disk or the machine is at fault; None where the file is.

    Args:
        place: What was written, or worked on.
        error: What was raised.
        numbers: `WHEN_WRITING`, or `ALWAYS` where it may have been raised by reading: then a missing or
            closed file, or one that its disk cannot give, is a failure of that file alone.
    """
    number = errno_of(error)
    return DiskError(f"{place}: {_said(number)}") if number in numbers else None


def cannot_write(place: str | Path, error: Exception, what: str = "") -> UserError:
    """The error that tells of something that cannot be written.

    Args:
        place: The file or folder.
        error: What was raised.
        what: What was to be written there, in the middle of a sentence: ``the table``.

    Returns:
        A `DiskError` when the disk is at fault; a `UserError` when the name is (a folder, too long …).
    """
    said = f"{place}: {f'cannot write {what}' if what else 'cannot be written'}: "
    number = errno_of(error)
    if number in WHEN_WRITING:
        return DiskError(said + _said(number))
    return UserError(f"{said}{system_message(error)}; choose another name")


@contextmanager
def writing(place: str | Path, what: str = "") -> Iterator[None]:
    """Turn the system's errors in a block that writes into those of `cannot_write`.

    Raises:
        DiskError: The disk refuses.
        UserError: The name does.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(place, error, what) from None


def make_folder(folder: str | Path, option: str = "") -> None:
    """Make a folder, with those above it, unless it is there.

    Args:
        folder: Its path.
        option: What it was asked for by, for the message.

    Raises:
        DiskError: The disk refuses.
        UserError: The name does.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = f"{option} {folder}".strip()
        why = f"{place}: cannot make the folder: {system_message(error)}"
        raise disk_error(place, error) or UserError(why) from None


def write_whole(path: Path, content: bytes, what: str = "") -> None:
    """Write a small file whole or not at all: under a hidden name beside it, then renamed.

    The name is the same each time, so a killed process leaves at most one. One process at a time may write.

    Raises:
        DiskError: The disk refuses.
        UserError: The name does.
    """
    temporary = path.with_name(f".{path.name[:100]}.tmp")
    try:
        with writing(path, what):
            temporary.write_bytes(content)
            temporary.replace(path)
    finally:
        remove_quietly(temporary)


def remove_quietly(path: Path) -> None:
    """Remove a temporary file, if it is there and the disk lets go of it: what went wrong is told already."""
    with suppress(OSError):
        path.unlink()


@contextmanager
def refusing(place: str | Path, numbers: frozenset[int] = WHEN_WRITING) -> Iterator[None]:
    """Let the disk's faults in a block that works on one file end the run; other errors stay as they are.

    Args:
        place: See `disk_error`.
        numbers: See there.

    Raises:
        DiskError: See `disk_error`.
    """
    try:
        yield
    except OSError as error:
        if (fault := disk_error(place, error, numbers)) is not None:
            raise fault from None
        raise


def probe(folder: str | Path, place: str | Path) -> None:
    """Write a little into a folder, to learn whether something was not written because of the disk.

    Args:
        folder: Where.
        place: What was not written, for the message.

    Raises:
        DiskError: The disk refuses.
    """
    with refusing(place), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_PROBE))
        file.flush()
        os.fsync(file.fileno())


def told_fault(place: str | Path, said: str) -> DiskError | None:
    """The fault of the disk in what a program said of its failure; None when it said of none.

    Args:
        place: What it was to write.
        said: Its messages.
    """
    signs = {os.strerror(number): number for number in sorted(ALWAYS)} | {"SIGXFSZ": errno.EFBIG}
    number = next((number for sign, number in signs.items() if sign in said), None)
    return None if number is None else DiskError(f"{place}: {_said(number)}")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files, removed with all that is in it when the block ends.

    Raises:
        DiskError: There is none that can be written.
    """
    with writing("a temporary folder"):
        made = tempfile.TemporaryDirectory(prefix="vidsieve-", ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


def copy_file(source: str | Path, target: Path) -> None:
    """Copy the bytes of a file.

    Raises:
        MediaError: unreadable: the source cannot be read.
        DiskError: The target cannot be written.
    """
    try:
        reading = Path(source).open("rb")  # noqa: SIM115  closed below; its errors are not those of the target
    except OSError as error:
        raise _unreadable(source, error) from None
    with reading, refusing(target), target.open("wb") as written:
        while block := _block(reading, source):
            written.write(block)


def _block(file: BinaryIO, source: str | Path) -> bytes:
    try:
        return file.read(_BLOCK)
    except OSError as error:
        raise _unreadable(source, error) from None


def _unreadable(source: str | Path, error: OSError) -> VidsieveError:
    return disk_error(source, error, ALWAYS) or MediaError(
        "unreadable", source, f"cannot be read: {system_message(error)}"
    )


def _said(number: int) -> str:
    return f"{os.strerror(number)}; {_advice(number)}, and run the same command again"


def _advice(number: int) -> str:
    if number in _FULL:
        return "make room"
    if number in _CLOSED:
        return "make it writable, or write elsewhere"
    if number in _OUT_OF_FILES:
        return "raise the number of open files (ulimit -n)"
    if number == errno.EFBIG:
        return "raise the size that files may have here (ulimit -f)"
    if number == errno.ENOENT:
        return "its folder has gone: make it anew"
    return "look after the disk"
