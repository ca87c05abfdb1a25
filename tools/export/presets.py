"""All trainers with their layouts, and the presets MODEL@TRAINER.

To add a trainer: one file with a subclass of `Trainer`, and one line in `_TRAINERS`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from tools.errors import UserError
from tools.export.layouts.base import Layout
from tools.export.models import Model
from tools.export.trainers.ai_toolkit import AIToolkit
from tools.export.trainers.base import Trainer
from tools.export.trainers.cogvideox import CogVideoX
from tools.export.trainers.cosmos import Cosmos
from tools.export.trainers.diffsynth import DiffSynth
from tools.export.trainers.diffusion_pipe import DiffusionPipe
from tools.export.trainers.fastvideo import FastVideo
from tools.export.trainers.finetrainers import Finetrainers
from tools.export.trainers.ltx import LTXTrainer
from tools.export.trainers.mochi import Mochi
from tools.export.trainers.musubi import Musubi
from tools.export.trainers.neutral import MDS, Lance, LitData, VideoFolder, WebDataset
from tools.export.trainers.open_sora import OpenSora
from tools.export.trainers.simpletuner import SimpleTuner
from tools.export.trainers.videox_fun import VideoXFun

_TRAINERS: tuple[type[Trainer], ...] = (
    DiffusionPipe,
    Musubi,
    LTXTrainer,
    AIToolkit,
    SimpleTuner,
    DiffSynth,
    Finetrainers,
    VideoXFun,
    Cosmos,
    FastVideo,
    OpenSora,
    CogVideoX,
    Mochi,
    VideoFolder,
    WebDataset,
    MDS,
    LitData,
    Lance,
)

TRAINERS: dict[str, Trainer] = {trainer.name: trainer() for trainer in _TRAINERS}
"""Every trainer by its name, the most used first."""

SHARDED = tuple(name for name, trainer in TRAINERS.items() if trainer.layout_class.sharded)
"""Formats that keep clips inside files of their own."""


@dataclass(frozen=True)
class Preset:
    """A model as one trainer takes it.

    Attributes:
        model: With this trainer's own numbers.
        trainer: What does something with clips.
    """

    model: Model
    trainer: Trainer

    @property
    def name(self) -> str:
        """MODEL@TRAINER, or the trainer's name alone for a neutral format."""
        return self.trainer.name if self.model.name == "any" else f"{self.model.name}@{self.trainer.name}"


def presets() -> list[Preset]:
    """Every pair of a trainer and a model that it trains."""
    return [Preset(model, trainer) for trainer in TRAINERS.values() for model in trainer.models]


def preset(name: str) -> Preset:
    """The preset of a name such as ``wan2.2-a14b@diffusion-pipe``.

    Raises:
        UserError: There is none; the message has those that are nearest.
    """
    known = {preset.name: preset for preset in presets()}
    if name in known:
        return known[name]
    model, _, trainer = name.partition("@")
    if trainer in TRAINERS:
        near = [preset for preset in known if preset.endswith(f"@{trainer}")]
    elif any(preset.startswith(f"{model}@") for preset in known):
        near = [preset for preset in known if preset.startswith(f"{model}@")]
    else:
        near = [preset for preset in known if model and model in preset]
        near = near or difflib.get_close_matches(name, known, n=5, cutoff=0.4) or list(known)[:5]
    raise UserError(f"there is no preset {name!r}; near it: {', '.join(near)}")


def layout_of(trainer: str) -> Layout:
    """The layout that a trainer reads.

    Raises:
        UserError: There is no such trainer.
    """
    if trainer not in TRAINERS:
        raise UserError(f"there is no trainer {trainer!r}; there are {', '.join(TRAINERS)}")
    return TRAINERS[trainer].layout_class(TRAINERS[trainer])
