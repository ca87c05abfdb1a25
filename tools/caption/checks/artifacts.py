"""Artifacts of software in captions: placeholders, broken characters, wrappers."""

from __future__ import annotations

import re

from tools.caption.checks.form import words

_NOTHING = frozenset(
    (
        *("none", "null", "nil", "nan", "na", "n a", "nat", "undefined", "void", "empty", "blank", "missing"),
        *("unknown", "error", "true", "false", "string", "text", "caption", "todo", "tbd", "object object"),
        *("not available", "not applicable", "no caption", "no description", "no answer", "no response"),
        *("no text", "no output", "no content", "none none", "null null"),
        *("无", "無", "空", "没有", "沒有", "なし", "없음", "нет", "ninguno", "ninguna", "aucun", "aucune"),
        *("keine", "nichts", "nenhum", "nenhuma", "nessuno", "nessuna"),
    )
)
"""Placeholders of captions, as words in lower case."""

_LONGEST_NOTHING = 40  # characters, punctuation included
_LETTER = re.compile(r"[^\W\d_]")
_MISREAD = (
    "[\u0080-\u00aa\u00ac-\u00ba\u00bc-\u00bf\u0152-\u017e\u0192\u02c6\u02dc\u2013-\u2122]"  # but for « and »
)
_BROKEN = re.compile(
    "[\ufffd\ufffe\uffff\ufdd0-\ufdef\ud800-\udfff]"
    r"|[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"  # control characters that no text contains
    rf"|â€{_MISREAD}|[ÃÂ]{_MISREAD}|ðŸ|ï¿½|(?:[ÐÑ]{_MISREAD}){{2}}|锟斤拷"  # UTF-8 decoded as something else
    r"|<0x[0-9A-Fa-f]{2}>|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # bytes and surrogates, spelt out
    r"|\w[Ġ▁]\w.*\w[Ġ▁]\w"  # blanks as in tokens
)
_FENCE = re.compile(r"```|~~~")
_JSON = re.compile(
    r"\A\s*(?:json\b\s*)?(?:\{\s*(?:[\"'“]|\w+\s*:|\})|\[\s*(?:\{|[\"'“]|\]))|\{\s*\"\w+\"\s*:\s*[\"\[{\d]"
)
_QUOTED = re.compile(r"\s*(?:\"[^\"]*\"|“[^”]*”|'[^']*'|`[^`]*`)\s*")
_HTML = re.compile(r"\A\s*<[?!]|<br\s*/?>|&(?:lt|gt|amp|quot|nbsp|apos|#\d+);", re.IGNORECASE)
_TAG = re.compile(r"\s*<\s*([a-z][\w:-]*)(?:\s[^<>]*)?>.*<\s*/\s*\1\s*>\s*", re.DOTALL | re.IGNORECASE)
_ANSWER_TAG = re.compile(
    r"<\s*/?\s*(?:(?:final_?)?(?:answer|response)|solution|conclusion|caption|description|output|result"
    r"|summary)\s*>",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\(?:boxed|text)\s*\{")
_SHORTEST_QUOTATION = 4  # words; a shorter one may be the text in the picture


def says_nothing(text: str) -> bool:
    """Whether there is no caption: no letter of any script, or a placeholder (None, null, nan)."""
    if not _LETTER.search(text):
        return True
    return len(text) <= _LONGEST_NOTHING and " ".join(words(text)) in _NOTHING


def is_damaged(text: str) -> bool:
    """Whether characters were lost or decoded wrongly: U+FFFD, control characters, ``â€™``."""
    return bool(_BROKEN.search(text))


def is_wrapped(text: str) -> bool:
    """Whether a caption is wrapped in markup: JSON, a fence, tags, quotes around all of it."""
    if any(wrapper.search(text) for wrapper in (_FENCE, _JSON, _HTML, _ANSWER_TAG, _BOXED)):
        return True
    if _TAG.fullmatch(text):
        return True
    return bool(_QUOTED.fullmatch(text)) and len(words(text)) >= _SHORTEST_QUOTATION
