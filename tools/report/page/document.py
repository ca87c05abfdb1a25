"""One HTML file that needs no other: scripts, style and data inline, and a policy against all else."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

_ASSETS = Path(__file__).parent / "assets"
_GENERATOR = '<meta name="generator" content="vidsieve report">'


def build_document(title: str, scripts: Sequence[str], styles: Sequence[str], data: dict[str, str]) -> str:
    """Build the page.

    Args:
        title: Shown by the browser.
        scripts: Run in this order, at the end of the page.
        styles: Style sheets.
        data: Name to text that scripts find in the element with this id; from `as_json` or `packed`.

    Returns:
        HTML. Its Content-Security-Policy allows these scripts by their digests, styles, and images in data
        addresses: nothing is fetched, and no script in a caption or a path can run.
    """
    digests = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        _GENERATOR,
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title>",
        *(f"<style>{style}</style>" for style in styles),
        '</head>\n<body>\n<div id="announcements" class="unseen" aria-live="polite"></div>',
        "<noscript>This page needs JavaScript, which is turned off.</noscript>",
        *(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in data.items()),
        *(f"<script>{script}</script>" for script in scripts),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def is_document(path: Path) -> bool:
    """Whether a file is one that `build_document` made.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return _GENERATOR.encode() in file.read(1000)


def asset(name: str) -> str:
    """A script or style sheet of the toolkit."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def as_json(value: Any) -> str:
    """A value as JSON that cannot end the element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").encode("utf-8", "replace").decode()


def packed(parts: Sequence[bytes]) -> str:
    """Bytes, compressed (zlib), as base64."""
    return base64.b64encode(zlib.compress(b"".join(parts), 6)).decode()


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
