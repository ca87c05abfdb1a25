"""A hook of mkdocs: pages that lie outside of docs/ become pages of the site, and links to them lead there.

On the site ``README.md`` is ``index.md``, ``pretrained_models/README.md`` is ``weights.md``, and so on
(`ELSEWHERE`), so that the same links work in a checkout and on the site. A link to any other file of the
checkout, which the site does not have, is shown as its text alone. An entry ``commands/`` or ``trainers/`` of
the navigation stands for all pages of that folder.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "pretrained_models/README.md": "weights.md",
}
"""Pages outside of docs/, by their place in the checkout, and their names on the site."""

_CODE = re.compile(r"`[^`]+`")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Complete the navigation."""
    config["nav"] = with_whole_folders(config["nav"])
    return config


def with_whole_folders(entry: Any) -> Any:
    """A navigation with the pages of commands and of trainers, in the order in which the code has them."""
    if isinstance(entry, dict):
        return {title: with_whole_folders(below) for title, below in entry.items()}
    if not isinstance(entry, list):
        return entry
    found = []
    for one in entry:
        names = _FOLDERS[one]() if isinstance(one, str) and one in _FOLDERS else None
        found += [with_whole_folders(one)] if names is None else [{name: f"{one}{name}.md"} for name in names]
    return found


def _commands() -> list[str]:
    from tools.commands import COMMANDS

    return [command.name for command in COMMANDS]


def _trainers() -> list[str]:
    from tools.export.presets import TRAINERS

    return list(TRAINERS)


_FOLDERS = {"commands/": _commands, "trainers/": _trainers}


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages of `ELSEWHERE` to those that mkdocs has found."""
    from mkdocs.structure.files import File

    for place, name in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / place).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Make the links of a page those of the site."""
    name = page.file.src_uri
    place = next((place for place, other in ELSEWHERE.items() if other == name), f"docs/{name}")
    return with_bars_in_code(with_links_of_the_site(markdown, place))


def with_bars_in_code(markdown: str) -> str:
    r"""Write ``|`` for ``\|`` in the code of tables: GitHub wants it escaped, mkdocs shows the backslash."""
    lines = markdown.split("\n")
    rows = (number for number, line in enumerate(lines) if line.startswith("|"))
    for number in rows:
        lines[number] = _CODE.sub(lambda code: code[0].replace(r"\|", "|"), lines[number])
    return "\n".join(lines)


def with_links_of_the_site(markdown: str, place: str) -> str:
    """Rewrite relative links to pages and pictures.

    Args:
        markdown: The text of a page.
        place: The page in the checkout, such as ``docs/coming_from/las.md``.
    """
    here = posixpath.dirname(_on_the_site(place) or "")

    def rewrite(link: re.Match[str]) -> str:
        picture, text, target, anchor = link.groups()
        file = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        name = _on_the_site(file)
        if name is not None:
            return f"{picture}[{text}]({posixpath.relpath(name, here or '.')}{anchor or ''})"
        # What is not there at all stays, for mkdocs to complain about.
        return text if (ROOT / file).exists() and not picture else link[0]

    return _LINK.sub(rewrite, markdown)


def _on_the_site(place: str) -> str | None:
    """The name that a file of the checkout has on the site; None for one that is not there."""
    if place in ELSEWHERE:
        return ELSEWHERE[place]
    name = place.removeprefix("docs/")
    return name if name != place and (ROOT / place).is_file() else None
