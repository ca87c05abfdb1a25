"""Tags from captions: what a cell holds, and answers that are none."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tests.caption.chat_server import ChatServer, answer, failure
from tools.caption.api.tags import TagStage, read_tags
from tools.caption.tag import main
from tools.errors import UserError

CAPTIONS = ["A dog chases a red ball.", "Blue.", None, "A man waves, then sits."]


@pytest.fixture
def meta(tmp_path, monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "meta.csv"
    pl.DataFrame({"path": [f"{n}.mp4" for n in range(4)], "text": CAPTIONS, "aes": ["5"] * 4}).write_csv(path)
    return path


def run(meta, server, *more):
    quick = ["--base-url", server.url, "--model", "m", "--backoff", "0.02", "--quiet", "--num-workers", "0"]
    return main([str(meta), *quick, *more])


def tagger(request, number):
    """A model that knows three captions."""
    asked = request["messages"][0]["content"]
    tags = {"dog": ["Dog", "red ball", "dog"], "Blue": [], "man": ["man"]}
    return answer(json.dumps({"objects": next(found for word, found in tags.items() if word in asked)}))


def test_tags_of_each_caption(meta, capsys):
    with ChatServer(tagger) as server:
        assert run(meta, server, "--key", "objects") == 0
    output = meta.with_name("meta_objects.csv")
    assert capsys.readouterr().out.splitlines()[-1] == str(output)
    table = pl.read_csv(output, infer_schema=False)
    assert table.columns == ["path", "text", "aes", "objects"]
    assert table["objects"].to_list() == ["dog, red ball", "NONE", None, "man"]
    failures = pl.read_csv(output.with_name("meta_objects.failures.csv"))
    assert failures.rows() == [("2.mp4", "bad_value", "the caption, column text, is empty")]
    form = server.requests[0]["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["schema"]["required"] == ["objects"]


def test_a_server_that_does_not_know_response_format(meta):
    def old(request, number):
        if "response_format" in request:
            return failure(400, "Unrecognized request argument supplied: response_format")
        return tagger(request, number)

    with ChatServer(old) as server:
        assert run(meta, server) == 0
    assert pl.read_csv(meta.with_name("meta_objects.csv"))["objects"][0] == "dog, red ball"


def test_response_format_may_be_left_out(meta):
    with ChatServer(tagger) as server:
        assert run(meta, server, "--no-response-format") == 0
        with pytest.raises(UserError, match="--overwrite"):
            run(meta, server)
    assert all("response_format" not in request for request in server.requests)
    assert pl.read_csv(meta.with_name("meta_objects.csv"))["objects"][0] == "dog, red ball"


@pytest.mark.parametrize("odd", ["[" * 100_000, r'["a \ud83d cat"]', '{"objects": [null]}'])
def test_no_answer_costs_the_answers_of_others(meta, odd):
    def behave(request, number):
        return answer(odd) if "Blue" in request["messages"][0]["content"] else tagger(request, number)

    with ChatServer(behave) as server:
        assert run(meta, server) == 0
    assert len(server.requests) == 3
    found = pl.read_csv(meta.with_name("meta_objects.csv"))["objects"].to_list()
    assert found == ["dog, red ball", "a \ufffd cat" if "cat" in odd else None, None, "man"]


def test_a_thinking_model(meta):
    with ChatServer(lambda *_: answer('Objects? [1]\n</think>\n<answer>["Cat"]</answer>')) as server:
        assert run(meta, server) == 0
    assert pl.read_csv(meta.with_name("meta_objects.csv"))["objects"][0] == "cat"


def test_prefix_other_keys_and_prompts_of_ones_own(meta):
    with ChatServer(lambda request, number: answer('{"mood": ["calm"]}')) as server:
        prefix = meta.parent / "tags" / "all"
        run(
            meta, server, "--key", "mood", "--prompt", "The mood of '{text}'?", "--output_prefix", str(prefix)
        )
    assert pl.read_csv(f"{prefix}_mood.csv")["mood"].to_list() == ["calm", "calm", None, "calm"]
    assert {r["messages"][0]["content"] for r in server.requests} == {
        f"The mood of '{text}'?" for text in CAPTIONS if text
    }


@pytest.mark.parametrize("key", ["text", "path", "aes", "Two Words", "a-b", ""])
def test_keys_that_are_no_new_column(meta, key):
    with pytest.raises(UserError, match=rf"Invalid key \({key}\). Supported values are names of new columns"):
        main([str(meta), "--model", "m", "--base-url", "http://localhost:1/v1", "--key", key])
    with pytest.raises(UserError, match="Invalid key"):
        TagStage(model="m", key=key)


def test_a_prompt_without_a_place_for_the_caption(meta):
    with pytest.raises(UserError, match=r"Supported values are texts with \{text\}"):
        main([str(meta), "--model", "m", "--base-url", "http://localhost:1/v1", "--prompt", "Tags?"])


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('["cat", "Cat", " red  car "]', ["cat", "red car"]),
        ('{"objects": ["cat"]}', ["cat"]),
        ('```json\n["cat"]\n```', ["cat"]),
        ('["salt, pepper", ""]', ["salt pepper"]),
        ("[]", []),
        ('["none"]', []),
    ],
)
def test_answers(text, tags):
    assert read_tags(text, "objects") == tags


@pytest.mark.parametrize(
    "text",
    [
        "cat, dog",
        '["cat", "do',
        '{"actions": ["run"]}',
        '{"objects": "cat"}',
        "[1, 2]",
        "null",
        'Sure! ["cat"]',
    ],
)
def test_answers_that_are_none(text):
    with pytest.raises(ValueError, match="the answer is no"):
        read_tags(text, "objects")
