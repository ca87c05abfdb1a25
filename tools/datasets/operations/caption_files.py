"""Captions in files beside videos: ``<stem>.txt``, or ``caption`` in ``<stem>.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tools.base.addresses import local_path, without_query
from tools.errors import MediaError

if TYPE_CHECKING:
    from tools.stage.run_options import RunOptions


def captions_beside(paths: Sequence[str | None], kind: str, options: RunOptions) -> list[str | MediaError]:
    """Read the caption file beside each file.

    Args:
        paths: Of the files, on this machine or at addresses.
        kind: Extension of the caption files: ``txt`` or ``json``.
        options: How files at addresses are fetched, and whether progress is shown.

    Returns:
        For each path its caption, or why there is none.
    """
    from tools.stage.remote_files import is_remote

    remote = _captions_at_addresses([path for path in paths if path and is_remote(path)], kind, options)
    return [remote[path] if path in remote else _caption_beside(path, kind) for path in paths]


def _caption_beside(path: str | None, kind: str) -> str | MediaError:
    """The text of ``<stem>.txt``, or the value of ``caption`` in ``<stem>.json``."""
    if not path or not Path(path).name:
        return MediaError("missing", path or "", "the row has no path")
    path = local_path(path)
    file = Path(path).with_suffix(f".{kind}")
    try:
        return _caption(file.read_bytes(), kind, path, str(file))
    except FileNotFoundError:
        return MediaError("missing", path, f"no such file: {file}")
    except (OSError, ValueError) as error:
        return MediaError("bad_value", path, f"{file}: cannot be read: {error}")


def _caption(content: bytes, kind: str, path: str, file: str) -> str | MediaError:
    """The caption in a file beside that at a path."""
    try:
        text = content.decode().replace("\r\n", "\n").replace("\r", "\n")
        if kind == "txt":
            return text.strip()
        caption = json.loads(text)["caption"]
    except KeyError:
        return MediaError("bad_value", path, f"{file}: has no 'caption'")
    except (ValueError, TypeError, IndexError) as error:
        return MediaError("bad_value", path, f"{file}: cannot be read: {error}")
    if not isinstance(caption, str):
        return MediaError("bad_value", path, f"{file}: 'caption' is not text")
    return caption


def _captions_at_addresses(paths: list[str], kind: str, options: RunOptions) -> dict[str, str | MediaError]:
    """Captions beside files at addresses, by the path of the file."""
    from tools.media.fetching.asking import ask_all, small_file
    from tools.stage.progress import Progress
    from tools.stage.remote_files import fetch_options

    if not paths:
        return {}
    files = {path: _address_beside(path, kind) for path in paths}
    fetch = fetch_options(options, paths)

    def caption(path: str) -> str | MediaError:
        try:
            return _caption(small_file(files[path], fetch), kind, path, files[path])
        except MediaError as error:
            raise MediaError(error.kind, path, f"{files[path]}: {error.message}") from error.__cause__

    with Progress(len(files), "captions", shown=options.progress) as progress:
        return ask_all(caption, paths, lambda found: progress.advance(1, isinstance(found, MediaError)))


def _address_beside(path: str, kind: str) -> str:
    """The address of the caption file of a file at an address; a query stays."""
    named = without_query(path)
    parent, _, name = named.rpartition("/")
    return f"{parent}/{PurePosixPath(name).stem}.{kind}{path.removeprefix(named)}"
