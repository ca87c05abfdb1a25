"""Recognise files that are not weights: a login page, a git-lfs pointer, an incomplete download.

Only the first bytes are read, so that no package is imported and large files are checked quickly.
"""

from __future__ import annotations

import html
import json
import re
import tarfile
import zipfile
from pathlib import Path

from tools.base.disk import system_message
from tools.errors import UserError

_HEAD = 4096  # bytes
_LFS = b"version https://git-lfs.github.com/spec/"
_JSON = re.compile(rb"[\[{]\s*[\[\]{}\"\d-]")
_ARCHIVES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
}
_FORMATS = {
    b"GGUF": "weights in the format GGUF, of llama.cpp",
    b"\x89HDF\r\n": "an HDF5 file, such as Keras writes",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
}
_CHECKPOINT = ("data.pkl", "constants.pkl")  # in a zip of torch.save, in a TorchScript archive
_OLD_CHECKPOINT = ("pickle", "storages", "tensors")  # in a tar of PyTorch before 0.2


def refuse_other_file(path: str | Path, expected: str, *, checkpoint: bool = True) -> None:
    """Refuse a file that is not a weight file.

    Args:
        path: The file.
        expected: What it should be, with its article: ``a CLIP file``.
        checkpoint: Whether it should be a file of PyTorch or safetensors; otherwise any format passes.

    Raises:
        UserError: It cannot be read, or is another kind of file; the message says which, and what to do.
    """
    if kind := what_it_is(path, checkpoint=checkpoint):
        raise UserError(f"{path}: not {expected}: {kind}")


def what_it_is(path: str | Path, *, checkpoint: bool = True) -> str | None:
    """What a file is instead of weights, and what to do, in one line; None if it may be weights.

    Args:
        path: The file.
        checkpoint: See `refuse_other_file`.

    Raises:
        UserError: It cannot be read.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
        sent = _of_a_server(head, size, is_json=path.suffix == ".json")
        return sent or (_of_another_format(path, head, size) if checkpoint else None)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({system_message(error)})") from error


def _of_a_server(head: bytes, size: int, *, is_json: bool) -> str | None:
    """What a server sent instead of the file; ``is_json`` if the file should be JSON."""
    if not size:
        return "it is empty; fetch it again"
    if not any(head):
        return "it holds nothing but zeros, as a download that was broken off; fetch it again"
    if head.startswith(_LFS):
        whole = re.search(rb"^size (\d+)", head, re.MULTILINE)
        missing = f" of the {int(whole[1]) / 1e6:.0f} MB" if whole else ""
        return f"it is a git-lfs pointer, which stands for the file{missing}; fetch that with 'git lfs pull'"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    start = text[:200].lower()
    if re.match(rb"(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|title|script|meta)\b", start, re.DOTALL):
        title = re.search(rb"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        named = f" ({_short(html.unescape(title[1].decode(errors='replace')))})" if title else ""
        return f"it is an HTML page{named}: a server sent it in place of the file; fetch the file itself"
    if start.startswith((b"<?xml", b"<error")):
        code = re.search(rb"<(code|message)>(.*?)</", text, re.IGNORECASE | re.DOTALL)
        named = f" ({_short(code[2].decode(errors='replace'))})" if code else ""
        return f"it is XML{named}: a server sent it in place of the file; fetch the file itself"
    if not is_json and _JSON.match(start) and (sent := _as_text(text, size)):
        return f"it is JSON ({_short(sent)}), such as a server answers with; fetch the file itself"
    return None


def _of_another_format(path: Path, head: bytes, size: int) -> str | None:
    for magic, name in _FORMATS.items():
        if head.startswith(magic):
            return f"it is {name}"
    for magic, name in _ARCHIVES.items():
        if head.startswith(magic):
            return f"it is an archive ({name}); unpack it, and name the file in it"
    if head.startswith(b"PK"):
        return _zip(path)
    if head[257:262] == b"ustar":
        return _tar(path)
    if head[8:9] == b"{":
        return _safetensors(path, size)
    return _text(head, size)


def _zip(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return "its end is missing, as of a download or copy that was broken off; fetch it again"
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except zipfile.BadZipFile as error:
        return f"it is damaged ({error}); fetch it again"
    if any(name.rpartition("/")[2] in _CHECKPOINT for name in names):
        return None
    return f"it is a zip archive without a checkpoint, of {_few(names)}; unpack it, and name the file in it"


def _tar(path: Path) -> str | None:
    try:
        with tarfile.open(path, "r:") as archive:
            names = [member.name for member in archive.getmembers() if member.isfile()]
    except (tarfile.TarError, EOFError):
        return "it is a tar archive whose end is missing; fetch it again"
    if set(_OLD_CHECKPOINT) <= set(names):
        return None
    return f"it is a tar archive of {_few(names)}; unpack it, and name the file in it"


def _safetensors(path: Path, size: int) -> str | None:
    """Check that a safetensors file is as long as its header says (8 bytes of length, JSON, tensors)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            return None if length > 100_000_000 else _cut(size, length + 8)  # the format's own limit
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "its header of safetensors is damaged; fetch it again"
    whole = 8 + length + max(ends, default=0)
    return _cut(size, whole) if size < whole else None


def _cut(size: int, whole: int) -> str:
    return f"its end is missing: it has {size} bytes, its header speaks of {whole} or more; fetch it again"


def _text(head: bytes, size: int) -> str | None:
    text = _as_text(head, size)
    return f"it is a text: {_short(text)}" if text else None


def _as_text(head: bytes, size: int) -> str | None:
    """The first bytes as text; None if they are not text, such as a pickle, which may start with letters."""
    try:
        text = head.decode("utf-8-sig") if size <= _HEAD else head.decode("utf-8-sig", errors="ignore")
    except UnicodeDecodeError:
        return None
    return text if all(letter.isprintable() or letter in "\t\r\n\f" for letter in text) else None


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "nothing"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."
