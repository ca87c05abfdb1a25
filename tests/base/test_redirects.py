"""Redirects, over real connections to servers of this machine; a proxy there plays the public network."""

from __future__ import annotations

import contextlib
import http.server
import io
import ipaddress
import socket
import threading

import pytest

from tools.base.redirects import Reach, _reach
from tools.base.transfer import Limits, TransferError, fetch


class Web(http.server.ThreadingHTTPServer):
    """Serves paths: bytes are a file, text is the place that a redirect leads to. Also as a proxy.

    Attributes:
        pages: Path, or what follows ``http://`` in requests to a proxy, to what is there.
        seen: The headers of each request, with its path as ``path``.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, bytes | str] = {}
        self.seen: list[dict[str, str]] = []
        super().__init__((host, 0), _Handler)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append({**self.headers, "path": self.path})
        page = self.server.pages.get(self.path.removeprefix("http://"))
        if isinstance(page, str):
            self.send_response(302)
            self.send_header("Location", page)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200 if page else 404)
        self.send_header("Content-Length", str(len(page or b"")))
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web():
    with Web() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def inside(monkeypatch):
    """A server of this machine with a secret."""
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost,[::1],127.1,2130706433,0x7f000001,::ffff:127.0.0.1")
    with web() as made:
        made.pages["/secret"] = b"secret"
        yield made


@pytest.fixture
def public(inside, monkeypatch):
    """The public network: a proxy that answers for any name."""
    with web() as made:
        monkeypatch.setenv("http_proxy", f"http://user:password@{made.place}")
        yield made


def got(url: str) -> bytes:
    file = io.BytesIO()
    fetch(url, file, limits=Limits(pauses=(), timeout=20.0))
    return file.getvalue()


def refused(url: str) -> str:
    with pytest.raises(TransferError) as caught:
        got(url)
    assert caught.value.trouble == "refused"
    return caught.value.reason


# RFC 5735, 6598, 4291, 4193, 6890; the forms with other addresses inside: RFC 4291, 3056, 4380, 6052.
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "2606:4700:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]
PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00:ec2::254", "::ffff:10.0.0.1"]
PRIVATE += ["64:ff9b::a00:1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe"]
LOOPBACK = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
]
SPECIAL = ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "224.0.0.1", "ff02::1"]


@pytest.mark.parametrize(
    ("reach", "addresses"),
    [
        (Reach.PUBLIC, PUBLIC),
        (Reach.PRIVATE, PRIVATE),
        (Reach.LOOPBACK, LOOPBACK),
        (Reach.SPECIAL, SPECIAL),
    ],
)
def test_how_far_an_address_can_be_reached(reach, addresses):
    assert {a: _reach(ipaddress.ip_address(a)) for a in addresses} == dict.fromkeys(addresses, reach)


def test_redirects_are_followed_within_the_public_network_and_out_of_a_private_one(public, inside):
    public.pages["a.example/v"] = "http://b.example/v"
    public.pages["b.example/v"] = "/w"
    public.pages["b.example/w"] = b"content"
    assert got("http://a.example/v") == b"content"
    inside.pages["/out"] = "http://a.example/v"
    assert got(f"http://{inside.place}/out") == b"content"


def test_a_private_host_that_was_named_may_send_us_on_and_back(public, inside):
    inside.pages["/on"] = "/secret"
    inside.pages["/by-name"] = f"http://localhost:{inside.server_port}/secret"
    assert got(f"http://{inside.place}/on") == got(f"http://{inside.place}/by-name") == b"secret"
    inside.pages["/round"] = "http://a.example/back"
    public.pages["a.example/back"] = f"http://{inside.place}/secret"
    assert got(f"http://{inside.place}/round") == b"secret"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "a.localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"],
)
def test_the_public_network_does_not_send_us_inside(public, inside, host):
    public.pages["a.example/v"] = f"http://{host}:{inside.server_port}/secret"
    public.pages["b.example/v"] = "http://a.example/v"
    for url in ("http://a.example/v", "http://b.example/v"):
        assert "not on the public network" in refused(url)
    assert not inside.seen
    assert all("secret" not in request["path"] for request in public.seen)


def test_a_host_of_this_machine_does_not_send_us_to_metadata_services(inside):
    inside.pages["/v"] = "http://169.254.169.254/latest/meta-data/"
    assert refused(f"http://{inside.place}/v") == (
        "a redirect to 169.254.169.254, which is not on the public network; it is not followed"
    )


def test_a_name_that_changes_its_address_is_found_out(inside, monkeypatch):
    """When looked up it is a public one; when connected to, that of this machine (DNS rebinding)."""
    real = socket.getaddrinfo

    def lookup(host, port, *args, **options):
        if not str(host).endswith(".example"):
            return real(host, port, *args, **options)
        return real("1.1.1.1" if port is None else "127.0.0.1", port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setenv("no_proxy", "*")
    inside.pages["/v"] = f"http://b.example:{inside.server_port}/secret"
    assert "a redirect to b.example" in refused(f"http://a.example:{inside.server_port}/v")
    assert [request["path"] for request in inside.seen] == ["/v"]


@pytest.mark.parametrize(
    "place", ["file:///etc/hostname", "ftp://127.0.0.1/a", "data:text/plain,a", "gopher://a/"]
)
def test_redirects_lead_to_http_only(public, place):
    public.pages["a.example/v"] = place
    assert "302" in refused("http://a.example/v") or "a redirect to" in refused("http://a.example/v")


def test_other_schemes_are_no_addresses():
    for url in ("file:///etc/hostname", "ftp://127.0.0.1/a", "data:,a", "HTTP//a"):
        assert "must begin with http" in refused(url)


def test_credentials_stay_with_their_host(public, inside):
    public.pages["a.example/v?signature=s"] = "http://a.example/w"
    public.pages["a.example/w"] = f"http://b.example:{public.server_port}/x"
    public.pages[f"b.example:{public.server_port}/x"] = b"content"
    assert got("http://me:p%40ss@a.example/v?signature=s") == b"content"
    first, second, other = public.seen
    assert first["Authorization"] == second["Authorization"] == "Basic bWU6cEBzcw=="  # base64 of me:p@ss
    assert "Authorization" not in other
    assert "signature" not in str(other)
    # A proxy's password is not for a host that is reached without the proxy.
    inside.pages["/out"] = "http://a.example/in"
    public.pages["a.example/in"] = f"http://{inside.place}/secret"
    assert got(f"http://{inside.place}/out") == b"secret"
    assert "Proxy-Authorization" in public.seen[-1]
    assert "Proxy-Authorization" not in inside.seen[-1]
