"""Many requests at once to an OpenAI-compatible server, with retries and exponential backoff."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from tools.base.log import LOG
from tools.base.retry_after import retry_after
from tools.caption.api.answers import (
    Answer,
    NoAnswerError,
    RetryError,
    ServerError,
    UnsupportedError,
    raise_for_status,
    read_answer,
    true_status,
)
from tools.caption.api.service import HIDDEN, Service, http_package, is_secret, open_http, read_key
from tools.caption.api.unsupported import OTHER_NAMES, ParameterTrial, without, without_numbers
from tools.caption.api.usage import Totals, Usage
from tools.errors import MediaError, UserError, VidsieveError

AsyncClient = Any
"""That of httpx or of httpx2, see `http_package`."""

_FIRST_TRIES = 5  # before the first answer: a server that cannot work is reported soon
_CANCEL_SECONDS = 10.0
_DRAIN_SECONDS = 20.0  # for answers under way when the run is stopped; torchrun kills its ranks after 30 s
_CONNECT_TRIES = 3  # before the first response: so is a wrong address
_SAME_REQUEST = ("timeout", "connection lost", "no connection", "stopped", "409")
# Reasons for a retry without a response, or (409) because the server is still busy with the first request.
_LARGEST_BODY = 32 << 20  # bytes; an answer has some thousands
_LONGEST_WAIT = 600.0  # seconds, at most, that are waited because a server says so


class ChatRequest(NamedTuple):
    """One request.

    Attributes:
        key: Key under which the answer is stored.
        messages: The messages, as the bytes of a JSON list.
        path: File that the request is about, for error messages.
        answers: How often it was answered before, and is to be answered anew.
    """

    key: str
    messages: bytes
    path: str
    answers: int = 0


class ChatClient:
    """Sends requests to one model of one server.

    The key is read from the environment when the client is created, and is sent to the server and nowhere
    else: it is removed from everything that the server sends back.

    Args:
        service: The server.
        parameters: Parameters of each request: model, temperature, most tokens. Those that the server rejects
            are left out, except for the model.
        store: Called with the key of each request and its answer as it arrives, or with the reason why there
            is none, when tokens were paid for.
        verbatim: See `tools.caption.reasoning.without_reasoning`.
        run: Name of this run and of those that resume it, for `_idempotency_key`; chosen by chance if empty.

    Attributes:
        totals: Counted as answers arrive.

    Raises:
        UserError: The address or the key cannot be used, or the package for HTTP is missing.
    """

    def __init__(
        self,
        service: Service,
        parameters: dict[str, Any],
        store: Callable[[str, Answer | MediaError, Usage], None] | None = None,
        *,
        verbatim: bool = False,
        run: str = "",
    ) -> None:
        self._run = run or secrets.token_hex(16)
        self._url = service.url()
        self._service = service
        self._parameters = dict(parameters)
        self._verbatim = verbatim
        self._store = store or (lambda key, answer, usage: None)
        self._key = read_key(service.key_variable)
        self._http = http_package()
        self.totals = Totals()
        self._has_responded = False
        self._final_errors: set[str] = set()  # for which no parameter was to blame
        self._consecutive_failures = 0
        self._stop: UserError | None = None
        self._pause_until = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._under_way = 0
        self._idle = threading.Event()
        self._idle.set()

    def send(self, requests: Sequence[ChatRequest]) -> list[Answer | MediaError]:
        """Send requests, up to `Service.concurrency` at a time.

        Args:
            requests: The requests.

        Returns:
            For each request, in order, its answer, or why there is none.

        Raises:
            UserError: The server answers no request: a wrong key, address or model, or too many failures in
                a row.
        """
        self._idle.clear()
        try:
            return asyncio.run(self._send_all(requests))
        finally:
            self._idle.set()

    def cancel(self) -> None:
        """Stop for good, from another thread: send nothing more, and wait for the answers under way.

        They are paid for, whether they are read or not. Returns when no further answer can arrive, so that
        the journal can be closed: after `_DRAIN_SECONDS` or a Ctrl-C the rest is dropped.
        """
        self._cancelled = True
        self._stop = self._stop or UserError("the run was stopped")
        try:
            if self._under_way:
                LOG.warning("%d answers are under way; waiting for them, Ctrl-C drops them", self._under_way)
            self._idle.wait(_DRAIN_SECONDS)
        finally:
            if self._loop is not None and self._task is not None and not self._idle.is_set():
                with suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._task.cancel)
            self._idle.wait(_CANCEL_SECONDS)

    async def _send_all(self, requests: Sequence[ChatRequest]) -> list[Answer | MediaError]:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._cancelled:  # the next batch of a run that is being ended
            raise asyncio.CancelledError
        slots = asyncio.Semaphore(self._service.concurrency)
        async with open_http(self._http, self._url, self._service.concurrency, self._headers()) as http:
            answers = await asyncio.gather(*(self._send_one(http, slots, request) for request in requests))
        if self._stop is not None:  # those in flight have ended, and their answers are stored
            raise self._stop
        return list(answers)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return {**headers, **self._service.key_header(self._key)}

    async def _send_one(
        self, http: AsyncClient, slots: asyncio.Semaphore, request: ChatRequest
    ) -> Answer | MediaError:
        try:
            async with slots:  # kept during backoff: a server in trouble gets fewer requests, not others
                answer = await self._send_with_retries(http, request)
        except RetryError as error:
            kind = "timeout" if error.reason == "timeout" else "server"
            message = f"{self._service.retries + 1} attempts, the last: {self._clean(str(error))}"
            return self._failed(MediaError(kind, request.path, message))
        except NoAnswerError as error:
            return self._failed(self._failure(request, error))
        except ServerError as error:
            failure = self._failure(request, error)
            self._stop = self._stop or UserError(self._explained(failure.message))
            return failure
        except VidsieveError:
            raise
        except Exception as error:  # the answers of the others, which were paid for, must not be lost
            message = self._clean(f"{type(error).__name__}: {error}")
            return self._failed(MediaError("internal", request.path, f"request to the server: {message}"))
        self._consecutive_failures = 0
        return answer

    def _failure(self, request: ChatRequest, error: Exception) -> MediaError:
        return MediaError("server", request.path, self._clean(str(error)))

    def _count(self, key: str, answer: Answer | MediaError, usage: Usage) -> None:
        self.totals.usage += usage
        self._store(key, answer, usage)

    def _failed(self, failure: MediaError) -> MediaError:
        self._consecutive_failures += 1
        if self._consecutive_failures >= self._service.max_failures and self._stop is None:
            self._stop = UserError(
                f"{self._url}: {self._consecutive_failures} rows in a row got no answer, the last: "
                f"{failure.message}; the same command goes on from here, --max-failures-in-a-row allows more"
            )
        return failure

    def _explained(self, message: str) -> str:
        if message.startswith("401"):
            variable = self._service.key_variable
            hint = f"check {variable}" if self._key else f"{variable} is not set"
            return f"{self._url}: the server denies access ({message}); {hint}"
        if message.startswith(("404", "405")):
            path = "" if re.search("/v1|/deployments/", self._url) else " (most addresses end in /v1)"
            return f"{self._url}: {message}; check --base-url{path} and --model"
        return f"{self._url}: {message}"

    async def _send_with_retries(self, http: AsyncClient, request: ChatRequest) -> Answer:
        """Repeat a request until it is answered, or repeating it would not help."""
        tried = answered = 0
        trial = ParameterTrial()
        while True:
            try:
                await self._wait_for_permission()
                answer = await self._send_without_unsupported(http, request, trial)
            except RetryError as error:
                if error.reason not in _SAME_REQUEST:
                    request = request._replace(answers=request.answers + 1)
                if error.reason == "429" and answered != self.totals.answered:
                    tried = 0  # a rate limit that lets others through is no reason to give up
                answered = self.totals.answered
                if tried >= self._service.retries or self._stop is not None:
                    raise
                self._check_server(error, tried + 1)
                tried += 1
                self.totals.retries[error.reason] += 1
                await self._pause(tried, error.wait)
            except NoAnswerError as error:
                if error.usage != Usage():  # the model has run, so the server accepted the parameters
                    self._leave_out(trial.names)
                raise
            else:
                self._leave_out(trial.names)
                return answer

    def _check_server(self, error: RetryError, tries: int) -> None:
        """Give up on a server that has never answered; for others a retry may help."""
        if error.reason == "no connection" and not self._has_responded and tries >= _CONNECT_TRIES:
            raise ServerError(f"{error}; is the server running, and --base-url right?") from None
        if error.reason != "429" and not self.totals.answered and tries >= _FIRST_TRIES:
            raise ServerError(f"no answer in {tries} tries, the last: {error}") from None

    async def _wait_for_permission(self) -> None:
        while (left := self._pause_until - time.monotonic()) > 0 and self._stop is None:
            await asyncio.sleep(min(left, 0.5))
        if self._stop is not None:
            raise RetryError("stopped")

    async def _pause(self, tried: int, wait: float | None) -> None:
        """Wait before a retry: as long as the server says, or longer each time."""
        if wait is not None:  # which holds for all requests
            self._pause_until = max(self._pause_until, time.monotonic() + min(wait, _LONGEST_WAIT))
            return
        longest = min(self._service.longest_backoff, self._service.backoff * 2.0 ** (tried - 1))
        until = time.monotonic() + longest * random.uniform(0.5, 1.0)
        while (left := until - time.monotonic()) > 0 and self._stop is None:
            await asyncio.sleep(min(left, 0.5))

    async def _send_without_unsupported(
        self, http: AsyncClient, request: ChatRequest, trial: ParameterTrial
    ) -> Answer:
        """Send a request, and repeat it without the parameters that the server rejects."""
        while True:
            try:
                return await self._send_once(http, request, without(self._parameters, trial.names))
            except UnsupportedError as error:
                message = without_numbers(error.message)
                if message in self._final_errors or not trial.advance(error.names, error.message):
                    self._final_errors.add(message)
                    raise error.otherwise from None

    async def _send_once(self, http: AsyncClient, request: ChatRequest, parameters: dict[str, Any]) -> Answer:
        limit = self._service.request_timeout
        self._under_way += 1
        try:
            return await asyncio.wait_for(self._exchange(http, request, parameters), limit)
        except (asyncio.TimeoutError, TimeoutError, self._http.TimeoutException):
            raise RetryError("timeout", f"no answer within {limit:g} s") from None
        except self._http.ConnectError as error:
            raise RetryError("no connection", str(error)) from None
        except (self._http.TransportError, self._http.DecodingError) as error:
            self._has_responded = True
            raise RetryError("connection lost", str(error) or type(error).__name__) from None
        finally:
            self._under_way -= 1

    async def _exchange(self, http: AsyncClient, request: ChatRequest, parameters: dict[str, Any]) -> Answer:
        """Send a request, and store its answer before anything else, even the end of the connection."""
        body = b'{"messages":' + request.messages + b"," + json.dumps(parameters).encode()[1:]
        headers = {"Idempotency-Key": self._idempotency_key(body, request.answers)}
        async with http.stream("POST", self._url, content=body, headers=headers) as response:
            data = bytearray()
            async for part in response.aiter_bytes():
                data += part
                if len(data) > _LARGEST_BODY:
                    raise RetryError("malformed", f"more than {_LARGEST_BODY >> 20} MiB")
            self._has_responded = True
            text = self._clean(data.decode("utf-8", errors="replace"))
            status = true_status(response.status_code, text)
            if status != 200:
                known = {**self._parameters, **parameters}  # it may still name one that is left out on trial
                wait = retry_after(response.headers)
                raise_for_status(status, text, wait, known, self.totals.answered > 0)
            return self._take(request, text)

    def _take(self, request: ChatRequest, text: str) -> Answer:
        """Read an answer, and store it; also one of no use, which was paid for, too."""
        try:
            answer = read_answer(text, verbatim=self._verbatim)
        except NoAnswerError as error:
            if error.usage != Usage():
                self._count(request.key, self._failure(request, error), error.usage)
            raise
        text, finish = self._clean(answer.text), self._clean(answer.finish)  # where JSON had escaped it
        answer = dataclasses.replace(answer, text=text, finish=finish)
        self.totals.answered += 1
        self._count(request.key, answer, answer.usage)
        return answer

    def _idempotency_key(self, body: bytes, answers: int) -> str:
        """By which a server that keeps its answers for a while knows a request that it has answered.

        A run that was killed asks again for what was under way. With the same key that costs nothing; see
        draft-ietf-httpapi-idempotency-key-header. An answer that is not to be repeated has another key.
        """
        return hashlib.sha256(f"{self._run} {answers} ".encode() + body).hexdigest()[:32]

    def _leave_out(self, names: tuple[str, ...]) -> None:
        """Leave out or rename parameters from now on; several requests may have had the same error."""
        for name in names:
            if name in self._parameters:
                self._parameters = without(self._parameters, [name])
                other = OTHER_NAMES.get(name)
                instead = f"sent as {other}" if other else "left out"
                LOG.warning("the server does not support %s: %s", name, instead)

    def _clean(self, text: str) -> str:
        return text.replace(self._key, HIDDEN) if is_secret(self._key) else text
