"""Stages that ask a model behind a server: what all share, and captions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from tools.caption.api.answers import Answer
from tools.caption.api.pictures import DETAILS, chat_messages, encode_jpeg
from tools.caption.api.service import Service
from tools.caption.prompts import Prompt, resolve_prompt
from tools.caption.thoughts import LENGTH
from tools.errors import MediaError, UserError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import Sampling
from tools.stage.ledger_files import Outcome
from tools.stage.stage import REMARKS, Row, Stage
from tools.stage.values import check_values

if TYPE_CHECKING:
    from tools.caption.api.answers import Usage
    from tools.caption.api.client import ChatClient
    from tools.caption.api.journal import Journal
    from tools.caption.api.totals import Totals


class Prepared(NamedTuple):
    """A row that is ready to be asked about.

    Attributes:
        key: Fingerprint of the question.
        messages: uint8, the bytes of the messages (an array travels through shared memory).
        path: File of the row.
    """

    key: str
    messages: np.ndarray
    path: str


@dataclasses.dataclass
class AskStage(Stage):
    """Base of stages that ask one question about each row; a subclass writes `prepare` and `values`.

    Attributes:
        model: The model's name, as the server knows it.
        max_tokens: Most tokens of an answer.
        temperature: 0 takes the likeliest word each time.
        seed: Sent to servers that know it; None sends none.
        service: How the server is reached; changes no answer.

    Raises:
        UserError: A value that there is not.
    """

    no_trial = "a trial would ask the server, which may cost money"
    version = 3
    batch_seconds = 3600.0  # answers are safe in the journal: a kill costs none of them

    model: str = ""
    max_tokens: int = 300
    temperature: float = 0.0
    seed: int | None = 0
    service: Service = dataclasses.field(default_factory=Service)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        if not self.model:
            raise UserError("--model: is needed, the name of a model as the server knows it")
        self.service.url()
        self._place: tuple[Path, int] | None = None
        self._again: Collection[str] = ()
        self._thinks_unmarked = False
        self._journal: Journal | None = None
        self._client: ChatClient | None = None

    def config(self) -> dict[str, Any]:
        """What changes the answers: everything but where the server is and how it is treated."""
        asked = super().config()
        del asked["service"]
        return asked

    @property
    def parameters(self) -> dict[str, Any]:
        """What goes with every question."""
        parameters = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def keep_answers(self, folder: Path, rank: int = 0, *, again: Collection[str] = ()) -> None:
        """Write answers down in a folder as they come, and do not ask for those that are there.

        Args:
            folder: Where.
            rank: Whose they are.
            again: Kinds of failures of earlier runs that are asked about again.
        """
        self._place, self._again = (folder, rank), again

    def question(self, row: Row, messages: bytes) -> Prepared:
        """What `prepare` returns."""
        parameters = json.dumps([self.version, self.parameters], sort_keys=True).encode()
        key = hashlib.sha256(parameters + messages).hexdigest()[:32]
        return Prepared(key, np.frombuffer(messages, np.uint8), row.get("path") or "")

    def values(self, answer: Answer) -> dict[str, Any]:
        """Turn an answer into the columns of the row.

        Raises:
            MediaError: It is not what was asked for.
        """
        raise NotImplementedError  # every subclass writes it

    def setup(self) -> None:
        """Read the key, and the answers of earlier runs."""
        from tools.caption.api.client import ChatClient
        from tools.caption.api.journal import Journal

        self._client = ChatClient(self.service, self.parameters, self._remember)
        if self._place is not None:
            self._journal = Journal(*self._place)
            self._client.totals.earlier = self._journal.earlier

    def score(self, batch: list[Prepared]) -> list[dict[str, Any] | MediaError]:
        """Ask about a batch of rows; what was asked before is not asked again.

        Nothing that an answer holds makes this fail: the whole batch would be asked about again.
        """
        from tools.caption.api.client import Question

        assert self._client is not None, "setup comes first"
        answers = {row.key: self._recall(row) for row in batch}
        missing = {row.key: row for row in batch if answers[row.key] is None}
        asked = [Question(row.key, row.messages.tobytes(), row.path) for row in missing.values()]
        answers.update(zip(missing, self._client.ask(asked) if asked else (), strict=True))
        if any(isinstance(answer, Answer) and answer.thoughts == "unopened" for answer in answers.values()):
            self._thinks_unmarked = True
        return [self._outcome(answers[row.key], row) for row in batch]

    def _outcome(self, answer: Answer | MediaError | None, row: Prepared) -> Outcome:
        try:
            if not isinstance(answer, Answer):
                assert answer is not None, "every question has an outcome"
                raise answer
            if self._thinks_unmarked and answer.finish == LENGTH and not answer.thoughts:
                raise MediaError(
                    "server", "", f"cut off after {self.max_tokens} tokens, while still thinking"
                )
            return check_values(self, [self.values(answer)])[0]
        except MediaError as error:
            return MediaError(error.kind, row.path, error.message)
        except Exception as error:
            return MediaError("internal", row.path, f"stage {self.name}: {type(error).__name__}: {error}")

    def _recall(self, row: Prepared) -> Answer | MediaError | None:
        answer = self._journal.find(row.key) if self._journal else None
        if answer is None or self._client is None or self._journal is None:
            return None
        if self._journal.is_earlier(row.key):
            outcome = self._outcome(answer, row) if self._again else None
            if isinstance(outcome, MediaError) and outcome.kind in self._again:
                return None
            self._client.totals.remembered += 1
        return answer

    def _remember(self, key: str, answer: Answer | MediaError, usage: Usage) -> None:
        if self._journal is not None:
            self._journal.add(key, answer, usage)

    @property
    def totals(self) -> Totals | None:
        """What was asked and what it took; None before `setup`."""
        return self._client.totals if self._client else None

    def cancel(self) -> None:
        """Drop requests that are under way, and ask no others; called from another thread."""
        if self._client is not None:
            self._client.cancel()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


@dataclasses.dataclass
class CaptionApiStage(AskStage):
    """A caption from a model behind a server: column ``path`` in, ``text`` and ``text_finish`` out.

    Attributes:
        prompt: The question.
        sampling: Frames of a video that are sent; by default as many as the prompt speaks of, else 3, each in
            the middle of its part of the video.
        resize: Pixels that the shorter side of a picture is scaled down to; None sends it as it is.
        detail: See `tools.caption.api.pictures.DETAILS`; None leaves it to the server.
    """

    name = "caption"
    suffix = "_caption"
    output_columns = {
        "text": pl.String,
        "text_finish": pl.String,
        REMARKS: pl.Object,
    }

    prompt: Prompt = dataclasses.field(default_factory=lambda: resolve_prompt("video"))
    sampling: Sampling | None = None
    resize: int | None = 512
    detail: str | None = None

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
        if self.sampling is None:
            self.sampling = Sampling("uniform_mid", self.prompt.num_frames or 3)
        if self.detail is not None and self.detail not in DETAILS:
            raise UserError(f"Invalid detail ({self.detail}). Supported values are {', '.join(DETAILS)}.")

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Column text too, when the caption so far goes into the question."""
        return ("path", "text") if self.prompt.uses_text else ("path",)

    def config(self) -> dict[str, Any]:
        """As for every question; prompt and sampling as JSON."""
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
        return self.question(row, chat_messages(prompt, pictures, self.detail))

    def values(self, answer: Answer) -> dict[str, Any]:
        """The caption in one line, and why the model stopped."""
        cut = answer.finish == LENGTH
        return {
            "text": " ".join(answer.text.split()),
            "text_finish": answer.finish,
            REMARKS: [f"cut off after {self.max_tokens} tokens; --max-tokens allows more"] if cut else [],
        }
