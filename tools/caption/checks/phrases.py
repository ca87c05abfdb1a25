"""Parts of a chat in a caption: the prompt itself, tags, introductions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from tools.caption.checks.form import ngrams, words
from tools.caption.prompts import EXAMPLE, PROMPTS, TEXT_SLOT, Prompt
from tools.caption.reasoning import begins_as_reasoning
from tools.datasets.text.prefixes import refine_caption

_MARKERS = re.compile(
    r"<\|/?[\w ]+\|?>|<image>|<video>|</?s>|<unk>|<pad>|<[eb]os>|<(?:start|end)_of_turn>|\[/?INST\]|<<SYS>>"
    r"|<\s*/?\s*(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad)\s*/?>"
    r"|[◁＜]\s*/?\s*think(?:ing)?\s*[▷＞]|\[/?think(?:ing)?\]|<unused\d+>"
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
_ECHO = 8  # words in a row that no caption shares with a prompt by chance
_SHORT_PROMPT = 4  # words; a shorter instruction may occur in a caption


def has_introduction(text: str) -> bool:
    """Whether a caption has an introduction: "The video shows", "Sure! Here is", "Okay, the user wants".

    Among them are those that `tools.datasets.text.prefixes.refine_caption` removes.
    """
    return refine_caption(text) != text or bool(_INTRODUCTION.search(text)) or begins_as_reasoning(text)


def echoes_prompt(text: str, prompts: Iterable[str] = ()) -> bool:
    """Whether a caption repeats the prompt, a sample caption, or the tags of a chat.

    Args:
        text: The caption.
        prompts: Texts of prompts, besides those that have names; ``{text}`` in them stands for the existing
            caption, which may well occur again.
    """
    caption = words(text)
    if _MARKERS.search(text):
        return True
    known = _named_runs()
    own = _runs(tuple(prompts))
    return any(
        run in known or run in own for n in range(_SHORT_PROMPT, _ECHO + 1) for run in ngrams(caption, n)
    )


def prompt_texts(prompt: Prompt) -> tuple[str, ...]:
    """All texts of a prompt."""
    texts = (prompt.request, prompt.with_text, prompt.image_request, prompt.image_with_text)
    return tuple(dict.fromkeys(text for text in texts if text))


@functools.cache
def _named_runs() -> frozenset[tuple[str, ...]]:
    return _runs(tuple(text for prompt in PROMPTS.values() for text in prompt_texts(prompt)))


@functools.cache
def _runs(prompts: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """Runs of words of prompts: any eight words, and instructions of at least four."""
    runs: set[tuple[str, ...]] = set()
    for line in (line for prompt in prompts for part in prompt.split(TEXT_SLOT) for line in part.split("\n")):
        runs.update(ngrams(words(line), _ECHO))
        if not line.startswith(EXAMPLE):  # a short sentence of a sample may occur in any caption
            sentences = (tuple(words(part)) for part in re.split(r"[.!?]", line))
            runs.update(sentence for sentence in sentences if _SHORT_PROMPT <= len(sentence) < _ECHO)
    return frozenset(runs)
