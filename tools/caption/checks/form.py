"""Captions that end in the middle, or say the same again and again."""

from __future__ import annotations

import re

from tools.caption.checks.words import ngrams, words

_END = re.compile(r"[.!?…。！？][\"'”’»)\]*]*\Z|[\"”»)\]]\Z")
_EARLIER_END = re.compile(r"[.!?。！？][\"'”’)]*(?:\s|(?<=[。！？]))\S")
_DANGLING = re.compile(
    r"an?|the|and|or|but|nor|with|without|of|in|on|at|to|from|by|for|as|into|onto|over|under|behind|beside"
    r"|between|through|towards|while|which|whose|that|is|are|was|were|has|have|its|his|her|their|this|these"
)
_RUN = re.compile(
    r"(\S)\1{19}"  # one character twenty times
    r"|(\S{2,10}?)\2{9}"  # a few ten times, without a blank
    r"|([^\w\s])(?:\s+\3){4}"  # a mark five times, with blanks
    r"|([!?,;:])\4{5}"
)
_ONE_CHARACTER = re.compile(r"[\W_]*([^\W_])(?:[\W_]*\1){3,}[\W_]*", re.IGNORECASE)  # and no other
_LONGEST_LOOP = 20  # words; longer ones count as repeated n-grams
_LOOP_WORD = 5  # times one word stands after itself: "very, very, very" is still good English
_LOOP_PHRASE = 3  # times a phrase stands after itself
_SENTENCE = 4  # words of a sentence that must not come twice
_REPEATED_RUN = 6  # words
_REPEATED_SHARE = 0.3  # of a caption's words


def is_cut_off(text: str, finish: str | None = None) -> bool:
    """Whether a caption ends before its end.

    Args:
        text: The caption.
        finish: Why the model stopped, if known: ``length`` is a cut, and what ended by itself (``stop``) is
            none, whatever its last character. Else a caption is cut off that ends without a mark, though it
            has sentences before, or in a word that cannot be the last.
    """
    if finish:
        return finish in ("length", "max_tokens")
    text = text.strip()
    if not text or _END.search(text):
        return False
    last = words(text)[-1:] or [""]
    return text[-1] in ",;:-–—(" or bool(_DANGLING.fullmatch(last[0])) or bool(_EARLIER_END.search(text))


def is_repetitive(text: str) -> bool:
    """Whether a caption runs in a circle.

    It does when a word stands five times after itself, or a phrase of up to 20 words three times; when one
    word or character is all there is; when a character stands twenty times after itself, or some without a
    blank ten times, or a mark six times; when a sentence comes twice; or when three words of ten lie in runs
    of six words that were there before. The last is the duplicate n-gram share of Rae et al. 2021
    (arXiv:2112.11446, A.1.1), counted in words.
    """
    said = words(text)
    alone = (len(said) >= _LOOP_PHRASE and len(set(said)) == 1) or bool(_ONE_CHARACTER.fullmatch(text))
    return (
        alone
        or bool(_RUN.search(text))
        or _loops(said)
        or _repeats_sentence(text)
        or _repeated_share(said) > _REPEATED_SHARE
    )


def _loops(said: list[str]) -> bool:
    for length in range(1, min(_LONGEST_LOOP, len(said) // 2) + 1):
        wanted = length * ((_LOOP_WORD if length == 1 else _LOOP_PHRASE) - 1)
        run = 0
        for earlier, later in zip(said, said[length:], strict=False):
            run = run + 1 if earlier == later else 0
            if run >= wanted:
                return True
    return False


def _repeats_sentence(text: str) -> bool:
    sentences = [tuple(words(part)) for part in re.split(r"[.!?…。！？]+", text)]
    long = [sentence for sentence in sentences if len(sentence) >= _SENTENCE]
    return len(set(long)) < len(long)


def _repeated_share(said: list[str]) -> float:
    """Share of words that lie in a run which was there before."""
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start, run in enumerate(ngrams(said, _REPEATED_RUN)):
        if run in seen:
            repeated.update(range(start, start + _REPEATED_RUN))
        seen.add(run)
    return len(repeated) / len(said) if said else 0.0
