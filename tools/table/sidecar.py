"""The sidecar of a table, ``<table>.provenance.json``: which commands made it, and which of them each column.

A sidecar has the *steps* that its table went through, one for each run of a command, and for each column the
steps that made it. A command that writes a table takes over the steps and columns of the tables that it read,
and adds its own step. So they follow a table through filters, joins, merges and splits.

What differs between two runs that make the same (times, the folder, versions of packages) is under the key
``run``, at both levels; everything else is the same for the same command over the same input. A step is known
by a digest of the rest, so that the parts of several ranks, and two tables of one origin, share their steps.

A sidecar counts while the digest in it is that of its table: one of an older table is ignored, and so is a
table that was edited by other software. Large tables are not read a second time for it: see `table_digest`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.base.disk import publish, writing
from tools.base.temporary_files import temporary_file
from tools.table.names import name_bytes, shorten

SUFFIX = ".provenance.json"

RUN = "run"
"""Key of what differs between runs that make the same."""

_FORMAT = "vidsieve_provenance"
_VERSION = 1
_LONGEST_NAME = 230  # bytes of the name of a table; file systems allow 255
_WHOLE = 64 << 20  # bytes; larger tables are known by samples
_SAMPLES = 256
_SAMPLE = 64 << 10  # bytes


@dataclass(frozen=True)
class Sidecar:
    """What is known of a table.

    Attributes:
        last: Name of the step that wrote it.
        steps: By name, the first one first. Each has ``command`` (words), ``vidsieve`` (version), ``inputs``
            (``name``, digest, and ``step``, that wrote it), ``options`` of the command, ``stages`` with
            theirs (see `tools.stage.recorded.stage_records`) and ``run``.
        columns: For each column the names of the steps that made it, the first one first; none where that is
            not known.
    """

    last: str
    steps: dict[str, dict[str, Any]]
    columns: dict[str, list[str]]


def read_sidecar(table: str | Path) -> Sidecar | None:
    """The sidecar of a table; None where there is none, or the table has changed since it was written."""
    return read_with_digest(Path(table))[0]


def remove_sidecar(table: str | Path) -> None:
    """Remove the sidecar of a table that is removed, if it has one.

    Raises:
        DiskError: It cannot be removed.
    """
    found = _own(Path(table))
    if found is not None:
        with writing(found):
            found.unlink(missing_ok=True)


def is_sidecar(path: str | Path) -> bool:
    """Whether a file is a sidecar, and so no table, although its name ends in ``.json``."""
    path = Path(path)
    return path.name.endswith(".json") and SUFFIX[:-5] in path.name and _document(path) is not None


def table_digest(path: Path) -> dict[str, Any]:
    """By what the content of a table is known again.

    Returns:
        ``bytes``, its size, and ``sha256``; of a table larger than 64 MiB ``sha256_of_samples`` instead: of
        256 pieces of 64 KiB, evenly spaced from its first byte to its last. Of a folder of parts
        ``sha256_of_names``: of their names and sizes.

    Raises:
        OSError: It cannot be read.
    """
    if path.is_dir():
        return folder_digest({part.name: part.stat().st_size for part in path.iterdir()})
    total = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _WHOLE:
            while block := file.read(1 << 20):
                total.update(block)
            return {"bytes": size, "sha256": total.hexdigest()}
        for number in range(_SAMPLES):
            file.seek((size - _SAMPLE) * number // (_SAMPLES - 1))
            total.update(file.read(_SAMPLE))
    return {"bytes": size, "sha256_of_samples": total.hexdigest()}


def folder_digest(sizes: Mapping[str, int]) -> dict[str, Any]:
    """As `table_digest` of a folder of parts: from their sizes in bytes, by name."""
    lines = (f"{name} {size}\n" for name, size in sorted(sizes.items()) if not name.startswith("."))
    return {
        "bytes": sum(sizes.values()),
        "sha256_of_names": hashlib.sha256("".join(lines).encode(errors="surrogatepass")).hexdigest(),
    }


def write_sidecar(table: Path, known: Sidecar) -> Path:
    """Write what is known of a table that is there; a sidecar that says the same already stays.

    Returns:
        Its path; with a number in its name where a file of the user's has the name.

    Raises:
        DiskError: It cannot be written.
    """
    document = as_document(table.name, table_digest(table), known)
    path = _own(table)
    if path is None:
        path = next(name for name in _names(table) if not os.path.lexists(name))
    elif _without_runs(_document(path)) == _without_runs(document):
        return path
    # So long as the table stays as it is, its digest need not be computed again.
    document[RUN] = {"modified_ns": table.stat().st_mtime_ns}
    with writing(path, "where the table comes from"), temporary_file(path) as temporary:
        temporary.write_bytes(as_bytes(document))
        publish(temporary, path)
    return path


def as_document(name: str, digest: Mapping[str, Any], known: Sidecar) -> dict[str, Any]:
    """The content of a sidecar: what is known of a table, its name, and its digest (see `table_digest`)."""
    return {
        _FORMAT: _VERSION,
        "table": {"name": name, **digest},
        "step": known.last,
        "columns": known.columns,
        "steps": known.steps,
    }


def as_bytes(document: Mapping[str, Any]) -> bytes:
    """The bytes of `as_document`."""
    return json.dumps(document, indent=1, ensure_ascii=False).encode(errors="surrogatepass")


def read_with_digest(table: Path) -> tuple[Sidecar | None, dict[str, Any]]:
    """The sidecar of a table if it is up to date, and the table's digest."""
    path = _own(table)
    document = None if path is None else _document(path)
    try:
        if document is None:
            return _read_folder(table.parent), table_digest(table)
        recorded = {name: value for name, value in document["table"].items() if name != "name"}
        status = table.stat()
        unchanged = document.get(RUN) == {"modified_ns": status.st_mtime_ns}
        digest = recorded if unchanged and recorded["bytes"] == status.st_size else table_digest(table)
    except OSError:  # whoever reads the table says why
        return None, {}
    if digest != recorded:
        return None, digest
    return Sidecar(document["step"], document["steps"], document["columns"]), digest


def _read_folder(folder: Path) -> Sidecar | None:
    """The sidecar of a folder of parts (``--engine daft``), which is that of each part."""
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return None
    return _folder_sidecar(folder, changed) if folder.name and _own(folder) is not None else None


@functools.lru_cache(maxsize=8)
def _folder_sidecar(folder: Path, changed: int) -> Sidecar | None:
    return read_with_digest(folder)[0]


def _own(table: Path) -> Path | None:
    """The sidecar that a command has written for a table; a file of the user's with its name is none."""
    for path in _names(table):
        if not os.path.lexists(path):
            return None
        found = _document(path)
        # An empty file is what a power failure may leave.
        if _is_empty(path) if found is None else found["table"].get("name") == table.name:
            return path
    return None  # never reached: names do not end


def _is_empty(path: Path) -> bool:
    try:
        return path.is_file() and not path.stat().st_size
    except OSError:
        return False


def _names(table: Path) -> Iterator[Path]:
    """The names that a sidecar may have, in the order in which they are tried."""
    name = table.name if len(name_bytes(table.name)) <= _LONGEST_NAME else shorten(table.name)
    yield table.with_name(f"{name}{SUFFIX}")
    number = 2
    while True:
        yield table.with_name(f"{name}{SUFFIX[:-5]}-{number}.json")
        number += 1


def _document(path: Path) -> dict[str, Any] | None:
    """The content of a sidecar; None where a file is none, or is damaged."""
    try:
        return _checked(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def is_content(content: bytes) -> bool:
    """Whether bytes are the content of a sidecar."""
    try:
        return _checked(json.loads(content)) is not None
    except (ValueError, TypeError, RecursionError):
        return False


def _checked(found: Any) -> dict[str, Any] | None:
    if not isinstance(found, dict) or found.get(_FORMAT) != _VERSION:
        return None
    table, steps, columns = found.get("table"), found.get("steps"), found.get("columns")
    if not (isinstance(table, dict) and isinstance(steps, dict) and isinstance(columns, dict)):
        return None
    if "bytes" not in table or found.get("step") not in steps:
        return None
    sound = all(isinstance(names, list) and set(names) <= steps.keys() for names in columns.values())
    return found if sound and all(map(_is_step, steps.values())) else None


def _is_step(step: Any) -> bool:
    if not isinstance(step, dict):
        return False
    inputs, stages = step.get("inputs"), step.get("stages")
    if not (isinstance(step.get("command"), list) and isinstance(inputs, list) and isinstance(stages, list)):
        return False
    return all(isinstance(one, dict) for one in (*inputs, *stages))


def _without_runs(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    steps = {name: {**step, RUN: None} for name, step in document["steps"].items()}
    return {**document, "steps": steps, RUN: None}
