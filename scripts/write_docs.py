#!/usr/bin/env python3
"""Write all that the documentation says of the code: pages of commands and trainers, tables, the API.

Usage: python scripts/write_docs.py          writes what is not up to date, and prints its names
       python scripts/write_docs.py --check  exits with 1 and prints them
"""

from __future__ import annotations

import importlib
import sys

from page_parts import write_or_check

PARTS = (
    "command_pages",
    "flag_tables",
    "trainer_pages",
    "trainer_tables",
    "failure_table",
    "recipe_table",
    "make_api_page",
)
"""Scripts with a function ``texts``, each of which may also be run alone."""


def main() -> int:
    """Run all of them, one after the other: several write parts of the same page."""
    return max([write_or_check(importlib.import_module(name).texts) for name in PARTS])


if __name__ == "__main__":
    sys.exit(main())
