"""A question of known answer with each batch: a server that mixes answers up is found out.

The captions that are right follow from the pictures, which carry their numbers.
"""

from __future__ import annotations

import json
import random
import re
import threading

import pytest

from tests.caption.chat_server import ChatServer, answer
from tests.caption.test_caption_api import command, describe, numbered, read  # noqa: F401
from tools.caption.api.answers import Answer
from tools.caption.api.client import ChatRequest
from tools.caption.api.known_question import KnownQuestions
from tools.caption.api.usage import Totals, Usage
from tools.caption.caption_api import main
from tools.errors import OrderError

RIGHT = [f"Picture number {n}. It is striped." for n in range(30)]


def asked_word(request):
    content = request["messages"][0]["content"]
    return re.search(r"nothing else: (\w+)", content)[1] if isinstance(content, str) else None


def obedient(request, number):
    word = asked_word(request)
    return describe(request, number) if word is None else answer(f" {word.capitalize()}.\n")


class Late:
    """Gives each request the answer to the one before it, as a server that counts wrongly does."""

    def __init__(self):
        self.last = answer("Picture number 77. It is striped.")
        self.lock = threading.Lock()

    def __call__(self, request, number):
        with self.lock:
            now, self.last = self.last, obedient(request, number)
        return now


def run(meta, server, *more):
    return main(command(meta, server, "--known-question", "--bs", "6", *more))


def test_a_server_that_answers_as_asked_is_told_from_one_that_does_not(numbered, capsys):  # noqa: F811
    meta = numbered(30)
    for behave, right in (
        (obedient, True),
        (lambda r, n: answer("A wall.") if asked_word(r) else describe(r, n), False),
    ):
        with ChatServer(behave, key=None) as server:
            assert run(meta, server, "--output", str(meta.with_name(f"{right}.csv"))) == 0
        assert read(meta.with_name(f"{right}.csv"))["text"].to_list() == RIGHT
        told = capsys.readouterr().err
        found = re.search(r"30 answers; (\d+) of (\d+) known questions", told)
        questions = sum(asked_word(request) is not None for request in server.requests)
        assert (int(found[1]), int(found[2])) == (questions if right else 0, questions)
        assert 5 <= questions == len(server.requests) - 30


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_server_that_mixes_answers_up_ends_the_run_and_none_of_its_answers_is_kept(
    place,
    numbered,  # noqa: F811
    monkeypatch,
):
    # The word of a question that is the last of its batch comes back after the batch.
    monkeypatch.setattr(random, "randrange", lambda stop: 0 if place == "first" else stop - 1)
    meta = numbered(30)
    with ChatServer(Late(), key=None) as server, pytest.raises(OrderError, match="mixes up answers"):
        run(meta, server, "--concurrency", "1")
    output = meta.with_name("meta_caption.csv")
    assert not output.exists()
    with ChatServer(obedient, key=None) as server:
        assert run(meta, server) == 0
    assert read(output)["text"].to_list() == RIGHT


def test_batches_that_wait_for_one_that_is_mixed_up_are_not_sent():
    """Their requests are made by another thread, which goes on until the run has ended."""
    known = KnownQuestions(Totals())
    requests = [ChatRequest(str(number), b"[]", "") for number in range(3)]
    (question,) = [request for request in known.among(requests) if not request.key]
    word = Answer(asked_word({"messages": json.loads(question.messages)}), "stop", Usage())
    with pytest.raises(OrderError, match="mixes up answers"):
        known.checked([word] * 4)
    with pytest.raises(OrderError, match="mixes up answers"):
        known.among(requests)
