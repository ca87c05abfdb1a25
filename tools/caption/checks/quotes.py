"""Text that a caption quotes from the picture, compared with what OCR found there."""

from __future__ import annotations

import difflib
import re

_DOUBLE = re.compile(r"\"([^\"]+)\"|“([^”]+)”|«([^»]+)»")
_SINGLE = re.compile(r"(?<!\w)'([^']+)'(?!\w)|(?<!\w)‘([^’]+)’(?!\w)")
_QUOTATION = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\w)'[^']*'(?!\w)|(?<!\w)‘[^’]*’(?!\w)")
_CUE = re.compile(
    r"\b(?:text|words?|letters?|lettering|sign|signs|signage|reads?|reading|says|saying|labell?ed|written|"
    r"printed|title|titled|logo|banner|caption|subtitle|slogan|spells?|displays?|displaying)\b",
    re.IGNORECASE,
)
_ALIKE = 0.75  # share of equal letters: OCR takes O for 0 and loses a letter now and then
_SHORTEST = 2  # letters or digits; a single one is hardly ever text


def without_quotes(text: str) -> str:
    """A text without quotations, which are text in the picture and not the model's own words."""
    return _QUOTATION.sub(" ", text)


def quoted(text: str) -> list[str]:
    """Text that a caption quotes from the picture.

    Double quotes always count. Single quotes count when the words before them, in the same sentence, are
    about text; otherwise they may be a figure of speech.
    """
    found = [(match.start(), next(filter(None, match.groups()))) for match in _DOUBLE.finditer(text)]
    for match in _SINGLE.finditer(text):
        before = re.split(r"[.!?]\s", text[: match.start()])[-1]
        if _CUE.search(before):
            found.append((match.start(), next(filter(None, match.groups()))))
    return [words for _, words in sorted(found) if len(_letters(words)) >= _SHORTEST]


def quotes_unseen_text(text: str, seen: str) -> bool:
    """Whether a caption quotes something that is not in what OCR read.

    Args:
        text: The caption.
        seen: All text that OCR found; "" for none.

    Returns:
        Whether a quotation is neither a part of that text, nor similar to one: letters and digits are
        compared without case and blanks, and three of four must agree in their order.
    """
    read = _letters(seen)
    return any(not _is_in(_letters(words), read) for words in quoted(text))


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _is_in(letters: str, read: str) -> bool:
    """Whether the letters, or similar ones, are in the text that OCR found."""
    if letters in read:
        return True
    matcher = difflib.SequenceMatcher(None, "", letters, autojunk=False)
    for start in range(max(1, len(read) - len(letters) + 1)):
        matcher.set_seq1(read[start : start + len(letters)])
        if matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE:
            return True
    return False
