"""Where a server is, how it is treated, and what it takes to reach it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from tools.base.packages import not_installed
from tools.errors import UserError

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
DEFAULT_URL = "https://api.openai.com/v1"
HIDDEN = "***"
"""What stands in a message where a secret stood."""

_SHORTEST_SECRET = 6  # characters
_LONGEST_WORD = 20  # letters
_AZURE = (".azure.com", ".azure-api.net", ".azure.us", ".azure.cn")
_VERSION = "api-version"  # what Azure wants to be told in every address, after a question mark


@dataclasses.dataclass(frozen=True)
class Service:
    """Where a server is and how it is treated; nothing here changes an answer.

    Attributes:
        base_url: Its address up to ``/v1``; by default that in OPENAI_BASE_URL, or OpenAI's. Azure's ends in
            ``/openai/deployments/NAME?api-version=VERSION``.
        concurrency: Requests under way at once.
        retries: How often a question is asked again when the server was busy, slow or broken.
        backoff: Seconds before the first time it is asked again; doubled each time, up to `longest_backoff`.
        longest_backoff: Seconds.
        timeout: Seconds that one request may take.
        max_failures: Questions without an answer, one after the other, that end the run.
        key_variable: Environment variable that holds the key; empty for none.
        price_in: Price of a million tokens of questions.
        price_out: Price of a million tokens of answers.
    """

    base_url: str | None = None
    concurrency: int = 32
    retries: int = 10
    backoff: float = 1.0
    longest_backoff: float = 30.0
    timeout: float = 120.0
    max_failures: int = 10
    key_variable: str = KEY_VARIABLE
    price_in: float = 0.0
    price_out: float = 0.0

    def url(self) -> str:
        """Where questions go.

        Raises:
            UserError: The address is none, or holds a password.
        """
        parts = self._parts()
        path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/") + "/chat/completions"
        return parts._replace(path=path).geturl()

    @property
    def host(self) -> str:
        """The server without what comes after it: ``localhost:8000``."""
        return self._parts().netloc

    def key_header(self, key: str) -> dict[str, str]:
        """The header that carries the key.

        Azure wants keys under a name of its own, and only tokens (three parts in Base64) as all others do.
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
                "--base-url: must hold no password, and after a question mark nothing but api-version=...; "
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
        variable: Where it stands.

    Raises:
        UserError: It has characters that no key has.
    """
    key = (os.environ.get(variable) or "").strip()
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise UserError(f"{variable}: holds blanks or other characters that no key has")
    return key


def is_secret(key: str) -> bool:
    """Whether a key is none of the words that stand in for one on a local server: ``none``, ``EMPTY``, ``x``.

    Those may not be cut out of captions.
    """
    return len(key) >= _SHORTEST_SECRET and (not key.isalpha() or len(key) >= _LONGEST_WORD)


def http_package() -> Any:
    """The package for HTTP, of whichever generation is installed: httpx or httpx2.

    Raises:
        UserError: Neither is.
    """
    for name in ("httpx2", "httpx"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise not_installed("httpx", "captions by a server")
