"""Following redirects of HTTP: to http(s) alone, into no private network, and without telling secrets.

An address that somebody typed may lead anywhere. A redirect was chosen by a server: from the public network
it must not reach what only this machine can (a cloud's metadata service, a database on the loopback
interface).
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Check = Callable[[list[Address]], None]


class RedirectError(Exception):
    """A server sent us to where it must not; the message says where, without the rest of the address."""


class Reach(IntEnum):
    """From how far away an address can be reached; the higher, the nearer."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    SPECIAL = 3  # link-local (metadata services), multicast, reserved


def opener(url: str) -> urllib.request.OpenerDirector:
    """Make what opens an address, as `urllib.request.urlopen` does, and its redirects.

    Redirects lead to ``http`` and ``https``. They lead to an address that is not public only from one that is
    at least as near (see `Reach`), or back to the host of `url`; what a name resolves to is checked when the
    connection is made, so that it cannot change in between. Credentials stay with the origin (scheme, host
    and port) that they were given for. Nothing but HTTP is spoken.

    Args:
        url: The address that was named.

    Returns:
        Its ``open`` raises `RedirectError`, and what `urllib.request.urlopen` raises.
    """
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(_host(url)),
        _Http(),
        _Https(),
    ):
        made.add_handler(handler)
    return made


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Decides whether a redirect is followed.

    Args:
        named: The host that was named.
    """

    def __init__(self, named: str) -> None:
        self._named = named

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The next request: what the standard library makes, without secrets for another origin.

        Raises:
            RedirectError: It is not followed.
        """
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if new.scheme not in ("http", "https"):
            raise RedirectError(f"a redirect to {new.scheme}:, which is not followed")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is None:
            return None
        if (new.scheme, new.netloc) != (old.scheme, old.netloc):
            for name in ("Authorization", "Cookie"):
                request.remove_header(name)
        request.remove_header("Proxy-authorization")  # the proxy of this request gets its own
        host = _host(newurl)
        if host != self._named:
            check = partial(_check, host, before=_host(req.full_url))
            check(_numeric(host))  # also where a proxy is to look the host up
            request.check_addresses = check  # type: ignore[attr-defined]
        return request


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_HttpConnection, check=_check_of(req)), req)  # type: ignore[arg-type]


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_HttpsConnection, check=_check_of(req)), req)  # type: ignore[arg-type]


def _check_of(req: urllib.request.Request) -> _Check | None:
    """What looks at the addresses of a redirect's host; None for other requests, and for those to a proxy."""
    is_proxied = req.host != urllib.parse.unquote(urllib.parse.urlsplit(req.full_url).netloc)
    return None if is_proxied else getattr(req, "check_addresses", None)


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, *args: Any, check: _Check | None, **options: Any) -> None:
        super().__init__(*args, **options)
        if check is not None:
            self._create_connection = partial(_connect, check)


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, *args: Any, check: _Check | None, **options: Any) -> None:
        super().__init__(*args, **options)
        if check is not None:
            self._create_connection = partial(_connect, check)


def _connect(check: _Check, address: tuple[str, int], *args: Any) -> socket.socket:
    """Connect to a host by the first of its addresses that answers; `check` has seen them all."""
    host, port = address
    found = list(dict.fromkeys(str(i[4][0]) for i in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)))
    check([_parsed(text) for text in found])
    for place, text in enumerate(found, 1):
        try:
            return socket.create_connection((text, port), *args)
        except OSError:
            if place == len(found):
                raise
    raise OSError(f"{host} has no address")


def _check(host: str, addresses: list[Address], before: str) -> None:
    """Refuse a host whose addresses are nearer than those of the host that sent us there.

    Args:
        host: The host.
        addresses: Its addresses; none when they are not known, and then it cannot be reached from here.
        before: The host that sent us there.

    Raises:
        RedirectError: It is refused.
    """
    reach = max(map(_reach, addresses), default=Reach.PUBLIC)
    if reach != Reach.PUBLIC and reach > min(map(_reach, _resolved(before)), default=Reach.PUBLIC):
        raise RedirectError(f"a redirect to {host}, which is not on the public network; it is not followed")


def _reach(address: Address) -> Reach:
    if (inner := _embedded(address)) is not None:
        return _reach(inner)
    if address.is_loopback or address.is_unspecified:
        return Reach.LOOPBACK
    if address.is_link_local or address.is_multicast:
        return Reach.SPECIAL
    return Reach.PUBLIC if address.is_global else Reach.PRIVATE


def _embedded(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), 6to4, Teredo, NAT64 (RFC 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if (found := address.ipv4_mapped or address.sixtofour) is not None:
        return found
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, 2.5.5.1


def _host(url: str) -> str:
    """The host of an address as it is looked up: unescaped, in small letters."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return urllib.parse.unquote(host).lower().rstrip(".")


def _resolved(host: str) -> list[Address]:
    """All addresses of a host; none when it cannot be resolved."""
    return _numeric(host) or _looked_up(host, 0)


def _numeric(host: str) -> list[Address]:
    """The address that a host is written as: ``127.0.0.1``, ``127.1``, ``2130706433``, ``0x7f.1`` ..."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761
        return [ipaddress.IPv4Address("127.0.0.1")]
    return _looked_up(host, socket.AI_NUMERICHOST)


def _looked_up(host: str, flags: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM, 0, flags)
    except (OSError, UnicodeError):
        return []
    return [_parsed(info[4][0]) for info in found]


def _parsed(text: str | int) -> Address:
    return ipaddress.ip_address(str(text).partition("%")[0])  # without the interface of a link-local one
