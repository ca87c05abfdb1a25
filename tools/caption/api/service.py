"""Where a server is, how it is treated, and what it takes to reach it."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from tools.errors import UserError
from tools.packages import not_installed

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
DEFAULT_URL = "https://api.openai.com/v1"
HIDDEN = "***"
"""What stands in a message where a secret stood."""


@dataclasses.dataclass(frozen=True)
class Service:
    """Where a server is and how it is treated; nothing here changes an answer.

    Attributes:
        base_url: Its address up to ``/v1``; by default that in OPENAI_BASE_URL, or OpenAI's.
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
        base = (self.base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).strip()
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
            raise UserError(
                f"--base-url: must be like http://localhost:8000/v1, not {_without_secrets(base)}"
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise UserError(
                f"--base-url: must hold no password and no query; the key belongs in {KEY_VARIABLE}"
            )
        return base.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"


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


def http_package() -> Any:
    """The package for HTTP, of whichever generation is installed: httpx or httpx2.

    Raises:
        UserError: Neither is.
    """
    try:
        import httpx2

        return httpx2
    except ImportError:
        pass
    try:
        import httpx

        return httpx
    except ImportError:
        raise not_installed("httpx", "captions by a server") from None
