"""A real HTTP server on the loopback interface that serves, breaks off, refuses, hangs and lies as told."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Server:
    """What is served and how; lists give one entry to each request, those that are left over behave well.

    Attributes:
        url: Address, without a slash at the end.
        files: Content by path.
        ranges: Whether Range is honoured; if so, If-Range is too.
        etag: Validator of all files; None for none.
        modified: Last-Modified of all files; None for none.
        break_after: Bytes of the body that are sent before the connection is closed.
        status: Statuses other than 200, or 0 for none.
        headers: Further headers of answers with such a status.
        claimed: Bytes that Content-Length claims, whatever is sent; None for no such header.
        hang: Seconds before the first byte.
        before: Called before the first byte.
        slow: Seconds between pieces of 1000 bytes.
        changes: Called after the body, before the connection is closed.
        seen: Range of each request.
        busy: Requests under way now; `busiest` the most that there were at a time.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = '"1"'
    modified: str | None = None
    break_after: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    claimed: Any = "the truth"
    hang: list[float] = field(default_factory=list)
    before: Callable[[], Any] = lambda: None
    slow: float = 0.0
    changes: list[Callable[[], Any]] = field(default_factory=list)
    seen: list[str | None] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(http.server.BaseHTTPRequestHandler):
    told: Server

    def do_GET(self):
        told = self.told
        with told.lock:
            told.seen.append(self.headers.get("Range"))
            told.busy += 1
            told.busiest = max(told.busiest, told.busy)
            status = told.status.pop(0) if told.status else 0
            hang = told.hang.pop(0) if told.hang else 0.0
            stop = told.break_after.pop(0) if told.break_after else None
        try:
            time.sleep(hang)
            told.before()
            with contextlib.suppress(ConnectionError):
                self._answer(told, status, stop)
        finally:
            with told.lock:
                told.busy -= 1
                if told.changes:
                    told.changes.pop(0)()

    def _answer(self, told: Server, status: int, stop: int | None):
        content = told.files.get(self.path.partition("?")[0])
        if status or content is None:
            self.send_response(status or 404)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, end = self._head(told, content)
        body = content[start:end] if stop is None else content[start:end][:stop]
        for place in range(0, len(body), 1000 if told.slow else len(body) or 1):
            self.wfile.write(body[place : place + (1000 if told.slow else len(body))])
            time.sleep(told.slow)

    def _head(self, told: Server, content: bytes) -> tuple[int, int]:
        """Send the headers; the first byte that is wanted, and the one after the last."""
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        start, end, total = 0, len(content), len(content)
        validator = told.etag or told.modified
        ranged = bool(wanted and told.ranges and condition in (None, validator))
        if wanted and ranged:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(total, int(last) + 1) if last else total
        known = self.headers.get("If-None-Match") or self.headers.get("If-Modified-Since")
        if known and known == validator:
            status, start, end = 304, 0, 0
        else:
            status = (416 if start >= total else 206) if ranged and (start or total) else 200
        self.send_response(status)
        if status in (206, 416):
            self.send_header(
                "Content-Range", f"bytes {start}-{end - 1}/{total}" if status == 206 else f"bytes */{total}"
            )
        if told.etag:
            self.send_header("ETag", told.etag)
        if told.modified:
            self.send_header("Last-Modified", told.modified)
        claimed = max(0, end - start) if told.claimed == "the truth" else told.claimed
        if claimed is not None and status != 304:
            self.send_header("Content-Length", str(max(0, claimed)))
        self.end_headers()
        return start, end

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Server]:
    """Serve files (path to content) until the end of the context."""
    told = Server(files=files)
    handler = type("Handler", (_Handler,), {"told": told})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        httpd.daemon_threads = True
        httpd.block_on_close = False
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        told.url = f"http://127.0.0.1:{httpd.server_port}"
        yield told
        httpd.shutdown()
        thread.join()
