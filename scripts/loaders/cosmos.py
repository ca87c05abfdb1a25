"""nvidia-cosmos/cosmos-predict2.5: `VideoDataset` with the arguments of config.py."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from loaders.common import Seen, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Each clip once; one that another clip is given for does not count."""
    del clone, setup
    stood = stand_in("megatron", "cosmos_predict2._src.imaginaire.utils", "loguru", always=True)
    data = importlib.import_module("cosmos_predict2._src.predict2.datasets.local_datasets.dataset_video")
    config: dict[str, Any] = {}
    exec((folder / "config.py").read_text("utf-8"), config)
    np.random.seed(0)
    dataset = data.VideoDataset(**config["dataset"])
    for place, path in enumerate(dataset.video_paths):
        failed = dataset.num_failed_loads
        example = dataset[place]
        if dataset.num_failed_loads == failed:
            frames = example["video"].permute(1, 2, 3, 0)
            seen.add(frames, example["ai_caption"], file=path, fps=float(example["fps"]))
    seen.note(stood_in=stood)
