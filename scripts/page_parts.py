"""What scripts share that write pages of the documentation, or parts of them, from the code.

Such a script has a function ``texts``: every file that it writes, with its text, or None for one that goes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

Texts = Mapping[Path, "str | None"]


def with_part(page: str, name: str, part: str) -> str:
    """A page with what stands between its comments ``<!-- NAME -->`` and ``<!-- /NAME -->`` replaced.

    Raises:
        ValueError: It does not have them once.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    block = f"{begin}\n\n{part}\n\n{end}"
    new, found = re.subn(f"{begin}\n.*?{end}", lambda _: block, page, flags=re.DOTALL)
    if found != 1:
        raise ValueError(f"{begin} ... {end} is {found} times in the page, not once")
    return new


def markdown_table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are Markdown."""
    first, *others = (
        "|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in (head, *rows)
    )
    return "\n".join([first, "|" + "---|" * len(head), *others])


def whole_folder(folder: Path, written: Mapping[Path, str]) -> Texts:
    """Pages that are all that a folder may have: others there go."""
    return {**dict.fromkeys(folder.glob("*.md")), **written}


def stale(texts: Texts) -> list[Path]:
    """Files that are not as they should be."""
    return [path for path, text in texts.items() if (path.read_text() if path.exists() else None) != text]


def write_or_check(texts: Callable[[], Texts]) -> int:
    """Write files and print their names; with ``--check`` only print those that are not up to date.

    Returns:
        The exit code: 1 if ``--check`` was given and there are any.
    """
    check, wanted = "--check" in sys.argv[1:], texts()
    changed = stale(wanted)
    for path in changed:
        print(path.relative_to(ROOT))
        text = wanted[path]
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return int(check and bool(changed))
