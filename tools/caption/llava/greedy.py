"""Greedy choice of the next token that does not depend on the batch: two logits processors.

In a batch the logits of a row differ in their last bits from those that it has alone: matrix products of
another shape add up in another order. As long as the lead of the best token is larger than that, the choice
is the same; otherwise the row is marked, and its caption is generated again alone.
"""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

ROUNDING = {"fp32": 1e-4, "bf16": 0.0, "fp16": 0.0}
"""Lead, as a part of the largest logit, below which a choice counts as near a tie.

In fp32 measured differences are a hundredth of it. In half precision they are as large as the lead of many
ordinary tokens, so that nearly every caption would be generated twice: there it is off by default."""


class PenaltyWithoutPadding(LogitsProcessor):
    """The repetition penalty of a checkpoint, without padding.

    That of transformers 5.0 counts padding as text, so that the penalty of the padding token, which often is
    the end of a text as well, would depend on the longest row of the batch. Keskar et al., CTRL,
    arXiv:1909.05858.

    Args:
        penalty: Logits above 0 are divided by it, those below are multiplied.
        mask: bool, shape (rows, prompt tokens): False where there is padding.
    """

    def __init__(self, penalty: float, mask: torch.Tensor) -> None:
        self._penalty, self._mask = penalty, mask.bool()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores of shape (rows, vocabulary), with the penalty on tokens that occurred."""
        new = input_ids.shape[1] - self._mask.shape[1]
        real = torch.nn.functional.pad(self._mask, (0, new), value=True).to(input_ids.device)
        counts = torch.zeros_like(scores).scatter_add(1, input_ids, real.to(scores.dtype))
        punished = torch.where(scores < 0, scores * self._penalty, scores / self._penalty)
        return torch.where(counts > 0, punished, scores)


class CloseChoices(LogitsProcessor):
    """Records the rows in which rounding may have decided a close choice, or logits overflowed.

    Args:
        margin: Lead, as a part of the largest logit, that counts as close; 0 for none.
        ends: Tokens that end a row; later ones are ignored.
        prompt_length: Tokens before the first generated one.
    """

    def __init__(self, margin: float, ends: list[int], prompt_length: int) -> None:
        self._margin, self._ends, self._start = margin, ends, prompt_length
        self._close = self._broken = self._ended = torch.zeros(0, dtype=torch.bool)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores unchanged."""
        best = scores.topk(2, dim=1).values.float()
        size = scores.masked_fill(~scores.isfinite(), 0).abs().amax(dim=1).float()
        close = (best[:, 0] - best[:, 1] <= self._margin * size) & (self._margin > 0)
        if not len(self._close):
            self._close, self._broken, self._ended = (torch.zeros_like(close) for _ in range(3))
        if input_ids.shape[1] > self._start:
            ends = torch.tensor(self._ends, device=input_ids.device)
            self._ended = self._ended | torch.isin(input_ids[:, -1], ends)
        self._close = self._close | (close & ~self._ended)
        self._broken = self._broken | (~best[:, 0].isfinite() & ~self._ended)
        return scores

    def close_rows(self) -> list[int]:
        """Numbers of the rows with a close choice."""
        return self._close.nonzero().flatten().tolist()

    def broken_rows(self) -> list[int]:
        """Numbers of the rows whose best logit was infinite or no number: an overflow in half precision."""
        return self._broken.nonzero().flatten().tolist()
