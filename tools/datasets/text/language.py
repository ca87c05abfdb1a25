"""Which texts are written in a language, by lingua with its models of 75 languages.

lingua spreads its confidence over all languages, so that it falls with the length of a text rather than with
the doubt about it: "A man walks through the streets of San Francisco" is English with 0.61, and the next best
language has 0.06. What is compared with the threshold is therefore the share of the wanted language in the sum
of its confidence and that of its strongest rival: 0.5 is a tie, 0.9 nine times as likely.

Choice of the default, `DEFAULT_THRESHOLD`, on pieces of the Universal Declaration of Human Rights in 64
languages (16 pieces of each length and language; recall of English, then the share of texts in another
language that pass as English):

    ========= ============ ============ ============ =============
    threshold 2 words      5 words      15 words     lingua alone*
    ========= ============ ============ ============ =============
    0.3       1.00  2.1 %  1.00  0.5 %  1.00  0.6 %  0.88  0.3 %
    0.4       1.00  0.5 %  1.00  0.2 %  1.00  0.3 %  0.88  0.2 %
    0.5       0.94  0.0 %  1.00  0.0 %  1.00  0.1 %  0.50  0.1 %
    0.7       0.44  0.0 %  0.88  0.0 %  1.00  0.0 %  0.25  0.0 %
    ========= ============ ============ ============ =============

    * 2 words, lingua's own confidence at 0.08, 0.1, 0.15 and 0.3.

lingua works in threads of its own, on all cores, and holds its models (1.25 GB for the accurate mode) once in the
process: there is nothing to gain, and memory to lose, by spreading texts over worker processes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.errors import UserError

if TYPE_CHECKING:
    from lingua import ConfidenceValue, Language

DEFAULT_THRESHOLD = 0.4
"""Least share of the wanted language against its strongest rival."""
CHARACTERS = 300
"""Of a longer text, only this much is looked at; what lingua says changes no more, its time does."""

_CHUNK = 1000  # texts at once: enough for all cores, little memory
_NO_LANGUAGE = re.compile(r"\w+://\S+|www\.\S+|\S*@\S+|\S*\d\S*|[\w-]+\.[a-z0-9]{2,4}\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MAX_FOREIGN = 0.4
_PLAIN = {"EN", "ID", "MS", "SW", "XH", "ZU", "SN", "SO", "ST", "LA"}
"""Languages whose own words have no letters but a to z."""


class LanguageFilter:
    """Tells the texts that are in one of some languages. Can be pickled; models are loaded at first use.

    Args:
        codes: ISO 639-1 or 639-3 codes joined by comma or plus: ``en``, ``en,fr``, ``deu+nld``.
        threshold: Least share of the wanted language against its strongest rival, between 0 and 1.

    Raises:
        UserError: A code that lingua does not know, a threshold out of range, or lingua is not installed.
    """

    def __init__(self, codes: str, threshold: float = DEFAULT_THRESHOLD) -> None:
        if not 0 < threshold <= 1:
            raise UserError(f"--lang: a threshold of {threshold}; it must be above 0 and at most 1")
        self.names = _language_names(codes)
        self.threshold = threshold
        self._detector = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_detector": None}

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
        """The share of the best of the wanted languages against the strongest of the others, 0 to 1.

        Args:
            texts: As for `keep`.

        Returns:
            As many values as texts; 0 for one without words.
        """
        confidences: list[float] = []
        plain = any(name in self._plain_names() for name in self.names)
        for first in range(0, len(texts), _CHUNK):
            chunk = [words_of(text or "") for text in texts[first : first + _CHUNK]]
            shares = self._shares(chunk)
            if plain:
                bare = [without_accented_words(text) for text in chunk]
                again = [i for i, text in enumerate(bare) if text != chunk[i] and shares[i] < 1]
                for i, share in zip(again, self._shares([bare[i] for i in again]), strict=True):
                    shares[i] = max(shares[i], share)
            confidences.extend(shares)
        return confidences

    def _shares(self, texts: list[str]) -> list[float]:
        detector = self._load()
        values = detector.compute_language_confidence_values_in_parallel(texts)
        return [
            self._share(found) if text else 0.0 for text, found in zip(texts, values, strict=True)
        ]

    def _share(self, found: list[ConfidenceValue]) -> float:
        wanted = max((v.value for v in found if v.language.name in self.names), default=0.0)
        rival = max((v.value for v in found if v.language.name not in self.names), default=0.0)
        return wanted / (wanted + rival) if wanted else 0.0

    def _load(self) -> object:
        if self._detector is None:
            from lingua import LanguageDetectorBuilder

            self._detector = LanguageDetectorBuilder.from_all_languages().build()
        return self._detector

    def _plain_names(self) -> set[str]:
        return {language.name for language in _languages() if language.iso_code_639_1.name in _PLAIN}


def words_of(text: str) -> str:
    """A text without what has no language (addresses, file names, anything with a digit), cut to `CHARACTERS`.

    Returns:
        Words as they stood; empty if no word of two letters, and no ideogram, is left.
    """
    text = _NO_LANGUAGE.sub(" ", text[: 4 * CHARACTERS])
    if not any(len(word) > 1 or not word.isascii() for word in _WORD.findall(text)):
        return ""
    if len(text) > CHARACTERS:
        text = text[:CHARACTERS].rsplit(maxsplit=1)[0]
    return text.strip()


def without_accented_words(text: str) -> str:
    """A text without its words of other letters than a to z, if these are the lesser part.

    Names of places and people decide with lingua, by their letters alone: "the Hallgrímskirkja church" is
    Icelandic for it. In a sentence of English they are few, in one of Icelandic many; a French sentence
    stays French without them.
    """
    words = _WORD.findall(text)
    accented = [word for word in words if not word.isascii()]
    if not accented or sum(map(len, accented)) > _MAX_FOREIGN * sum(map(len, words)):
        return text
    return _WORD.sub(lambda match: match[0] if match[0].isascii() else " ", text)


def _language_names(codes: str) -> frozenset[str]:
    languages = _languages()
    known = {language.iso_code_639_1.name.lower(): language.name for language in languages}
    known |= {language.iso_code_639_3.name.lower(): language.name for language in languages}
    wanted = [code.strip().lower() for code in re.split(r"[,+]", codes)]
    for code in wanted:
        if code not in known:
            short = " ".join(sorted(code for code in known if len(code) == 2))
            raise UserError(f"--lang: no language '{code}'; there are {short}, and their codes of three letters")
    return frozenset(known[code] for code in wanted)


def _languages() -> list[Language]:
    try:
        import lingua
    except ImportError:
        raise UserError("--lang: its package is not installed: pip install 'vidsieve[text]'") from None
    return sorted(lingua.Language.all(), key=lambda language: language.name)
