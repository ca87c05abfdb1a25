"""Text of the formats in which trainers have tables and settings."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tools.base.terminal import counted
from tools.export.trainers.judgement import Bucket


def json_text(value: Any) -> str:
    """JSON over several lines, in ASCII, as many trainers open it in the encoding of the system."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """One object a line, in ASCII."""
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with commas, as Python's `csv` module writes it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()


def flags_text(flags: Iterable[Sequence[Any]]) -> str:
    """Flags for a command line, one a line, quoted for a shell: ``xargs command < flags.txt``."""
    return "".join(shlex.join(map(str, flag)) + "\n" for flag in flags)


def literal(value: Any) -> str:
    """A string, number, truth value or list of them as both TOML and YAML write it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def toml_lines(values: Mapping[str, Any]) -> str:
    """``key = value`` lines; what is None is left out."""
    return "".join(f"{key} = {literal(value)}\n" for key, value in values.items() if value is not None)


def bucket_comments(buckets: Mapping[Bucket, Any]) -> str:
    """A comment line for each bucket with the number of its clips, the fullest first."""
    lines = [f"# {bucket}: {counted(line.clips, 'clip')}" for bucket, line in buckets.items()]
    return "\n".join(["# Width x height x frames: clips of that shape here", *lines]) + "\n"
