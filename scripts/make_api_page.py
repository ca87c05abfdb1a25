#!/usr/bin/env python3
"""Write docs/api.md from the docstrings of ``vidsieve``.

Usage: python scripts/make_api_page.py [--check]
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from page_parts import DOCS, write_or_check

import vidsieve
from tools.options import Option, options_of
from tools.options.values import Choice, Text

SECTIONS = {
    "Videos and images": ["probe", "read_frames", "iter_frames", "Sampling"],
    "Shots and clips": ["detect_scenes", "cut_clips", "CutOptions"],
    "Scores and captions": ["score", "caption"],
    "Tables": ["read_table", "filter_table", "write_table"],
    "Stages": ["Stage", "run_stage", "RunOptions"],
    "Errors": ["VidsieveError", "UserError", "MediaError"],
}
"""Every name of the library, in the order of the page."""

RESULTS = {
    "MediaInfo": "tools.media.reading.probe",
    "Frame": "tools.media.reading.frames",
    "Scene": "tools.scene_cut.shots.scenes",
    "CutResult": "tools.scene_cut.clips.cutting",
    "Clip": "tools.scene_cut.clips.cutting",
    "RunResult": "tools.stage.runner",
    "StageContract": "tools.stage.stage",
}
"""What functions return and classes derive from, and where that is defined."""

_HEADINGS = ("Args", "Attributes", "Returns", "Yields", "Raises")


def page() -> str:
    """The whole page."""
    parts = ["# Python API", intro()]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        parts += [entry(name, getattr(vidsieve, name)) for name in names]
    parts.append("## Results, and what a stage declares")
    parts += [entry(name, getattr(importlib.import_module(home), name)) for name, home in RESULTS.items()]
    return "\n\n".join(parts) + "\n"


def intro() -> str:
    """What the package says of itself, with its example as a block."""
    text = _plain(inspect.cleandoc(vidsieve.__doc__ or ""))
    text = re.sub(r"::\n\n((?:    [^\n]*\n|\n)+)", _block, text)
    made = "This page is made from the docstrings by `scripts/make_api_page.py`."
    return f"{text}\n\n{made}\nWhat scores, detectors and filters do is on the pages of their commands."


def _block(match: re.Match[str]) -> str:
    return ":\n\n```python\n" + textwrap.dedent(match[1]).strip() + "\n```\n\n"


def entry(name: str, thing: Any) -> str:
    """A heading, the signature of what can be called with arguments, and the docstring."""
    parts = [f"### {name}"]
    if name not in RESULTS and not issubclass(type(thing) if inspect.isfunction(thing) else thing, Exception):
        shown = signature(name, thing)
        if not shown.endswith("()"):
            parts.append(f"```text\n{shown}\n```")
    doc = inspect.getdoc(thing) or ""
    parts.append(body(doc))
    if dataclasses.is_dataclass(thing):
        lines = [f"- `{name}`: {_option(made)}" for name, made, _ in options_of(thing)]
        parts += ["**Options**\n\n" + "\n".join(lines)] if lines else []
    return "\n\n".join(parts)


def _option(made: Option) -> str:
    """What an option does and can be; its default is in the signature."""
    values = made.values
    if isinstance(values, Choice) and values.meanings:
        supported = "; ".join(f"{name}: {meaning}" for name, meaning in values.meanings.items())
    else:
        supported = "" if values is None or isinstance(values, Text) else values.supported
    return f"{made.help}; {supported}." if supported else f"{made.help}."


def signature(name: str, thing: Any) -> str:
    """As it stands in the code; a line for each argument where one line would be long."""
    found = inspect.signature(thing)
    rows: list[str] = []
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in rows:
            rows.append("*")
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        rows.append(f"{stars}{parameter.name}: {_type(parameter.annotation)}{default}")
    returned = f" -> {_type(found.return_annotation)}" if inspect.isfunction(thing) else ""
    line = f"{name}({', '.join(rows)}){returned}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {row},\n" for row in rows) + f"){returned}"


def _type(annotation: str) -> str:
    return re.sub(r"\bFiles\b", "str | Path | Sequence[str | Path]", annotation)


def body(doc: str) -> str:
    """A docstring as Markdown: sections become lists."""
    blocks = re.split(rf"\n\n(?=(?:{'|'.join(_HEADINGS)}):\n)", doc)
    return "\n\n".join([_plain(blocks[0]), *map(_section, blocks[1:])])


def _section(block: str) -> str:
    heading, _, text = block.partition(":\n")
    text = textwrap.dedent(text)
    if heading in ("Returns", "Yields"):
        return f"**{heading}**: {_plain(text)}"
    items = re.split(r"\n(?=[\w*]+: )", text.strip())
    lines = []
    for item in items:
        name, _, meaning = item.partition(": ")
        lines.append(f"- `{name}`: {_plain(' '.join(meaning.split()))}")
    heading = "Arguments" if heading == "Args" else heading
    return f"**{heading}**\n\n" + "\n".join(lines)


def _plain(text: str) -> str:
    """Double backticks, reStructuredText's, become single ones."""
    return re.sub(r"``([^`]+)``", r"`\1`", text.strip())


def texts() -> dict[Path, str]:
    """The page, by its file."""
    return {DOCS / "api.md": page()}


if __name__ == "__main__":
    sys.exit(write_or_check(texts))
