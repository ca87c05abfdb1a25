"""Texts on a terminal: how wide they are there, cut and filled up to a width, and harmless."""

from __future__ import annotations

import unicodedata

_UNSHOWN = ("Cc", "Cs", "Zl", "Zp")
"""Categories of characters that would move the cursor, or that no terminal takes."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn round the direction of what follows, other cells included."""


def one_line(text: str) -> str:
    """A text in one line, without what would act on the terminal instead of being shown."""
    return harmless(" ".join(text.split()))


def harmless(text: str) -> str:
    """A text without what would act on the terminal instead of being shown; lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if _acts(character) else character for character in text)


def _acts(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in _UNSHOWN or character in _TURNING


def counted(number: int, noun: str, form: str = "") -> str:
    """``1 row``, ``2 rows``; the form of the number is as in `format`: ``,`` separates thousands."""
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"


def width(text: str) -> int:
    """Columns of a terminal that a text takes: two for a Chinese character, none for a combining mark."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    return max(0, wcswidth(text))


def padded(text: str, columns: int) -> str:
    """A text filled up with blanks to so many columns."""
    return text + " " * (columns - width(text))


def shortened(text: str, columns: int, *, keep_end: bool = False) -> str:
    """A text of at most so many columns: a longer one loses its end, or its beginning, and gets dots there.

    Nothing that is shown as one character is cut in two.
    """
    if width(text) <= columns:
        return text
    characters = _characters(text)
    if keep_end:
        return "…" + "".join(reversed(_fitting(characters[::-1], columns - 1)))
    return "".join(_fitting(characters, columns - 1)) + "…"


def _characters(text: str) -> list[str]:
    """What is shown as one character: a base with its combining marks, a sequence of emoji."""
    found: list[str] = []
    for character in text:
        # A joiner and what follows it, marks and variation selectors take no column of their own.
        if found and width(found[-1] + character) == width(found[-1]):
            found[-1] += character
        else:
            found.append(character)
    return found


def _fitting(characters: list[str], columns: int) -> list[str]:
    """As many characters, from the first on, as fit into so many columns."""
    for place, character in enumerate(characters):
        columns -= width(character)
        if columns < 0:
            return characters[:place]
    return characters
