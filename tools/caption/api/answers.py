"""What an OpenAI-compatible server sends back: an answer, a row that got none, or a reason to ask again."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from tools.caption.api.refusals import named_parameters
from tools.caption.thoughts import LENGTH, without_thoughts
from tools.table.cells import whole_characters

_SHOWN = 200  # characters of a server's message that are worth showing
_AGAIN = frozenset((408, 409, 425, 429))  # and everything from 500 on
_FATAL = frozenset((401, 402))  # no key, no money: no other row will do better
_FATAL_AT_FIRST = frozenset((403, 404, 405))  # wrong address or model, unless others were answered there
_QUOTA = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"))
_ABOUT_A_PARAMETER = frozenset((400, 403, 404, 405, 406, 422, 500, 501))  # when its words name one
_OUT_OF_TOKENS = frozenset((LENGTH, "max_tokens", "max_output_tokens"))
_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking", "thoughts")


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
        text: Its words, without what it thought before them.
        finish: Why it stopped, in the server's words: ``stop``, or ``length`` when it ran out of tokens.
        usage: What it took.
        thoughts: How its thoughts were told from its words, see `tools.caption.thoughts.Spoken`.
    """

    text: str
    finish: str
    usage: Usage
    thoughts: str = ""


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
    """The server complains in words that name parameters of the request.

    Args:
        names: Which, the likeliest first.
        said: The complaint.
        otherwise: What it means when it is not about them after all.
    """

    def __init__(self, names: tuple[str, ...], said: str, otherwise: Exception) -> None:
        super().__init__(said)
        self.names = names
        self.said = said
        self.otherwise = otherwise


def read_answer(body: str, *, verbatim: bool = False) -> Answer:
    """Read the body of a response with status 200.

    Args:
        body: Of the response.
        verbatim: See `tools.caption.thoughts.without_thoughts`.

    Raises:
        AskAgainError: It is not what was promised: cut JSON, an error in place of an answer, no choices.
        NoAnswerError: The model refused, said nothing, or did not come to the end of its thoughts.
    """
    response = _parsed(body)
    if response is None:
        raise AskAgainError("malformed", f"not JSON: {_short(body)}")
    if not isinstance(response, dict):
        raise AskAgainError("malformed", f"not a JSON object: {_short(body)}")
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise AskAgainError("malformed", "an answer without choices")
    if choices[0].get("finish_reason") == "error":  # of a proxy, whose server broke off
        raise AskAgainError("error", _message(choices[0], "the answer was broken off"))
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise AskAgainError("malformed", "an answer without a message")
    return _answer(choices[0], message, read_usage(response), verbatim)


def true_status(status: int, body: str) -> int:
    """The status that a response means: some servers and proxies put an error into a 200."""
    response = _parsed(body) if status == 200 and '"error"' in body else None
    if not isinstance(response, dict) or response.get("choices") or not response.get("error"):
        return status
    code = _code(response)
    return int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500


def _parsed(body: str) -> Any:
    """A body as JSON; None when it is none."""
    try:
        return json.loads(body.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def read_usage(response: dict[str, Any]) -> Usage:
    """The tokens that a response says it took."""
    usage = response.get("usage")
    said = usage if isinstance(usage, dict) else {}
    counts = [said.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count for count in counts if isinstance(count, int) and count >= 0]
    return Usage(*known) if len(known) == len(counts) else Usage(unknown=1)


def _answer(choice: dict[str, Any], message: dict[str, Any], usage: Usage, verbatim: bool) -> Answer:
    finish = whole_characters(str(choice.get("finish_reason") or ""))
    finish = LENGTH if finish.casefold() in _OUT_OF_TOKENS else finish
    spoken = without_thoughts(_content(message.get("content")), finish, verbatim=verbatim)
    if message.get("refusal"):
        raise NoAnswerError(f"the model refused: {_short(str(message['refusal']))}", usage)
    if finish == "content_filter":
        raise NoAnswerError("the server's content filter stopped the answer", usage)
    if not spoken.text:
        thought = spoken.thoughts or any(message.get(field) for field in _THOUGHT_FIELDS)
        if finish == LENGTH:
            after = (
                "while it was still thinking" if thought or spoken.unfinished else "before it said anything"
            )
            why = f"the tokens went out {after}; --max-tokens allows more"
        else:
            why = "it thought, but gave no answer" if thought else f"finish: {finish or '-'}"
        raise NoAnswerError(f"the model said nothing ({why})", usage)
    return Answer(spoken.text, finish, usage, spoken.thoughts)


def _content(content: Any) -> str:
    """The words of a message: text, or a list of parts of which some are text."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and _is_text(part)]
        content = "".join(part for part in parts if isinstance(part, str))
    return whole_characters(content).replace("\0", "\ufffd") if isinstance(content, str) else ""


def _is_text(part: dict[str, Any]) -> bool:
    """Whether a part of a message is no thought."""
    return part.get("type") in (None, "text", "output_text")


def raise_for_status(
    status: int, body: str, wait: float | None, parameters: dict[str, Any], answered: bool
) -> None:
    """Say what a response with an error status means.

    Args:
        status: HTTP status, not 200.
        body: Of the response.
        wait: Seconds that the server wants to be left alone, if it said so.
        parameters: What the request asked for.
        answered: Whether the server has answered another request.

    Raises:
        AskAgainError: Busy or broken for the moment.
        UnsupportedError: It complains of parameters.
        ServerError: It will not answer anything.
        NoAnswerError: It will not answer this.
    """
    error = _error(body)
    verdict = _verdict(status, error, body, wait, answered)
    if status in _ABOUT_A_PARAMETER:
        names = named_parameters(error or body, parameters, sure=status < 500)
        if names:
            raise UnsupportedError(names, str(verdict), verdict)
    raise verdict


def _verdict(
    status: int, error: dict[str, Any], body: str, wait: float | None, answered: bool
) -> AskAgainError | ServerError | NoAnswerError:
    """What an error means that is about no parameter."""
    said = f"{status}: {_message(error, body)}"
    if status in _FATAL or (status in _FATAL_AT_FIRST and not answered) or _code(error) in _QUOTA:
        return ServerError(said)
    if 300 <= status < 400:
        return ServerError(f"{status}: the server sends elsewhere; give the address it means as --base-url")
    if status in _AGAIN or status >= 500:
        return AskAgainError(str(status), _message(error, body), wait)
    return NoAnswerError(f"the server refused with {said}")


def _error(body: str) -> dict[str, Any]:
    response = _parsed(body)
    if isinstance(response, list) and len(response) == 1:  # Gemini's way
        response = response[0]
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
    text = " ".join(whole_characters(text[: 10 * _SHOWN]).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
