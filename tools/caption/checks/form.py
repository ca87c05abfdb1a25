"""Captions that are truncated or repetitive."""

from __future__ import annotations

import re

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:['’][^\W_]+)*")  # Han and kana: each by itself
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
_LOOP_WORD = 5  # times in a row for one word: "very, very, very" is still good English
_LOOP_PHRASE = 3  # times in a row for a phrase
_SENTENCE = 4  # words of a sentence that must not occur twice
_REPEATED_RUN = 6  # words
_REPEATED_SHARE = 0.3  # of a caption's words


def words(text: str) -> list[str]:
    """The words of a text in lower case; a Han or kana character is a word."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def ngrams(sequence: list[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n words."""
    return list(zip(*(sequence[start:] for start in range(n)), strict=False))


def is_cut_off(text: str, finish: str | None = None) -> bool:
    """Whether a caption is truncated.

    Args:
        text: The caption.
        finish: Why the model stopped, if known: ``length`` means truncated, anything else (``stop``) means
            complete, whatever the last character is. Else a caption is truncated that has sentences but ends
            without punctuation, or ends in a word that cannot be the last.
    """
    if finish:
        return finish in ("length", "max_tokens")
    text = text.strip()
    if not text or _END.search(text):
        return False
    last = words(text)[-1:] or [""]
    return text[-1] in ",;:-–—(" or bool(_DANGLING.fullmatch(last[0])) or bool(_EARLIER_END.search(text))


def is_repetitive(text: str) -> bool:
    """Whether a caption repeats itself.

    It does when a word occurs five times in a row, or a phrase of up to 20 words three times; when it
    consists of one word or character; when a character occurs twenty times in a row, a string without blanks
    ten times, or a punctuation mark six times; when a sentence occurs twice; or when three words of ten are
    in runs of six words that occurred before. The last is the duplicate n-gram share of Rae et al. 2021
    (arXiv:2112.11446, A.1.1), counted in words.
    """
    all_words = words(text)
    alone = (len(all_words) >= _LOOP_PHRASE and len(set(all_words)) == 1) or bool(
        _ONE_CHARACTER.fullmatch(text)
    )
    return (
        alone
        or bool(_RUN.search(text))
        or _loops(all_words)
        or _repeats_sentence(text)
        or _repeated_share(all_words) > _REPEATED_SHARE
    )


def _loops(all_words: list[str]) -> bool:
    for length in range(1, min(_LONGEST_LOOP, len(all_words) // 2) + 1):
        needed = length * ((_LOOP_WORD if length == 1 else _LOOP_PHRASE) - 1)
        run = 0
        for earlier, later in zip(all_words, all_words[length:], strict=False):
            run = run + 1 if earlier == later else 0
            if run >= needed:
                return True
    return False


def _repeats_sentence(text: str) -> bool:
    sentences = [tuple(words(part)) for part in re.split(r"[.!?…。！？]+", text)]
    long = [sentence for sentence in sentences if len(sentence) >= _SENTENCE]
    return len(set(long)) < len(long)


def _repeated_share(all_words: list[str]) -> float:
    """Share of words in runs that occurred before."""
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start, run in enumerate(ngrams(all_words, _REPEATED_RUN)):
        if run in seen:
            repeated.update(range(start, start + _REPEATED_RUN))
        seen.add(run)
    return len(repeated) / len(all_words) if all_words else 0.0
