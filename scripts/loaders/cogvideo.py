"""THUDM/CogVideo: `T2VDatasetWithResize` with the flags of flags.txt; what it would encode is kept."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from loaders.common import Seen, flags, module, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Each example once."""
    del setup
    stood = stand_in("accelerate", "diffusers", "peft", "wandb", always=True)
    package = module("finetune")
    package.__path__ = [str(clone / "finetune")]
    data = importlib.import_module("finetune.datasets.t2v_dataset")
    given = flags(folder / "flags.txt")
    frames, height, width = (int(side) for side in given["train_resolution"].split("x"))
    kept: list[torch.Tensor] = []

    def keep(video: torch.Tensor) -> torch.Tensor:
        kept.append(video)
        return torch.zeros(1, 1, 1, 1, 1)

    root = Path(given["data_root"])
    trainer = SimpleNamespace(
        args=SimpleNamespace(data_root=root, train_resolution=(frames, height, width), model_name="none"),
        encode_video=keep,
        encode_text=lambda text: torch.zeros(1, 1, 1),
        accelerator=SimpleNamespace(process_index=0),
    )
    dataset = data.T2VDatasetWithResize(
        max_num_frames=frames, height=height, width=width, data_root=str(root),
        caption_column=given["caption_column"], video_column=given["video_column"],
        device=torch.device("cpu"), trainer=trainer,
    )  # fmt: skip
    for place in range(len(dataset)):
        kept.clear()
        dataset[place]
        seen.add(kept[0][0].permute(1, 2, 3, 0), dataset.prompts[place], file=str(dataset.videos[place]))
    seen.note(stood_in=stood)
