"""Provenance: what an output was made from, and how that differs from what a run would write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.base.disk import system_message
from tools.errors import UserError
from tools.models.digests import read_sha256
from tools.models.published import WEIGHTS

FILES_CHANGED = "from files that have changed since"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_OPTION = 30  # characters of an option's value in a message


@dataclass(frozen=True)
class Provenance:
    """What an output is made from.

    Attributes:
        config: See `tools.stage.ledger.stage_config`.
        input: Digest of the input table.
        rows: Digest of this rank's row keys, which change with the files behind the rows.
        world: Number of ranks.
        on_error: What was done with failed rows.
    """

    config: dict[str, Any]
    input: str
    rows: str
    world: int
    on_error: str

    def as_json(self) -> dict[str, Any]:
        """As it is read back from a receipt, which calls the config ``ask``."""
        config, *others = vars(self).items()
        return json.loads(json.dumps(dict([("ask", config[1]), *others]), default=str))

    def has_same_values(self, receipt: dict[str, Any]) -> bool:
        """Whether the values in an earlier output are those that this run would write."""
        mine = self.as_json()
        return all(receipt.get(name) == mine[name] for name in ("ask", "input", "on_error"))

    def differs_in(self, receipt: dict[str, Any]) -> str:
        """How an earlier output was made, in words; empty when it was made just so."""
        mine = self.as_json()
        if receipt.get("ask") != mine["ask"]:
            return f"with other options ({config_difference(receipt.get('ask') or {}, mine['ask'])})"
        if receipt.get("on_error") != self.on_error:
            return f"with --on-error {receipt.get('on_error')}"
        if receipt.get("input") != self.input:
            return "from another input, or the input was changed since"
        if receipt.get("world") != self.world:
            return "by another number of ranks"
        return FILES_CHANGED if receipt.get("rows") != self.rows else ""


def config_difference(first: Mapping[str, Any], second: Mapping[str, Any], word: str = "now") -> str:
    """The options in which two results of `tools.stage.ledger.stage_config` differ.

    Args:
        first: One, perhaps of an earlier version of the toolkit.
        second: The other.
        word: What the second one is called: ``frames 3, now 5``.
    """
    for name in ("stage", "version"):
        if first.get(name) != second[name]:
            return f"{name} {first.get(name)}, {word} {second[name]}"
    before, after = first.get("config") or {}, second["config"]
    names = [n for n in (*after, *(n for n in before if n not in after)) if before.get(n) != after.get(n)]
    return "; ".join(f"{n} {_shown(before.get(n))}, {word} {_shown(after.get(n))}" for n in names)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_OPTION else f"{text[:_LONGEST_OPTION]}..."


def digests_in(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every SHA-256 in the options of a stage, with the names that lead to it: ``weights.sha256``."""
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from digests_in(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from digests_in(inner, name)


def weights_in(options: Any) -> list[dict[str, str]]:
    """Every SHA-256 in the options of a stage: ``option``, ``sha256``, and of published files ``title``."""
    published = {file.sha256: file for file in WEIGHTS.values()}
    found = []
    for name, digest in digests_in(json.loads(json.dumps(options, default=str))):
        one = {"option": name, "sha256": digest}
        if file := published.get(digest):
            one |= {"title": file.title, "licence": file.licence}
        found.append(one)
    return found


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        return read_sha256(path)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {system_message(error)}") from None
