"""What the output of a step is made from, as a digest: a step is up to date while it stays the same."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tools import __version__
from tools.base.addresses import is_address, local_path
from tools.models.digests import file_sha256
from tools.pipeline.plan import Step
from tools.stage.output import read_receipt
from tools.stage.provenance import digest_file, digests_in
from tools.table import scan_table

_BATCH = 50_000  # paths of a table that are in memory at once


def key_of(step: Step) -> str | None:
    """The digest of what a step is made from; None for a step that has to look for itself.

    It has the command line, versions, tables, the size and time of each file that is named in a table, and
    files that are named in the command line. Ranks change nothing.

    Raises:
        UserError: A table cannot be read.
    """
    if not step.does.reads_tables or step.output is None:
        return None
    files = [_files_in(path) for path in step.inputs]
    if None in files:
        return None
    parts: dict[str, Any] = {
        "command": step.does.command.name,
        "line": step.line,
        "version": [__version__, step.versions],
        "tables": [digest_file(path) for path in step.inputs],
        "files": files,
        "named": [file_sha256(path) for path in _named_files(step)],
    }
    return _digest(parts)


def with_weights(key: str) -> str:
    """The key of a step in which models take part: it has the weights that are here, too."""
    return _digest([key, _weights()])


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode(errors="surrogatepass")).hexdigest()


def uses_weights(step: Step) -> bool:
    """Whether the receipt of what a step has written names weights."""
    if step.table is None:
        return False
    receipt = read_receipt(step.table)
    return receipt is not None and any(digests_in(receipt["ask"]))


def _files_in(table: Path) -> str | None:
    """A digest of size and time of each file of a table; None where there are addresses."""
    import polars as pl

    frame = scan_table(table)
    schema = frame.collect_schema()
    if "path" not in schema:
        return ""
    column = pl.col("path")
    if isinstance(schema["path"], pl.List):
        column = column.explode()
    total = hashlib.sha256()
    paths = frame.select(column.cast(pl.String)).collect(engine="streaming")["path"]
    for begin in range(0, len(paths), _BATCH):
        for path in paths[begin : begin + _BATCH].to_list():
            path = local_path(path or "")
            if is_address(path):
                return None
            total.update(f"{_stat(path)}\n".encode())
    return total.hexdigest()


def _stat(path: str) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116  a million of them
    except (OSError, ValueError):
        return "-"
    return f"{found.st_size} {found.st_mtime_ns}"


def _named_files(step: Step) -> list[Path]:
    """Files that the command line names: ratings, recipes, weights, configurations."""
    values = [word.partition("=")[2] if word.startswith("--") else word for word in step.line]
    inputs = {str(path) for path in step.inputs}
    found = []
    for value in values:
        path = Path(value)
        try:
            if value and value not in inputs and path.is_file():
                found.append(path)
        except (OSError, ValueError):  # a condition is no name of a file
            continue
    return found


def _weights() -> list[Any]:
    """Where each weight file is, with size and time."""
    from tools.models.hub import HUB_MODELS
    from tools.models.published import WEIGHTS
    from tools.models.weights import locate

    found: list[Any] = []
    for key, file in WEIGHTS.items():
        path = locate(file)
        found.append([key, str(path), _stat(str(path)) if path else ""])
    return [*found, *([key, os.environ.get(model.env, "")] for key, model in HUB_MODELS.items())]
