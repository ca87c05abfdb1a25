"""Stages that send a request to a model server for each row: what all share, and captions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.caption.api.answers import Answer
from tools.caption.api.pictures import DETAILS, chat_messages, encode_jpeg
from tools.caption.api.service import Service
from tools.caption.api.tokens import HOW, prompt_tokens
from tools.caption.api.usage import Usage
from tools.caption.prompt_options import DEFAULT_POLICY, prompt_frames_option, prompt_option
from tools.caption.prompts import Prompt
from tools.caption.reasoning import LENGTH
from tools.errors import MediaError, OrderError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import Sampling, parse_sampling, split_sampling
from tools.options import option, options_field
from tools.options.values import Choice, Number, Text, Whole
from tools.stage.outcomes import Outcome
from tools.stage.stage import REMARKS, Row, Stage
from tools.stage.values import check_values

if TYPE_CHECKING:
    from tools.caption.api.client import ChatClient, ChatRequest
    from tools.caption.api.journal import Journal
    from tools.caption.api.known_question import KnownQuestions
    from tools.caption.api.usage import Totals

_FRAMES = 3
_BATCHES_OF = 8


class Prepared(NamedTuple):
    """A row whose request is ready.

    Attributes:
        key: Fingerprint of the request.
        messages: uint8, the bytes of the messages (an array travels through shared memory).
        path: File of the row.
    """

    key: str
    messages: np.ndarray
    path: str


@dataclasses.dataclass
class ServerStage(Stage):
    """Base of stages that send one request for each row; a subclass writes `prepare` and `values`.

    Raises:
        UserError: A value that is not supported.
    """

    no_trial = "a trial would send requests, which may cost money"
    spent_how = HOW
    version = 3
    batch_seconds = 3600.0  # answers are safe in the journal: a kill loses none of them

    model: str = option(
        "",
        "name of the model on the server",
        Text("NAME"),
        aliases=("--model-id",),
        required=True,
        group="server",
    )
    service: Service = options_field(Service)
    max_tokens: int = option(300, "most tokens of an answer", Whole(1), group="server")
    temperature: float = option(
        0.0, "temperature; 0: the most likely tokens", Number(0, metavar="T"), group="server"
    )
    seed: int | None = option(
        0, "seed, for servers that support it", Whole(), none=True, everyday=False, group="server"
    )

    def configure(self) -> None:
        """Check the address of the server."""
        self.service.url()
        self._journal_of: tuple[Path, int] | None = None
        self._retry: Collection[str] = ()
        self._reasoning_is_unmarked = False
        self._journal: Journal | None = None
        self._client: ChatClient | None = None
        self._known: KnownQuestions | None = None
        self._on_trial: list[int] | None = None  # tokens of the prompts that were not sent

    def config(self) -> dict[str, Any]:
        """What changes the answers: everything but how the server is reached."""
        config = super().config()
        del config["service"]
        return config

    @property
    def rows_of_a_batch(self) -> int:
        """Default number of rows of a batch: so many that waiting for the slowest request costs little."""
        return _BATCHES_OF * self.service.concurrency

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of every request."""
        parameters = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def use_journal(self, folder: Path, rank: int = 0, *, retry: Collection[str] = ()) -> None:
        """Store answers in a folder as they arrive, and send no requests whose answers are stored.

        Args:
            folder: Folder of the journals.
            rank: Rank of this process.
            retry: Kinds of failures of earlier runs whose requests are sent again.
        """
        self._journal_of, self._retry = (folder, rank), retry

    def request_of(self, row: Row, messages: bytes) -> Prepared:
        """What `prepare` returns."""
        parameters = json.dumps([self.version, self.parameters], sort_keys=True).encode()
        key = hashlib.sha256(parameters + messages).hexdigest()[:32]
        return Prepared(key, np.frombuffer(messages, np.uint8), row.get("path") or "")

    def values(self, answer: Answer) -> dict[str, Any]:
        """Turn an answer into the columns of the row.

        Raises:
            MediaError: The answer has not the requested form.
        """
        raise NotImplementedError  # every subclass writes it

    def write_under(self, folder: Path) -> None:
        """Send nothing: a dry run counts tokens."""
        self._on_trial = []

    def setup(self) -> None:
        """Read the key, and the answers of earlier runs."""
        if self._on_trial is not None:
            return
        from tools.caption.api.client import ChatClient
        from tools.caption.api.journal import Journal

        run = ""
        if self._journal_of is not None:
            self._journal = Journal(*self._journal_of)
            run = self._journal.run
        self._client = ChatClient(self.service, self.parameters, self._store, run=run)
        if self._journal is not None:
            self._client.totals.earlier = self._journal.earlier
        if self.service.known_question:
            from tools.caption.api.known_question import KnownQuestions

            self._known = KnownQuestions(self._client.totals)

    def score(self, batch: list[Prepared]) -> list[dict[str, Any] | MediaError]:
        """Send the requests of a batch of rows, except for those that have been answered.

        No content of an answer makes this raise: the whole batch would be sent again.
        """
        if self._on_trial is not None:
            self._on_trial += [prompt_tokens(row.messages.tobytes(), self.model) for row in batch]
            return [dict.fromkeys(self.output_columns) for _ in batch]
        assert self._client is not None, "setup comes first"
        answers = {row.key: self._stored(row) for row in batch}
        missing = {row.key: row for row in batch if answers[row.key] is None}
        requests = [self._request(row) for row in missing.values()]
        answers.update(zip(missing, self._ask(requests), strict=True))
        if any(isinstance(answer, Answer) and answer.reasoning == "unopened" for answer in answers.values()):
            self._reasoning_is_unmarked = True
        return [self._outcome(answers[row.key], row) for row in batch]

    def _ask(self, requests: list[ChatRequest]) -> Sequence[Answer | MediaError]:
        assert self._client is not None, "setup comes first"
        if not requests or self._known is None:
            return self._client.send(requests) if requests else ()
        answers = self._client.send(self._known.among(requests))
        try:
            rows = self._known.checked(answers)
            if self._known.in_doubt:  # one more, before this batch counts
                self._known.checked(self._client.send(self._known.among([])))
            return rows
        except OrderError:
            if self._journal is not None:
                self._journal.forget(request.key for request in requests)
            raise

    def _request(self, row: Prepared) -> ChatRequest:
        from tools.caption.api.client import ChatRequest

        answers = self._journal.count(row.key) if self._journal else 0
        return ChatRequest(row.key, row.messages.tobytes(), row.path, answers)

    def _outcome(self, answer: Answer | MediaError | None, row: Prepared) -> Outcome:
        try:
            if not isinstance(answer, Answer):
                assert answer is not None, "every request has an outcome"
                raise answer
            if self._reasoning_is_unmarked and answer.finish == LENGTH and not answer.reasoning:
                raise MediaError(
                    "server", "", f"cut off after {self.max_tokens} tokens, while still reasoning"
                )
            return check_values(self, [self.values(answer)])[0]
        except MediaError as error:
            return MediaError(error.kind, row.path, error.message)
        except Exception as error:
            return MediaError("internal", row.path, f"stage {self.name}: {type(error).__name__}: {error}")

    def _stored(self, row: Prepared) -> Answer | MediaError | None:
        """The answer in the journals; None when there is none, or when it is to be repeated."""
        answer = self._journal.find(row.key) if self._journal else None
        if answer is None or self._client is None or self._journal is None:
            return None
        if self._journal.is_earlier(row.key):
            outcome = self._outcome(answer, row) if self._retry else None
            if isinstance(outcome, MediaError) and outcome.kind in self._retry:
                return None
            self._client.totals.reused += 1
        return answer

    def _store(self, key: str, answer: Answer | MediaError, usage: Usage) -> None:
        if self._journal is not None and key:
            self._journal.add(key, answer, usage)

    @property
    def totals(self) -> Totals | None:
        """Answers, retries and tokens; None before `setup`."""
        return self._client.totals if self._client else None

    def spent(self) -> tuple[int, dict[str, float]]:
        """Tokens of the answers so far, and their cost; on trial those of the prompts, and what may come."""
        if self._on_trial is not None:
            rows = len(self._on_trial)
            usage, most = Usage(sum(self._on_trial), rows * self.max_tokens), " at most"
        elif (totals := self.totals) is not None:
            rows, usage, most = totals.answered, totals.usage, ""
        else:
            return 0, {}
        spent: dict[str, float] = {"tokens in": usage.prompt, f"tokens out{most}": usage.completion}
        if (cost := self.service.cost(usage.prompt, usage.completion)) is not None:
            spent[f"cost{most}"] = cost
        return rows, spent

    def cancel(self) -> None:
        """Drop requests in flight and send no others; called from another thread."""
        if self._client is not None:
            self._client.cancel()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


@dataclasses.dataclass
class CaptionApiStage(ServerStage):
    """A caption from a model server: column ``path`` in, ``text`` and ``text_finish`` out.

    Attributes:
        resize: Shorter side of pictures in pixels; None or 0 leaves them as they are.
    """

    name = "caption"
    suffix = "_caption"
    output_columns = {
        "text": "String",
        "text_finish": "String",
        REMARKS: "Object",
    }

    prompt: Prompt = prompt_option("video")
    sampling: Sampling | None = prompt_frames_option(_FRAMES)
    resize: int | None = option(
        512,
        "shorter side in pixels to which larger pictures are scaled down; 0: as they are",
        Whole(0),
        none=True,
    )
    detail: str | None = option(
        None,
        "resolution at which OpenAI's models view pictures",
        Choice(DETAILS),
        shown="the server's default",
        everyday=False,
    )

    def configure(self) -> None:
        """Choose the frames, and require column text when the prompt takes the existing caption."""
        super().configure()
        self.resize = self.resize or None
        frames: Any = self.sampling or DEFAULT_POLICY
        if isinstance(frames, str):
            policy, text, _ = split_sampling(frames)
            count = (self.prompt.num_frames or _FRAMES) if policy == DEFAULT_POLICY and not text else None
            self.sampling = parse_sampling(frames, count)
        if self.prompt.uses_text:
            self.required_columns = ("path", "text")

    def config(self) -> dict[str, Any]:
        """As for every request; prompt and sampling as JSON."""
        assert self.sampling is not None, "chosen when the stage was made"
        return {
            **super().config(),
            "prompt": dataclasses.asdict(self.prompt),
            "sampling": self.sampling.asdict(),
        }

    def prepare(self, row: Row, frames: Frames) -> Prepared:
        """Put the frames and the prompt into a message."""
        pictures = [encode_jpeg(frame.image, self.resize) for frame in frames]
        prompt = self.prompt.fill(row.get("text"), image=is_image(row["path"]))
        return self.request_of(row, chat_messages(prompt, pictures, self.detail))

    def values(self, answer: Answer) -> dict[str, Any]:
        """The caption in one line, and why the model stopped."""
        cut = answer.finish == LENGTH
        return {
            "text": " ".join(answer.text.split()),
            "text_finish": answer.finish,
            REMARKS: [f"cut off after {self.max_tokens} tokens; --max-tokens allows more"] if cut else [],
        }
