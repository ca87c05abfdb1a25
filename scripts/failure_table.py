#!/usr/bin/env python3
"""Write the table of kinds of failures in docs/troubleshooting.md, from `tools.errors`.

Usage: python scripts/failure_table.py          writes the table
       python scripts/failure_table.py --check  exits with 1 if it is not up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.errors import FAILURE_KINDS  # noqa: E402

PAGE = ROOT / "docs" / "troubleshooting.md"
_TABLE = re.compile(r"<!-- kinds -->\n.*?<!-- /kinds -->", re.DOTALL)


def with_table(page: str) -> str:
    """A page with its table of kinds as the code has them."""
    rows = [f"| `{name}` | {kind.meaning} | {kind.remedy} |" for name, kind in FAILURE_KINDS.items()]
    head = ["<!-- kinds -->", "", "| kind | meaning | what to do |", "|---|---|---|"]
    return _TABLE.sub(lambda _: "\n".join([*head, *rows, "", "<!-- /kinds -->"]), page)


def main() -> int:
    """Writes the table, or with ``--check`` says whether it is up to date."""
    old = PAGE.read_text()
    new = with_table(old)
    if "--check" in sys.argv[1:]:
        return int(old != new)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
