"""modelscope/DiffSynth-Studio: `UnifiedDataset` with the operators of each model's train.py."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from loaders.common import Seen, flags, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Every example once."""
    del clone
    stood = stand_in(
        "accelerate", "modelscope", "librosa", "peft", "ftfy", "controlnet_aux", "torchaudio", always=True
    )
    data = importlib.import_module("diffsynth.core.data.unified_dataset")
    given = flags(folder / "flags.txt")
    name = setup["model"]
    number = lambda flag: int(given[flag]) if flag in given else None  # noqa: E731
    settings: dict[str, Any] = {"height_division_factor": 16, "width_division_factor": 16}
    settings |= {"time_division_factor": 4, "time_division_remainder": 1}
    if name in ("ltx-2", "minimax-h3"):
        settings = {"height_division_factor": 32, "width_division_factor": 32}
        settings |= {"frame_rate": 24, "fix_frame_rate": True}
        step, rest = (8, 1) if name == "ltx-2" else (17, 5)
        settings |= {"time_division_factor": step, "time_division_remainder": rest}
    base = given["dataset_base_path"]
    operator = data.UnifiedDataset.default_video_operator(
        base_path=base,
        max_pixels=number("max_pixels") or 1920 * 1080,
        height=number("height"),
        width=number("width"),
        num_frames=number("num_frames"),
        **settings,
    )
    dataset = data.UnifiedDataset(
        base_path=base,
        metadata_path=given["dataset_metadata_path"],
        data_file_keys=["video"],
        main_data_operator=operator,
    )
    for place in range(len(dataset)):
        example = dataset[place]
        frames = np.stack([np.asarray(frame) for frame in example["video"]])
        seen.add(frames, example["prompt"], file=dataset.data[place]["video"])
    seen.note(stood_in=stood)
