"""Folders that have a ``tools`` of their own, which Python may find in place of this one.

Many projects have one. In their folder ``python -m tools.…`` runs theirs, or fails; ``vidsieve NAME`` runs
these.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.errors import UserError

_OWN = Path(__file__).resolve().parents[1]


def _is_listed(paths: Iterable[str]) -> bool:
    """Whether the folder of this ``tools`` is among folders; that of an editable install is not."""
    return any(Path(folder).resolve() == _OWN.parent for folder in paths)


_LISTED = _is_listed(sys.path)  # as new processes find it, whatever is done to it later


def has_other_tools(folder: str) -> bool:
    """Whether a folder of ``sys.path`` (``""`` is the current one) has a ``tools`` that is not this one."""
    place = Path(folder or os.curdir, "tools")
    if place.with_name("tools.py").is_file() or (place / "__init__.py").is_file():
        return not (place.exists() and place.samefile(_OWN))
    # A mere folder comes after any package that an entry of sys.path has; an editable install has no entry.
    return place.is_dir() and not _LISTED


def others_last(paths: Iterable[str]) -> list[str]:
    """Folders for ``sys.path`` in their order, those with another ``tools`` behind this one."""
    folders = list(paths)
    others = [folder for folder in folders if has_other_tools(folder)]
    kept = [folder for folder in folders if folder not in others]
    return [*kept, *([str(_OWN.parent)] if others and not _is_listed(kept) else []), *others]


def keep_workers_away() -> None:
    """See to it that processes that another package starts with ``python -m`` find this ``tools``.

    Such a process looks in the current folder first.

    Raises:
        UserError: The current folder has a ``tools``, and Python is too old to be told not to look there.
    """
    listed = os.environ.get("PYTHONPATH", "")
    kept = [folder for folder in listed.split(os.pathsep) if not has_other_tools(folder)]
    if listed and len(kept) < listed.count(os.pathsep) + 1:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    if not has_other_tools(""):
        return
    if sys.version_info < (3, 11):
        raise UserError(
            f"{Path.cwd()}: has a package tools of its own, which Daft's workers would find before "
            "vidsieve's; use Python 3.11 or newer, or start in another folder"
        )
    os.environ["PYTHONSAFEPATH"] = "1"
