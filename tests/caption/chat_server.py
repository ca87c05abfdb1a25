"""A real HTTP server that speaks the chat protocol of OpenAI, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789abcdef"


class ChatServer:
    """Answers in a thread of its own; a context manager.

    Args:
        behave: Called with the request as JSON and its number, from 0; returns what `answer` and its
            siblings give: status, headers and body; or None to cut the connection.
        key: The key that is let in; None lets everybody in.
        delay: Seconds that each request takes.

    Attributes:
        requests: Every request that was let in, as JSON.
        paths: Where they went.
        most: Most requests that were ever under way at once.
    """

    def __init__(self, behave: Callable[[dict, int], Any], *, key: str | None = None, delay: float = 0.0):
        self.behave, self.key, self.delay = behave, key, delay
        self.requests: list[dict] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.headers: list[dict] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                server.handle(self)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # clients that are killed in the middle of a test

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handle(self, http: BaseHTTPRequestHandler) -> None:
        body = http.rfile.read(int(http.headers["Content-Length"]))
        if self.key is not None and http.headers.get("Authorization") != f"Bearer {self.key}":
            said = f"Incorrect API key provided: {http.headers.get('Authorization')}"
            self._send(http, 401, {}, json.dumps({"error": {"message": said}}))
            return
        request = json.loads(body)
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self.paths.append(http.path)
            self.headers.append(dict(http.headers))
            self.times.append(time.monotonic())
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(self.delay)
            response = self.behave(request, number)
        finally:
            with self._lock:
                self._now -= 1
        if response is None:
            http.close_connection = True
            http.connection.close()
        else:
            self._send(http, *response)

    def _send(self, http: BaseHTTPRequestHandler, status: int, headers: dict, body: str) -> None:
        data = body.encode()
        http.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            http.send_header(name, value)
        http.end_headers()
        http.wfile.write(data)

    def request_counts(self) -> Counter[str]:
        """Number of requests by prompt."""
        return Counter(prompt_of(request) for request in self.requests)


def prompt_of(request: dict) -> str:
    """The prompt of a request, with its pictures."""
    content = request["messages"][0]["content"]
    if isinstance(content, str):
        return content
    return json.dumps(content, sort_keys=True)


def answer(
    text: Any, *, finish: str = "stop", tokens: tuple[int, int] = (100, 10), **message: Any
) -> tuple[int, dict, str]:
    """A good answer."""
    body = {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }
    return 200, {"Content-Type": "application/json"}, json.dumps(body)


def failure(status: int, message: str = "no", headers: dict | None = None, **error: Any) -> tuple:
    """An error in OpenAI's form."""
    return status, headers or {}, json.dumps({"error": {"message": message, **error}})
