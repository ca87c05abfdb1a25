"""Parameters that a server refuses: which ones its words are about, and what to try without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
"""What newer models call a parameter."""

_SAID_OTHERWISE = {
    "response_format": r"(?:response|output)[ _-]?(?:format|schema|config|mime[ _]?type)|format|grammar"
    r"|schema|json(?:[ _-]?(?:schema|object|mode|output))?|additionalProperties"
    r"|(?:structured|guided|constrained)[ _-]?(?:outputs?|json|generation|decoding|grammar)",
    "seed": r"(?:random[ _]?)?seed",
    "temperature": r"temperature|sampling|greedy|do_sample",
    "max_tokens": r"max[ _]?(?:output[ _]?|new[ _]?)?tokens",
    "max_completion_tokens": r"max[ _]?completion[ _]?tokens",
}
"""Under which names servers speak of a parameter; all others under its own."""

_NOT_SUPPORTED = re.compile(
    r"unsupported|(?:not|n't|no longer) (?:be )?(?:supported|allowed|permitted|available|implemented|used)"
    r"|not (?:support|accept|allow)\b|unknown|unrecogni[sz]ed|unexpected|unavailable|deprecated"
    r"|extra (?:inputs|fields)|cannot find field|no such|invalid|not valid|(?:must|should|has to) be|only\b",
    re.IGNORECASE,
)
_UNNAMED = re.compile(
    r"(?:requested|unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|extra|these|some) "
    r"(?:parameter|field|argument|input|key|propert)(?:s|y|ies)?\b(?! ?:)"
    r"|参数(?:错误|非法|无效|不合法|不支持)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\b(?:use|instead|replaced|renamed|in favou?r of)\b", re.IGNORECASE)
_TOO_MANY = re.compile(
    r"context|too (?:large|long|many|big)|exceed|at (?:most|least)|less than|greater than|below|above|maximum"
    r"|minimum|between|range|reduce",
    re.IGNORECASE,
)
_ECHOES = frozenset(("input", "request", "body", "messages", "prompt", "ctx", "url"))
_FIRST = ("param", "loc", "field", "location")  # what says by itself which parameter is meant
_LONGEST = 4000  # characters that are looked at: some servers send the whole request back


def named_parameters(error: Any, parameters: dict[str, Any], *, sure: bool = True) -> tuple[str, ...]:
    """The parameters of a request that an error message names.

    Args:
        error: The body of the response as JSON, or as it is; what repeats the request in it is left out.
        parameters: Those of the request, with their values.
        sure: The status says that the request is to blame; else its words must say so as well.

    Returns:
        Their names without the model: those that the error has fields for, then in the order of its words.
        ``max_tokens`` is named by words that say it is not supported, not by those about its size. All but
        ``max_tokens`` where the words are about parameters, but name none.
    """
    fields = " ".join(_strings(error, _FIRST))[:_LONGEST]
    words = " ".join(_strings(error, None))[:_LONGEST]
    model = str(parameters.get("model") or "")
    words = words.replace(model, " ") if len(model) > 1 else words
    if not sure and not _NOT_SUPPORTED.search(words):
        return ()
    found: list[tuple[bool, int, str]] = []
    for name in parameters:
        place = _named_at(name, words)
        if name == "model" or place is None or (_is_a_limit(name) and not _is_renamed(words)):
            continue
        found.append((_named_at(name, fields) is None, place, name))
    if not found and _UNNAMED.search(words):
        return tuple(name for name in reversed(parameters) if name != "model" and not _is_a_limit(name))
    return tuple(name for *_, name in sorted(found))


def _named_at(name: str, words: str) -> int | None:
    pattern = _SAID_OTHERWISE.get(name) or re.escape(name)
    # ASCII borders: Chinese servers put no blanks around a name. A hyphen makes it a part of a model's name.
    found = re.search(rf"(?<![A-Za-z0-9_-])(?:{pattern})(?![A-Za-z0-9_/-])", words, re.IGNORECASE)
    return found and found.start()


def _is_a_limit(name: str) -> bool:
    return name in OTHER_NAMES or name in OTHER_NAMES.values()


def _is_renamed(words: str) -> bool:
    """Whether a limit of tokens is refused by its name, not for its size."""
    if any(other in words for other in OTHER_NAMES.values()) and _INSTEAD.search(words):
        return True
    return not _TOO_MANY.search(words) and bool(_NOT_SUPPORTED.search(words))


def _strings(value: Any, keys: Iterable[str] | None, wanted: bool = False) -> Iterator[str]:
    """The texts in a JSON value, names of fields among them; with keys, only those that stand under them."""
    if isinstance(value, str):
        if wanted or keys is None:
            yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _ECHOES:
                if keys is None and isinstance(item, (str, list)):  # {"temperature": ["must be positive"]}
                    yield key
                yield from _strings(item, keys, wanted or (keys is not None and key in keys))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, keys, wanted)


def without(parameters: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Parameters without some, or with the other names of these."""
    left = dict(parameters)
    names = list(names)
    for name in [name for name in names if name in left]:
        value = left.pop(name)
        other = OTHER_NAMES.get(name)
        if other and other not in names:
            left[other] = value
    return left


class Trial:
    """What one question is asked without, until the server takes it.

    A complaint names parameters; the question is asked again without each of them, and without all. When
    the complaint is another one then, that was right, and the next one counts.

    Attributes:
        names: What is left out.
    """

    def __init__(self) -> None:
        self._right: tuple[str, ...] = ()
        self._tried: tuple[str, ...] = ()
        self._complaint = ""
        self._attempts: Iterator[tuple[str, ...]] = iter(())

    @property
    def names(self) -> tuple[str, ...]:
        """What is left out."""
        return (*self._right, *self._tried)

    def go_on(self, names: tuple[str, ...], said: str) -> bool:
        """Choose what to leave out next; whether there is anything."""
        said = same_words(said)
        if said != self._complaint:
            self._right, self._complaint = self.names, said
            names = tuple(name for name in names if name not in self._right)
            self._attempts = iter([*((name,) for name in names), *([names] if len(names) > 1 else [])])
        self._tried = next(self._attempts, ())
        return bool(self._tried)


def same_words(said: str) -> str:
    """A complaint without the numbers of requests, by which the same ones differ."""
    return re.sub(r"[0-9a-fA-F-]{8,}|\d+", "#", said)
