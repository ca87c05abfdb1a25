#!/usr/bin/env python3
"""Write the table of kinds of failures in docs/troubleshooting.md, from `tools.errors`.

Usage: python scripts/failure_table.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from page_parts import DOCS, markdown_table, with_part, write_or_check

from tools.errors import FAILURE_KINDS

PAGE = DOCS / "troubleshooting.md"


def texts() -> dict[Path, str]:
    """The page with its table of kinds as the code has them."""
    rows = [(f"`{name}`", kind.meaning, kind.remedy) for name, kind in FAILURE_KINDS.items()]
    table = markdown_table(("kind", "meaning", "what to do"), rows)
    return {PAGE: with_part(PAGE.read_text(), "kinds", table)}


if __name__ == "__main__":
    sys.exit(write_or_check(texts))
