"""What DataFlow's documents import from ``dataflow.llmserving``, against a real HTTP server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.caption.chat_server import KEY, ChatServer, answer, failure
from tools.errors import UserError
from tools.operators import APILLMServing_request, LocalModelLLMServing_vllm

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT.parent / "shared" / "seeds" / "dataflow_video_quality_operators.txt"

VLLM = """
import http.server, json, sys
flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:])
if flags["model"] == "broken":
    sys.exit("no such model")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.reply(b"")
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = {"flags": flags, "asked": asked, "key": self.headers.get("Authorization")}
        message = {"role": "assistant", "content": json.dumps(told)}
        self.reply(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())
    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer((flags["host"], int(flags["port"])), Handler).serve_forever()
"""
"""Takes vLLM's flags and speaks its protocol, with what it was asked for an answer."""


@pytest.fixture
def vllm(tmp_path, monkeypatch) -> None:
    """A package called vllm, for this process and its children."""
    folder = tmp_path / "vllm" / "entrypoints" / "openai"
    folder.mkdir(parents=True)
    (folder / "api_server.py").write_text(VLLM)
    (tmp_path / "vllm" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")


def test_answers_come_in_the_order_of_the_texts(monkeypatch, caplog):
    monkeypatch.setenv("DF_API_KEY", KEY)

    def behave(request, number):
        text = request["messages"][1]["content"]
        return (
            failure(400, "no such words", type="x", param=None, code=None)
            if text == "b"
            else answer(text * 2)
        )

    with ChatServer(behave, key=KEY) as server:
        serving = APILLMServing_request(
            api_url=f"{server.url}/chat/completions", model_name="m", max_workers=2, top_p=0.5, max_tokens=7
        )
        assert serving.generate_from_input(["a", "b", "c"], "Be brief.") == ["aa", None, "cc"]
        assert serving.generate_from_input([]) == []
        schema = {"type": "object"}
        assert serving.generate_from_input(["d"], json_schema=schema) == ["dd"]
        serving.cleanup()
    asked = next(request for request in server.requests if request["messages"][1]["content"] == "a")
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (asked["model"], asked["temperature"], asked["top_p"], asked["max_tokens"]) == ("m", 0.0, 0.5, 7)
    assert server.requests[-1]["response_format"]["json_schema"]["schema"] == schema
    assert "no such words" in caplog.text and KEY not in caplog.text


def test_thoughts_go_and_marks_that_a_script_may_have_asked_for_stay():
    said = {
        "a": answer("<think>hm</think><answer>yes</answer>"),
        "b": answer("Let me see what happens next", finish="length"),
        "c": answer("```json\n{}\n```"),
    }
    with ChatServer(lambda request, _: said[request["messages"][1]["content"]]) as server:
        serving = APILLMServing_request(api_url=server.url, model_name="m")
        found = serving.generate_from_input(list(said))
    assert found == ["<answer>yes</answer>", "Let me see what happens next", "```json\n{}\n```"]


def test_conversations_and_a_key_under_another_name(monkeypatch):
    monkeypatch.delenv("DF_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    talk = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    with ChatServer(lambda request, number: answer(str(len(request["messages"]))), key=KEY) as server:
        assert APILLMServing_request(server.url).generate_from_conversations([talk, talk[:1]]) == ["2", "1"]
        monkeypatch.setenv("MY_KEY", "wrong")
        with pytest.raises(UserError, match=r"401.*check MY_KEY"):
            APILLMServing_request(server.url, "MY_KEY").generate_from_input(["a"])


def test_an_address_that_is_none():
    with pytest.raises(UserError, match="must be like http://localhost:8000/v1"):
        APILLMServing_request("localhost")


def test_a_local_model_is_served_in_a_process_that_ends(vllm):
    serving = LocalModelLLMServing_vllm(
        "some/model", vllm_tensor_parallel_size=4, vllm_max_tokens=9, vllm_repetition_penalty=1.2, vllm_seed=3
    )
    told = [json.loads(text) for text in serving.generate_from_input(["a", "b"])]
    process = serving._process
    assert [one["asked"]["messages"][1]["content"] for one in told] == ["a", "b"]
    flags, asked = told[0]["flags"], told[0]["asked"]
    assert (flags["model"], flags["tensor-parallel-size"]) == ("some/model", "4")
    assert "max-model-len" not in flags and flags["gpu-memory-utilization"] == "0.9"
    sampling = {
        name: asked[name] for name in ("max_tokens", "temperature", "top_k", "repetition_penalty", "seed")
    }
    assert sampling == {
        "max_tokens": 9,
        "temperature": 0.7,
        "top_k": 40,
        "repetition_penalty": 1.2,
        "seed": 3,
    }
    assert told[0]["key"] is None  # the key of another server is none of its business
    assert len(serving.generate_from_input(["c"])) == 1 and serving._process is process
    serving.cleanup()
    assert process.poll() is not None


def test_a_local_model_that_cannot_be_served(vllm):
    with pytest.raises(UserError, match="vLLM does not serve broken: no such model"):
        LocalModelLLMServing_vllm("broken").generate_from_input(["a"])
    with pytest.raises(UserError, match="hf_model_name_or_path"):
        LocalModelLLMServing_vllm().start_serving()


def test_without_vllm(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match="package vllm is not installed: pip install vllm"):
        LocalModelLLMServing_vllm("m").start_serving()


IN_WORDS = """
from dataflow.llmserving import APILLMServing_request, LocalModelLLMServing_vllm
print(APILLMServing_request(api_url="https://api.openai.com/v1/chat/completions", model_name="gpt-4o",
                            max_workers=100).max_workers)
print(LocalModelLLMServing_vllm(hf_model_name_or_path="/path/to/your/model").hf_local_dir)
"""


def scripted(tmp_path: Path, code: str) -> subprocess.CompletedProcess:
    (tmp_path / "script.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "tools.operators", "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_a_script_imports_them_from_dataflow(tmp_path):
    done = scripted(tmp_path, IN_WORDS)
    assert (done.returncode, done.stdout) == (0, "100\nNone\n"), done.stderr


@pytest.mark.skipif(not DOCUMENT.exists(), reason=f"{DOCUMENT} is not there")
def test_the_documents_own_lines(tmp_path):
    """As typed; one of them imports a shorter name than it calls."""
    blocks = re.findall(r"```python\n(from dataflow\.llmserving.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        done = scripted(tmp_path, block)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
