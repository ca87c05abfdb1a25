"""What an OpenAI-compatible server sends back: an answer, a row that got none, or a reason to ask again."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

_SHOWN = 200  # characters of a server's message that are worth showing
_AGAIN = frozenset((408, 409, 425, 429))  # and everything from 500 on
_FATAL = frozenset((401, 402))  # no key, no money: no other row will do better
_FATAL_AT_FIRST = frozenset((403, 404, 405))  # wrong address or model, unless others were answered there
_QUOTA = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"))
_THOUGHTS = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens that the server counted, for a bill.

    Attributes:
        prompt: Tokens of questions, pictures included.
        completion: Tokens of answers.
        unknown: Answers for which the server gave no count.
    """

    prompt: int = 0
    completion: int = 0
    unknown: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.prompt + other.prompt, self.completion + other.completion, self.unknown + other.unknown
        )


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        text: Its words, without thoughts that it put before them in ``<think>`` tags.
        finish: Why it stopped, in the server's words: ``stop``, or ``length`` when it ran out of tokens.
        usage: What it took.
    """

    text: str
    finish: str
    usage: Usage


class AskAgainError(Exception):
    """No answer this time; another try may get one.

    Args:
        reason: What happened, in a few words; used for counts (``429``, ``timeout``).
        message: What the server said.
        wait: Seconds that the server wants to be left alone; None when it did not say.
    """

    def __init__(self, reason: str, message: str = "", wait: float | None = None) -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason
        self.wait = wait


class NoAnswerError(Exception):
    """This question gets no answer, however often it is asked.

    Args:
        message: Why.
        usage: What it took all the same.
    """

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


class ServerError(Exception):
    """No question gets an answer from this server: a wrong key, address or model."""


class UnsupportedError(Exception):
    """The server does not know a parameter of the request.

    Args:
        name: Which.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def read_answer(body: str) -> Answer:
    """Read the body of a response with status 200.

    Raises:
        AskAgainError: It is not what was promised: cut JSON, an error in place of an answer, no choices.
        NoAnswerError: The model refused, or said nothing.
    """
    try:
        response = json.loads(body)
    except ValueError:
        raise AskAgainError("malformed", f"not JSON: {_short(body)}") from None
    if not isinstance(response, dict):
        raise AskAgainError("malformed", f"not a JSON object: {_short(body)}")
    if response.get("error") and not response.get("choices"):
        raise AskAgainError("error", _message(response, body))
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise AskAgainError("malformed", "an answer without choices")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise AskAgainError("malformed", "an answer without a message")
    return _answer(choices[0], message, read_usage(response))


def read_usage(response: dict[str, Any]) -> Usage:
    """The tokens that a response says it took."""
    usage = response.get("usage")
    counts = [
        usage.get(name) if isinstance(usage, dict) else None
        for name in ("prompt_tokens", "completion_tokens")
    ]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        return Usage(unknown=1)
    return Usage(*counts)


def _answer(choice: dict[str, Any], message: dict[str, Any], usage: Usage) -> Answer:
    finish = str(choice.get("finish_reason") or "")
    text = _THOUGHTS.sub("", _content(message.get("content"))).strip()
    if message.get("refusal"):
        raise NoAnswerError(f"the model refused: {_short(str(message['refusal']))}", usage)
    if finish == "content_filter":
        raise NoAnswerError("the server's content filter stopped the answer", usage)
    if not text:
        why = (
            "the tokens went out before it said anything"
            if finish == "length"
            else f"finish: {finish or '-'}"
        )
        raise NoAnswerError(f"the model said nothing ({why})", usage)
    return Answer(text, finish, usage)


def _content(content: Any) -> str:
    """The words of a message: text, or a list of parts of which some are text."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def raise_for_status(
    status: int, body: str, wait: float | None, parameters: tuple[str, ...], answered: bool
) -> None:
    """Say what a response with an error status means.

    Args:
        status: HTTP status, not 200.
        body: Of the response.
        wait: Seconds that the server wants to be left alone, if it said so.
        parameters: What the request asked for that a server may not know.
        answered: Whether the server has answered another request.

    Raises:
        AskAgainError: Busy or broken for the moment.
        UnsupportedError: It does not know one of the parameters.
        ServerError: It will not answer anything.
        NoAnswerError: It will not answer this.
    """
    error = _error(body)
    said = f"{status}: {_message(error, body)}"
    if status in _FATAL or (status in _FATAL_AT_FIRST and not answered) or _code(error) in _QUOTA:
        raise ServerError(said)
    if 300 <= status < 400:
        raise ServerError(f"{status}: the server sends elsewhere; give the address it means as --base-url")
    if status in _AGAIN or status >= 500:
        raise AskAgainError(str(status), _message(error, body), wait)
    unknown = _unknown_parameter(error, body, parameters) if status in (400, 422) else None
    if unknown:
        raise UnsupportedError(unknown)
    raise NoAnswerError(f"the server refused with {said}")


def _error(body: str) -> dict[str, Any]:
    try:
        response = json.loads(body)
    except ValueError:
        return {}
    return response if isinstance(response, dict) else {}


def _inner(response: dict[str, Any]) -> dict[str, Any]:
    error = response.get("error")
    return error if isinstance(error, dict) else response


def _code(response: dict[str, Any]) -> str:
    inner = _inner(response)
    return str(inner.get("code") or inner.get("type") or "")


def _message(response: dict[str, Any], body: str) -> str:
    said = _inner(response).get("message") or response.get("detail") or response.get("error")
    return _short(str(said) if said else body) or "no message"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_NOT_SUPPORTED = re.compile(
    r"unsupported|not supported|does not support|unknown|unrecognized|extra inputs|not permitted|unexpected",
    re.IGNORECASE,
)


def _unknown_parameter(response: dict[str, Any], body: str, parameters: tuple[str, ...]) -> str | None:
    """The parameter that a 400 complains of not knowing."""
    named = str(_inner(response).get("param") or "")
    if not _NOT_SUPPORTED.search(body):
        return None
    for name in parameters:
        if named.split(".")[0] == name or re.search(rf"(?<!\w){name}(?!\w)", body):
            return name
    return None
