"""Where each trainer looks for clips and captions, and its own configuration beside them.

To add one: a subclass of `Layout`, and one line in `_LAYOUTS`.
"""

from __future__ import annotations

from tools.errors import UserError
from tools.export.layouts.base import Layout
from tools.export.layouts.folders import CogVideoX, Cosmos
from tools.export.layouts.pairs import AIToolkit, DiffusionPipe, Finetrainers, Mochi, Musubi, SimpleTuner
from tools.export.layouts.shards import MDS, Lance, LitData, WebDataset
from tools.export.layouts.tables import DiffSynth, FastVideo, LTXTrainer, OpenSora, VideoFolder, VideoXFun

__all__ = ["LAYOUTS", "Layout", "layout_of"]

_LAYOUTS: tuple[type[Layout], ...] = (
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

LAYOUTS: dict[str, Layout] = {layout.name: layout() for layout in _LAYOUTS}
"""The layout of every trainer, by the trainer's name."""


def layout_of(trainer: str) -> Layout:
    """The layout that a trainer reads.

    Raises:
        UserError: There is none for it.
    """
    if trainer not in LAYOUTS:
        raise UserError(f"there is no layout for {trainer!r}; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[trainer]
