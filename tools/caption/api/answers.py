"""Responses of an OpenAI-compatible server: an answer, a request without one, or a reason to retry."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from tools.caption.api.unsupported import named_parameters
from tools.caption.api.usage import Usage
from tools.caption.reasoning import LENGTH, without_reasoning
from tools.table.cells import whole_characters

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHOWN = 200  # characters of a server's message that are shown
_RETRY = frozenset((408, 409, 425, 429))  # and everything from 500 on
_FATAL = frozenset((401, 402))  # no key, no money: other rows would fail as well
_FATAL_AT_FIRST = frozenset((403, 404, 405))  # wrong address or model, unless it has answered others
_QUOTA = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"))
_MAY_NAME_PARAMETERS = frozenset((400, 403, 404, 405, 406, 422, 500, 501))
_OUT_OF_TOKENS = frozenset((LENGTH, "max_tokens", "max_output_tokens"))
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "thoughts")


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of a model.

    Attributes:
        text: The text, without the reasoning before it.
        finish: Why the model stopped, as the server says: ``stop``, or ``length`` for too few tokens.
        usage: Tokens of the request.
        reasoning: How the reasoning was marked, see `tools.caption.reasoning.Reply`.
    """

    text: str
    finish: str
    usage: Usage
    reasoning: str = ""


class RetryError(Exception):
    """A request failed that may succeed when it is repeated.

    Args:
        reason: Short reason, by which retries are counted (``429``, ``timeout``).
        message: Message of the server.
        wait: Seconds to wait according to the server; None when it did not say.
    """

    def __init__(self, reason: str, message: str = "", wait: float | None = None) -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason
        self.wait = wait


class NoAnswerError(Exception):
    """A request has no usable answer, and repeating it would not help.

    Args:
        message: Why.
        usage: Tokens that it took nevertheless.
    """

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


class ServerError(Exception):
    """The server answers no request: a wrong key, address or model."""


class UnsupportedError(Exception):
    """The server rejects a request with an error that names parameters.

    Args:
        names: The parameters, the most likely first.
        message: The error of the server.
        otherwise: The error if the parameters are not to blame after all.
    """

    def __init__(self, names: tuple[str, ...], message: str, otherwise: Exception) -> None:
        super().__init__(message)
        self.names = names
        self.message = message
        self.otherwise = otherwise


def read_answer(body: str, *, verbatim: bool = False) -> Answer:
    """Read the body of a response with a status of success.

    Args:
        body: The body.
        verbatim: See `tools.caption.reasoning.without_reasoning`.

    Raises:
        RetryError: It is malformed: truncated JSON, an error instead of an answer, no choices.
        NoAnswerError: The model refused, wrote nothing, or did not finish its reasoning.
    """
    response = _parsed(body)
    if response is None:
        raise RetryError("malformed", f"not JSON: {_short(body)}")
    if not isinstance(response, dict):
        raise RetryError("malformed", f"not a JSON object: {_short(body)}")
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise RetryError("malformed", "an answer without choices")
    if choices[0].get("finish_reason") == "error":  # of a proxy whose server failed
        raise RetryError("error", _message(choices[0], "the answer was interrupted"))
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise RetryError("malformed", "an answer without a message")
    return _answer(choices[0], message, read_usage(response), verbatim)


def true_status(status: int, body: str) -> int:
    """The status of a response: some servers and proxies send errors with status 200, or answers with 201."""
    if not 200 <= status < 300:
        return status
    response = _parsed(body) if '"error"' in body else None
    if not isinstance(response, dict) or response.get("choices") or not response.get("error"):
        return 200
    code = _code(response)
    return int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500


def _parsed(body: str) -> Any:
    """A body as JSON; None when it is not JSON."""
    try:
        return json.loads(body.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def read_usage(response: dict[str, Any]) -> Usage:
    """The tokens that a response counts."""
    usage = response.get("usage")
    fields = usage if isinstance(usage, dict) else {}
    counts = [fields.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count for count in counts if isinstance(count, int) and count >= 0]
    return Usage(*known) if len(known) == len(counts) else Usage(unknown=1)


def _answer(choice: dict[str, Any], message: dict[str, Any], usage: Usage, verbatim: bool) -> Answer:
    finish = choice.get("finish_reason")
    finish = _one_line(finish) if isinstance(finish, str) else ""
    finish = LENGTH if finish.casefold() in _OUT_OF_TOKENS else finish
    reply = without_reasoning(_content(message.get("content")), finish, verbatim=verbatim)
    if message.get("refusal"):
        raise NoAnswerError(f"the model refused: {_short(str(message['refusal']))}", usage)
    if finish.casefold() == "content_filter":
        raise NoAnswerError("the server's content filter stopped the answer", usage)
    if not reply.text:
        reasoned = reply.reasoning or any(message.get(field) for field in _REASONING_FIELDS)
        if finish == LENGTH:
            when = "during its reasoning" if reasoned or reply.unfinished else "before it wrote anything"
            why = f"out of tokens {when}; --max-tokens allows more"
        else:
            why = "reasoning without an answer" if reasoned else f"finish: {finish or '-'}"
        raise NoAnswerError(f"the model gave no answer ({why})", usage)
    return Answer(reply.text, finish, usage, reply.reasoning)


def _content(content: Any) -> str:
    """The text of a message: a text, or a list of parts of which some are text."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and _is_text(part)]
        content = "".join(part for part in parts if isinstance(part, str))
    return whole_characters(content).replace("\0", "\ufffd") if isinstance(content, str) else ""


def _is_text(part: dict[str, Any]) -> bool:
    """Whether a part of a message is text, and not reasoning."""
    return part.get("type") in (None, "text", "output_text")


def raise_for_status(
    status: int, body: str, wait: float | None, parameters: dict[str, Any], answered: bool
) -> None:
    """Raise the exception of a response with an error status.

    Args:
        status: HTTP status, not 200.
        body: Body of the response.
        wait: Seconds to wait according to the server, if it says so.
        parameters: Parameters of the request.
        answered: Whether the server has answered another request.

    Raises:
        RetryError: The server is busy or broken for the moment.
        UnsupportedError: It rejects parameters.
        ServerError: It answers no request.
        NoAnswerError: It does not answer this request.
    """
    error = _error(body)
    exception = _exception(status, error, body, wait, answered)
    if status in _MAY_NAME_PARAMETERS:
        names = named_parameters(error or body, parameters, sure=status < 500)
        if names:
            raise UnsupportedError(names, str(exception), exception)
    raise exception


def _exception(
    status: int, error: dict[str, Any], body: str, wait: float | None, answered: bool
) -> RetryError | ServerError | NoAnswerError:
    """The exception of an error that is not about parameters."""
    message = f"{status}: {_message(error, body)}"
    if status in _FATAL or (status in _FATAL_AT_FIRST and not answered) or _code(error) in _QUOTA:
        return ServerError(message)
    if 300 <= status < 400:
        return ServerError(f"{status}: the server redirects; give the address it redirects to as --base-url")
    if status in _RETRY or status >= 500:
        return RetryError(str(status), _message(error, body), wait)
    return NoAnswerError(f"the server refused with {message}")


def _error(body: str) -> dict[str, Any]:
    response = _parsed(body)
    if isinstance(response, list) and len(response) == 1:  # as Gemini does
        response = response[0]
    return response if isinstance(response, dict) else {}


def _inner(response: dict[str, Any]) -> dict[str, Any]:
    error = response.get("error")
    return error if isinstance(error, dict) else response


def _code(response: dict[str, Any]) -> str:
    inner = _inner(response)
    return str(inner.get("code") or inner.get("type") or "")


def _message(response: dict[str, Any], body: str) -> str:
    message = _inner(response).get("message") or response.get("detail") or response.get("error")
    return _short(str(message) if message else body) or "no message"


def _one_line(text: str) -> str:
    """A text that may be printed: without control characters, which could rule a terminal."""
    return " ".join(_CONTROL.sub(" ", whole_characters(text)).split())


def _short(text: str) -> str:
    text = _one_line(text[: 10 * _SHOWN])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
