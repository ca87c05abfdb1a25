"""What every loader needs here: packages that are stood in for, and examples that are written down."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 24
"""Pixels of each side of the small copy of a frame by which frames are compared."""


class _Names(type):
    """Names of a class that it does not have are anything as well."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class Anything(metaclass=_Names):
    """What a stand-in for a package has under every name: a class, a function, a decorator, a constant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a decorator it gives what it decorates."""
        return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __or__(self, other: object) -> Any:
        return self

    __ror__ = __or__

    def __iter__(self) -> Any:
        return iter(())

    def __mro_entries__(self, bases: object) -> tuple[type, ...]:
        return (Anything,)


class _StandIn(types.ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Anything,), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:
        del path, target
        if any(fullname == name or fullname.startswith(f"{name}.") for name in self.names):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        del module


def stand_in(*names: str, always: bool = False) -> list[str]:
    """Let packages be imported that are not installed, as what reads the data does not use them.

    Args:
        names: Packages, or modules of packages.
        always: Also those that are installed.

    Returns:
        Those that are stood in for.
    """
    missing = [name for name in names if always or not _there(name)]
    sys.meta_path.insert(0, _Finder(missing))
    return missing


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def module(name: str, **values: Any) -> types.ModuleType:
    """A module with these values in it, in place of an installed one of that name."""
    made = _StandIn(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    vars(made).update(values)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, made)
    return made


class Seen:
    """Examples that a loader gave, written to a folder one by one."""

    def __init__(self, folder: Path) -> None:
        """Start a new list in a folder that is there."""
        self.folder = folder
        self.lines: list[dict[str, Any]] = []

    def add(
        self,
        frames: Any,
        caption: str,
        *,
        file: str = "",
        fps: float | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Write down one example.

        Args:
            frames: T x height x width x 3, RGB; 0 to 255 if whole numbers, else 0 to 1, or -1 to 1 if one is
                below 0.
            caption: Its text, as the model gets it.
            file: Its file, where the loader says it.
            fps: Frames per second, where the loader says it.
            size: Height and width, where the frames given are small copies.
        """
        small, there = thumbs(frames)
        height, width = size or there
        np.save(self.folder / f"{len(self.lines):05}.npy", small)
        self.lines.append(
            {"caption": caption, "file": str(file), "fps": fps, "width": width, "height": height}
        )

    def note(self, **facts: Any) -> None:
        """Write down the list, and what else there is to say."""
        (self.folder / "seen.json").write_text(
            json.dumps({"examples": self.lines, **facts}, ensure_ascii=False)
        )


def thumbs(frames: Any) -> tuple[np.ndarray, tuple[int, int]]:
    """Small copies of frames, 0 to 255, and the height and width that they had."""
    if hasattr(frames, "detach"):
        frames = frames.detach().float().numpy() if frames.is_floating_point() else frames.numpy()
    found = np.asarray(frames)
    height, width = found.shape[1:3]
    if np.issubdtype(found.dtype, np.floating):
        low = -1.0 if found.min() < -0.01 else 0.0
        found = (found.astype(np.float32) - low) / (1.0 - low) * 255
    return np.stack([thumb(frame) for frame in found]), (height, width)


def thumb(frame: np.ndarray) -> np.ndarray:
    """A small copy of one frame."""
    return cv2.resize(frame.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def flags(path: Path) -> dict[str, str]:
    """Flags of a ``flags.txt``: name to value, "" for a switch; a value without a name is under ""."""
    import shlex

    words = [word for line in path.read_text("utf-8").splitlines() for word in shlex.split(line)]
    found: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--") and word[2:3].isalpha():
            name, _, value = word[2:].partition("=")
            found[name] = value
        else:
            found[name] = f"{found.get(name, '')} {word}".strip()
    return found


def channels_last(frames: Any) -> Any:
    """T x 3 x H x W as T x H x W x 3."""
    return frames.permute(0, 2, 3, 1)


def below(folder: Path, pattern: str) -> Iterable[Path]:
    """Files of a folder by name."""
    return sorted(folder.rglob(pattern))
