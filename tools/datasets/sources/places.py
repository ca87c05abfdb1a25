"""Paths and addresses as they stand in lists of others."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tools.base.addresses import local_path, scheme

_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_ENOUGH = 1000  # files that are looked for; on storage in a network each takes its time


def fault_of(place: str) -> str | None:
    """Why a text can be neither a path nor an address; None if it can be one."""
    if not place.strip():
        return "is empty"
    if _CONTROL.search(place):
        return "has a tab, a line break or another control character in it: one path or address is expected"
    kind = scheme(place)
    if kind is None:
        broken = re.match(r"(https?|s3|gs|file):/(?!/)|(https?)//", place)
        return f"is no address: {(broken[1] or broken[2])}:// is meant" if broken else None
    if kind == "file":
        return None if local_path(place) != place else "names a file on another machine"
    if re.search(r"\s", place):
        return "is an address with a space in it; write %20"
    host = place.partition("://")[2].partition("/")[0]
    return None if host else "is an address without a host"


class Places:
    """Makes cells of paths and addresses.

    Args:
        folder: The folder in which relative paths begin.

    Attributes:
        addresses: How many places were addresses.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = str(folder)
        self.addresses = 0
        self._looked = 0
        self._missing: list[str] = []

    def cells(self, place: str) -> dict[str, str | None]:
        """Columns path and relpath: an address as it is, a path below the folder.

        The relpath of an address, and of an absolute path, is empty.
        """
        place = local_path(place.strip())
        if scheme(place) is not None:
            self.addresses += 1
            return {"path": place, "relpath": None}
        path = os.path.join(self._folder, place)  # noqa: PTH118  ("a/./b" stays what it is)
        if self._folder in ("", "."):
            path = place
        if self._looked < _ENOUGH:
            self._looked += 1
            if not os.path.exists(path):  # noqa: PTH110
                self._missing.append(path)
        return {"path": path, "relpath": None if place.startswith("/") else place}

    def notes(self) -> list[str]:
        """Lines for the user: how many are addresses, and which files are not there."""
        lines = [f"{self.addresses} of them are addresses"] if self.addresses else []
        if self._missing:
            looked = f"the first {self._looked} paths" if self._looked == _ENOUGH else f"{self._looked} paths"
            lines.append(
                f"{len(self._missing)} of {looked} have no file (the first: {self._missing[0]}); "
                "--base DIR names the folder in which relative paths begin"
            )
        return lines
