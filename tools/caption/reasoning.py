"""The answer of a reasoning model, without its reasoning.

Each family of models has its own tags around its reasoning, and most chat templates contain the opening tag,
so that the output has the closing one alone. Some models also put tags around the answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LENGTH = "length"
"""Reason why a model stopped that ran out of tokens."""

_REASONING = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflections?|scratchpad|analysis|inner_monologue)"
_ANSWER = r"(?:final_?answer|answer|final_?response|response|solution|conclusion)"


def _opening(name: str) -> str:
    """Opening tags of a name: ``<x>``, ``<ns:x a="1">``, ``<|begin_of_x|>``, ``◁x▷``, ``&lt;x&gt;``."""
    return (
        rf"<\s*(?:\w+:)?{name}(?:\s[^<>]*)?(?<!/)>|<\|(?:(?:begin|start)(?:_of)?_)?{name}\|>"
        rf"|[◁＜]\s*{name}\s*[▷＞]|&lt;{name}&gt;"
    )


def _closing(name: str) -> str:
    return (
        rf"<\s*/\s*(?:\w+:)?{name}\s*>|<\s*{name}\s*/>|<\|(?:end(?:_of)?_|/){name}\|>"
        rf"|[◁＜]\s*/\s*{name}\s*[▷＞]|&lt;/{name}&gt;"
    )


_TAG = re.compile(
    r"(?P<quoted>(?<![^\s(])[\"'`“‘])?(?:"
    rf"(?P<opens>{_opening(_REASONING)}|\[think(?:ing)?\]"
    r"|<\|channel\|>(?!final)\w+[^<]*<\|message\|>|<\|channel>\s*thought|<unused94>(?:\s*thought)?"
    r"|\A\s*here(?:'s| is) my thought process:)"
    rf"|(?P<closes>{_closing(_REASONING)}|\[/think(?:ing)?\]"
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
_BOX_TAG = re.compile(r"<\|(?:begin|end)_of_box\|>", re.IGNORECASE)
_SENTENCE_BEFORE = re.compile(r"(?:\A|[.!?:。！？：])[\s*_]*\Z")
_NOTHING_AFTER = re.compile(r"\W*\Z")
_DEEPEST = 8  # nested tags; a model that loops writes thousands
_LAST_TOKEN = re.compile(r"<\|(?:return|end)\|>\s*\Z")
_LIKE_REASONING = re.compile(
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


def begins_as_reasoning(text: str) -> bool:
    """Whether a text begins as reasoning often does ("Okay, the user wants", "So, let me see")."""
    return bool(_LIKE_REASONING.match(text.replace("’", "'")))


class Reply(NamedTuple):
    """The output of a model without its reasoning.

    Attributes:
        text: The answer, stripped; empty when there is none.
        unfinished: The model stopped, or ran out of tokens, during its reasoning: there is no answer.
        reasoning: ``""``: none was found; ``marked``: between two tags; ``unopened``: before a closing tag
            alone, so that reasoning of this model has no tag at all when it is cut off.
    """

    text: str
    unfinished: bool
    reasoning: str


def without_reasoning(output: str, finish: str = "", *, verbatim: bool = False) -> Reply:
    """Remove the reasoning from the output of a model.

    Args:
        output: The whole output.
        finish: Why the model stopped; `LENGTH` when it ran out of tokens.
        verbatim: Keep tags around the answer, which may have been requested; only the reasoning is removed.

    Returns:
        The answer without reasoning and tags; the case of tags does not matter. Text before a closing tag
        without an opening one is reasoning. There is no answer after reasoning that is not closed, unless
        tags mark one at the end, and none in a text that was cut off and begins as reasoning does ("Okay, the
        user wants").
    """
    kept: list[str] = []
    inside, opened, closed, reasoning, start = False, 0, 0, "", 0
    for tag in _TAG.finditer(output):
        if tag["quoted"] and tag["end"]:  # the text is about the tag
            continue
        before = output[start : tag.start("opens" if tag["opens"] else "closes")]
        start = tag.end("opens" if tag["opens"] else "closes")
        if tag["opens"]:
            if not inside:
                kept.append(before)
            inside, opened = True, opened + 1
            reasoning = reasoning or "marked"
        else:
            if not inside:
                kept.clear()
                reasoning = reasoning or "unopened"
            inside, closed = False, closed + 1
    rest = output[start:]
    cut = finish == LENGTH
    if inside:
        answer = None if cut or verbatim else _answer_at_the_end(rest)
        return Reply(answer or "", not answer, reasoning)
    if cut and (opened > closed or (not reasoning and not verbatim and begins_as_reasoning(output))):
        return Reply("", True, reasoning)
    answer = _LAST_TOKEN.sub("", " ".join((*kept, rest)))
    return Reply(answer.strip() if verbatim else _unwrapped(answer), False, reasoning)


def _answer_at_the_end(text: str) -> str | None:
    """The answer that ends a text, when both its tags are there."""
    for ending in (*_ANSWER_ENDS.finditer(text), *re.finditer(r"<\|end_of_box\|>", text, re.IGNORECASE)):
        if not text[ending.end() :].strip() and (_ANSWERS.search(text) or _BOX.search(text)):
            return _unwrapped(text)
    return None


def _unwrapped(text: str) -> str:
    """Remove nested tags around an answer."""
    for _ in range(_DEEPEST):
        inner = _without_box(_between_tags(text.strip()))
        if inner == text:
            break
        text = inner
    return text


def _between_tags(text: str) -> str:
    answers = [found.strip() for found in _ANSWERS.findall(text)]
    if answers:
        return next((answer for answer in reversed(answers) if answer), "")
    parts = (part.strip() for part in _ANSWER_ENDS.split(text))  # the template contains the opening tag
    return next((part for part in parts if part), "")


def _without_box(text: str) -> str:
    """The contents of a box that is a sentence; inside a sentence only the tags are removed."""
    box = next(reversed([*_BOX.finditer(text)]), None)
    if box and _SENTENCE_BEFORE.search(text[: box.start()]) and _NOTHING_AFTER.match(text[box.end() :]):
        text = box[1]
    return _BOX_TAG.sub("", text).strip()
