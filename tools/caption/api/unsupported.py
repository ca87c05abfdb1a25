"""Parameters that a server rejects: which ones its error names, and requests without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
"""Names of parameters for newer models."""

_SPELLINGS = {
    "response_format": r"(?:response|output)[ _-]?(?:format|schema|config|mime[ _]?type)|format|grammar"
    r"|schema|json(?:[ _-]?(?:schema|object|mode|output))?|additionalProperties"
    r"|(?:structured|guided|constrained)[ _-]?(?:outputs?|json|generation|decoding|grammar)",
    "seed": r"(?:random[ _]?)?seed",
    "temperature": r"temperature|sampling|greedy|do_sample",
    "max_tokens": r"max[ _]?(?:output[ _]?|new[ _]?)?tokens",
    "max_completion_tokens": r"max[ _]?completion[ _]?tokens",
}
"""Patterns of the names that servers use for a parameter; all others have one name."""

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
_NAMING = ("param", "loc", "field", "location")  # fields of an error that name the parameter
_LONGEST = 4000  # characters that are searched: some servers send the whole request back


def named_parameters(error: Any, parameters: dict[str, Any], *, sure: bool = True) -> tuple[str, ...]:
    """The parameters of a request that an error message names.

    Args:
        error: The body of the response as JSON, or as text; fields that repeat the request are ignored.
        parameters: Parameters of the request, with their values.
        sure: The status means that the request is to blame; else the message must say so as well.

    Returns:
        Their names without the model: first those in fields of the error, then in the order of the message.
        ``max_tokens`` counts where the message says that it is not supported, not where it is about its size.
        All but ``max_tokens`` where the message is about parameters, but names none.
    """
    fields = " ".join(_strings(error, _NAMING))[:_LONGEST]
    words = " ".join(_strings(error, None))[:_LONGEST]
    model = str(parameters.get("model") or "")
    words = words.replace(model, " ") if len(model) > 1 else words
    if not sure and not _NOT_SUPPORTED.search(words):
        return ()
    found: list[tuple[bool, int, str]] = []
    for name in parameters:
        position = _named_at(name, words)
        if name == "model" or position is None or (_is_a_limit(name) and not _is_renamed(words)):
            continue
        found.append((_named_at(name, fields) is None, position, name))
    if not found and _UNNAMED.search(words):
        return tuple(name for name in reversed(parameters) if name != "model" and not _is_a_limit(name))
    return tuple(name for *_, name in sorted(found))


def _named_at(name: str, words: str) -> int | None:
    pattern = _SPELLINGS.get(name) or re.escape(name)
    # ASCII borders: Chinese servers put no blanks around a name. A hyphen makes it a part of a model's name.
    found = re.search(rf"(?<![A-Za-z0-9_-])(?:{pattern})(?![A-Za-z0-9_/-])", words, re.IGNORECASE)
    return found and found.start()


def _is_a_limit(name: str) -> bool:
    return name in OTHER_NAMES or name in OTHER_NAMES.values()


def _is_renamed(words: str) -> bool:
    """Whether a limit of tokens is rejected by its name, not for its size."""
    if any(other in words for other in OTHER_NAMES.values()) and _INSTEAD.search(words):
        return True
    return not _TOO_MANY.search(words) and bool(_NOT_SUPPORTED.search(words))


def _strings(value: Any, keys: Iterable[str] | None, inside: bool = False) -> Iterator[str]:
    """The texts in a JSON value, with names of fields; with keys, only those in fields of these names."""
    if isinstance(value, str):
        if inside or keys is None:
            yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _ECHOES:
                if keys is None and isinstance(item, (str, list)):  # {"temperature": ["must be positive"]}
                    yield key
                yield from _strings(item, keys, inside or (keys is not None and key in keys))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, keys, inside)


def without(parameters: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Parameters without some of them, or with their other names."""
    left = dict(parameters)
    names = list(names)
    for name in [name for name in names if name in left]:
        value = left.pop(name)
        other = OTHER_NAMES.get(name)
        if other and other not in names:
            left[other] = value
    return left


class ParameterTrial:
    """The parameters that one request is sent without, until the server accepts it.

    An error names parameters; the request is repeated without each of them, and without all. When the error
    is another one then, they were to blame, and the trial goes on with the next error.
    """

    def __init__(self) -> None:
        self._rejected: tuple[str, ...] = ()
        self._tried: tuple[str, ...] = ()
        self._error = ""
        self._attempts: Iterator[tuple[str, ...]] = iter(())

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are left out."""
        return (*self._rejected, *self._tried)

    def advance(self, names: tuple[str, ...], message: str) -> bool:
        """Choose the parameters to leave out next; whether there are any.

        Args:
            names: Parameters that the error names.
            message: The error.
        """
        message = without_numbers(message)
        if message != self._error:
            self._rejected, self._error = self.names, message
            names = tuple(name for name in names if name not in self._rejected)
            self._attempts = iter([*((name,) for name in names), *([names] if len(names) > 1 else [])])
        self._tried = next(self._attempts, ())
        return bool(self._tried)


def without_numbers(message: str) -> str:
    """An error without the numbers of requests, by which the same errors differ."""
    return re.sub(r"[0-9a-fA-F-]{8,}|\d+", "#", message)
