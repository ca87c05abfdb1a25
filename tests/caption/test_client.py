"""The client against a real server that misbehaves.

What is expected follows from the HTTP standard (RFC 9110) and from OpenAI's documents of its protocol.
"""

from __future__ import annotations

import email.utils
import json
import threading
import time

import pytest

from tests.caption.chat_server import KEY, ChatServer, answer, failure, prompt_of
from tools.base.retry_after import retry_after
from tools.caption.api.client import ChatClient, ChatRequest
from tools.caption.api.service import Service
from tools.caption.api.usage import Usage
from tools.errors import MediaError, UserError

HANG = 60.0
"""Seconds for which a server delays what nobody should wait for."""
PARAMETERS = {"model": "m", "max_tokens": 20, "temperature": 0.0, "seed": 0}


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def requests(count):
    return [
        ChatRequest(str(n), json.dumps([{"role": "user", "content": f"q{n}"}]).encode(), f"{n}.mp4")
        for n in range(count)
    ]


def client(server, **service):
    service = {"backoff": 0.01, "longest_backoff": 0.05, "request_timeout": 20.0, **service}
    return ChatClient(Service(base_url=server.url, **service), PARAMETERS)


def echo(request, number):
    return answer(f"about {prompt_of(request)}")


def test_answers_belong_to_their_requests_in_whatever_order_they_arrive():
    def slow_first(request, number):
        time.sleep(0.02 * (7 - int(prompt_of(request)[1:])))
        return echo(request, number)

    with ChatServer(slow_first) as server:
        chat = client(server, concurrency=8)
        answers = chat.send(requests(8))
    assert [a.text for a in answers] == [f"about q{n}" for n in range(8)]
    assert chat.totals.usage == Usage(800, 80)
    assert server.requests[0] | {"messages": None} == {**PARAMETERS, "messages": None}
    assert set(server.paths) == {"/v1/chat/completions"}


def test_concurrency_is_used_and_never_exceeded():
    with ChatServer(echo, delay=0.05) as server:
        client(server, concurrency=4).send(requests(24))
    assert server.most == 4


@pytest.mark.parametrize(
    "trouble",
    [
        failure(429),
        failure(500),
        failure(503),
        failure(529),
        (200, {}, '{"choices": [{"message": {"content": "cut of'),
        (200, {}, "<html>busy</html>"),
        (200, {}, '{"choices": []}'),
        (200, {}, '{"error": {"message": "upstream", "code": 502}}'),
        answer("A ca", finish="error"),
        (200, {}, " " * (33 << 20)),
        (200, {"Content-Length": "500"}, "{"),  # promises more than it sends
        None,
    ],
    ids=[
        "429",
        "500",
        "503",
        "529",
        "cut-json",
        "html",
        "no-choices",
        "error-in-200",
        "broken-off",
        "huge",
        "short",
        "cut",
    ],
)
def test_retries_after_trouble(trouble):
    def half(request, number):
        if number % 2 == 0:
            return trouble if trouble is None or trouble[1].get("Content-Length") != "500" else close(trouble)
        return echo(request, number)

    def close(response):
        return response[0], {**response[1], "Connection": "close"}, response[2]

    with ChatServer(half) as server:
        chat = client(server, concurrency=1)
        answers = chat.send(requests(3))
    assert [a.text for a in answers] == ["about q0", "about q1", "about q2"]
    assert len(server.requests) == 6
    assert chat.totals.retries.total() == 3


def test_a_slow_request_is_given_up_and_repeated():
    def slow_once(request, number):
        if number == 0:
            time.sleep(HANG)
        return echo(request, number)

    with ChatServer(slow_once) as server:
        chat = client(server, request_timeout=2)
        start = time.monotonic()
        (found,) = chat.send(requests(1))
    assert found.text == "about q0" and chat.totals.retries == {"timeout": 1}
    assert time.monotonic() - start < HANG


def test_an_answer_in_drops_does_not_block_the_run():
    """A server that sends a byte now and then keeps a socket's own time-out from ever running out."""
    stop = threading.Event()

    def drip(request, number):
        stop.wait(HANG)
        return echo(request, number)

    with ChatServer(drip) as server:
        (found,) = client(server, request_timeout=0.2, retries=1).send(requests(1))
        stop.set()
    assert isinstance(found, MediaError) and found.kind == "timeout"


def test_retry_after_is_kept_by_all_requests():
    def busy_once(request, number):
        return failure(429, headers={"Retry-After": "0.6"}) if number == 0 else echo(request, number)

    with ChatServer(busy_once) as server:
        chat = client(server, concurrency=1)
        answers = chat.send(requests(4))
    assert [a.text for a in answers] == [f"about q{n}" for n in range(4)]
    assert server.times[1] - server.times[0] >= 0.6
    assert server.times[-1] - server.times[1] < 0.6


def test_retry_after_as_seconds_and_as_a_date():
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"retry-after": "7"}) == 7
    assert 28 <= retry_after({"retry-after": date}) <= 30
    assert retry_after({"retry-after": email.utils.formatdate(0, usegmt=True)}) is None
    assert retry_after({"retry-after": "0"}) is None
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({"retry-after-ms": "250", "retry-after": "7"}) == 0.25
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


def test_a_rate_limit_that_lets_others_through_costs_no_row():
    """Questions meet more refusals than they may be asked again, but others are answered meanwhile."""

    def one_in_five(request, number):
        return failure(429) if number % 5 else echo(request, number)

    with ChatServer(one_in_five) as server:
        answers = client(server, concurrency=3, retries=5).send(requests(24))
    assert max(server.request_counts().values()) > 6
    assert [getattr(a, "text", a) for a in answers] == [f"about q{n}" for n in range(24)]


def test_waits_grow_from_try_to_try():
    with ChatServer(lambda request, number: failure(500)) as server:
        client(server, backoff=0.1, longest_backoff=100, retries=3).send(requests(1))
    gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    for n, gap in enumerate(gaps):  # half of the wait to the whole of it, and what a busy machine takes
        assert 0.05 * 2**n <= gap <= 0.1 * 2**n + 5
    assert len(gaps) == 3


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (answer(None), "gave no answer"),
        (answer("  "), "gave no answer"),
        (answer("", finish="length"), "out of tokens before it wrote anything"),
        (
            answer("<think>a cat, I think", finish="length"),
            "during its reasoning; --max-tokens allows more",
        ),
        (
            answer("Okay, the user wants", finish="max_tokens"),
            "during its reasoning; --max-tokens allows more",
        ),
        (answer("", finish="length", reasoning_content="A cat"), "during its reasoning"),
        (answer(None, finish="length", reasoning="A cat"), "during its reasoning"),
        (answer("", reasoning_content="A cat runs."), "reasoning without an answer"),
        (answer("A cat runs.</think>"), "reasoning without an answer"),
        (answer(None, refusal="I cannot help with that."), "refused: I cannot help"),
        (answer("A man", finish="content_filter"), "content filter"),
        (failure(400, "image too large"), "400: image too large"),
        (failure(413, "too much"), "413: too much"),
    ],
)
def test_rows_that_no_other_try_can_help_are_failures_at_once(response, said):
    def behave(request, number):
        return response if prompt_of(request) == "q1" else echo(request, number)

    with ChatServer(behave) as server:
        chat = client(server, concurrency=1)
        answers = chat.send(requests(3))
    assert answers[1].kind == "server" and said in answers[1].message and answers[1].path == "1.mp4"
    assert [answers[0].text, answers[2].text] == ["about q0", "about q2"]
    assert len(server.requests) == 3
    paid = 3 if response[0] == 200 else 2
    assert chat.totals.usage == Usage(100 * paid, 10 * paid)


@pytest.mark.parametrize(
    "response",
    [
        answer("<think>hm,\na dog?</think>\n\nA dog."),
        answer("A dog.", reasoning_content="hm,\na dog?"),
        answer([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "A dog."}]),
        answer([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "A dog."}]),
    ],
    ids=["marked", "beside", "mistral", "parts"],
)
def test_reasoning_is_left_out(response):
    with ChatServer(lambda *_: response) as server:
        (found,) = client(server).send(requests(1))
    assert (found.text, found.finish) == ("A dog.", "stop")


def test_content_in_parts():
    parts = [{"type": "text", "text": "A dog "}, {"type": "text", "text": "runs."}]
    with ChatServer(lambda *_: answer(parts)) as server:
        (found,) = client(server).send(requests(1))
    assert found.text == "A dog runs."


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (failure(401, "who are you"), "OPENAI_API_KEY is not set"),
        (failure(402, "credits are used up"), "credits"),
        (failure(404, "no model m"), "--model"),
        (failure(429, "You exceeded your quota", code="insufficient_quota"), "quota"),
        ((307, {"Location": "http://elsewhere/"}, ""), "--base-url"),
    ],
)
def test_a_server_that_answers_no_request_ends_the_run_at_once(response, said):
    with (
        ChatServer(lambda request, number: response) as server,
        pytest.raises(UserError, match=said) as caught,
    ):
        client(server, concurrency=2).send(requests(50))
    assert len(server.requests) <= 4
    assert server.url in str(caught.value) and "\n" not in str(caught.value)


def test_nobody_there():
    with ChatServer(echo) as server:
        pass
    with pytest.raises(UserError, match="is the server running"):
        client(server, concurrency=2).send(requests(10))


def test_a_server_that_never_answers_ends_the_run_before_all_retries():
    with (
        ChatServer(lambda request, number: failure(500, "no template")) as server,
        pytest.raises(UserError, match="no answer in 5 tries, the last: 500: no template"),
    ):
        client(server, concurrency=1).send(requests(5))
    assert len(server.requests) == 5


def test_many_failures_in_a_row_end_the_run_but_not_those_in_between():
    def behave(request, number):
        n = int(prompt_of(request)[1:])
        return echo(request, number) if n % 5 == 4 or n < 20 else failure(500)

    with ChatServer(behave) as server:
        chat = client(server, concurrency=1, retries=0, max_failures=5)
        answers = chat.send(requests(40))  # never more than four in a row
    assert sum(isinstance(a, MediaError) for a in answers) == 16
    with ChatServer(lambda request, number: failure(500, "on fire")) as server:
        chat = client(server, concurrency=1, retries=1, max_failures=5)
        with pytest.raises(UserError, match=r"5 rows in a row got no answer, the last: .*on fire") as caught:
            chat.send(requests(40))
    assert len(server.requests) == 10
    assert "--max-failures-in-a-row" in str(caught.value)


def test_parameters_that_the_server_does_not_know_are_left_out(caplog):
    """As OpenAI's newer models do: max_tokens has another name, temperature 0 and seed are refused."""

    def picky(request, number):
        if "max_tokens" in request:
            said = (
                "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
            )
            return failure(400, said, param="max_tokens", code="unsupported_parameter")
        if "temperature" in request:
            said = "Unsupported value: 'temperature' does not support 0 with this model."
            return failure(400, said, param="temperature", code="unsupported_value")
        if "seed" in request:
            return (
                422,
                {},
                json.dumps({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
            )
        return echo(request, number)

    with ChatServer(picky) as server:
        answers = client(server, concurrency=4).send(requests(6))
    assert [a.text for a in answers] == [f"about q{n}" for n in range(6)]
    assert server.requests[-1] | {"messages": 0} == {"model": "m", "max_completion_tokens": 20, "messages": 0}
    assert [line.split(":")[1] for line in caplog.messages] == [
        " sent as max_completion_tokens",
        " left out",
        " left out",
    ]


def test_a_bad_request_that_names_a_parameter_it_knows_is_a_failure():
    said = "This model's maximum context length is 4096 tokens, max_tokens asks for 5000."
    with ChatServer(lambda *_: failure(400, said)) as server:
        (found,) = client(server).send(requests(1))
    assert isinstance(found, MediaError) and len(server.requests) == 1


def test_the_key_goes_to_the_server_and_nowhere_else(monkeypatch, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(lambda *_: answer(f"A note that says {KEY}."), key=KEY) as server:
        (found,) = client(server).send(requests(1))
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert found.text == "A note that says ***."
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "-wrong")
    with ChatServer(echo, key=KEY) as server, pytest.raises(UserError) as caught:
        client(server).send(requests(3))
    assert "check OPENAI_API_KEY" in str(caught.value) and KEY not in str(caught.value)
    told = capfd.readouterr()
    assert KEY not in told.out + told.err


@pytest.mark.parametrize("key", ["none", "EMPTY", "x", "ollama", "1234"])
def test_a_word_in_place_of_a_key_is_not_cut_out_of_captions(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with ChatServer(lambda *_: answer(f"A sign with {key} on it.")) as server:
        (found,) = client(server).send(requests(1))
    assert found.text == f"A sign with {key} on it."


def test_a_key_that_comes_back_in_other_letters_of_json_is_cut_out(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    spelt = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    body = f'{{"choices": [{{"message": {{"content": "A {spelt}."}}}}]}}'
    for status, said in ((200, body), (400, f'{{"error": "A {spelt}."}}')):
        with ChatServer(lambda *_, s=status, b=said: (s, {}, b)) as server:
            (found,) = client(server).send(requests(1))
        told = getattr(found, "text", str(found))
        assert KEY not in told and "A ***." in told


@pytest.mark.parametrize("key", ["sk-1\nX-Header: 1", "sk-ä", "two words"])
def test_a_key_that_is_none(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError) as caught:
        ChatClient(Service(base_url="http://localhost:1/v1"), PARAMETERS)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000/v1",
        "ftp://x/v1",
        "http://",
        "http://u:secret@h/v1",
        "http://h:99999/v1",
        "https://h/v1?key=secret",
        "https://h/v1?api-version=1&key=secret",
        "https://h/v1#secret",
        "http://[::1/v1",
        "http://h/v1 x",
    ],
)
def test_addresses_that_are_none(url):
    with pytest.raises(UserError) as caught:
        Service(base_url=url).url()
    assert "secret" not in str(caught.value)


AZURE = "https://x.openai.azure.com/openai/deployments/gpt"


@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/chat/completions/"])
def test_addresses_of_azure_keep_their_version(end):
    """https://learn.microsoft.com/azure/ai-foundry/openai/reference: /chat/completions?api-version=..."""
    service = Service(base_url=f"{AZURE}{end}?api-version=2024-10-21")
    assert service.url() == f"{AZURE}/chat/completions?api-version=2024-10-21"
    assert service.host == "x.openai.azure.com"


@pytest.mark.parametrize(
    ("url", "key", "header"),
    [
        ("http://h/v1", "k", {"Authorization": "Bearer k"}),
        ("http://h/v1", "", {}),
        (f"{AZURE}?api-version=1", "k", {"api-key": "k"}),
        ("https://x.openai.azure.com/openai/v1", "k", {"api-key": "k"}),
        ("http://localhost:1/openai/deployments/d?api-version=1", "k", {"api-key": "k"}),
        (f"{AZURE}?api-version=1", "eyJh.eyJi.c", {"Authorization": "Bearer eyJh.eyJi.c"}),
    ],
)
def test_azure_wants_its_keys_under_another_name(url, key, header):
    assert Service(base_url=url).key_header(key) == header


def test_the_version_and_the_key_reach_a_server_of_azures_kind(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(echo) as server:
        address = server.url.removesuffix("/v1") + "/openai/deployments/d?api-version=2024-10-21"
        ChatClient(Service(base_url=address), PARAMETERS).send(requests(1))
    assert server.paths == ["/openai/deployments/d/chat/completions?api-version=2024-10-21"]
    assert server.headers[0]["api-key"] == KEY and "Authorization" not in server.headers[0]


@pytest.mark.parametrize("url", ["http://h/v1", "http://h/v1/", "http://h/v1/chat/completions"])
def test_addresses(url, monkeypatch):
    assert Service(base_url=url).url() == "http://h/v1/chat/completions"
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert Service().url() == "http://h/v1/chat/completions"


LONE = r"A cat \ud83d runs."


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (f'"{LONE}"', "A cat \ufffd runs."),
        (r'"\udc00 A cat \ud83d"', "\ufffd A cat \ufffd"),
        (r'"A cat \ud83d\ude00."', "A cat \U0001f600."),
        (r'[{"text": "A cat \ud83d"}, {"text": "\ude00."}]', "A cat \U0001f600."),
        (r'"A\u0000cat."', "A\ufffdcat."),
    ],
)
def test_halves_of_characters_become_the_replacement_character(content, text):
    """U+FFFD, as the Unicode standard wants it (5.22, best practice), and as JSON libraries in Rust do."""
    body = f'{{"choices": [{{"message": {{"content": {content}}}, "finish_reason": "stop"}}]}}'
    with ChatServer(lambda *_: (200, {}, body)) as server:
        (found,) = client(server).send(requests(1))
    assert found.text == text


def test_halves_of_characters_in_what_a_server_complains_of_can_be_written(tmp_path):
    body = rf'{{"error": {{"message": "{LONE}"}}}}'
    with ChatServer(lambda *_: (400, {}, body)) as server:
        (found,) = client(server).send(requests(1))
    (tmp_path / "f.txt").write_text(str(found), encoding="utf-8")
    assert "A cat \ufffd runs." in found.message


@pytest.mark.parametrize(
    "odd",
    [
        '{"choices": ' + "[" * 100_000,
        '{"choices": [{"message": {"content": "A cat."}, "finish_reason": {"a": 1}}], "usage": 3}',
        '\ufeff{"choices": [{"message": {"content": "A cat."}}]}',
        '{"choices": [{"message": {"content": "A cat."}}], "usage": {"prompt_tokens": 1e999}}',
    ],
    ids=["nested", "strange-fields", "byte-order-mark", "infinite"],
)
def test_no_body_of_an_answer_costs_the_answers_of_others(odd):
    def behave(request, number):
        return (200, {}, odd) if prompt_of(request) == "q1" else echo(request, number)

    with ChatServer(behave) as server:
        answers = client(server, concurrency=4, retries=0).send(requests(4))
    assert [getattr(a, "text", "A cat.") for a in answers] == ["about q0", "A cat.", "about q2", "about q3"]
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [201, 202, 206])
def test_an_answer_with_another_status_of_success_is_one(status):
    with ChatServer(lambda *_: (status, {}, answer("A cat.")[2])) as server:
        (found,) = client(server).send(requests(1))
    assert found.text == "A cat." and len(server.requests) == 1


def test_success_without_an_answer_is_asked_again():
    def empty_once(request, number):
        return (204, {}, "") if number == 0 else echo(request, number)

    with ChatServer(empty_once) as server:
        (found,) = client(server).send(requests(1))
    assert found.text == "about q0" and len(server.requests) == 2


@pytest.mark.parametrize("value", ["0", email.utils.formatdate(0, usegmt=True)], ids=["0", "past"])
def test_a_wait_of_nothing_is_the_usual_one(value):
    def busy_twice(request, number):
        return failure(429, headers={"Retry-After": value}) if number < 2 else echo(request, number)

    with ChatServer(busy_twice) as server:
        client(server, backoff=0.2, longest_backoff=9.0).send(requests(1))
    assert server.times[2] - server.times[0] >= 0.1 + 0.2  # half of the waits 0.2 and 0.4


def test_why_the_model_stopped_is_one_line_without_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    finish = "".join(f"\\u{ord(letter):04x}" for letter in f"st\0op\n \x1b[31m{KEY}")
    body = f'{{"choices": [{{"message": {{"content": "A cat."}}, "finish_reason": "{finish}"}}]}}'
    with ChatServer(lambda *_: (200, {}, body)) as server:
        (found,) = client(server).send(requests(1))
    assert found.finish == "st op [31m***"


def test_complaints_of_a_server_do_not_rule_the_terminal():
    with ChatServer(lambda *_: failure(400, "\x1b]0;title\x07 a\0b\x9bc")) as server:
        (found,) = client(server).send(requests(1))
    assert found.message == "the server refused with 400: ]0;title a b c"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PROXY", "ftp://proxy"),
        ("HTTP_PROXY", "http://[::1"),
        ("HTTP_PROXY", "http://me:secret/word@proxy"),
        ("SSL_CERT_FILE", "/no/such/file"),
    ],
)
def test_proxies_and_certificates_that_cannot_be_used_end_the_run(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with ChatServer(echo) as server, pytest.raises(UserError, match=f"check .*{name}") as caught:
        client(server).send(requests(3))
    assert not server.requests and "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_half_of_all_requests_fail_and_no_row_is_lost():
    """Each request fails half of the time: 200 * 2 ** -31 is the chance that a request is lost."""
    import random

    chance = random.Random(0)

    def coin(request, number):
        return (
            chance.choice((None, failure(500), failure(429), (200, {}, "{")))
            if chance.random() < 0.5
            else echo(request, number)
        )

    with ChatServer(coin) as server:
        answers = client(server, concurrency=16, retries=30).send(requests(200))
    assert [getattr(a, "text", a) for a in answers] == [f"about q{n}" for n in range(200)]
