"""How long a server wants a client to wait before it asks again."""

from __future__ import annotations

import email.utils
import time
from typing import Any


def retry_after(headers: Any) -> float | None:
    """Seconds to wait according to a response's headers (RFC 9110, 10.2.3); None if they do not say.

    No wait, or one until a time that is past (clocks differ), says as little: a caller that took it literally
    would use up its attempts at once.
    """
    seconds = _requested_wait(headers)
    return seconds if seconds is not None and seconds > 0 else None


def _requested_wait(headers: Any) -> float | None:
    if milliseconds := headers.get("retry-after-ms"):
        try:
            return float(milliseconds) / 1000
        except ValueError:
            pass
    value = headers.get("retry-after")
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(value)
        return date.timestamp() - time.time()
    except (TypeError, ValueError):
        return None
