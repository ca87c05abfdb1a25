"""Downloads from a real HTTP server on the loopback interface that breaks, refuses and cheats."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tools.errors import UserError
from tools.models.download import download_file

CONTENT = np.random.default_rng(7).bytes(1_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Behaviour:
    """How the server treats requests, and which Range headers it saw."""

    content: bytes = CONTENT
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)  # bytes sent before hanging up, one per request
    status: list[int] = field(default_factory=list)  # answers other than 200, one per request
    seen: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    behaviour = Behaviour()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            behaviour.seen.append(wanted)
            if behaviour.status:
                self.send_error(behaviour.status.pop(0))
                return
            total, start = len(behaviour.content), 0
            if wanted and behaviour.ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= total:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{total}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(total - start))
            self.end_headers()
            stop = start + behaviour.break_after.pop(0) if behaviour.break_after else total
            self.wfile.write(behaviour.content[start:stop])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        behaviour.url = f"http://127.0.0.1:{httpd.server_port}"
        yield behaviour
        httpd.shutdown()
        thread.join()


def fetch(server, target: Path, **options) -> Path:
    options = {"sha256": SHA256, "progress": False, "pauses": (0.0, 0.0), **options}
    return download_file(f"{server.url}/w.pt", target, **options)


def test_the_file_arrives_whole(server, tmp_path):
    target = fetch(server, tmp_path / "new" / "w.pt")
    assert target.read_bytes() == CONTENT
    assert [p.name for p in target.parent.iterdir()] == ["w.pt"]


def test_a_broken_connection_is_taken_up_where_it_stopped(server, tmp_path):
    server.break_after = [400_000, 300_000]
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT
    assert server.seen == [None, "bytes=400000-", "bytes=700000-"]


def test_another_call_goes_on_from_the_part(server, tmp_path):
    (tmp_path / "w.pt.part").write_bytes(CONTENT[:123_456])
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT
    assert server.seen == ["bytes=123456-"]


def test_a_part_that_is_whole_already_is_only_verified(server, tmp_path):
    (tmp_path / "w.pt.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"something else", CONTENT + b"more"])
def test_a_part_of_another_file_is_dropped(server, tmp_path, part):
    (tmp_path / "w.pt.part").write_bytes(part)
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges, server.break_after = False, [400_000]
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT
    assert server.seen == [None, "bytes=400000-"]


def test_what_came_is_kept_when_the_connection_keeps_breaking(server, tmp_path):
    server.break_after = [500_000, 0, 0, 0]
    with pytest.raises(UserError, match=r"after 500000 bytes .*run the same command again"):
        fetch(server, tmp_path / "w.pt")
    assert (tmp_path / "w.pt.part").read_bytes() == CONTENT[:500_000]
    assert not (tmp_path / "w.pt").exists()
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT


def test_an_overloaded_server_is_asked_again(server, tmp_path):
    server.status = [503, 429]
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT


def test_wrong_bytes_are_not_kept(server, tmp_path):
    server.content = b"x" + CONTENT[1:]
    with pytest.raises(UserError, match=f"1500000 bytes that came .*expected {SHA256}"):
        fetch(server, tmp_path / "w.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_page_in_place_of_the_file_is_called_so(server, tmp_path):
    server.content = b"<!DOCTYPE html><html><head><title>Please sign in</title></head></html>"
    with pytest.raises(UserError, match=r"an HTML page \(Please sign in\): .*nothing was kept"):
        fetch(server, tmp_path / "w.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_told_at_once(server, tmp_path, status):
    server.status = [status]
    with pytest.raises(UserError, match=rf"answers {status} .*VIDSIEVE_MIRROR"):
        fetch(server, tmp_path / "w.pt")
    assert list(tmp_path.iterdir()) == []
    assert len(server.seen) == 1


def test_no_network_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(UserError, match="cannot be reached") as caught:
        download_file("http://127.0.0.1:9/w.pt", tmp_path / "w.pt", sha256=SHA256, progress=False)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_schemes_are_refused(tmp_path):
    with pytest.raises(UserError, match="only http"):
        download_file("file:///etc/hostname", tmp_path / "w.pt", sha256=SHA256)


def test_two_at_a_time_do_not_mix(server, tmp_path):
    import fcntl

    with (tmp_path / "w.pt.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            fetch(server, tmp_path / "w.pt")
    assert fetch(server, tmp_path / "w.pt").read_bytes() == CONTENT
