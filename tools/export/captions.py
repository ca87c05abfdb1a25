"""The caption of each row as trainers read it: one line, cleaned, with what was asked for around it."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tools.datasets.text.prefixes import refine_caption
from tools.errors import UserError
from tools.export.trainers.judgement import Reason

EMPTY = "no caption"
"""Kind of loss of rows whose caption is empty."""

_TEXT_FORMAT = re.compile(r"(.?[<^>])?([1-9]\d*)?s?", re.DOTALL)
"""Python's format specifications that say no more than a width."""

_VMAF_MOTION = (
    "docs/export.md says how to add it with ffmpeg; the column motion of tools.scoring.optical_flow is "
    "nearest, in frame diagonals per second"
)
"""Where to get what Open-Sora calls a motion score."""


@dataclass(frozen=True)
class Captions:
    """How captions are made.

    Attributes:
        trigger: Word before each caption; "" for none.
        template: `str.format` of the caption, as ``text``, and columns; "" for the caption alone.
        allow_empty: Keep clips without a caption.
        keep_prefixes: Leave "The video shows" where it is.
    """

    trigger: str = ""
    template: str = ""
    allow_empty: bool = False
    keep_prefixes: bool = False

    def columns(self) -> list[str]:
        """The columns that the template names.

        Raises:
            UserError: It is no template, or reads more than columns.
        """
        try:
            fields = [
                field for _, field, _, _ in string.Formatter().parse(self.template) if field is not None
            ]
        except ValueError as error:
            raise UserError(f"--caption-template {self.template!r}: {error}") from None
        for field in fields:
            if not field or any(sign in field for sign in ".[]") or field.isdecimal():
                raise UserError(
                    f"--caption-template: {{{field}}} is no column; write {{text}}, {{fps:.0f}}, {{COLUMN}}"
                )
        return list(dict.fromkeys(fields))

    def check(self, columns: list[str]) -> None:
        """Make sure that a table has all columns that are named.

        Raises:
            UserError: One is missing.
        """
        for name in self.columns():
            if name not in columns and name != "text":
                known = ", ".join(columns)
                hint = f"; {_VMAF_MOTION}" if name.endswith("vmafmotion") else ""
                raise UserError(f"--caption-template: there is no column {name!r}; there are {known}{hint}")

    def caption(self, text: str | None, cells: Mapping[str, Any]) -> str | Reason:
        """The caption of one row, or why there is none.

        Args:
            text: As it stands in the table.
            cells: Values by the names of columns, for the template.
        """
        line = caption_line(text or "")
        if not self.keep_prefixes:
            line = refine_caption(line)
        if not line and not self.allow_empty:
            return Reason(EMPTY, "its caption is empty", "write a caption, or --allow-empty-captions")
        if self.template:
            values = {name: line if name == "text" else _cell(cells.get(name)) for name in self.columns()}
            empty = [name for name, value in values.items() if value is None]
            if empty:
                return Reason("template", f"column {empty[0]} is empty", "fill the column, or leave it out")
            try:
                line = caption_line(self.template.format_map(values))
            except (ValueError, TypeError) as error:
                return Reason("template", f"the caption template does not fit its cells: {error}")
        if self.trigger and not _begins_with(line, self.trigger):
            line = f"{self.trigger}, {line}" if line else self.trigger
        return line


def caption_line(text: str) -> str:
    """A text without line breaks, tabs and other control characters, and without doubled blanks.

    What UTF-8 does not have (half a surrogate pair) becomes a question mark.
    """
    text = text.encode("utf-8", errors="replace").decode("utf-8").replace("\ufeff", "")
    text = "".join(
        " " if char.isspace() or ord(char) < 32 or 127 <= ord(char) < 160 else char for char in text
    )
    return " ".join(text.split())


def _begins_with(line: str, trigger: str) -> bool:
    rest = line[len(trigger) :]
    return line.startswith(trigger) and not rest[:1].isalnum()


class _Cell(str):
    """A cell of a table of text: where the template has a format for numbers, a number if it is one."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if _TEXT_FORMAT.fullmatch(spec) or "_" in self or self.lower().strip("+-") == "nan":
            return super().__format__(spec)
        for kind in (int, float):
            with suppress(ValueError):
                return format(kind(self), spec)
        return super().__format__(spec)  # {style:.20} shortens


def _cell(value: Any) -> Any:
    """A cell for the template; None for an empty one."""
    if value == "" or (isinstance(value, float) and value != value):
        return None
    return _Cell(value) if isinstance(value, str) else value
