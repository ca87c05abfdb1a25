"""What made a table: its receipt says it, or else its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools.commands import COMMANDS
from tools.stage.output import read_receipt

_BOUND = re.compile(r"(?P<name>[a-z][\w-]*?)(?P<bound>min|max)(?P<value>-?\d[\d.e+-]*)")
_SUFFIXES = {  # of two commands with one suffix, that of the one that is run first
    suffix: command.name
    for command in reversed(COMMANDS)
    for suffix in re.findall(r"`_([a-z]+)`", command.writes)
} | {command.score: command.name for command in COMMANDS if command.score}


class Made(NamedTuple):
    """What made a table.

    Attributes:
        operation: In a few words: ``aesthetic``, ``--fmin 1``; empty where nothing tells.
        options: Options of the stage, from the receipt.
        input: Digest of the table that it was made from, from the receipt; empty without one.
    """

    operation: str = ""
    options: Mapping[str, Any] = {}
    input: str = ""


def made_by(file: Path, stem: str, before: str, digest: Callable[[Path], str]) -> Made:
    """What made a table.

    Args:
        file: The table, or one of its parts.
        stem: Its stem, without a part.
        before: The stem of the table before it; empty where that is not known.
        digest: SHA-256 of a file: a receipt is that of another table if the table was changed since.
    """
    receipt = read_receipt(file)
    if receipt is not None and receipt["output"] == digest(file):
        ask = receipt["ask"] if isinstance(receipt["ask"], dict) else {}
        stage, options = str(ask.get("stage", "")), ask.get("config")
        return Made(_command(stage), options if isinstance(options, dict) else {}, str(receipt["input"]))
    return Made(_named(stem, before))


def _command(stage: str) -> str:
    names = {command.name for command in COMMANDS}
    return stage if stage in names else _SUFFIXES.get(stage, stage)


def _named(stem: str, before: str) -> str:
    """What the suffix of a name says: ``_aes_fmin1`` is ``aesthetic, --fmin 1``."""
    if not before or not is_suffixed(stem, before):
        return ""
    return ", ".join(_word(piece) for piece in stem[len(before) + 1 :].split("_") if piece)


def _word(piece: str) -> str:
    if piece in _SUFFIXES:
        return _SUFFIXES[piece]
    if found := _BOUND.fullmatch(piece):
        return f"--{found['name']}{found['bound']} {found['value']}"
    return piece


def is_suffixed(stem: str, before: str) -> bool:
    """Whether a name is another one with a suffix."""
    return stem.startswith(f"{before}_") and len(stem) > len(before) + 1
