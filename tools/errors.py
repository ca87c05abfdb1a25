"""The two kinds of errors: those that the user can fix, and those of one file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple


class FailureHelp(NamedTuple):
    """What a kind of failures means, in Markdown as it stands in docs/troubleshooting.md.

    Attributes:
        meaning: What has happened.
        remedy: What the user can do.
    """

    meaning: str
    remedy: str


FAILURE_KINDS: dict[str, FailureHelp] = {
    "missing": FailureHelp(
        "there is no file at `path`, or the server answers 404 or 410",
        "Relative paths are relative to the current folder: run the command in the right folder, "
        "or use `datautil --abspath ROOT`. `datautil --ext` removes such rows",
    ),
    "not_a_file": FailureHelp(
        "a folder, named pipe, socket or device",
        "Correct `path`",
    ),
    "empty": FailureHelp(
        "the file has 0 bytes",
        "Copy or download it again",
    ),
    "unreadable": FailureHelp(
        "no decoder recognises the file, its index is missing (an interrupted recording or "
        "download), or permission is denied",
        "See the message. `ffmpeg -v error -i FILE -f null -` gives more detail. Download the "
        "file again, or repair it with a tool for its container",
    ),
    "playlist": FailureHelp(
        "the file is a playlist of other files or URLs (HLS, DASH, SDP …), which are never opened",
        "Download the media itself first",
    ),
    "no_video": FailureHelp(
        "audio only, or an image where motion is measured",
        "`datautil --vid-only` removes images",
    ),
    "no_audio": FailureHelp(
        "no audio track, or none that overlaps the video",
        "`datautil --has-audio true`; `--audio-track` selects another track",
    ),
    "silent": FailureHelp(
        "an audio track that is silent",
        "Lower `--silence` if the audio is quiet rather than absent",
    ),
    "decode": FailureHelp(
        "the file opens, but required frames cannot be decoded",
        "`check_integrity` reports where. Download it again, or remove the row",
    ),
    "hdr": FailureHelp(
        "HDR video with `--hdr fail`, or Dolby Vision without a usable base layer",
        "`--hdr tonemap` or `keep`; see docs/hdr.md",
    ),
    "too_short": FailureHelp(
        "fewer frames or seconds than needed: `flow` needs 11 frames, `--start` must lie before the end",
        "`datautil --fmin`, `--durationmin`",
    ),
    "bad_value": FailureHelp(
        "a cell of the row is invalid: an empty caption, a timestamp that is not a list, an "
        "address of a storage that is not known",
        "Correct the cell, or `datautil --remove-empty-caption`, `--remove-empty-path`",
    ),
    "encode": FailureHelp(
        "the new file could not be written, or an unrelated file has its name",
        "See the message, which names the file to move",
    ),
    "timeout": FailureHelp(
        "one file took longer than `--timeout` seconds",
        "Increase it and use `--retry-failed timeout`. A file that hangs is damaged",
    ),
    "memory": FailureHelp(
        "one worker needed more than `--max-memory` GiB",
        "Increase it and decrease `--num-workers`; cut long or very large videos first",
    ),
    "crash": FailureHelp(
        "this file crashed its worker process, for example in a decoder",
        "Other rows are not affected. Try `--decoder decord`, or remove the row",
    ),
    "killed": FailureHelp(
        "the worker was killed from outside twice, for example by the out-of-memory killer",
        "Run the command again: it retries these rows. Use fewer workers",
    ),
    "network": FailureHelp(
        "the server is unreachable, refuses, or keeps closing the connection",
        "Check the address and credentials; `--retry-failed network`",
    ),
    "too_large": FailureHelp(
        "a picture has more pixels than `--max-pixels`, or a file more bytes than your download limit",
        "Raise the limit (`--max-pixels`, `Limits.max_bytes`) and use `--retry-failed too_large`",
    ),
    "no_answer": FailureHelp(
        "a reasoning model ran out of tokens before its answer",
        "`--max-tokens 4096` or more",
    ),
    "server": FailureHelp(
        "the model server gave no usable answer: a refusal, a content filter, invalid JSON",
        "`--retry-failed server`, or another model",
    ),
    "internal": FailureHelp(
        "a bug in vidsieve",
        "Report it with the message. `TOOLS_DEBUG=1` prints the traceback",
    ),
}
"""Every ``kind`` that can stand in a failures file."""

PASSING_KINDS = frozenset({"killed"})
"""Those that say nothing about the file: a later run tries again, unasked."""


def first_line(error: BaseException) -> str:
    """What an exception of another library says, short enough for a message of one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


class VidsieveError(Exception):
    """Base of what the toolkit raises: errors that the user sees as one line."""


class UserError(VidsieveError):
    """Something the user can fix: a wrong path, flag, column, or missing weights.

    The message is one line that says what, where, and what to do. Commands print it and exit with 2.
    """


def check_choice(what: str, value: str, choices: Collection[str]) -> None:
    """Make sure that a value is one of those supported.

    Raises:
        UserError: ``Invalid WHAT (VALUE). Supported values are ...``.
    """
    if value not in choices:
        raise UserError(f"Invalid {what} ({value}). Supported values are {', '.join(choices)}.")


class DiskError(UserError):
    """The disk or the machine refuses: full, read-only, no more files. The run ends; no row has failed.

    What was finished before is kept. Commands print it and exit with 1.
    """


class OrderError(UserError):
    """The results of a model are not in the order of its rows, see `tools.stage.order_check`. The run ends.

    Attributes:
        keys: Rows that were finished since the order was last known to be right; they are not kept.
    """

    keys: tuple[str, ...] = ()


class MediaError(VidsieveError):
    """One file (one row) could not be processed; the run goes on.

    Args:
        kind: One of `FAILURE_KINDS`.
        path: The file.
        message: What happened, in one line, without the path.
    """

    def __init__(self, kind: str, path: str | Path, message: str) -> None:
        if kind not in FAILURE_KINDS:
            raise ValueError(f"Invalid kind ({kind}). Supported values are {', '.join(FAILURE_KINDS)}.")
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
        check_choice("kind", kind, FAILURE_KINDS)
    return frozenset(wanted)
