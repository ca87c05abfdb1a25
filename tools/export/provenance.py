"""What the table of an export was made by: stages, options and weights, from the receipts beside it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.stage.output import read_receipt
from tools.stage.provenance import weights_in
from tools.stage.shards import STATE_FOLDER
from tools.table import table_stem


def steps_of(table: Path, digest: str) -> list[dict[str, Any]]:
    """The stages that a table went through, the first one first.

    A receipt says from which table its own was made, by digest, so that renamed ones are found. Where a
    table has none, as `datautil` writes it, those are followed whose name its own begins with.

    Args:
        table: The table.
        digest: SHA-256 of it: a receipt of a table that has changed since does not count.

    Returns:
        For each stage its ``table``, ``stage``, ``version``, ``options`` and ``weights``, see `weights_in`.
    """
    receipts = {path: receipt for path in _beside(table) if (receipt := read_receipt(path)) is not None}
    by_output = {receipt["output"]: path for path, receipt in receipts.items()}
    found: list[dict[str, Any]] = []
    path: Path | None = by_output.get(digest) or _before(table, receipts)
    while path is not None:
        receipt = receipts.pop(path)
        ask = receipt["ask"] if isinstance(receipt["ask"], dict) else {}
        options = ask.get("config") or {}
        found.append(
            {
                "table": path.name,
                "stage": ask.get("stage"),
                "version": ask.get("version"),
                "options": options,
                "weights": weights_in(options),
            }
        )
        before = by_output.get(receipt["input"])
        path = before if before in receipts else _before(path, receipts)
    return found[::-1]


def _beside(table: Path) -> list[Path]:
    """Tables in the same folder that have receipts, whether they are still there or not."""
    with suppress(OSError):
        folders = sorted((table.parent / STATE_FOLDER).iterdir())
        return [
            table.parent / file.name.removesuffix(".receipt.json")
            for folder in folders
            if folder.is_dir()
            for file in sorted(folder.glob("*.receipt.json"))
        ]
    return []


def _before(table: Path, receipts: dict[Path, Any]) -> Path | None:
    """The table with the longest name that this one's begins with."""
    stem = table_stem(table)
    named = [path for path in receipts if stem.startswith(f"{table_stem(path)}_")]
    return max(named, key=lambda path: (len(table_stem(path)), path.name), default=None)
