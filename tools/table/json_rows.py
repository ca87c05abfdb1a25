"""Records of JSON and JSON Lines tables as Python's json module reads them, or the line that it refuses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.base.disk import ALWAYS, disk_error
from tools.errors import UserError
from tools.table.cells import whole_characters
from tools.table.opening import Lines, corrected, line_blocks, open_bytes

_BACKSLASH, _LETTER_U, _LETTER_D = ord("\\"), ord("u"), ord("d")


def json_records(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a table of JSON Lines, or of a JSON file with a list of them.

    NaN, which Python writes though JSON has none, is None (a missing cell), and a half of a surrogate pair,
    which is no character, becomes U+FFFD.

    Args:
        path: The table, perhaps compressed; ``.json`` is a list. A byte order mark is passed over.

    Raises:
        UserError: Names the line: it is no JSON, or no record; a number has no end (Infinity); no text.
    """
    try:
        for _, record in placed_records(path):
            yield record
    except (OSError, EOFError) as error:
        why = f"{path}: cannot read the table: {error}"
        raise disk_error(path, error, ALWAYS) or UserError(why) from None


def placed_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """As `json_records`, each with its place in words: ``line 3``, ``entry 3 of the list``.

    Raises:
        UserError: As `json_records`.
        OSError: The file cannot be read.
        EOFError: It is compressed, and cut off.
    """
    with Lines(path) as lines:
        if ".json" in [suffix.lower() for suffix in path.suffixes[-2:]]:
            yield from _listed(lines)
            return
        for line in lines:
            lines.clear()
            if text := line.strip(" \t\r\n"):
                yield f"line {lines.number}", _record(lines, _parsed(lines, text, lines.number), lines.number)


def _listed(lines: Lines) -> Iterator[tuple[str, dict[str, Any]]]:
    texts = []
    for line in lines:
        texts.append(line)
        lines.clear()
    text = "".join(texts)
    # DuckDB and Spark call JSON Lines .json: what json says of its second record would help nobody.
    whole = None if text.lstrip().startswith("{") else _parsed(lines, text, 1)
    if not isinstance(whole, list):
        raise UserError(f"{lines.path}: a .json table is one list of records; one record per line is .jsonl")
    for number, record in enumerate(whole, 1):
        place = f"entry {number} of the list"
        if not isinstance(record, dict):
            raise UserError(f"{lines.path}: {place}: a record is expected, not {_shown(record)}")
        yield place, record


def _record(lines: Lines, value: Any, number: int) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    hint = "; a list of records is named .json" if isinstance(value, list) and number == 1 else ""
    raise lines.refused(number, f"a record is expected, not {_shown(value)}{hint}")


def _shown(value: Any) -> str:
    return json.dumps(value)[:40]


def _parsed(lines: Lines, text: str, first: int) -> Any:
    try:
        return _clean(lines, json.loads(text), first)
    except RecursionError:
        raise lines.refused(first, "lists or records are nested too deeply") from None
    except ValueError as error:
        number = first + getattr(error, "lineno", 1) - 1
        what = str(error).partition(": line ")[0].partition(": column ")[0]
        raise lines.refused(number, f"no JSON: {what}{_hint(text)}") from None


def _hint(text: str) -> str:
    if text.strip() in ("{", "["):
        return "; JSON Lines has one record in each line (a list of records is named .json)"
    return ""


def _clean(lines: Lines, value: Any, number: int) -> Any:
    """The value without NaN and halves of surrogate pairs."""
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise lines.refused(number, "Infinity is no JSON; write a number, or null")
        return None if value != value else value
    if isinstance(value, dict):
        return {whole_characters(name): _clean(lines, item, number) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(lines, item, number) for item in value]
    return value


def corrected_json(path: Path) -> bytes | Path:
    """A copy as JSON Lines that every reader reads alike. Errors as `json_records`."""
    return corrected(json.dumps(record, ensure_ascii=False) + "\n" for record in json_records(path))


def has_half_characters(path: Path) -> bool:
    r"""Whether a table of JSON Lines may hold half of a surrogate pair, as in ``"\ud83d"``.

    Polars reads a NUL byte there, without a word.
    """
    import numpy as np

    with open_bytes(path) as stream:
        for buffer, size in line_blocks(stream):
            # `\\u` is rare enough for a closer check; a mask is quicker than a search for two bytes.
            block = np.frombuffer(buffer, np.uint8, size)
            places = np.flatnonzero(block[:-2] == _BACKSLASH)
            marks = (block[places + 1] == _LETTER_U) & (block[places + 2] | 32 == _LETTER_D)
            if marks.any() and _is_half(bytes(memoryview(buffer)[:size])):
                return True
    return False


def _is_half(lines: bytes) -> bool:
    """Whether half of a pair is left when everything else that is escaped is taken away."""
    return b"\\u" in _WHOLE_ESCAPE.sub(b"", lines)


_WHOLE_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?![dD][89a-fA-F])|[^u])", re.DOTALL
)


def mixed_kinds(path: Path) -> str | None:
    """Why records cannot be rows of one table: a column whose values are of several kinds.

    Texts may be mixed with anything: then the whole column becomes text.
    """
    seen: dict[str, dict[str, int]] = {}
    for number, record in enumerate(json_records(path), 1):
        for name, value in record.items():
            if value is not None:
                seen.setdefault(name, {}).setdefault(_KINDS[type(value)], number)
    for name, kinds in seen.items():
        if len(kinds) > 1 and "a text" not in kinds:
            shown = " and ".join(f"{kind} in record {number}" for kind, number in kinds.items())
            return f"column '{name}' holds {shown}; write all of them in one way"
    return None


_KINDS = {
    dict: "a record",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}
