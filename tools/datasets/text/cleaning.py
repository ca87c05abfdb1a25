"""The caption cleaning that DeepFloyd IF and PixArt used for T5, rule by rule, twice over.

The rules and their order are those of DeepFloyd's ``_clean_caption``, and so is the result, letter by letter.
What differs is when a rule is run: most captions give most rules nothing to do, and a look for the one
character or word without which a rule cannot match costs a small part of the rule. Each such look says "no"
only where the rule would change nothing. Patterns that took time in the square of a caption's length
are written so that they find the same in linear time; comments say why.

The cleaning destroys case, brackets, numbers and Han characters: it is meant for encoders that were trained
on such text, not for today's. It is not idempotent, one pass may uncover what the next removes; it is run
twice because training did so.
"""

from __future__ import annotations

import contextlib
import functools
import html
import re
import unicodedata
import warnings
from collections.abc import Callable
from urllib.parse import unquote_plus

from tools.base.packages import require_package

_MAX_MARKS = 1000  # combining marks on one letter; normalising takes time in the square of their number
_MAX_HTML_STEPS = 20_000_000  # characters that unclosed tags make the HTML parser read again; 0.2 s


def clean_caption(text: str) -> str:
    """Clean a caption as training captions of T5-based models were, two passes.

    Args:
        text: A caption.

    Returns:
        The cleaned caption, stripped; "" when nothing is left of it.

    Raises:
        UserError: Beautiful Soup or ftfy is not installed.
    """
    tools = _tools()
    once = _clean(text, *tools)
    return once if once == text else _clean(once, *tools)


def clean_captions(texts: list[str]) -> list[str]:
    """`clean_caption` of each."""
    return [clean_caption(text) for text in texts]


@functools.cache
def _tools() -> tuple[Callable[[str], str], Callable[[str], str]]:
    """Two functions of other packages: the text of HTML, and the repair of wrongly decoded text."""
    for package in ("bs4", "ftfy"):
        require_package(package, "--clean-caption")
    from bs4 import BeautifulSoup
    from ftfy import fix_text

    return lambda text: BeautifulSoup(text, "html.parser").text, fix_text


def _clean(text: str, html_text: Callable[[str], str], repair: Callable[[str], str]) -> str:
    """One pass."""
    text = unquote_plus(text).strip().lower().replace("<person>", "person")
    text = _remove_links(text)
    if _MARKUP.search(text):
        text = _remove_markup(text, html_text)
    if "@" in text:
        text = _NICKNAME.sub("", text)
    text = _unify_characters(text)
    text = _remove_numbers(text)
    text = _remove_punctuation(text)
    if _UNUSUAL.search(text):
        text = repair(_limit_marks(text))
    if "&" in text:
        text = _unescape(_unescape(text))
    text = _remove_words(text)
    text = _space_out(text)
    return _trim(text)


# --- links and markup -------------------------------------------------------------------------------------

_DOMAINS = r"(?:com|co|ru|net|org|edu|gov|it)"
_LINK_HINT = re.compile(r"\." + _DOMAINS)


def _link(scheme: str) -> re.Pattern[str]:
    """A scheme with what follows directly, or a host with the beginning of a path.

    A host that is none where its run of letters, digits, dots and hyphens starts at a word boundary is none
    from any later point of the run either. So the rest of the run, up to a scheme in it, is taken as group 1,
    to be put back, instead of being tried again at each of its word boundaries.
    """
    address = rf"{scheme}:(?:/{{1,3}}|[a-zA-Z0-9%])"
    host = rf"[a-zA-Z0-9.\-]+\.{_DOMAINS}[\w/-]*\b/?(?!@)"
    return re.compile(rf"\b(?:{address}|{host}|((?:(?!\b{scheme}:)[a-zA-Z0-9.\-])+))")


_HTTP_LINK = _link("https?")
_WWW_LINK = _link("www")

# Only these begin markup for Python's HTML parser; any other "<" or "&" is text to it.
_MARKUP = re.compile(r"<[a-zA-Z/!?]|&[a-zA-Z#]")
_TAG = re.compile(r"<[^<>]*>")
_UNCLOSED = re.compile(r"<(?=[^<>]*(?:<|\Z))")
_NICKNAME = re.compile(r"@\w+")


def _remove_links(text: str) -> str:
    if "http" in text or "www:" in text or _LINK_HINT.search(text):
        text = _HTTP_LINK.sub(r"\1", text)
        text = _WWW_LINK.sub(r"\1", text)
    return text


def _remove_markup(text: str, html_text: Callable[[str], str]) -> str:
    # The parser looks for the end of an unclosed tag in all that follows it, for each such tag anew.
    if len(text) * len(_UNCLOSED.findall(text)) > _MAX_HTML_STEPS:
        text = _UNCLOSED.sub("&lt;", text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a caption may look like a file name or like XML
        for readable in (text, text.replace("<![", "&lt;![")):  # where the parser stops at broken sections
            with contextlib.suppress(Exception):
                return html_text(readable)
    return _TAG.sub("", text)  # a character number of thousands of digits, say


# --- characters -------------------------------------------------------------------------------------------

_HAN = re.compile(r"[\u31c0-\u9fff]+")  # CJK strokes to unified ideographs, with Yijing hexagrams
_DASHES = re.compile(
    r"[-\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030\u30a0"
    r"\ufe31\ufe32\ufe58\ufe63\uff0d]+"
)
_DOUBLE_QUOTES = re.compile("[`´«»“”¨]")
_SINGLE_QUOTES = re.compile("[‘’]")
_UNUSUAL = re.compile(r"[^\t\n -~]")  # without such a character (and without &) ftfy has nothing to repair


def _unify_characters(text: str) -> str:
    if text.isascii():
        if "--" in text:
            text = _DASHES.sub("-", text)
        return text.replace("`", '"')
    text = _HAN.sub("", text)
    text = _DASHES.sub("-", text)
    text = _DOUBLE_QUOTES.sub('"', text)
    return _SINGLE_QUOTES.sub("'", text)


def _limit_marks(text: str) -> str:
    if len(text) <= _MAX_MARKS:
        return text
    kept, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _unescape(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a character number of thousands of digits
        return text


# --- numbers, files, punctuation --------------------------------------------------------------------------

_QUOT = re.compile("&quot;?")
_DIGIT = re.compile(r"\d")
_IP_ADDRESS = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}")
_LAST_TIME = re.compile(r"\d:\d\d\s+$")
_HASH_NUMBER = re.compile(r"#\d{1,3}\b")
_LONG_HASH_NUMBER = re.compile(r"#\d{5,}\b")
_LONG_NUMBER = re.compile(r"\d(?<=\b\d)\d{5,}\b")  # a pattern that starts with \b is slow to search for
_FORMATS = ("png", "jpg", "jpeg", "bmp", "webp", "eps", "pdf", "apk", "mp4")
_FILE_HINT = re.compile(rf"\.(?:{'|'.join(_FORMATS)})")
# From the start of a word up to its last extension; a word without any is taken whole, to be put back,
# instead of being tried again from each of its letters.
_FILE = re.compile(rf"\S+\.(?:{'|'.join(_FORMATS)})|(\S+)")
_QUOTES = re.compile("[\"']{2,}")
_DOTS = re.compile(r"\.{2,}")
_SIGNS = re.compile(r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+")
_LONE_DOT_HINT = re.compile(r"\.(?<=\s\.)\s")
_LONE_DOT = re.compile(r"(?<!\s)\s+\.\s+")  # a match can only begin where the blanks do
_MAX_HYPHENS = 3
_HYPHENS = str.maketrans("-_", "  ")


def _remove_numbers(text: str) -> str:
    """Character references that are left, addresses, article numbers, and file names."""
    if "&" in text:
        text = _QUOT.sub("", text).replace("&amp", "")
    digits = _DIGIT.search(text)
    if digits:
        text = _IP_ADDRESS.sub(" ", text)
        text = _LAST_TIME.sub("", text)
    text = text.replace("\\n", " ")
    if digits:
        text = _HASH_NUMBER.sub("", text)
        text = _LONG_HASH_NUMBER.sub("", text)
        text = _LONG_NUMBER.sub("", text)
    if _FILE_HINT.search(text):
        text = _FILE.sub(r"\1", text)
    return text


def _remove_punctuation(text: str) -> str:
    if '"' in text or "'" in text:
        text = _QUOTES.sub('"', text)
    if ".." in text:
        text = _DOTS.sub(" ", text)
    text = _SIGNS.sub(" ", text)
    if _LONE_DOT_HINT.search(text):
        text = _LONE_DOT.sub(" ", text)
    if text.count("-") + text.count("_") > _MAX_HYPHENS:
        text = text.translate(_HYPHENS)
    return text


# --- words ------------------------------------------------------------------------------------------------

_ID_HINT = re.compile(r"\d(?:[a-zA-Z]|(?<=[a-zA-Z]\d))")
_SHORT_ID = re.compile(r"\b[a-zA-Z]{1,3}\d{3,15}\b")
_LETTER_ID = re.compile(r"\b[a-zA-Z]+\d+[a-zA-Z]+\b")
_NUMBER_ID = re.compile(r"\b\d+[a-zA-Z]+\d+\b")
_SHIPPING = re.compile(r"(?:worldwide\s+)?(?:free\s+)?shipping")
_DOWNLOAD = re.compile(r"(?:free\s)?download(?:\sfree)?")
_CLICK = re.compile(r"\bclick\b\s(?:for|on)\s\w+")
_FORMAT_WORD = re.compile(rf"\b(?:{'|'.join(_FORMATS)})(?:\simages?)?")
_PAGE = re.compile(r"\bpage\s+\d+\b")
_LONG_ID = re.compile(r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d[a-zA-Z\d]*\b")
_DIMENSIONS_HINT = re.compile(r"[xх×]\d")
_DIMENSIONS = re.compile(r"\b\d+(?:\.\d*)?[xх×]\d+(?:\.\d*)?\b")  # Latin x, Cyrillic х, multiplication sign


def _remove_words(text: str) -> str:
    digits = _DIGIT.search(text)
    if digits and _ID_HINT.search(text):
        text = _SHORT_ID.sub("", text)
        text = _LETTER_ID.sub("", text)
        text = _NUMBER_ID.sub("", text)
    if "shipping" in text:
        text = _SHIPPING.sub("", text)
    if "download" in text:
        text = _DOWNLOAD.sub("", text)
    if "click" in text:
        text = _CLICK.sub("", text)
    if any(word in text for word in _FORMATS):
        text = _FORMAT_WORD.sub("", text)
    if digits and "page" in text:
        text = _PAGE.sub("", text)
    if digits and _ID_HINT.search(text):
        text = _LONG_ID.sub(" ", text)
    if digits and _DIMENSIONS_HINT.search(text):
        text = _DIMENSIONS.sub("", text)
    return text


# --- blanks and ends --------------------------------------------------------------------------------------

_LONE_COLON = re.compile(r"\b\s+:\s+")
_GLUED_HINT = re.compile(r"[,./]\w")
_GLUED = re.compile(r"(\D[,./])\b")
_BLANKS = re.compile(r"\s+")


def _space_out(text: str) -> str:
    if ":" in text:
        text = _LONE_COLON.sub(": ", text)
    if _GLUED_HINT.search(text):
        text = _GLUED.sub(r"\1 ", text)
    if "  " in text or not text.isprintable():  # every blank but the space counts as not printable
        text = _BLANKS.sub(" ", text)
    return text


def _trim(text: str) -> str:
    """Remove enclosing quotes, then one sign at each end; blanks at the ends shield them, as they did."""
    if len(text) > 2 and text[0] in "\"'" and text[-1] in "\"'":
        text = text[1:-1]
    if text.startswith(("'", "_", ",", "-", ":", ";")):
        text = text[1:]
    if text.endswith(("'", "_", ",", "-", ":", "+")):
        text = text[:-1]
    if text.startswith(".") and len(text) > 1 and " " not in text:
        text = ""
    return text.strip()
