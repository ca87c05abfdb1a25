"""What a model thought before it spoke, cut out of what it said.

Thinking models mark their thoughts, each family in its own way, and most chat templates open the mark
themselves, so that an answer holds the closing one alone. Some also mark the answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LENGTH = "length"
"""Why a model stopped that ran out of tokens."""

_THOUGHT = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflections?|scratchpad|analysis|inner_monologue)"
_ANSWER = r"(?:final_?answer|answer|final_?response|response|solution|conclusion)"


def _opening(name: str) -> str:
    """Marks that begin something: ``<x>``, ``<ns:x a="1">``, ``<|begin_of_x|>``, ``◁x▷``, ``&lt;x&gt;``."""
    return (
        rf"<\s*(?:\w+:)?{name}(?:\s[^<>]*)?(?<!/)>|<\|(?:(?:begin|start)(?:_of)?_)?{name}\|>"
        rf"|[◁＜]\s*{name}\s*[▷＞]|&lt;{name}&gt;"
    )


def _closing(name: str) -> str:
    return (
        rf"<\s*/\s*(?:\w+:)?{name}\s*>|<\s*{name}\s*/>|<\|(?:end(?:_of)?_|/){name}\|>"
        rf"|[◁＜]\s*/\s*{name}\s*[▷＞]|&lt;/{name}&gt;"
    )


_MARK = re.compile(
    r"(?P<quoted>(?<![^\s(])[\"'`“‘])?(?:"
    rf"(?P<opens>{_opening(_THOUGHT)}|\[think(?:ing)?\]"
    r"|<\|channel\|>(?!final)\w+[^<]*<\|message\|>|<\|channel>\s*thought|<unused94>(?:\s*thought)?"
    r"|\A\s*here(?:'s| is) my thought process:)"
    rf"|(?P<closes>{_closing(_THOUGHT)}|\[/think(?:ing)?\]"
    r"|<\|channel\|>final[^<]*<\|message\|>|<channel\|>|<unused95>|here(?:'s| is) my response:)"
    r")(?P<end>[\"'`”’])?",
    re.IGNORECASE,
)
_ANSWERS = re.compile(
    rf"(?:{_opening(_ANSWER)})(.*?)(?:{_closing(_ANSWER)}|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_ANSWER_ENDS = re.compile(_closing(_ANSWER), re.IGNORECASE)
_BOX = re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", re.DOTALL | re.IGNORECASE)
_BOX_MARK = re.compile(r"<\|(?:begin|end)_of_box\|>", re.IGNORECASE)
_SENTENCE_BEFORE = re.compile(r"(?:\A|[.!?:。！？：])[\s*_]*\Z")
_NOTHING_AFTER = re.compile(r"\W*\Z")
_DEEPEST = 8  # marks one within the other; a model that loops writes thousands
_LAST_TOKEN = re.compile(r"<\|(?:return|end)\|>\s*\Z")
_LIKE_THOUGHTS = re.compile(
    r"\W*(?:"
    r"(?:okay|ok|alright|all right|got it|so|well|now|then|hmm+|wait|right|first)\b[\s,.:!-]+"
    r"(?:(?:so|now|first|then)\b[\s,]*)*"
    r"(?:let'?s|let me|(?:I|we)(?:'ll|'d better| need| should| have to| must| will| want)"
    r"|the (?:user|question|task|prompt|request))\b"
    r"|(?:okay|ok|alright|got it|hmm+)\b[\s,.:!-]+(?:so\b[\s,]*)?"
    r"(?:the (?:image|video|picture|frame)s?|looking|here|this|I)\b"
    r"|hmm+\b|let(?:'?s| me) (?:see|think|start|look|analy[sz]e|break|describe)\b"
    r"|(?:I|we) need to (?:write|describe|create|provide|produce|generate|answer|analy[sz]e|look)\b"
    r"|the user (?:wants|wanted|asks|asked|is asking|would like|has (?:asked|provided|given)|provided)\b"
    r"|(?:嗯|好的?|首先)[,，、。\s]*(?:用户|我|让我|这)|用户(?:想|要|希望|让|提供|给)"
    r"|我(?:需要|得|应该)(?:先|根据|描述|写)|让我(?:看看|想想|先|仔细)"
    r")",
    re.IGNORECASE,
)


def begins_as_thoughts(text: str) -> bool:
    """Whether a text begins as models do when they think ("Okay, the user wants", "So, let me see")."""
    return bool(_LIKE_THOUGHTS.match(text.replace("’", "'")))


class Spoken(NamedTuple):
    """What is left of what a model said.

    Attributes:
        text: The answer, stripped; empty when there is none.
        unfinished: The tokens went out, or the model stopped, in the middle of its thoughts: there is no
            answer.
        thoughts: ``""``: it told no thoughts; ``marked``: it did, between two marks; ``unopened``: with the
            closing mark alone, so that its thoughts, when they are cut off, have no mark at all.
    """

    text: str
    unfinished: bool
    thoughts: str


def without_thoughts(said: str, finish: str = "", *, verbatim: bool = False) -> Spoken:
    """Take the answer out of what a model said.

    Args:
        said: All of it.
        finish: Why it stopped; `LENGTH` when it ran out of tokens.
        verbatim: Leave the answer as it is, with marks around it that may have been asked for; only what is
            marked as thought goes.

    Returns:
        The answer without thoughts and marks. Marks count in any case. What stands before a closing mark
        that nothing opened was thought; thoughts that are not closed leave no answer, unless one is marked
        at the end; nor do words that were cut off and begin as thoughts do ("Okay, the user wants").
    """
    kept: list[str] = []
    thinking, opened, closed, thoughts, start = False, 0, 0, "", 0
    for mark in _MARK.finditer(said):
        if mark["quoted"] and mark["end"]:  # it speaks of the mark
            continue
        before = said[start : mark.start("opens" if mark["opens"] else "closes")]
        start = mark.end("opens" if mark["opens"] else "closes")
        if mark["opens"]:
            if not thinking:
                kept.append(before)
            thinking, opened = True, opened + 1
            thoughts = thoughts or "marked"
        else:
            if not thinking:
                kept.clear()
                thoughts = thoughts or "unopened"
            thinking, closed = False, closed + 1
    rest = said[start:]
    cut = finish == LENGTH
    if thinking:
        marked = None if cut or verbatim else _marked_at_the_end(rest)
        return Spoken(marked or "", not marked, thoughts)
    if cut and (opened > closed or (not thoughts and not verbatim and begins_as_thoughts(said))):
        return Spoken("", True, thoughts)
    answer = _LAST_TOKEN.sub("", " ".join((*kept, rest)))
    return Spoken(answer.strip() if verbatim else _unwrapped(answer), False, thoughts)


def _marked_at_the_end(text: str) -> str | None:
    """The answer that ends a text, when both its marks are there."""
    for ending in (*_ANSWER_ENDS.finditer(text), *re.finditer(r"<\|end_of_box\|>", text, re.IGNORECASE)):
        if not text[ending.end() :].strip() and (_ANSWERS.search(text) or _BOX.search(text)):
            return _unwrapped(text)
    return None


def _unwrapped(text: str) -> str:
    """Take off the marks around an answer, one within the other."""
    for _ in range(_DEEPEST):
        inner = _box_taken_off(_answer_taken_out(text.strip()))
        if inner == text:
            break
        text = inner
    return text


def _answer_taken_out(text: str) -> str:
    answers = [found.strip() for found in _ANSWERS.findall(text)]
    if answers:
        return next((answer for answer in reversed(answers) if answer), "")
    parts = (part.strip() for part in _ANSWER_ENDS.split(text))  # the template opened it
    return next((part for part in parts if part), "")


def _box_taken_off(text: str) -> str:
    """The contents of a box that stands for itself; the marks alone are taken out of a sentence."""
    box = next(reversed([*_BOX.finditer(text)]), None)
    if box and _SENTENCE_BEFORE.search(text[: box.start()]) and _NOTHING_AFTER.match(text[box.end() :]):
        text = box[1]
    return _BOX_MARK.sub("", text).strip()
