#!/usr/bin/env python3
"""Write the tables of trainers and models in docs/export.md, from `tools.export`.

Usage: python scripts/trainer_tables.py          writes the tables
       python scripts/trainer_tables.py --check  exits with 1 if they are not up to date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.export.presets import TRAINERS, presets  # noqa: E402
from tools.export.trainers.base import Trainer  # noqa: E402

PAGE = ROOT / "docs" / "export.md"


def trainers() -> str:
    """A row for each trainer: what it reads, drops and does to the frame rate, and where that was read."""
    rows = [
        (
            f"[`{trainer.name}`](trainers/{trainer.name}.md)",
            trainer.layout,
            trainer.drops,
            trainer.speed,
            _read_at(trainer),
        )
        for trainer in TRAINERS.values()
    ]
    return _table(("trainer", "reads", "leaves out", "frame rate", "read at"), rows)


def models() -> str:
    """A row for each preset: frame rate, numbers of frames, multiple of the sides, usual sizes."""
    rows = []
    for preset in presets():
        model = preset.model
        if model.name == "any":
            continue
        rate = f"{model.fps:g}" if model.fps else "the clip's own"
        frames = f"{model.frames} ({model.frames.least} to {model.frames.most})"
        sizes = ", ".join(f"{width}x{height}" for width, height in model.sizes)
        rows.append((f"`{preset.name}`", rate, frames, str(model.multiple), sizes))
    return _table(("preset", "fps", "frames", "sides", "usual sizes"), rows)


TABLES = {"trainers": trainers, "models": models}


def with_tables(text: str) -> str:
    """A page with its tables written anew, each between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    for name, table in TABLES.items():
        block = f"<!-- {name} -->\n{table()}<!-- /{name} -->"
        text = re.sub(
            rf"<!-- {name} -->\n.*?<!-- /{name} -->", lambda _, block=block: block, text, flags=re.DOTALL
        )
    return text


def _read_at(trainer: Trainer) -> str:
    rule = trainer.rule
    if not rule.commit:
        return rule.repository
    return f"{rule.repository}@{rule.commit[:7]}, {rule.date}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Writes the tables, or with ``--check`` says whether they are up to date."""
    old = PAGE.read_text()
    new = with_tables(old)
    if "--check" in sys.argv[1:]:
        return int(old != new)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
