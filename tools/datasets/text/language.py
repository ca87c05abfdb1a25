"""Which texts are written in a language, by lingua with its models of 75 languages.

lingua spreads its confidence over all languages, so that it falls with the length of a text rather than
with doubt about it: "city at night" is English with 0.29, and no other language has more than 0.12. What is
compared with the threshold is therefore the share of the requested language in the sum of its confidence and
that of its strongest rival: 0.5 is a tie, 0.9 nine times as likely.

The choice of `DEFAULT_THRESHOLD`, by pieces of the Universal Declaration of Human Rights in 64 languages (16
pieces of each length and language): recall of English, and the share of all other pieces that pass as it.

    ========= ============== ============== ==============
    threshold 2 words        5 words        15 words
    ========= ============== ============== ==============
    0.3       1.00   2.0 %   1.00   0.6 %   1.00   0.6 %
    0.4       1.00   0.5 %   1.00   0.2 %   1.00   0.3 %
    0.5       0.94   0.0 %   1.00   0.0 %   1.00   0.1 %
    0.7       0.44   0.0 %   0.88   0.0 %   1.00   0.0 %
    ========= ============== ============== ==============

lingua's own confidence does worse: at 0.05, where two words of English still have a recall of 1.00, 1.0 % of
the others pass; at 0.3 the recall is 0.25. Its mode of low accuracy loses half of the short English captions,
but texts of 40 characters and more that it is sure of (a share of 0.98) are accepted by it alone: the
accurate mode, at four times the cost, agreed on all but 13 of 2 799 such pieces.

lingua works in threads of its own, on all cores, and keeps its models (1.25 GB) once in a process: there is
nothing to gain, and memory to lose, by spreading texts over worker processes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.base.packages import require_package
from tools.errors import UserError

if TYPE_CHECKING:
    from lingua import ConfidenceValue, Language, LanguageDetector

DEFAULT_THRESHOLD = 0.4
"""Least share of the requested language against its strongest rival."""
CHARACTERS = 120
"""Only the beginning of a longer text is used: above 120 letters lingua uses a less accurate method."""

_SURE = 0.98
_SURE_LENGTH = 40  # characters
_CHUNK = 1000  # texts at once: enough for all cores, little memory
# ASCII only: Chinese and Japanese have no space before a number.
_NO_LANGUAGE = re.compile(
    r"\w+://[!-~]+|www\.[!-~]+|[!-~]*[@\d][!-~]*|[\w-]+\.[a-z]{2,4}\b", re.ASCII | re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MAX_NAMES = 0.5  # of the letters of a text: German, with a capital on every noun, has about so many


class LanguageFilter:
    """Finds the texts in one of some languages. Can be pickled; models are loaded at first use.

    Args:
        codes: ISO 639-1 or 639-3 codes joined by comma or plus: ``en``, ``en,fr``, ``deu+nld``.
        threshold: Least share of the requested language against its strongest rival, between 0 and 1.

    Raises:
        UserError: A code that lingua does not know, a threshold out of range, or lingua is not installed.
    """

    def __init__(self, codes: str, threshold: float = DEFAULT_THRESHOLD) -> None:
        if not 0 < threshold <= 1:
            raise UserError(f"--lang: a threshold of {threshold}; it must be above 0 and at most 1")
        self.names = _language_names(codes)
        self.threshold = threshold
        self._detectors: dict[bool, LanguageDetector] = {}

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_detectors": {}}

    def keep(self, texts: Sequence[str | None]) -> list[bool]:
        """Whether each text is in one of the languages.

        Args:
            texts: Any number; None and texts without words (digits, emoji, web addresses) are in no language.

        Returns:
            As many values as texts.
        """
        return [confidence >= self.threshold for confidence in self.confidences(texts)]

    __call__ = keep

    def confidences(self, texts: Sequence[str | None]) -> list[float]:
        """The share of the best of the requested languages against the strongest of the others, 0 to 1.

        Args:
            texts: As for `keep`.

        Returns:
            As many values as texts; 0 for one without words. A text below the threshold is tried once more
            without the names in it, see `without_names`, and has the better of both values.
        """
        confidences: list[float] = []
        for first in range(0, len(texts), _CHUNK):
            confidences.extend(self._chunk([words_of(text or "") for text in texts[first : first + _CHUNK]]))
        return confidences

    def _chunk(self, texts: list[str]) -> list[float]:
        """Cheap checks first: most captions are long enough, and clearly in the language."""
        shares = [0.0] * len(texts)
        self._improve(shares, [text if len(text) >= _SURE_LENGTH else "" for text in texts], accurate=False)
        shares = [share if share >= max(_SURE, self.threshold) else 0.0 for share in shares]
        self._improve(shares, texts)
        self._improve(shares, [without_names(text) if text != without_names(text) else "" for text in texts])
        return shares

    def _improve(self, shares: list[float], texts: list[str], accurate: bool = True) -> None:
        """Set the shares that are below the threshold to those of these texts, where they are higher."""
        doubtful = [i for i, text in enumerate(texts) if text and shares[i] < self.threshold]
        if not doubtful:
            return
        values = self._detector(accurate).compute_language_confidence_values_in_parallel(
            [texts[i] for i in doubtful]
        )
        for index, found in zip(doubtful, values, strict=True):
            shares[index] = max(shares[index], self._share(found))

    def _share(self, found: list[ConfidenceValue]) -> float:
        requested = max((v.value for v in found if v.language.name in self.names), default=0.0)
        rival = max((v.value for v in found if v.language.name not in self.names), default=0.0)
        return requested / (requested + rival) if requested else 0.0

    def _detector(self, accurate: bool) -> LanguageDetector:
        if accurate not in self._detectors:
            from lingua import LanguageDetectorBuilder

            builder = LanguageDetectorBuilder.from_all_languages()
            self._detectors[accurate] = (builder if accurate else builder.with_low_accuracy_mode()).build()
        return self._detectors[accurate]


def words_of(text: str) -> str:
    """A text without what has no language, cut to `CHARACTERS`: addresses, file names, all with a digit.

    Returns:
        Words as they stood; empty if no word of two letters, and no ideogram, is left.
    """
    text = _NO_LANGUAGE.sub(" ", text[: 4 * CHARACTERS])
    if not any(len(word) > 1 or not word.isascii() for word in _WORD.findall(text)):
        return ""
    if len(text) > CHARACTERS:
        text = text[:CHARACTERS].rsplit(maxsplit=1)[0]
    return text.strip()


def without_names(text: str) -> str:
    """A text without its capitalised words inside sentences, if these are the lesser part.

    Names of places and people belong to another language than the sentence and decide it with lingua, some by
    one letter: "the Hallgrímskirkja church" is Icelandic for it.

    Returns:
        The rest; the text itself if it has no such words, or if they are more than half of its letters.
    """
    words = list(_WORD.finditer(text))
    names = {word.start() for word in words if word[0][0].isupper() and _is_inside(text, word.start())}
    letters = sum(len(word[0]) for word in words)
    if not names or sum(len(word[0]) for word in words if word.start() in names) > _MAX_NAMES * letters:
        return text
    return _WORD.sub(lambda word: " " if word.start() in names else word[0], text)


def _is_inside(text: str, position: int) -> bool:
    """Whether a word does not begin a sentence."""
    before = text[:position].rstrip(" \t\r\n\"'“”‘’«»([-")
    return before != "" and before[-1] not in ".!?:"


def _language_names(codes: str) -> frozenset[str]:
    languages = _languages()
    known = {language.iso_code_639_1.name.lower(): language.name for language in languages}
    known |= {language.iso_code_639_3.name.lower(): language.name for language in languages}
    requested = [code.strip().lower() for code in re.split(r"[,+]", codes)]
    for code in requested:
        if code not in known:
            short = " ".join(sorted(code for code in known if len(code) == 2))
            raise UserError(
                f"--lang: no language '{code}'; there are {short}, and their codes of three letters"
            )
    return frozenset(known[code] for code in requested)


def _languages() -> list[Language]:
    require_package("lingua", "--lang")
    import lingua

    return sorted(lingua.Language.all(), key=lambda language: language.name)
