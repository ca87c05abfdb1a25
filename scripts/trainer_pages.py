#!/usr/bin/env python3
"""Write docs/trainers/NAME.md for each trainer, from `tools.export`.

Usage: python scripts/trainer_pages.py [--check]
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from page_parts import DOCS, Texts, markdown_table, whole_folder, write_or_check

from tools.export.items import Item
from tools.export.models import Model
from tools.export.presets import TRAINERS, Preset
from tools.export.trainers.base import Rule, Trainer

PAGES = DOCS / "trainers"

_FOLDER = "data/NAME"
"""The exported folder."""
_FPS = 24
"""Of the clips shown, where the model has no frame rate of its own."""


def page(trainer: Trainer) -> str:
    """What it reads, what it leaves out, the command, and what is written."""
    lines = [f"# {trainer.name}", "", *_prose(trainer), "", markdown_table(("", ""), _facts(trainer))]
    lines += ["", *_command(trainer), *_written(trainer), ""]
    lines.append("[All trainers compared, models, flags](../export.md)")
    return "\n".join(lines) + "\n"


def _prose(trainer: Trainer) -> Iterator[str]:
    """What its module says of it; of one of several in a module, what its class says."""
    module = inspect.getmodule(type(trainer))
    neutral = trainer.models[0].name == "any"
    text = inspect.getdoc(type(trainer) if neutral else module) or ""
    yield from text.replace("``", "`").splitlines()


def _facts(trainer: Trainer) -> Iterator[tuple[str, str]]:
    yield "reads", trainer.layout
    yield "leaves out", trainer.drops
    yield "frame rate", trainer.speed
    if trainer.models[0].name != "any":
        yield "[numbers of frames](../export.md#numbers-of-frames)", _lengths(trainer)
    case = "" if trainer.any_case else ", in lower case"
    yield "file types", " ".join(f"`{one}`" for one in trainer.extensions) + case
    if trainer.layout_class.needs:
        yield "needs", f"`pip install 'vidsieve[{trainer.name}]'`"
    if trainer.options:
        options = ", ".join(f"`{name}={value}`" for name, value in trainer.options.items())
        yield "settings (`--set`)", options
    if trainer.models[0].name != "any":
        yield "models", ", ".join(f"`{Preset(model, trainer).name}`" for model in trainer.models)
    yield "read at", _source(trainer.rule)


def _lengths(trainer: Trainer) -> str:
    """How many numbers of frames an export chooses, and how its configuration has them."""
    setup = trainer.setup(trainer.models[0])
    if trainer.one_length(setup):
        return "one for all clips"
    most = "every one that clips have" if trainer.most_lengths is None else f"up to {trainer.most_lengths}"
    text = f"{most}, a data set for each" if trainer.splits_by_length(setup) else most
    why = trainer.one_length(replace(setup, batch_size=2))
    return f"{text}; one with `--batch-size` above 1: {why}" if why else text


def _source(rule: Rule) -> str:
    if not rule.commit:
        return f"[{rule.repository}](https://github.com/{rule.repository})"
    names = ", ".join(
        f"[{Path(file).name}](https://github.com/{rule.repository}/blob/{rule.commit}/{file})"
        for file in rule.files
    )
    return f"{rule.repository}@{rule.commit[:7]}, {rule.date}: {names}"


def _command(trainer: Trainer) -> Iterator[str]:
    name = Preset(trainer.models[0], trainer).name
    yield "<!-- not typed: needs clips that fill the buckets of the models -->"
    yield "```bash"
    yield f"python -m tools.export meta.csv --for {name} --explain"
    yield f"python -m tools.export meta.csv --for {name} -o {_FOLDER}"
    if not trainer.layout_class.sharded:
        yield f"python -m tools.export --check {_FOLDER} --for {name}"
    yield f"python -m tools.export --verify {_FOLDER}"
    yield "```"
    yield ""


def _written(trainer: Trainer) -> Iterator[str]:
    """The files of two clips, and those of them that are neither a clip nor a caption in full."""
    model = trainer.models[0]
    setup = trainer.setup(model)
    layout = trainer.layout_class(trainer)
    items = [_item(key, layout.media(key), trainer, model) for key in ("a", "b")]
    texts = [] if layout.sharded else list(layout.texts(items, setup, _FOLDER))
    names = sorted({*(item.file for item in items), *(path for path, _ in texts)})
    if layout.sharded:
        yield f"Clips are packed into `{_FOLDER}/shards/`; `--shards SIZE` says how large one is."
        return
    yield f"Two clips become, in `{_FOLDER}`: {', '.join(f'`{name}`' for name in names)}."
    captions = {str(Path(item.file).with_suffix(".txt")) for item in items}
    for path, text in texts:
        if path in captions or Path(path).parent.name == "metas":
            continue
        yield ""
        yield f"`{path}`:"
        yield ""
        yield "```text"
        yield from text.rstrip("\n").splitlines()
        yield "```"


def _item(key: str, file: str, trainer: Trainer, model: Model) -> Item:
    setup = trainer.setup(model)
    width, height = model.sizes[0] if model.sizes else (1280, 720)
    longest = max(trainer.lengths(setup), default=0)
    frames = trainer.frames_for(longest, setup) if longest else 120
    return Item(
        key=key,
        file=file,
        width=width,
        height=height,
        num_frames=frames,
        fps=model.fps or _FPS,
        has_audio=model.sound,
        caption=f"Caption of {key}.",
        source_row="ab".index(key),
        source_path=f"clips/{key}.mp4",
    )


def texts() -> Texts:
    """Every page by its file."""
    return whole_folder(PAGES, {PAGES / f"{name}.md": page(trainer) for name, trainer in TRAINERS.items()})


if __name__ == "__main__":
    sys.exit(write_or_check(texts))
