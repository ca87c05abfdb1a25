#!/usr/bin/env python3
"""Write the tables of trainers and models in docs/export.md, from `tools.export`.

Usage: python scripts/trainer_tables.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from page_parts import DOCS, markdown_table, with_part, write_or_check

from tools.export.presets import TRAINERS, presets
from tools.export.trainers.base import Trainer

PAGE = DOCS / "export.md"


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
    return markdown_table(("trainer", "reads", "leaves out", "frame rate", "read at"), rows)


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
    return markdown_table(("preset", "fps", "frames", "sides", "usual sizes"), rows)


def texts() -> dict[Path, str]:
    """The page with its tables as the trainers have them."""
    page = with_part(PAGE.read_text(), "trainers", trainers())
    return {PAGE: with_part(page, "models", models())}


def _read_at(trainer: Trainer) -> str:
    rule = trainer.rule
    if not rule.commit:
        return rule.repository
    return f"{rule.repository}@{rule.commit[:7]}, {rule.date}"


if __name__ == "__main__":
    sys.exit(write_or_check(texts))
