"""Greedy captions for batches, each independent of the other rows of its batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.caption.llava.checkpoint import Checkpoint, find_checkpoint
from tools.caption.llava.model import choose_precision, load_model
from tools.caption.llava.processor import Encoder, Question
from tools.errors import MediaError, UserError

if TYPE_CHECKING:
    from tools.caption.llava.parallel import Group


@dataclass(frozen=True)
class Caption:
    """The caption of a row.

    Attributes:
        text: The caption, on one line; may be empty.
        finish: ``stop`` when the model ended it, ``length`` at the limit.
        prompt_tokens: Tokens of the prompt, pictures included.
        tokens: Tokens of the caption, the one that ends it included.
    """

    text: str
    finish: str
    prompt_tokens: int
    tokens: int


class Captioner:
    """Captions by a vision-language model.

    Args:
        checkpoint: A folder or an id, or the result of `find_checkpoint`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` (GPU: that of the checkpoint; CPU: fp32), ``fp32``, ``bf16`` or ``fp16``.
        attention: One of `tools.caption.llava.model.ATTENTIONS`.
        max_tokens: Longest caption, in tokens.
        tie_margin: Lead of a token, as a part of the largest logit, at or below which its row is repeated
            alone; None for that of the precision, see `tools.caption.llava.greedy.ROUNDING`. 0 for never.
        group: The processes that the model is spread over; None for this one alone.

    Raises:
        UserError: The model cannot be loaded.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | str,
        *,
        device: str = "auto",
        precision: str = "auto",
        attention: str = "sdpa",
        max_tokens: int = 300,
        tie_margin: float | None = None,
        group: Group | None = None,
    ) -> None:
        from tools.caption.llava.greedy import ROUNDING
        from tools.models.device import resolve_device

        if not isinstance(checkpoint, Checkpoint):
            checkpoint = find_checkpoint(checkpoint)
        self.device = resolve_device(device)
        self.precision = choose_precision(precision, self.device, checkpoint)
        self.tie_margin = ROUNDING[self.precision] if tie_margin is None else tie_margin
        self._max_tokens = max_tokens
        self._group = group
        self.encoder = Encoder(checkpoint)
        self.model = load_model(
            checkpoint,
            device=self.device,
            precision=self.precision,
            attention=attention,
            tp_size=group.size if group else 1,
        )
        self.context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        self._ends = _end_tokens(self.model, self.encoder.tokenizer)
        self._placeholders = self.encoder.placeholders()

    def caption(self, questions: Sequence[Question]) -> list[Caption | MediaError]:
        """Caption rows, in one batch.

        Args:
            questions: The rows.

        Returns:
            For each a caption, or why there is none: the prompt is longer than the model's context, or
            contains a placeholder of a picture, or the model's numbers overflowed.

        Raises:
            UserError: A model that is spread over a group failed.
        """
        found: dict[int, Caption | MediaError] = {}
        for row, question in enumerate(questions):
            if token := next((t for t in self._placeholders if t in question.text), None):
                found[row] = MediaError(
                    "bad_value", "", f"the prompt contains {token}, which means a picture"
                )
        found |= self._batch(questions, [row for row in range(len(questions)) if row not in found])
        return [found[row] for row in range(len(questions))]

    def _batch(self, questions: Sequence[Question], rows: list[int]) -> dict[int, Caption | MediaError]:
        if not rows:
            return {}
        inputs = self.encoder.encode([questions[row] for row in rows])
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        too_long = {
            row: MediaError("bad_value", "", self._too_long(length, len(questions[row].frames)))
            for row, length in zip(rows, lengths, strict=True)
            if self.context is not None and length >= self.context
        }
        if too_long:
            return too_long | self._batch(questions, [row for row in rows if row not in too_long])
        captions, again = self._generate(inputs, lengths)
        if len(rows) > 1:
            for number in again:
                captions[number] = self._batch(questions, [rows[number]])[rows[number]]
        return dict(zip(rows, captions, strict=True))

    def _too_long(self, length: int, frames: int) -> str:
        return (
            f"the prompt has {length} tokens with {frames} frames, the model's context {self.context}: "
            "fewer --num-frames, a smaller --resize or a shorter --prompt"
        )

    def _generate(
        self, inputs: dict[str, Any], lengths: list[int]
    ) -> tuple[list[Caption | MediaError], list[int]]:
        """Captions of a batch, and the numbers of rows that other rows may have changed."""
        if self._group:
            self._group.send(inputs)
        try:
            tokens, close, broken = self.generate(inputs)
        except Exception as error:
            if self._group is None:
                raise  # the runner retries with smaller batches
            # The other processes of the group are in the middle of a computation: only a restart helps.
            raise UserError(
                f"the model failed ({_first_line(error)}); try again with a smaller --bs"
            ) from error
        captions: list[Caption | MediaError] = [
            self._read(row, length) for row, length in zip(tokens, lengths, strict=True)
        ]
        for number in broken:
            captions[number] = MediaError(
                "internal",
                "",
                f"the model's scores overflow in {self.precision}; try --precision bf16 or fp32",
            )
        return captions, sorted({*close, *broken})

    def generate(self, inputs: dict[str, Any]) -> tuple[np.ndarray, list[int], list[int]]:
        """Generate greedily, as the model's ``generate`` does.

        Every process of a group must call it with the same tensors.

        Args:
            inputs: Result of `Encoder.encode`.

        Returns:
            int64, shape (rows, new tokens), padded; the numbers of the rows in which a choice was near a
            tie; and of those in which the model's scores overflowed.
        """
        import torch
        from transformers import LogitsProcessorList

        from tools.caption.llava.greedy import CloseChoices, PenaltyWithoutPadding
        from tools.models.device import exact_convolutions

        on_device = {name: self._on_device(value) for name, value in inputs.items()}
        prompt = on_device["input_ids"].shape[1]
        choices = CloseChoices(self.tie_margin, self._ends, prompt)
        processors = LogitsProcessorList([choices])
        penalty = self.model.generation_config.repetition_penalty
        if penalty not in (None, 1.0):
            processors.insert(0, PenaltyWithoutPadding(penalty, on_device["attention_mask"]))
        on_gpu = nullcontext() if self.device == "cpu" else torch.cuda.device(self.device)
        with torch.inference_mode(), exact_convolutions(), on_gpu:
            tokens = self.model.generate(
                **on_device,
                max_new_tokens=self._max_tokens,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                repetition_penalty=1.0,
                pad_token_id=self.encoder.tokenizer.pad_token_id,
                logits_processor=processors,
            )
        return tokens[:, prompt:].cpu().numpy(), choices.close_rows(), choices.broken_rows()

    def _on_device(self, value: Any) -> Any:
        if not hasattr(value, "is_floating_point"):
            return value  # a list, of sizes say
        dtype = self.model.dtype if value.is_floating_point() else None
        return value.to(self.device, dtype)

    def _read(self, tokens: np.ndarray, prompt_tokens: int) -> Caption:
        ended = np.flatnonzero(np.isin(tokens, self._ends))
        count = int(ended[0]) + 1 if len(ended) else len(tokens)
        text = self.encoder.decode(tokens[:count].tolist())
        return Caption(text, "stop" if len(ended) else "length", prompt_tokens, count)


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a text, as ``generate`` understands them."""
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
