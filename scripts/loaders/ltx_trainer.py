"""Lightricks/LTX-2, packages/ltx-trainer: `MediaDataset` and `CaptionsDataset` with flags.txt."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from loaders.common import Seen, flags, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Every example once, as scripts/process_dataset.py makes latents of it."""
    del clone, setup
    stood = stand_in(
        "ltx_core.loader",
        "ltx_core.text_encoders",
        "ltx_trainer.model_loader",
        "ltx_trainer.gemma_8bit",
        always=True,
    )
    stood += stand_in("torchaudio", "ltx_core.model", always=True)
    stood += stand_in("pillow_heif", "typer", "rich", "torchcodec", "optimum", "peft")
    videos = importlib.import_module("process_videos")
    captions = importlib.import_module("process_captions")
    given = flags(folder / "flags.txt")
    buckets = videos.parse_resolution_buckets(given["resolution-buckets"])
    table = given[""]
    dataset = videos.MediaDataset(
        table, main_media_column="video", video_column="video", resolution_buckets=buckets, with_audio=False
    )
    texts = captions.CaptionsDataset(table, "caption", "video")
    by_path = {}
    for place in range(len(texts)):
        example = texts[place]
        by_path[str(example["output_path"])] = example["prompt"]
    for place, path in enumerate(dataset.video_paths):
        example = dataset[place]
        frames = example["video"].permute(1, 2, 3, 0)
        wanted = str(Path(example["relative_path"]).with_suffix(".pt"))
        seen.add(frames, by_path[wanted], file=path, fps=float(example["video_metadata"]["fps"]))
    seen.note(stood_in=stood)
