"""Errors of the disk and of the machine: they end the run, and are not failures of the processed file."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tools.errors import DiskError, MediaError, UserError, VidsieveError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_GONE = (errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO)

ALWAYS = frozenset((*_FULL, errno.EROFS, errno.EFBIG, *_OUT_OF_FILES))
"""Errors that reading a file never causes by itself: wherever they occur, the run cannot continue."""
WHEN_WRITING = ALWAYS | frozenset((*_CLOSED, *_GONE, errno.EIO, errno.ENOENT))
"""Errors that are the disk's fault when writing. ENOENT: the folder existed before and was removed."""

_NUMBER = re.compile(r"\(os error (\d+)\)")  # in the text of Rust's errors: those of Polars have no errno
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # file systems that know nothing like it
_DEVICES = Path("/dev")
_PROBE = 1 << 16  # bytes
_BLOCK = 1 << 20  # bytes


def errno_of(error: BaseException) -> int | None:
    """The errno of a system error: of Python, of libav, or in the text of an error of Polars."""
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    found = _NUMBER.findall(str(error))
    return int(found[-1]) if found else None


def system_message(error: BaseException) -> str:
    """The system's text of an error, without number and path ("Permission denied"); else the error's own."""
    return str(getattr(error, "strerror", None) or error)


def disk_error(
    path: str | Path, error: BaseException, numbers: frozenset[int] = WHEN_WRITING
) -> DiskError | None:
    """The error that ends the run if the disk or the machine is at fault; None if the file is.

    Args:
        path: The file that was written or processed.
        error: The exception.
        numbers: `WHEN_WRITING`, or `ALWAYS` if it may have been raised by reading: then a file that is
            missing, not permitted or unreadable is a failure of that file alone.
    """
    number = errno_of(error)
    return DiskError(f"{path}: {_described(number)}") if number in numbers else None


def cannot_write(path: str | Path, error: Exception, what: str = "") -> UserError:
    """The error for a file that cannot be written.

    Args:
        path: The file or folder.
        error: The exception.
        what: What was to be written, as part of a sentence: ``the table``.

    Returns:
        A `DiskError` if the disk is at fault; a `UserError` if the name is (a folder, too long …).
    """
    message = f"{path}: {f'cannot write {what}' if what else 'cannot be written'}: "
    number = errno_of(error)
    if number in WHEN_WRITING:
        return DiskError(message + _described(number))
    return UserError(f"{message}{system_message(error)}; choose another name")


@contextmanager
def writing(path: str | Path, what: str = "") -> Iterator[None]:
    """Turn system errors in a block that writes into those of `cannot_write`.

    Raises:
        DiskError: The disk is at fault.
        UserError: The name is.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error, what) from None


def make_folder(folder: str | Path, option: str = "") -> None:
    """Create a folder and its parents unless it exists.

    Args:
        folder: Its path.
        option: The option that names it, for the message.

    Raises:
        DiskError: The disk is at fault.
        UserError: The name is.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        path = f"{option} {folder}".strip()
        why = f"{path}: cannot create the folder: {system_message(error)}"
        raise disk_error(path, error) or UserError(why) from None


def check_writable(path: Path, what: str = "") -> None:
    """Before hours of work: find out whether a file may be written; nothing is created.

    Args:
        path: The file; its folder need not exist yet.
        what: What is to be written, see `cannot_write`.

    Raises:
        DiskError: Its folder, or the one that this would be created in, is read-only or not permitted.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK):
        is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise cannot_write(path, OSError(number, os.strerror(number)), what)


def refuse_special(path: Path) -> None:
    """Before a file is read or replaced: a pipe or a device with its name is neither.

    Reading would wait for a writer; and a new file under the name of /dev/null or /dev/stdout, which root may
    give it, would break what others do.

    Raises:
        UserError: There is one, or a socket, or a name in /dev.
    """
    if path.absolute().parent == _DEVICES or (path.exists() and not (path.is_file() or path.is_dir())):
        raise UserError(f"{path}: a pipe or a device, which is not replaced; choose another name")


def sync(path: str | Path) -> None:
    """Write a file, or the names in a folder, through to the disk, where a power loss cannot take them.

    Raises:
        OSError: The disk refuses: full, or damaged.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_open(file)
    finally:
        os.close(file)


def sync_open(file: int) -> None:
    """As `sync`, for an open file."""
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_names(folders: Iterable[Path]) -> None:
    """Write the names of the files in folders through to the disk.

    Raises:
        OSError: The disk refuses.
    """
    for folder in folders:
        with suppress(PermissionError):  # it may be written and not read
            sync(folder)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name, in place of one that is there: it survives a power loss whole.

    A file system may otherwise keep the new name and lose the content.

    Raises:
        OSError: The disk refuses.
    """
    sync(temporary)
    temporary.replace(path)
    sync_names([path.parent])


def remove_quietly(path: Path) -> None:
    """Remove a temporary file if it exists and can be removed: the error that left it is reported already."""
    with suppress(OSError):
        path.unlink()


@contextmanager
def raising_disk_errors(path: str | Path) -> Iterator[None]:
    """Let errors of the disk in a block that processes one file end the run; other errors pass unchanged.

    Args:
        path: See `disk_error`.

    Raises:
        DiskError: See `disk_error`.
    """
    try:
        yield
    except OSError as error:
        if (fault := disk_error(path, error)) is not None:
            raise fault from None
        raise


def check_disk(folder: str | Path, path: str | Path) -> None:
    """Write a small file to a folder to find out whether the disk is why something was not written.

    Args:
        folder: The folder.
        path: What was not written, for the message.

    Raises:
        DiskError: The disk is at fault.
    """
    with raising_disk_errors(path), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_PROBE))
        file.flush()
        os.fsync(file.fileno())


def disk_error_in(path: str | Path, output: str) -> DiskError | None:
    """The error of the disk that a program reports; None if it reports none.

    Args:
        path: The file that it was to write.
        output: Its messages.
    """
    signs = {os.strerror(number): number for number in sorted(ALWAYS)} | {"SIGXFSZ": errno.EFBIG}
    number = next((number for sign, number in signs.items() if sign in output), None)
    return None if number is None else DiskError(f"{path}: {_described(number)}")


def copy_file(source: str | Path, target: Path) -> None:
    """Copy the bytes of a file.

    Raises:
        MediaError: unreadable: the source cannot be read.
        DiskError: The target cannot be written.
    """
    try:
        reading = Path(source).open("rb")  # noqa: SIM115  closed below; its errors differ from the target's
    except OSError as error:
        raise _unreadable(source, error) from None
    with reading, raising_disk_errors(target), target.open("wb") as written:
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


def _described(number: int) -> str:
    return f"{os.strerror(number)}; {_advice(number)}, and run the same command again"


def _advice(number: int) -> str:
    if number in _FULL:
        return "free some space"
    if number in _CLOSED:
        return "make it writable, or write elsewhere"
    if number in _OUT_OF_FILES:
        return "raise the limit on open files (ulimit -n)"
    if number == errno.EFBIG:
        return "raise the limit on file sizes (ulimit -f)"
    if number == errno.ENOENT:
        return "its folder was removed: create it again"
    return "check the disk"
