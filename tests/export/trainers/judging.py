"""Clips, and what a trainer does with them."""

from __future__ import annotations

from collections.abc import Callable

from tools.export.trainers.base import Trainer
from tools.export.trainers.judgement import Clip, Judgement


def clip(
    width: int = 1280,
    height: int = 720,
    num_frames: int = 81,
    fps: float = 16.0,
    caption: str | None = "A dog.",
) -> Clip:
    """A clip; by default one of five seconds that most models take as it is."""
    return Clip("a.mp4", width, height, num_frames, fps, caption)


def judging(trainer: Trainer, model: str) -> Callable[..., Judgement]:
    """A function that judges a clip as the trainer does, by default for this model."""
    models = {known.name: known for known in trainer.models}
    default = model

    def judge(one: Clip, model: str = default, **settings: object) -> Judgement:
        return trainer.judge(one, trainer.setup(models[model], **settings))

    return judge


def kinds(judgement: Judgement) -> list[str]:
    """The kinds of its warnings, sorted."""
    return sorted(warning.kind for warning in judgement.warnings)
