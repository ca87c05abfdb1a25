"""The address and the options of a server, its key, and the package that speaks HTTP."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from tools.base.packages import is_installed, not_installed
from tools.errors import UserError
from tools.options import check_options, option
from tools.options.values import Number, Text, Whole

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
DEFAULT_URL = "https://api.openai.com/v1"
HIDDEN = "***"
"""Replacement of a secret in a message."""

_SHORTEST_SECRET = 6  # characters
_LONGEST_WORD = 20  # letters
_AZURE = (".azure.com", ".azure-api.net", ".azure.us", ".azure.cn")
_VERSION = "api-version"  # parameter that Azure requires in every address


@dataclasses.dataclass(frozen=True)
class Service:
    """How a server is reached; nothing here changes an answer.

    Attributes:
        base_url: The address up to ``/v1``. Azure's ends in
            ``/openai/deployments/NAME?api-version=VERSION``.
        longest_backoff: Most seconds between two attempts.
        key_variable: Environment variable with the key; empty for no key.

    Raises:
        UserError: A value that is not supported.
    """

    base_url: str | None = option(
        None,
        "OpenAI-compatible server, such as http://localhost:8000/v1",
        Text("URL"),
        shown=f"OPENAI_BASE_URL, or {DEFAULT_URL}",
        group="server",
    )
    concurrency: int = option(32, "concurrent requests", Whole(1), group="server")
    retries: int = option(
        10,
        "retries of a request when the server is busy, slow or broken",
        Whole(0),
        everyday=False,
        group="server",
    )
    backoff: float = option(
        1.0,
        "seconds before the first retry; doubled each time, up to 30",
        Number(0, above=True, metavar="S"),
        everyday=False,
        group="server",
    )
    longest_backoff: float = 30.0
    known_question: bool = option(
        False,
        "send a question whose answer is known with each batch of rows: stops a server that mixes answers up",
        everyday=False,
        group="server",
    )
    request_timeout: float = option(
        120.0,
        "seconds one request may take",
        Number(0, above=True, metavar="S"),
        everyday=False,
        group="server",
    )
    max_failures: int = option(
        10,
        "rows without an answer, one after the other, that end the run",
        Whole(1),
        flag="max-failures-in-a-row",
        everyday=False,
        group="server",
    )
    key_variable: str = KEY_VARIABLE
    price_in: float = option(
        0.0, "price of a million tokens of prompts", Number(0, metavar="P"), shown="", group="server"
    )
    price_out: float = option(
        0.0, "price of a million tokens of answers", Number(0, metavar="P"), shown="", group="server"
    )

    def __post_init__(self) -> None:
        check_options(self)

    def url(self) -> str:
        """The address of requests.

        Raises:
            UserError: The address is invalid, or contains a password.
        """
        parts = self._parts()
        path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/") + "/chat/completions"
        return parts._replace(path=path).geturl()

    @property
    def host(self) -> str:
        """Name and port of the server: ``localhost:8000``."""
        return self._parts().netloc

    def cost(self, prompt: float, completion: float) -> float | None:
        """What so many tokens cost; None where no price is given."""
        if not (self.price_in or self.price_out):
            return None
        return (prompt * self.price_in + completion * self.price_out) / 1e6

    def key_header(self, key: str) -> dict[str, str]:
        """The header that carries the key.

        Azure has its own header for keys, and takes only tokens (three parts in Base64) as all others do.
        """
        if not key:
            return {}
        azure = _VERSION in self._parts().query or self.host.endswith(_AZURE)
        token = key.startswith("eyJ") and key.count(".") == 2
        return {"api-key": key} if azure and not token else {"Authorization": f"Bearer {key}"}

    def _parts(self) -> SplitResult:
        base = (self.base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).strip()
        try:
            parts = urlsplit(base)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and _has_port(parts)
        except ValueError:  # a bracket that is not closed
            good = False
        if not good or re.search(r"[\s\0-\x1f]", base):
            raise UserError(
                f"--base-url: must be like http://localhost:8000/v1, not {_without_secrets(base)}"
            )
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.username or parts.password or parts.fragment or set(query) - {_VERSION}:
            raise UserError(
                "--base-url: must contain no password, and after a question mark only api-version=...; "
                f"the key belongs in {KEY_VARIABLE}"
            )
        return parts


def _has_port(parts: SplitResult) -> bool:
    """Whether the port, if one is named, is a number that a port may have."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _without_secrets(url: str) -> str:
    return re.sub(r"//[^/@]*@", f"//{HIDDEN}@", url).split("?")[0]


def read_key(variable: str = KEY_VARIABLE) -> str:
    """The key of the server, from the environment; empty when there is none.

    Args:
        variable: Name of the environment variable.

    Raises:
        UserError: It has characters that no key has.
    """
    key = (os.environ.get(variable) or "").strip()
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise UserError(f"{variable}: contains blanks or other characters that no key has")
    return key


def is_secret(key: str) -> bool:
    """Whether a key is more than a placeholder for a local server: ``none``, ``EMPTY``, ``x``.

    Placeholders may not be removed from captions.
    """
    return len(key) >= _SHORTEST_SECRET and (not key.isalpha() or len(key) >= _LONGEST_WORD)


def http_package() -> Any:
    """The package for HTTP: httpx2 or httpx, whichever is installed.

    Raises:
        UserError: Neither is installed.
    """
    for name in ("httpx2", "httpx"):
        if is_installed(name):
            return importlib.import_module(name)
    raise not_installed("httpx", "captions by a server")


def open_http(http: Any, url: str, connections: int, headers: dict[str, str]) -> Any:
    """An asynchronous client of the package `http_package`; it has no time limit of its own.

    Args:
        http: The package.
        url: Address of the requests, for messages.
        connections: Most connections.
        headers: Headers of every request.

    Raises:
        UserError: A proxy or the certificates that the environment names cannot be used.
    """
    limits = http.Limits(max_connections=connections, max_keepalive_connections=connections)
    try:
        return http.AsyncClient(limits=limits, timeout=None, headers=headers)
    except (ImportError, OSError, ValueError, http.InvalidURL) as error:
        # It quotes what it takes for the port, which may be a part of a password with a slash in it.
        reason = "an address cannot be parsed" if isinstance(error, http.InvalidURL) else error
        raise UserError(
            f"{url}: no connection can be made with the proxy and the certificates of the environment "
            f"({reason}); check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
        ) from None
