"""Parameters that servers reject, each with the error that was reported of it."""

from __future__ import annotations

import json

import pytest

from tests.caption.chat_server import ChatServer, answer, failure, prompt_of
from tools.caption.api.client import ChatClient, ChatRequest
from tools.caption.api.service import Service
from tools.caption.api.unsupported import named_parameters
from tools.errors import MediaError, UserError

PARAMETERS = {
    "model": "seed-vl",
    "max_tokens": 20,
    "temperature": 0.0,
    "seed": 0,
    "response_format": {"type": "json_schema", "json_schema": {}},
}


def body(message, **error):
    return json.dumps({"error": {"message": message, **error}})


UNNAMED = "No endpoints found that can handle the requested parameters."
SAID = {
    "OpenAI, temperature": (
        "temperature",
        400,
        body(
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value "
            "is supported.",
            param="temperature",
            code="unsupported_value",
        ),
    ),
    "OpenAI, max_tokens": (
        "max_tokens",
        400,
        body(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        ),
    ),
    "OpenAI, in more words": (
        "max_tokens",
        400,
        body("Use max_completion_tokens for the maximum number of tokens; max_tokens is not for this model"),
    ),
    "Azure, an old version": (
        "response_format",
        400,
        body("response_format value as json_schema is enabled only for api versions 2024-08-01-preview on"),
    ),
    "DeepSeek": (
        "response_format",
        400,
        body("This response_format type is unavailable now", param=None, code="invalid_request_error"),
    ),
    "Groq": (
        "response_format",
        400,
        body("This model does not support response format `json_schema`. See supported models."),
    ),
    "LM Studio": ("response_format", 400, "{\"error\":\"'response_format.type' must be 'json_object'\"}"),
    "llama.cpp": ("response_format", 400, body("JSON schema conversion failed: unrecognized schema")),
    "xgrammar": ("response_format", 400, body("Grammar error: Invalid grammar")),
    "TGI": (
        "temperature",
        422,
        json.dumps(
            {
                "error": "Input validation error: `temperature` must be strictly positive",
                "error_type": "validation",
            }
        ),
    ),
    "Kimi": ("temperature", 400, body("invalid temperature: only 1 is allowed for this model")),
    "Anthropic": ("temperature", 400, body("`temperature` is deprecated for this model.")),
    "Zhipu": ("temperature", 400, body("temperature参数非法，取值范围是：(0,1)", code="1214")),
    "transformers": (
        "temperature",
        400,
        json.dumps({"detail": "`temperature` (=0.0) has to be a strictly positive float"}),
    ),
    "Gemini": (
        "seed",
        400,
        json.dumps(
            [
                {
                    "error": {
                        "code": 400,
                        "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ]
        ),
    ),
    "Mistral": (
        "seed",
        422,
        json.dumps(
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "seed"],
                        "msg": "Extra inputs are not permitted",
                        "input": {"temperature": 0, "response_format": 1},
                    }
                ]
            }
        ),
    ),
    "vLLM": (
        "seed",
        400,
        json.dumps(
            {
                "object": "error",
                "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs'}]",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            }
        ),
    ),
    "DashScope": (
        "seed",
        400,
        body("<400> InternalError.Algo.InvalidParameter: Range of seed should be [1, 9]"),
    ),
    "LiteLLM": (
        "seed",
        500,
        body("ollama does not support parameters: {'seed': 0}, for model=llama3", code=500),
    ),
    "a proxy": ("seed", 200, body("seed: Extra inputs are not permitted", code=400)),
    "OpenRouter": ("seed", 404, body(UNNAMED, code=404)),
    "LM Studio, in a 200": ("response_format", 200, "{\"error\":\"'response_format.type' must be 'text'\"}"),
    "Ollama": (
        "response_format",
        400,
        body("invalid format: expected a JSON schema", type="invalid_request_error"),
    ),
    "a model without JSON": ("response_format", 400, body("JSON output is not available for this model")),
    "Django": ("temperature", 400, '{"temperature": ["Ensure this value is greater than 0."]}'),
    "JSON:API": ("seed", 422, '{"errors": [{"detail": "not taken", "source": {"pointer": "/data/seed"}}]}'),
    "greedy decoding": ("temperature", 400, body("greedy decoding is disabled on this deployment")),
    "in plain words": ("temperature", 400, "Bad request: temperature out of range"),
}


def client(server, parameters=PARAMETERS, **service):
    return ChatClient(Service(base_url=server.url, backoff=0.01, longest_backoff=0.05, **service), parameters)


def requests(count):
    return [
        ChatRequest(str(n), json.dumps([{"role": "user", "content": f"q{n}"}]).encode(), f"{n}.mp4")
        for n in range(count)
    ]


def echo(request):
    return answer(f"about {prompt_of(request)}")


@pytest.mark.parametrize("who", SAID)
def test_an_unsupported_parameter_is_left_out_with_one_warning(who, caplog):
    refused, status, said = SAID[who]
    with ChatServer(lambda r, n: (status, {}, said) if refused in r else echo(r)) as server:
        answers = client(server, concurrency=2).send(requests(6))
        answers += client(server, concurrency=1).send(requests(3))
    assert [a.text for a in answers] == [f"about q{n}" for n in (*range(6), *range(3))]
    left = {name: value for name, value in PARAMETERS.items() if name != refused}
    if refused == "max_tokens":
        left["max_completion_tokens"] = 20
    assert {**server.requests[-1], "messages": 0} == {**left, "messages": 0}
    assert len(caplog.messages) == 2
    assert all(f"does not support {refused}:" in line for line in caplog.messages)


def test_several_parameters_are_rejected_one_after_the_other():
    def picky(request, number):
        for name in ("response_format", "max_tokens", "max_completion_tokens", "temperature", "seed"):
            if name in request:
                return failure(400, f"{name}: not supported", param=name)
        return echo(request)

    with ChatServer(picky) as server:
        answers = client(server, concurrency=3).send(requests(5))
    assert [a.text for a in answers] == [f"about q{n}" for n in range(5)]
    assert set(server.requests[-1]) == {"model", "messages"}


def test_several_that_are_refused_together_and_one_that_is_named_but_taken():
    def together(request, number):
        if "temperature" in request or "seed" in request:
            return failure(400, "temperature and seed are not supported")
        return echo(request)

    def not_both(request, number):
        if "temperature" in request:
            return failure(400, "seed is fine, temperature is not")
        return echo(request)

    with ChatServer(together) as server:
        assert client(server, concurrency=1).send(requests(2))[1].text == "about q1"
    assert set(server.requests[-1]) == {"model", "messages", "max_tokens", "response_format"}
    with ChatServer(not_both) as server:
        assert client(server, concurrency=1).send(requests(2))[1].text == "about q1"
    assert "seed" in server.requests[-1] and "temperature" not in server.requests[-1]


def test_a_complaint_that_stays_without_the_parameter_is_about_something_else(capsys):
    """The prompt itself is refused: its row fails, and the others keep their parameters."""

    def behave(request, number):
        if prompt_of(request) in ("q1", "q3"):
            said = f"'The temperature of the water' may not be described (request {number:08x}a1b2)"
            return failure(400, said)
        return echo(request)

    with ChatServer(behave) as server:
        answers = client(server, concurrency=1).send(requests(5))
    assert [isinstance(a, MediaError) for a in answers] == [False, True, False, True, False]
    assert "may not be described" in answers[3].message
    assert server.request_counts() == {"q0": 1, "q1": 2, "q2": 1, "q3": 1, "q4": 1}
    assert server.requests[-1]["temperature"] == 0.0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens, max_tokens asks for 5000.",
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model has 4096.",
        "max_tokens: 5000 > 4096, which is the maximum allowed number of output tokens",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "image too large",
        "The model `seed-vl` does not support images",
        "The model doubao-seed-1.6 does not support images",
    ],
)
def test_other_errors_are_not_repeated(said):
    with ChatServer(lambda r, n: failure(400, said)) as server:
        (found,) = client(server).send(requests(1))
    assert isinstance(found, MediaError) and said[:20] in found.message
    assert len(server.requests) == 1


def test_requests_to_a_broken_server_are_repeated_with_all_parameters():
    def behave(request, number):
        return failure(500, "the temperature of GPU 0 is critical") if number < 2 else echo(request)

    with ChatServer(behave) as server:
        (found,) = client(server).send(requests(1))
    assert found.text == "about q0" and all("temperature" in request for request in server.requests)


def test_a_wrong_address_ends_the_run_whatever_its_page_says():
    with (
        ChatServer(lambda r, n: failure(404, "unknown path; seed your cache first")) as server,
        pytest.raises(UserError, match="--base-url"),
    ):
        client(server, concurrency=1).send(requests(3))
    assert len(server.requests) == 2


def test_what_repeats_the_request_names_nothing():
    error = {
        "detail": [{"loc": ["body", "messages"], "msg": "too short", "input": {"seed": 0, "temperature": 0}}]
    }
    assert named_parameters(error, PARAMETERS) == ()
