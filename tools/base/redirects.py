"""Follow HTTP redirects: only to http(s), not into private networks, and without passing on credentials.

An address that the user typed may point anywhere. A redirect is chosen by a server: from the public network
it must not reach what only this machine can reach (a cloud's metadata service, a database on the loopback
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
    """A redirect that is not followed; the message names its host, without the rest of the address."""


class Reach(IntEnum):
    """From where an address can be reached; a higher value is nearer to this machine."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    SPECIAL = 3  # link-local (metadata services), multicast, reserved


def opener(url: str) -> urllib.request.OpenerDirector:
    """Create an opener like `urllib.request.urlopen` that checks redirects.

    Redirects may lead to ``http`` and ``https`` only, and to an address that is not public only from one that
    is at least as near (see `Reach`), or back to the host of `url`. The addresses of a name are
    checked when the connection is made, so they cannot change in between. Credentials are only sent to the
    origin (scheme, host and port) that they were given for.

    Args:
        url: The address that will be opened.

    Returns:
        Its ``open`` raises `RedirectError`, and what `urllib.request.urlopen` raises.
    """
    created = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(_host(url)),
        _Http(),
        _Https(),
    ):
        created.add_handler(handler)
    return created


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Decides whether a redirect is followed.

    Args:
        named: The host of the original address.
    """

    def __init__(self, named: str) -> None:
        self._named = named

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The next request, as in the standard library, without credentials for another origin.

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
        request.remove_header("Proxy-authorization")  # that of this request is added later
        host = _host(newurl)
        if host != self._named:
            check = partial(_check, host, before=_host(req.full_url))
            check(_numeric(host))  # also where a proxy resolves the host
            request.check_addresses = check  # type: ignore[attr-defined]
        return request


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_HttpConnection, check=_check_of(req)), req)  # type: ignore[arg-type]


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_HttpsConnection, check=_check_of(req)), req)  # type: ignore[arg-type]


def _check_of(req: urllib.request.Request) -> _Check | None:
    """The check of the addresses of a redirect's host; None for other requests, and for those to a proxy."""
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
    """Connect to the first address of a host that answers, after checking all of them."""
    host, port = address
    found = list(dict.fromkeys(str(i[4][0]) for i in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)))
    check([_parsed(text) for text in found])
    for number, text in enumerate(found, 1):
        try:
            return socket.create_connection((text, port), *args)
        except OSError:
            if number == len(found):
                raise
    raise OSError(f"{host} has no address")


def _check(host: str, addresses: list[Address], before: str) -> None:
    """Refuse a redirect to a host that is nearer than the host which sent it.

    Args:
        host: The new host.
        addresses: Its addresses; empty if unknown, and then it cannot be reached.
        before: The host that sent the redirect.

    Raises:
        RedirectError: The redirect is refused.
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
    """The IPv4 address within an IPv6 address: mapped (RFC 4291), 6to4, Teredo, NAT64 (RFC 6052)."""
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
    """The host of an address as it is resolved: unescaped, in lower case."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return urllib.parse.unquote(host).lower().rstrip(".")


def _resolved(host: str) -> list[Address]:
    """All addresses of a host; empty if it cannot be resolved."""
    return _numeric(host) or _lookup(host, 0)


def _numeric(host: str) -> list[Address]:
    """The address of a host in numbers: ``127.0.0.1``, ``127.1``, ``2130706433``, ``0x7f.1`` ..."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761
        return [ipaddress.IPv4Address("127.0.0.1")]
    return _lookup(host, socket.AI_NUMERICHOST)


def _lookup(host: str, flags: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM, 0, flags)
    except (OSError, UnicodeError):
        return []
    return [_parsed(info[4][0]) for info in found]


def _parsed(text: str | int) -> Address:
    return ipaddress.ip_address(str(text).partition("%")[0])  # without the interface of a link-local one
