"""Captions as words, for comparing: without case, marks and quotations."""

from __future__ import annotations

import re

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:['’][^\W_]+)*")  # Han and kana: each by itself
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\w)'[^']*'(?!\w)|(?<!\w)‘[^’]*’(?!\w)")


def words(text: str) -> list[str]:
    """The words of a text in lower case; a Han or kana character is a word."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def without_quotes(text: str) -> str:
    """A text without what stands in quotes: words in the picture, not the model's own."""
    return _QUOTED.sub(" ", text)


def ngrams(sequence: list[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n words."""
    return list(zip(*(sequence[start:] for start in range(n)), strict=False))
