"""Detect folders with another package ``tools``, which Python may find instead of this one.

Many projects have one. In their folder, ``python -m tools.…`` runs theirs or fails; ``vidsieve NAME`` always
runs this one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.errors import UserError

_THIS = Path(__file__).resolve().parents[1]


def _is_listed(paths: Iterable[str]) -> bool:
    """Whether folders include that of this ``tools``; that of an editable install is not in `sys.path`."""
    return any(Path(folder).resolve() == _THIS.parent for folder in paths)


_LISTED = _is_listed(sys.path)  # as at start, before others change it


def has_other_tools(folder: str) -> bool:
    """Whether a folder of ``sys.path`` (``""`` is the current one) has a ``tools`` that is not this one."""
    tools = Path(folder or os.curdir, "tools")
    if tools.with_name("tools.py").is_file() or (tools / "__init__.py").is_file():
        return not (tools.exists() and tools.samefile(_THIS))
    # A folder without __init__.py comes after packages in sys.path; an editable install is not in sys.path.
    return tools.is_dir() and not _LISTED


def others_last(paths: Iterable[str]) -> list[str]:
    """Folders for ``sys.path`` in their order, with those that have another ``tools`` after this one."""
    folders = list(paths)
    others = [folder for folder in folders if has_other_tools(folder)]
    kept = [folder for folder in folders if folder not in others]
    return [*kept, *([str(_THIS.parent)] if others and not _is_listed(kept) else []), *others]


def keep_workers_away() -> None:
    """Make processes that another package starts with ``python -m`` find this ``tools``.

    Such a process searches the current folder first.

    Raises:
        UserError: The current folder has a ``tools``, and Python is too old for PYTHONSAFEPATH.
    """
    listed = os.environ.get("PYTHONPATH", "")
    kept = [folder for folder in listed.split(os.pathsep) if not has_other_tools(folder)]
    if listed and len(kept) < listed.count(os.pathsep) + 1:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    if not has_other_tools(""):
        return
    if sys.version_info < (3, 11):
        raise UserError(
            f"{Path.cwd()}: has another package called tools, which Daft's workers would import instead of "
            "vidsieve's; use Python 3.11 or newer, or start in another folder"
        )
    os.environ["PYTHONSAFEPATH"] = "1"
