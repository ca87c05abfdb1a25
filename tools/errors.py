"""The two kinds of trouble: what the user can mend, and what one file did."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

FAILURE_KINDS: dict[str, str] = {
    "missing": "there is no file at this path",
    "not_a_file": "a folder, a named pipe, a socket or a device, not a regular file",
    "empty": "the file has no bytes",
    "unreadable": "no decoder recognises the file, or its index is missing",
    "playlist": "a list of other files or addresses (HLS, DASH, ffconcat, SDP ...), which are not opened",
    "no_video": "the file has no video stream (audio only, for example)",
    "no_audio": "the file has no sound",
    "silent": "the file has a sound track, but nothing is heard in it",
    "decode": "the file opens, but the wanted pictures, or its sound, cannot be decoded",
    "hdr": "its pictures are HDR, which was not wanted, or Dolby Vision without a usable base layer",
    "too_short": "the file is shorter than what was asked of it",
    "bad_value": "a cell of this row cannot be used",
    "encode": "the output could not be written",
    "timeout": "took longer than the time allowed for one file",
    "memory": "needed more memory than allowed for one file",
    "crash": "the worker process died on this file",
    "killed": "the worker process was killed from outside: by the system, short of memory, or by hand",
    "network": "the file could not be fetched: its server is out of reach, refuses, or keeps breaking off",
    "too_large": "the file is larger than allowed",
    "no_answer": "the model's words held no answer: it was cut off while thinking, for example",
    "server": "the server gave no usable answer about this row",
    "internal": "an error in the toolkit itself",
}
"""Every ``kind`` that can stand in a failures file, with its meaning."""

PASSING_KINDS = frozenset({"killed"})
"""Those that say nothing about the file: a later run tries again, unasked."""


def first_line(error: BaseException) -> str:
    """What an exception of another library says, short enough for a message of one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


class VidsieveError(Exception):
    """Base of what the toolkit raises: errors that the user sees as one line."""


class UserError(VidsieveError):
    """Something the user can mend: a wrong path, flag, column, or missing weights.

    The message is one line that says what, where, and what to do. Commands print it and exit with 2.
    """


class DiskError(UserError):
    """The disk or the machine refuses: full, read-only, no more files. The run ends; no row has failed.

    What was finished before is kept. Commands print it and exit with 1.
    """


class MediaError(VidsieveError):
    """One file (one row) could not be processed; the run goes on.

    Args:
        kind: One of `FAILURE_KINDS`.
        path: The file.
        message: What happened, in one line, without the path.
    """

    def __init__(self, kind: str, path: str | Path, message: str) -> None:
        if kind not in FAILURE_KINDS:
            raise ValueError(_invalid(kind))
        self.kind = kind
        self.path = str(path)
        self.message = " ".join(message.split())
        super().__init__(f"{self.path}: {self.kind}: {self.message}")

    @property
    def reason(self) -> str:
        """``kind: message``, as in a cell of an error column."""
        return f"{self.kind}: {self.message}"

    def __reduce__(self) -> tuple[type[MediaError], tuple[str, str, str]]:
        """Pickle by the three arguments, so that the error crosses process borders."""
        return MediaError, (self.kind, self.path, self.message)


def failure_kinds(wanted: bool | str | Collection[str]) -> frozenset[str]:
    """Kinds of failures by what a user says.

    Args:
        wanted: True or ``all`` for all kinds; False for none; or kinds: a collection, or a text with commas.

    Raises:
        UserError: There is no such kind.
    """
    if isinstance(wanted, bool) or wanted == "all":
        return frozenset(FAILURE_KINDS if wanted else ())
    if isinstance(wanted, str):
        wanted = [kind for kind in map(str.strip, wanted.split(",")) if kind] or [wanted]
    for kind in wanted:
        if kind not in FAILURE_KINDS:
            raise UserError(_invalid(kind))
    return frozenset(wanted)


def _invalid(kind: str) -> str:
    return f"Invalid kind ({kind}). Supported values are {', '.join(FAILURE_KINDS)}."
