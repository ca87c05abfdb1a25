"""What belongs to the talk with a model and not to a caption: refusals, the prompt itself, introductions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from tools.caption.checks.words import ngrams, without_quotes, words
from tools.caption.prompts import EXAMPLE, PROMPTS, TEXT_SLOT, Prompt
from tools.datasets.text.prefixes import refine_caption

_START = r"(?:\A|[.!?]\s+)\W*"
_SEEN = r"(?:images?|videos?|pictures?|photos?|frames?|clips?|files?|attachments?|content)"
_CANNOT = (
    r"I (?:can(?:no|')t|can not|do not|don'?t|won'?t|will not|could not|couldn'?t|must decline|am unable)"
)
_DO = (
    r"(?:assist|help|provide|describe|see|view|access|analy[sz]e|process|identify|fulfil+|comply|generate"
    r"|create|write|determine|engage|feel comfortable|have (?:access|the ability|enough))"
)
_REFUSAL = re.compile(
    "|".join(
        (
            rf"{_START}(?:I'?m|I am|we'?re|we are) (?:\w+ )?(?:sorry|unable|not able|afraid)\b",
            rf"{_START}(?:sorry|apologies|I apologi[sz]e)\b",
            rf"{_START}(?:unfortunately,? )?{_CANNOT} (?:\w+ ){{0,2}}?{_DO}\b",
            r"\bas (?:an AI|a large language|a language model|a text-based|an artificial)\b",
            rf"\bno {_SEEN} (?:(?:was|were|is|are|has been|have been) )?"
            r"(?:provided|attached|uploaded|shared|included)\b",
            rf"{_START}(?:please|could you|can you) (?:\w+ )?(?:provide|upload|share|attach|send)\b"
            rf"[^.]*\b{_SEEN}\b",
            r"\b(?:unable|not possible|impossible) to (?:view|see|access|open|load|process) "
            rf"(?:the|this|your|any|that) {_SEEN}\b",
        )
    ),
    re.IGNORECASE,
)
_MARKERS = re.compile(
    r"<\|[\w ]+\|>|<image>|<video>|</?s>|<unk>|<pad>|\[/?INST\]|<<SYS>>|</?think>"
    r"|(?:\A|\s)(?:USER|ASSISTANT|Human|Assistant|User|System) ?: "
    r"|### ?(?:Human|Assistant|Instruction|Response)"
)
_INTRODUCTION = re.compile(
    r"\A\W*(?:"
    r"(?:sure|certainly|of course|absolutely|okay|ok|great)\b\s*[,!.:–—-]"
    r"|here(?:'s| is| are|’s) (?:\w+ ){0,4}?(?:caption|description|summary|paragraph|answer|prompt)\b"
    r"|(?:\w+ ){0,2}(?:caption|description|answer|output|response|title)\s*:"
    r"|based on (?:the|this|these|what) (?:\w+ ){0,3}?(?:image|video|frame|picture|clip)s?\b"
    r"|the (?:caption|description) (?:is|for|of|reads|could be)\b"
    r"|(?:the|this) (?:video|image|clip|footage|picture) (?:showcases|displays|illustrates|begins|starts)\b"
    r")"
    r"|\A\s*(?:\*\*|#{1,6} )",
    re.IGNORECASE,
)
_ECHO = 8  # words in a row: no caption shares so many with an instruction by chance
_SHORT_PROMPT = 4  # words; an instruction of fewer may well stand in a caption


def is_refusal(text: str) -> bool:
    """Whether a model says that it will not, or cannot, describe what it was shown.

    What stands in quotes is words in the picture, and is no refusal.
    """
    return bool(_REFUSAL.search(without_quotes(text).replace("’", "'")))


def has_introduction(text: str) -> bool:
    """Whether a caption begins with talk about itself, such as "The video shows" or "Sure! Here is".

    The former are those that `tools.datasets.text.prefixes.refine_caption` removes.
    """
    return refine_caption(text) != text or bool(_INTRODUCTION.search(text))


def echoes_prompt(text: str, prompts: Iterable[str] = ()) -> bool:
    """Whether a caption repeats what the model was told, a sample caption, or the marks of a chat.

    Args:
        text: The caption.
        prompts: What the model was asked, besides the prompts that have names; ``{text}`` in them stands for
            a caption that was there before, which may well come again.
    """
    said = words(text)
    if _MARKERS.search(text):
        return True
    known = _named_runs()
    own = _runs(tuple(prompts))
    return any(run in known or run in own for n in range(_SHORT_PROMPT, _ECHO + 1) for run in ngrams(said, n))


def prompt_texts(prompt: Prompt) -> tuple[str, ...]:
    """All that may be asked with a prompt."""
    texts = (prompt.request, prompt.with_text, prompt.image_request, prompt.image_with_text)
    return tuple(dict.fromkeys(text for text in texts if text))


@functools.cache
def _named_runs() -> frozenset[tuple[str, ...]]:
    return _runs(tuple(text for prompt in PROMPTS.values() for text in prompt_texts(prompt)))


@functools.cache
def _runs(prompts: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """Runs of words that come from a prompt: any eight words, and instructions of at least four."""
    runs: set[tuple[str, ...]] = set()
    for line in (line for prompt in prompts for part in prompt.split(TEXT_SLOT) for line in part.split("\n")):
        runs.update(ngrams(words(line), _ECHO))
        if not line.startswith(EXAMPLE):  # a short sentence of a sample may stand in any caption
            sentences = (tuple(words(sentence)) for sentence in re.split(r"[.!?]", line))
            runs.update(told for told in sentences if _SHORT_PROMPT <= len(told) < _ECHO)
    return frozenset(runs)
