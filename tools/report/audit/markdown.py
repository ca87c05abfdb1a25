"""Texts of strangers in Markdown and YAML: shown as they are, whatever markup is in them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tools.base.terminal import one_line

_MARKUP = re.compile(r"[\\`*_\[\]|~$<>&]|:(?=/)|(?<=www)\.|^[-+=#]|^\d+(?=[.)])")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def plain(text: str) -> str:
    """A text in one line of which nothing is markup.

    Signs get a backslash, as CommonMark has it, also the colon of an address, which would become a link.
    ``<``, ``>`` and ``&`` become entities, because some programs look for HTML first.
    """
    return _MARKUP.sub(_escaped, one_line(text))


def _escaped(found: re.Match[str]) -> str:
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    sign = found[0]
    if sign[0].isdigit():  # "1. a" would begin a list
        return f"&#{ord(sign[0])};{sign[1:]}"
    return entities.get(sign, f"\\{sign}")


def code(text: str) -> str:
    """A text in one line as code, also in a cell of a table.

    One with a backtick or a bar, for which the two have other rules, is written in entities.
    """
    text = one_line(text)
    if text and not set("`|") & set(text):
        return f"`{text}`"
    return f"<code>{_PUNCTUATION.sub(lambda found: f'&#{ord(found[0])};', text)}</code>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    """A table.

    Args:
        head: Names of the columns.
        rows: Cells, in Markdown.
        numbers: So many columns at the end are aligned to the right.
    """
    rule = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def yaml_text(text: str) -> str:
    """A text as a value in YAML, in double quotes as in JSON."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in one_line(text))
    return json.dumps(shown, ensure_ascii=False)
