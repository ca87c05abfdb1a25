"""What a run asked, what it got, and what that costs."""

from __future__ import annotations

from collections import Counter

from tools.caption.api.answers import Usage
from tools.caption.api.service import Service


class Totals:
    """What a run asked, got and has to pay.

    Attributes:
        answered: Answers of the server.
        remembered: Answers that an earlier run had paid for.
        again: Why questions were asked again, and how often.
        usage: Tokens of this run.
        earlier: Tokens of earlier runs of the same command that were not completed.
    """

    def __init__(self) -> None:
        self.answered = 0
        self.remembered = 0
        self.again: Counter[str] = Counter()
        self.usage = Usage()
        self.earlier = Usage()

    def lines(self, service: Service, model: str) -> list[str]:
        """The totals in words, a line each; the first names the server and the model."""
        asked = f"{self.answered} answers"
        if self.remembered:
            asked += f", {self.remembered} more were paid for by an earlier run"
        if self.again:
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.again.most_common())
            asked += f"; asked again {self.again.total()} times: {reasons}"
        lines = [f"asked: {model} at {service.host}", asked, _bill("this run", self.usage, service)]
        if self.earlier != Usage():
            lines.append(_bill("with the runs before it", self.usage + self.earlier, service))
        return lines


def _bill(whose: str, usage: Usage, service: Service) -> str:
    line = f"tokens, {whose}: {usage.prompt:,} in, {usage.completion:,} out"
    if usage.unknown:
        line += f" ({usage.unknown} answers came without a count)"
    if service.price_in or service.price_out:
        cost = (usage.prompt * service.price_in + usage.completion * service.price_out) / 1e6
        line += f"; cost: {cost:.4f}"
    return line
