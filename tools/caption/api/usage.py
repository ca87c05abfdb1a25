"""Tokens, answers and retries of a run, and what they cost."""

from __future__ import annotations

import dataclasses
from collections import Counter

from tools.caption.api.service import Service


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens that the server counted.

    Attributes:
        prompt: Tokens of prompts, pictures included.
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


@dataclasses.dataclass
class Totals:
    """Totals of a run.

    Attributes:
        answered: Answers of the server.
        reused: Answers from the journals of earlier runs.
        retries: Reasons for which requests were repeated, with their counts.
        known_asked: Known questions (`tools.caption.api.known_question`) that were answered.
        known_right: Those with the known answer.
        usage: Tokens of this run.
        earlier: Tokens of earlier runs of the same command that were not completed.
    """

    answered: int = 0
    reused: int = 0
    retries: Counter[str] = dataclasses.field(default_factory=Counter)
    known_asked: int = 0
    known_right: int = 0
    usage: Usage = Usage()
    earlier: Usage = Usage()

    def lines(self, service: Service, model: str) -> list[str]:
        """The totals as text, one per line; the first line names the model and the server."""
        answers = f"{self.answered} answers"
        if self.reused:
            answers += f", {self.reused} more were paid for by an earlier run"
        if self.retries:
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.retries.most_common())
            answers += f"; {self.retries.total()} retries: {reasons}"
        if self.known_asked:
            answers += f"; {self.known_right} of {self.known_asked} known questions have the known answer"
        lines = [f"model: {model} at {service.host}", answers, _cost("this run", self.usage, service)]
        if self.earlier != Usage():
            lines.append(_cost("with the runs before it", self.usage + self.earlier, service))
        return lines


def _cost(runs: str, usage: Usage, service: Service) -> str:
    line = f"tokens, {runs}: {usage.prompt:,} in, {usage.completion:,} out"
    if usage.unknown:
        line += f" ({usage.unknown} answers came without a count)"
    if (cost := service.cost(usage.prompt, usage.completion)) is not None:
        line += f"; cost: {cost:.4f}"
    return line
