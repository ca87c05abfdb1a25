"""Language models for scripts written for DataFlow: behind a server, or served by vLLM on this machine."""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

from tools.base.packages import require_package
from tools.caption.api.client import ChatClient, ChatRequest
from tools.caption.api.service import KEY_VARIABLE, Service
from tools.errors import MediaError, UserError

Messages = list[dict[str, Any]]
"""A conversation, as OpenAI's interface has it: ``[{"role": "user", "content": "..."}, ...]``."""

_SYSTEM = "You are a helpful assistant"
_START_SECONDS = 1800.0  # vLLM reads weights and compiles; a process that ends is reported at once
_STOP_SECONDS = 30.0
_LOG = logging.getLogger("tools.operators")  # not below vidsieve: a script without logging hears it


class _Serving:
    """What both kinds share: questions in, answers out, None where there is none."""

    def start_serving(self) -> None:
        """Start what must be started; the first question does it, too."""

    def cleanup(self) -> None:
        """End what was started."""

    def generate_from_input(
        self, user_inputs: Sequence[str], system_prompt: str = _SYSTEM, json_schema: Any = None
    ) -> list[str | None]:
        """Ask one question for each text.

        Args:
            user_inputs: The texts.
            system_prompt: System prompt before each.
            json_schema: A JSON schema that the answers follow, for servers that know how.

        Returns:
            The answers, in the order of the texts; None for a missing one, which is logged with its reason.

        Raises:
            UserError: The server refuses every request.
        """
        system = {"role": "system", "content": system_prompt}
        return self._ask([[system, {"role": "user", "content": text}] for text in user_inputs], json_schema)

    def generate_from_conversations(self, conversations: Sequence[Messages]) -> list[str | None]:
        """Go on with conversations; returns and errors as `generate_from_input`."""
        return self._ask(conversations, None)

    def _service(self) -> tuple[Service, dict[str, Any]]:
        """The server, and the parameters of each request."""
        raise NotImplementedError  # what a subclass is for

    def _ask(self, conversations: Sequence[Messages], json_schema: Any) -> list[str | None]:
        self.start_serving()
        service, parameters = self._service()
        if json_schema is not None:
            schema = {"name": "answer", "strict": True, "schema": json_schema}
            parameters = {**parameters, "response_format": {"type": "json_schema", "json_schema": schema}}
        requests = [
            ChatRequest(str(number), json.dumps(messages).encode(), f"question {number}")
            for number, messages in enumerate(conversations)
        ]
        outcomes = ChatClient(service, parameters, verbatim=True).send(requests) if requests else []
        for outcome in outcomes:
            if isinstance(outcome, MediaError):
                _LOG.warning("no answer: %s", outcome)
        return [None if isinstance(outcome, MediaError) else outcome.text for outcome in outcomes]


class APILLMServing_request(_Serving):
    """Asks a model behind a server of OpenAI's kind.

    Args:
        api_url: Its address, with or without ``/chat/completions``.
        key_name_of_api_key: Environment variable with the key; where it is not set, OPENAI_API_KEY.
            Without either no key is sent, which suits a server of one's own.
        model_name: The model, as the server calls it.
        temperature: 0 takes the likeliest word each time.
        max_workers: Requests under way at once.
        max_retries: How often a request is repeated when the server was busy, slow or broken.
        connect_timeout: Accepted for DataFlow's sake: `read_timeout` counts for the whole request.
        read_timeout: Seconds that a request may take.
        **configs: Further parameters of each request, such as ``max_tokens``; ``timeout`` is the old name of
            `read_timeout`.

    Raises:
        UserError: The address is none.
    """

    def __init__(
        self,
        api_url: str = "https://api.openai.com/v1/chat/completions",
        key_name_of_api_key: str = "DF_API_KEY",
        model_name: str = "gpt-4o",
        temperature: float = 0.0,
        max_workers: int = 10,
        max_retries: int = 5,
        connect_timeout: float = 10.0,
        read_timeout: float = 120.0,
        **configs: Any,
    ) -> None:
        self.api_url = api_url
        self.key_name_of_api_key = key_name_of_api_key
        self.model_name = model_name
        self.max_workers = max_workers
        self.max_retries = max_retries
        self.read_timeout = configs.pop("timeout", read_timeout)
        self.configs = {"temperature": temperature, **configs}
        self._service()[0].url()

    def _service(self) -> tuple[Service, dict[str, Any]]:
        own = self.key_name_of_api_key
        service = Service(
            base_url=self.api_url,
            concurrency=self.max_workers,
            retries=self.max_retries,
            request_timeout=self.read_timeout,
            max_failures=sys.maxsize,
            key_variable=own if os.environ.get(own) else KEY_VARIABLE,
        )
        return service, {"model": self.model_name, **self.configs}


class LocalModelLLMServing_vllm(_Serving):
    """Serves a model on this machine with vLLM, in a separate process, and sends requests to it.

    The process is started by the first question, and ended by `cleanup` or at the end of the program.

    Args:
        hf_model_name_or_path: Folder or Hugging Face id of the model.
        hf_cache_dir: Where weights are downloaded to.
        hf_local_dir: Folder of the model, used instead of its id where it exists.
        vllm_tensor_parallel_size: GPUs that share the model.
        vllm_temperature: 0 takes the likeliest word each time.
        vllm_top_p: Share of the probability that words are drawn from.
        vllm_max_tokens: Most tokens of an answer.
        vllm_top_k: Number of words that one is drawn from.
        vllm_repetition_penalty: Above 1, repeated words become less likely.
        vllm_seed: Of what is drawn.
        vllm_max_model_len: Most tokens of question and answer together; None for the model's own.
        vllm_gpu_memory_utilization: Share of the GPU's memory to take.
    """

    def __init__(
        self,
        hf_model_name_or_path: str | None = None,
        hf_cache_dir: str | None = None,
        hf_local_dir: str | None = None,
        vllm_tensor_parallel_size: int = 1,
        vllm_temperature: float = 0.7,
        vllm_top_p: float = 0.9,
        vllm_max_tokens: int = 1024,
        vllm_top_k: int = 40,
        vllm_repetition_penalty: float = 1.0,
        vllm_seed: int | None = None,
        vllm_max_model_len: int | None = None,
        vllm_gpu_memory_utilization: float = 0.9,
    ) -> None:
        self.hf_model_name_or_path = hf_model_name_or_path
        self.hf_cache_dir = hf_cache_dir
        self.hf_local_dir = hf_local_dir
        self.vllm_tensor_parallel_size = vllm_tensor_parallel_size
        self.vllm_max_model_len = vllm_max_model_len
        self.vllm_gpu_memory_utilization = vllm_gpu_memory_utilization
        parameters = {
            "temperature": vllm_temperature,
            "top_p": vllm_top_p,
            "max_tokens": vllm_max_tokens,
            "top_k": vllm_top_k,
            "repetition_penalty": vllm_repetition_penalty,
            "seed": vllm_seed,
        }
        self._parameters = {name: value for name, value in parameters.items() if value is not None}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start_serving(self) -> None:
        """Start vLLM and wait until it answers.

        Raises:
            UserError: No model is named, vLLM is not installed, or it ends instead of answering.
        """
        if self._process is not None and self._process.poll() is None:
            return
        if not self.hf_model_name_or_path:
            raise UserError("LocalModelLLMServing_vllm: name a model: hf_model_name_or_path=...")
        require_package("vllm", "LocalModelLLMServing_vllm")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        atexit.register(self.cleanup)
        with tempfile.TemporaryFile() as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            self._wait(log)

    def cleanup(self) -> None:
        """End the process."""
        atexit.unregister(self.cleanup)
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _command(self) -> list[str]:
        local = self.hf_local_dir
        model = local if local and os.path.isdir(local) else self.hf_model_name_or_path  # noqa: PTH112
        options = {
            "model": model,
            "served-model-name": "model",
            "host": "127.0.0.1",
            "port": self._port,
            "tensor-parallel-size": self.vllm_tensor_parallel_size,
            "gpu-memory-utilization": self.vllm_gpu_memory_utilization,
            "max-model-len": self.vllm_max_model_len,
            "download-dir": self.hf_cache_dir,
        }
        flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *flags]

    def _wait(self, log: IO[bytes]) -> None:
        """Wait until the server answers."""
        assert self._process is not None
        until = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=5).close()
                return
            time.sleep(0.2)
        self.cleanup()
        log.seek(0)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        raise UserError(f"vLLM does not serve {self.hf_model_name_or_path}: {(lines or ['no message'])[-1]}")

    def _service(self) -> tuple[Service, dict[str, Any]]:
        service = Service(
            base_url=f"http://127.0.0.1:{self._port}/v1",
            request_timeout=_START_SECONDS,
            max_failures=sys.maxsize,
            key_variable="",
        )
        return service, {"model": "model", **self._parameters}


LocalModelLLMServing = LocalModelLLMServing_vllm
"""What a document of DataFlow imports, and then calls by its longer name."""
