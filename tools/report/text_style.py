"""How a terminal is: how wide, which characters it takes, whether it shows bold; and bars for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from tools.base.terminal import width

_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "._-=+*#@"
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_NARROWEST, _WIDEST = 60, 120


@dataclass(frozen=True)
class Style:
    """How text is laid out.

    Attributes:
        width: Columns of a line.
        blocks: Bars are drawn with block characters; else with ASCII.
        colour: Headings are bold.
        encoding: What the text must be encodable in.
    """

    width: int = 80
    blocks: bool = True
    colour: bool = False
    encoding: str = "utf-8"

    def bold(self, text: str) -> str:
        """A heading."""
        return f"\033[1m{text}\033[0m" if self.colour else text

    def bar(self, part: float, columns: int) -> str:
        """A bar of at most so many columns; anything but nothing shows."""
        eighths = max(round(part * columns * 8), 1 if part > 0 else 0)
        if self.blocks:
            return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]
        return "#" * max(round(eighths / 8), 1 if part > 0 else 0)

    def histogram(self, counts: Sequence[int], columns: int) -> str:
        """Counts of bins of equal width as one character each; of more bins than columns several in one.

        The height is the mean count of the bins, so that a column with one bin more is not higher for it.
        """
        columns = min(columns, len(counts))
        starts = np.arange(columns) * len(counts) // columns
        sums = np.add.reduceat(np.asarray(counts, float), starts)
        heights = sums / np.diff(starts, append=len(counts))
        levels = _LEVELS if self.blocks else _ASCII_LEVELS
        top = heights.max() or 1.0
        places = np.ceil(heights / top * len(levels)).astype(int)
        return "".join(levels[place - 1] if place else " " for place in places)

    def wrapped(self, text: str, *, indent: str = "", first: str | None = None) -> list[str]:
        """Words in lines of at most `width` columns; a word that is longer has a line of its own.

        Args:
            text: The words.
            indent: What each line begins with.
            first: What the first line begins with; ``indent`` by default.
        """
        lines: list[str] = []
        line = indent if first is None else first
        empty = True
        for word in text.split():
            if not empty and width(line) + 1 + width(word) > self.width:
                lines.append(line)
                line, empty = indent, True
            line += word if empty else f" {word}"
            empty = False
        return lines if empty else [*lines, line]

    def encodable(self, text: str) -> str:
        """A text that the output takes: others as Python escapes them."""
        if not self.blocks:
            text = text.replace("…", "~")
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)


def style_of(stream: TextIO) -> Style:
    """How to write to a stream: as wide as the terminal, no colour where there is none, nor with NO_COLOR."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        f"{_LEVELS}{''.join(_EIGHTHS)}…".encode(encoding)
        blocks = True
    except (UnicodeEncodeError, LookupError):
        blocks = False
    columns = shutil.get_terminal_size((80, 24)).columns
    colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(min(max(columns, _NARROWEST), _WIDEST), blocks, colour, encoding)


def share(part: float, whole: float) -> str:
    """A part in percent: ``0 %`` and ``100 %`` are exact, ``<0.1 %`` is not nothing."""
    if not whole:
        return "-"
    percent = 100 * (part / whole)
    if abs(percent - 100) < 1e-9:  # sums of the same hours in another order
        return "100.0%"
    if 0 < percent < 0.05:
        return "<0.1%"
    if 99.95 <= percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%"


def hours_text(hours: float) -> str:
    """Hours with two digits behind the point; four of less than one hour."""
    return f"{hours:,.2f}" if hours >= 1 or not hours else f"{hours:.4f}"
