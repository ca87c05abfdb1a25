"""Ask an OpenAI-compatible server many questions at once, and put up with what it does.

Servers that are busy, slow or broken are asked again, later and later; answers are handed on as they come.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from tools.base.log import LOG
from tools.base.transfer import retry_after
from tools.caption.api.answers import (
    Answer,
    AskAgainError,
    NoAnswerError,
    ServerError,
    UnsupportedError,
    Usage,
    raise_for_status,
    read_answer,
    true_status,
)
from tools.caption.api.refusals import OTHER_NAMES, Trial, same_words, without
from tools.caption.api.service import HIDDEN, Service, http_package, is_secret, read_key
from tools.caption.api.totals import Totals
from tools.errors import MediaError, UserError, VidsieveError

AsyncClient = Any
"""That of httpx or of httpx2, see `http_package`."""

_FIRST_TRIES = 5  # while nothing was answered yet: a server that cannot work is told soon
_CANCEL_SECONDS = 10.0
_CONNECT_TRIES = 3  # while nothing was ever heard of it: a wrong address, too
_LARGEST_BODY = 32 << 20  # bytes; an answer has some thousands
_LONGEST_WAIT = 600.0  # seconds; a server that wants to be left alone for longer is asked after these


class Question(NamedTuple):
    """One request.

    Attributes:
        key: What an answer is remembered by.
        messages: The messages, as the bytes of a JSON list.
        path: File that the question is about, for error messages.
    """

    key: str
    messages: bytes
    path: str


class ChatClient:
    """Puts questions to one model of one server.

    The key is read from the environment when the client is made, goes to the server and nowhere else: it is
    cut out of everything that the server sends back.

    Args:
        service: Where, and how.
        parameters: What goes with each question: model, temperature, most tokens. Those that the server
            refuses are left out, except for the model.
        remember: Called with each answer as it comes, with the question's key; in place of the answer comes
            why there is none, when something was paid for it.
        verbatim: See `tools.caption.thoughts.without_thoughts`.

    Attributes:
        totals: Counted as answers come.

    Raises:
        UserError: The address or the key cannot be used, or the package for HTTP is missing.
    """

    def __init__(
        self,
        service: Service,
        parameters: dict[str, Any],
        remember: Callable[[str, Answer | MediaError, Usage], None] | None = None,
        *,
        verbatim: bool = False,
    ) -> None:
        self._url = service.url()
        self._service = service
        self._parameters = dict(parameters)
        self._verbatim = verbatim
        self._remember = remember or (lambda key, answer, usage: None)
        self._key = read_key(service.key_variable)
        self._http = http_package()
        self.totals = Totals()
        self._heard = False  # whether the server ever said anything
        self._final: set[str] = set()  # complaints that no parameter was to blame for
        self._in_a_row = 0
        self._stop: UserError | None = None
        self._pause_until = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._idle = threading.Event()
        self._idle.set()

    def ask(self, questions: Sequence[Question]) -> list[Answer | MediaError]:
        """Ask questions, up to `Service.concurrency` at a time.

        Args:
            questions: In any order.

        Returns:
            For each its answer, or why it has none, in the order of the questions.

        Raises:
            UserError: The server answers nobody: a wrong key, address or model, or too many failures in a
                row.
        """
        self._idle.clear()
        try:
            return asyncio.run(self._ask_all(questions))
        finally:
            self._idle.set()

    def cancel(self) -> None:
        """Leave off for good, from another thread; requests under way are dropped.

        Returns when no further answer can come: whoever remembers them may then close the book.
        """
        self._cancelled = True
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop has come to its end
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._idle.wait(_CANCEL_SECONDS)

    async def _ask_all(self, questions: Sequence[Question]) -> list[Answer | MediaError]:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._cancelled:  # the next batch of a run that is being ended
            raise asyncio.CancelledError
        slots = asyncio.Semaphore(self._service.concurrency)
        limits = self._http.Limits(
            max_connections=self._service.concurrency, max_keepalive_connections=self._service.concurrency
        )
        async with self._http.AsyncClient(limits=limits, timeout=None, headers=self._headers()) as http:
            answers = await asyncio.gather(*(self._ask_one(http, slots, q) for q in questions))
        if self._stop is not None:  # those under way have ended, and what they got is remembered
            raise self._stop
        return list(answers)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return {**headers, **self._service.key_header(self._key)}

    async def _ask_one(
        self, http: AsyncClient, slots: asyncio.Semaphore, question: Question
    ) -> Answer | MediaError:
        try:
            async with slots:  # kept while it waits: a server in trouble gets fewer requests, not others
                answer = await self._persist(http, question)
        except AskAgainError as error:
            kind = "timeout" if error.reason == "timeout" else "server"
            said = f"asked {self._service.retries + 1} times: {self._clean(str(error))}"
            return self._failed(MediaError(kind, question.path, said))
        except NoAnswerError as error:
            failure = MediaError("server", question.path, self._clean(str(error)))
            if error.usage != Usage():
                self._pay(question.key, failure, error.usage)
            return self._failed(failure)
        except ServerError as error:
            said = self._clean(str(error))
            self._stop = self._stop or UserError(self._told(said))
            return MediaError("server", question.path, said)
        except VidsieveError:
            raise
        except Exception as error:  # it must not cost the answers of the others, which were paid for
            said = self._clean(f"{type(error).__name__}: {error}")
            return self._failed(MediaError("internal", question.path, f"asking the server: {said}"))
        self._in_a_row = 0
        self.totals.answered += 1
        self._pay(question.key, answer, answer.usage)
        return answer

    def _pay(self, key: str, answer: Answer | MediaError, usage: Usage) -> None:
        self.totals.usage += usage
        self._remember(key, answer, usage)

    def _failed(self, failure: MediaError) -> MediaError:
        self._in_a_row += 1
        if self._in_a_row >= self._service.max_failures and self._stop is None:
            self._stop = UserError(
                f"{self._url}: {self._in_a_row} rows in a row got no answer, the last: {failure.message}; "
                "the same command goes on from here, --max-failures-in-a-row allows more"
            )
        return failure

    def _told(self, said: str) -> str:
        if said.startswith("401"):
            variable = self._service.key_variable
            hint = f"check {variable}" if self._key else f"{variable} is not set"
            return f"{self._url}: the server does not let us in ({said}); {hint}"
        if said.startswith(("404", "405")):
            path = "" if re.search("/v1|/deployments/", self._url) else " (most addresses end in /v1)"
            return f"{self._url}: {said}; check --base-url{path} and --model"
        return f"{self._url}: {said}"

    async def _persist(self, http: AsyncClient, question: Question) -> Answer:
        """Ask until there is an answer, or no use in asking."""
        tried = answered = 0
        trial = Trial()
        while True:
            try:
                await self._wait_for_permission()
                answer = await self._request(http, question, trial)
            except AskAgainError as error:
                if error.reason == "429" and answered != self.totals.answered:
                    tried = 0  # a rate limit that lets others through is no reason to give up
                answered = self.totals.answered
                if tried >= self._service.retries or self._stop is not None:
                    raise
                self._look_for_life(error, tried + 1)
                tried += 1
                self.totals.again[error.reason] += 1
                await self._pause(tried, error.wait)
            except NoAnswerError as error:
                if error.usage != Usage():  # the model was asked, so the server took what was sent
                    self._do_without(trial.names)
                raise
            else:
                self._do_without(trial.names)
                return answer

    def _look_for_life(self, error: AskAgainError, tries: int) -> None:
        """Give up on a server that never answered anything; one that did may have its troubles."""
        if error.reason == "no connection" and not self._heard and tries >= _CONNECT_TRIES:
            raise ServerError(f"{error}; is the server running, and --base-url right?") from None
        if error.reason != "429" and not self.totals.answered and tries >= _FIRST_TRIES:
            raise ServerError(f"no answer in {tries} tries, the last: {error}") from None

    async def _wait_for_permission(self) -> None:
        while (left := self._pause_until - time.monotonic()) > 0 and self._stop is None:
            await asyncio.sleep(min(left, 0.5))
        if self._stop is not None:
            raise AskAgainError("stopped")

    async def _pause(self, tried: int, wait: float | None) -> None:
        """Wait before asking again: as long as the server said, or longer each time."""
        if wait is not None:  # it means everybody
            self._pause_until = max(self._pause_until, time.monotonic() + min(wait, _LONGEST_WAIT))
            return
        longest = min(self._service.longest_backoff, self._service.backoff * 2.0 ** (tried - 1))
        until = time.monotonic() + longest * random.uniform(0.5, 1.0)
        while (left := until - time.monotonic()) > 0 and self._stop is None:
            await asyncio.sleep(min(left, 0.5))

    async def _request(self, http: AsyncClient, question: Question, trial: Trial) -> Answer:
        """Ask, once more for each parameter that the server complains of: without it."""
        while True:
            try:
                return await self._request_once(http, question, without(self._parameters, trial.names))
            except UnsupportedError as error:
                said = same_words(error.said)
                if said in self._final or not trial.go_on(error.names, error.said):
                    self._final.add(said)
                    raise error.otherwise from None

    async def _request_once(self, http: AsyncClient, question: Question, asked: dict[str, Any]) -> Answer:
        body = b'{"messages":' + question.messages + b"," + json.dumps(asked).encode()[1:]
        try:
            status, headers, data = await asyncio.wait_for(self._post(http, body), self._service.timeout)
        except (asyncio.TimeoutError, TimeoutError, self._http.TimeoutException):
            raise AskAgainError("timeout", f"no answer within {self._service.timeout:g} s") from None
        except self._http.ConnectError as error:
            raise AskAgainError("no connection", str(error)) from None
        except (self._http.TransportError, self._http.DecodingError) as error:
            self._heard = True
            raise AskAgainError("connection lost", str(error) or type(error).__name__) from None
        self._heard = True
        text = self._clean(data.decode("utf-8", errors="replace"))
        status = true_status(status, text)
        if status != 200:
            named = {**self._parameters, **asked}  # it may go on about what is left out on trial
            raise_for_status(status, text, retry_after(headers), named, self.totals.answered > 0)
        answer = read_answer(text, verbatim=self._verbatim)
        return dataclasses.replace(answer, text=self._clean(answer.text))  # where JSON had escaped it

    async def _post(self, http: AsyncClient, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        async with http.stream("POST", self._url, content=body) as response:
            data = bytearray()
            async for part in response.aiter_bytes():
                data += part
                if len(data) > _LARGEST_BODY:
                    raise AskAgainError("malformed", f"more than {_LARGEST_BODY >> 20} MiB")
            return response.status_code, response.headers, bytes(data)

    def _do_without(self, names: tuple[str, ...]) -> None:
        """Leave out or rename parameters from now on; several requests may have found out the same."""
        for name in names:
            if name in self._parameters:
                self._parameters = without(self._parameters, [name])
                other = OTHER_NAMES.get(name)
                done = f"sent as {other}" if other else "left out"
                LOG.warning("the server does not take %s: %s", name, done)

    def _clean(self, text: str) -> str:
        return text.replace(self._key, HIDDEN) if is_secret(self._key) else text
