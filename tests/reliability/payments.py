"""What a run has paid a server for, against the answers that it had stored when it was killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

CONCURRENCY = 2
"""Requests that each process of the commands has under way (``--concurrency``)."""
FORGETS = "-forgets"
"""End of the name of a run for which the server knows no idempotency keys, as most servers do not."""

_DIGEST = 8  # hexadecimal digits of a question's digest that its answer repeats


class Payments:
    """The payments of one run and of those that resume it.

    Args:
        log: The log of `tests.reliability.answers_server`.
        run: The first part of the path of its address.
    """

    def __init__(self, log: Path, run: str) -> None:
        self._log, self._run = log, run
        self._stored: set[str] = set()
        self._seen = self._cut_off = 0

    def paid(self) -> list[str]:
        """The beginning of the digest of each question, in the order of payment."""
        if not self._log.exists():
            return []
        lines = (line.split() for line in self._log.read_text().splitlines())
        return [question[:_DIGEST] for run, question in lines if run == self._run]

    def after_run(self, state: Path, cut_off: int) -> list[str]:
        """What is wrong after a run: an answer was paid for which was stored before, or one was not stored.

        Args:
            state: Folder with the journals of answers and the ledgers.
            cut_off: How many processes that ask were killed, and could not wait for their answers.
        """
        paid = self.paid()
        again = sorted(self._stored.intersection(paid[self._seen :]))
        faults = [f"paid again for the answer to {question}, which was stored" for question in again]
        self._seen = len(paid)
        self._cut_off += CONCURRENCY * cut_off
        self._stored |= _stored(state, set(paid))
        lost = set(paid) - self._stored
        if len(lost) > self._cut_off:
            faults.append(f"{len(lost)} paid answers are not stored, {self._cut_off} requests were cut off")
        return faults

    def in_the_end(self, expected: Mapping[str, int], shared: int) -> list[str]:
        """What is wrong after the last run.

        Args:
            expected: How often an uninterrupted run has paid for each question.
            shared: How many processes may have asked the same, because rows of theirs are alike.
        """
        paid = Counter(self.paid())
        faults = [f"{question} was not asked" for question in sorted(expected.keys() - paid.keys())]
        faults += [f"no row asks {question}" for question in sorted(paid.keys() - expected.keys())]
        more = sum((paid - Counter(expected)).values())
        allowed = self._cut_off + shared if self._run.endswith(FORGETS) else 0
        if more > allowed:
            faults.append(f"{more} answers were paid for again, of {allowed} whose requests were cut off")
        return faults


def _stored(state: Path, questions: set[str]) -> set[str]:
    """Those of the questions whose answers, which repeat them, are in whole lines of the files of a run."""
    found = set()
    for path in state.rglob("*.jsonl"):
        whole = path.read_bytes().rpartition(b"\n")[0]
        found |= {question for question in questions if question.encode() in whole}
    return found
