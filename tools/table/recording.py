"""What a command read, computed and wrote, for the sidecars of the tables that it writes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tools import __version__
from tools.base.addresses import without_secrets
from tools.base.command_line import command_line
from tools.base.packages import versions_of
from tools.table.sidecar import (
    RUN,
    Sidecar,
    as_bytes,
    as_document,
    read_sidecar,
    read_with_digest,
    write_sidecar,
)

_PACKAGES = ("av", "numpy", "onnxruntime", "opencv-python-headless", "openvino", "polars", "scenedetect")
_PACKAGES += ("torch", "transformers")


class Recording:
    """A run of a command, to be recorded beside the tables that it writes. Create it before the work.

    Args:
        inputs: The tables that are read.
        names: What they are called, where they are copies of others.
        stages: What computes values, see `tools.stage.recorded.stage_records`.
        options: What else was asked for; values that are no JSON are written as text.
        takes: For inputs that give some of their columns alone, which: a function of a column's name.
    """

    def __init__(
        self,
        inputs: Iterable[str | Path] = (),
        *,
        names: Iterable[str] | None = None,
        stages: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
        takes: Mapping[Path, Callable[[str], bool]] | None = None,
    ) -> None:
        self._began = time.time()
        self._stages = _without_secrets([dict(stage) for stage in stages])
        self._options = _without_secrets(json.loads(json.dumps(dict(options or {}), default=str)))
        self._takes = takes or {}
        self._inputs: list[dict[str, Any]] = []
        self._known: list[tuple[Path, Sidecar]] = []
        self.add(inputs, names)

    def add(self, inputs: Iterable[str | Path], names: Iterable[str] | None = None) -> None:
        """Record further files that are read; arguments as of the class."""
        paths = [Path(path) for path in inputs]
        for path, name in zip(paths, names or map(str, paths), strict=True):
            found, digest = read_with_digest(path)
            last = found.last if found else None
            self._inputs.append({"name": without_secrets(name), **digest, "step": last})
            if found is not None:
                self._known.append((path, found))

    def write(
        self,
        path: str | Path,
        columns: Iterable[str],
        *,
        made: Iterable[str] = (),
        changed: Iterable[str] = (),
    ) -> Path:
        """Write the sidecar of a table that has just been written.

        One that says the same already stays, with its times.

        Args:
            path: The table.
            columns: Its columns.
            made: Those that this run has computed.
            changed: Those of which it has changed cells.

        Returns:
            The sidecar's path.

        Raises:
            DiskError: It cannot be written.
        """
        return write_sidecar(Path(path), self._known_of(columns, set(made), set(changed)))

    def content(
        self, name: str, digest: Mapping[str, Any], columns: Iterable[str], made: Iterable[str]
    ) -> bytes:
        """The content of a sidecar, for a table that is not on this machine.

        Args:
            name: Name of the table.
            digest: By what it is known, see `table_digest`.
            columns: As of `write`.
            made: Likewise.
        """
        return as_bytes(as_document(name, digest, self._known_of(columns, set(made), set())))

    def _known_of(self, columns: Iterable[str], made: set[str], changed: set[str]) -> Sidecar:
        step: dict[str, Any] = {
            "command": _without_secrets(command_line()),
            "vidsieve": __version__,
            "inputs": self._inputs,
            "options": self._options,
            "stages": self._stages,
        }
        own = _name(step)
        step[RUN] = {
            "folder": str(Path.cwd()),
            "started": _spelled(self._began),
            "finished": _spelled(time.time()),
            "packages": versions_of(_PACKAGES),
        }
        steps = {name: step for _, found in self._known for name, step in found.steps.items()}
        steps.pop(own, None)
        return Sidecar(own, {**steps, own: step}, self._columns(columns, made, changed, own))

    def write_missing(self, path: str | Path, columns: Iterable[str], *, made: Iterable[str]) -> None:
        """Write the sidecar of a table that exists, if it has none: a run was killed before it wrote it.

        Arguments as of `write`.
        """
        if read_sidecar(path) is None:
            self.write(path, columns, made=made)

    def _columns(
        self, columns: Iterable[str], made: set[str], changed: set[str], own: str
    ) -> dict[str, list[str]]:
        return {
            name: [own]
            if name in made
            else list(dict.fromkeys([*self._earlier(name), *([own] if name in changed else [])]))
            for name in columns
        }

    def _earlier(self, column: str) -> Iterator[str]:
        for path, found in self._known:
            if path not in self._takes or self._takes[path](column):
                yield from found.columns.get(column, ())


def _name(step: Mapping[str, Any]) -> str:
    text = json.dumps(step, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _spelled(seconds: float) -> str:
    """A time in UTC: ``2025-06-01T12:00:00Z``."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ""


def _without_secrets(value: Any) -> Any:
    """A JSON value without what addresses in it may have of secrets."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, list):
        return [_without_secrets(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_secrets(one) for name, one in value.items()}
    return value
