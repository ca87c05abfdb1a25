"""A question whose answer is known, among those about rows: proof that a server does not mix answers up.

A server that batches requests, or a proxy before it, may give an answer to another request than its own. No
error follows: the caption looks right, and is that of another file. So a question that asks for one word,
made up for it alone, is sent along with others. If the word comes back in another answer, answers were mixed
up. A model that does not repeat the word proves nothing, as small ones often cannot.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Sequence

from tools.base.log import LOG
from tools.caption.api.answers import Answer
from tools.caption.api.client import ChatRequest
from tools.caption.api.pictures import chat_messages
from tools.caption.api.usage import Totals
from tools.errors import MediaError, OrderError

_BYTES = 6
_WORD = re.compile(rf"v[0-9a-f]{{{2 * _BYTES}}}")
_OBEYED = 3  # answers as asked, after which another one is worth a warning

Outcome = Answer | MediaError


class KnownQuestions:
    """Sends one more question with each batch of requests.

    Args:
        totals: Where their answers are counted.

    Attributes:
        in_doubt: Whether the last one came back without its word. The word may be in the answer to the next
            request, which can be one of the next batch.
    """

    def __init__(self, totals: Totals) -> None:
        self.in_doubt = False
        self._totals = totals
        self._words: set[str] = set()
        self._word = ""
        self._place = 0
        self._mixed_up = False

    def among(self, requests: Sequence[ChatRequest]) -> list[ChatRequest]:
        """The requests, and a question at a random place; it has no key, so its answer is not stored.

        Raises:
            OrderError: The server has mixed up answers. The run is about to end, but batches that wait for
                this one would be sent first, and their answers kept.
        """
        if self._mixed_up:
            raise _mixed_up()
        self._word = f"v{secrets.token_hex(_BYTES)}"
        self._words.add(self._word)
        self._place = random.randrange(len(requests) + 1)
        prompt = f"Answer with this word and nothing else: {self._word}"
        question = ChatRequest("", chat_messages(prompt), "(known question)")
        return [*requests[: self._place], question, *requests[self._place :]]

    def checked(self, answers: Sequence[Outcome]) -> list[Outcome]:
        """The answers without that of the question.

        Args:
            answers: An answer for each of the requests that `among` returned.

        Raises:
            OrderError: A word is in another answer than its own.
        """
        rows = [*answers[: self._place], *answers[self._place + 1 :]]
        got = answers[self._place]
        self.in_doubt = isinstance(got, Answer) and self._word not in _words_in(got)
        if isinstance(got, Answer):
            self._totals.answered -= 1
            self._totals.known_asked += 1
            if not self.in_doubt:
                self._totals.known_right += 1
            elif self._totals.known_right == self._totals.known_asked - 1 >= _OBEYED:
                LOG.warning("the server answered a known question with other words than before: %r", got.text)
        foreign = [_words_in(got) - {self._word}, *map(_words_in, rows)]
        if any(self._words & words for words in foreign):
            self._mixed_up = True
            raise _mixed_up()
        return rows


def _mixed_up() -> OrderError:
    return OrderError(
        "the server mixes up answers: the word that one request asked for came back in the answer to "
        "another; those of this batch are not kept. Ask with --concurrency 1, and report it to those "
        "who run the server"
    )


def _words_in(answer: Outcome) -> set[str]:
    """What looks like words of known questions: there may be thousands of these."""
    return set(_WORD.findall(answer.text.lower())) if isinstance(answer, Answer) else set()
