"""Download a file over HTTP: resumable, verified, renamed only when complete."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tools.base.disk import cannot_write, remove_quietly
from tools.base.locks import take
from tools.base.transfer import PAUSES, Limits, TransferError, fetch
from tools.errors import UserError
from tools.models.digests import read_sha256
from tools.models.other_files import what_it_is


def mirrored(url: str) -> str:
    """The address to download from: ``$VIDSIEVE_MIRROR/<file name>`` if that is set, else ``url``.

    The standard library uses the proxies in ``http_proxy``, ``https_proxy`` and ``no_proxy``.
    """
    mirror = os.environ.get("VIDSIEVE_MIRROR")
    return f"{mirror.rstrip('/')}/{url.rsplit('/', 1)[1]}" if mirror else url


def download_file(
    url: str,
    target: str | Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: bool = True,
    pauses: tuple[float, ...] = PAUSES,
) -> Path:
    """Download ``url`` to ``target``.

    The bytes are written to ``<target>.part``; a later call resumes an interrupted one (HTTP Range; a server
    without it starts again). Only a verified file gets the final name.

    Args:
        url: ``http://`` or ``https://`` address.
        target: The file to create, with its folder.
        sha256: Digest of the complete file.
        size: Expected size in bytes, for the progress bar.
        progress: Show a progress bar on stderr.
        pauses: Seconds to wait before each new attempt after a broken connection.

    Returns:
        ``target``.

    Raises:
        UserError: The server cannot be reached or refuses, the connection breaks too often, the disk is full,
            or the digest is wrong.
    """
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url}: only http:// and https:// addresses can be downloaded")
    target = Path(target)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            if not take(file.fileno()):
                raise UserError(f"{part}: another process is downloading this file already")
            resumed = file.tell() > 0
            _fetch(url, target, file, size, progress, pauses)
            actual = read_sha256(part)
            if actual != sha256 and resumed:  # the part may be of another file: start again
                file.truncate(0)
                _fetch(url, target, file, size, progress, pauses)
                actual = read_sha256(part)
            length = file.tell()
        if actual != sha256:
            found = what_it_is(part, checkpoint=False)
            part.unlink()
            raise UserError(
                f"{url}: the {length} bytes that came are not the published file (sha256 {actual}, "
                f"expected {sha256}){f': {found}' if found else ''}; nothing was kept"
            )
        part.replace(target)
    except OSError as error:
        raise cannot_write(part, error) from error
    finally:
        if part.is_file() and part.stat().st_size == 0:
            remove_quietly(part)
    return target


def _fetch(
    url: str, target: Path, file: BinaryIO, size: int | None, progress: bool, pauses: tuple[float, ...]
) -> None:
    """Append the missing bytes, with a progress bar."""
    from tqdm import tqdm

    with tqdm(
        total=size,
        initial=file.tell(),
        unit="B",
        unit_scale=True,
        desc=target.name,
        disable=not progress,
        delay=1,
    ) as bar:
        try:
            fetch(
                url,
                file,
                limits=Limits(pauses),
                patient=False,
                progress=lambda here: bar.update(here - bar.n),
            )
        except TransferError as error:
            raise UserError(f"{url}: {_failure(error, target, file.tell())}") from error


def _failure(error: TransferError, target: Path, here: int) -> str:
    if error.trouble == "broken" or (error.trouble == "unreachable" and here):
        return (
            f"the connection broke after {here} bytes ({error.reason}); "
            "they are kept, run the same command again to go on"
        )
    if error.trouble == "unreachable":
        return (
            f"cannot be reached ({error.reason}); without a network, fetch it on another machine and "
            f"put it at {target}; https_proxy and VIDSIEVE_MIRROR are honoured"
        )
    return (
        f"the server answers {error.reason}; "
        f"get the file elsewhere and put it at {target}, or set VIDSIEVE_MIRROR"
    )
