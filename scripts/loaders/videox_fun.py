"""aigc-apps/VideoX-Fun: `ImageVideoDataset`, its sampler of aspect ratios, and the sizes of its train.py."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from loaders.common import Seen, flags, module, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Batches of the sampler over as many epochs as fill them; each clip once."""
    stood = stand_in("func_timeout", "diffusers", "accelerate", always=True)
    module("func_timeout", func_timeout=lambda _, call, args: call(*args), FunctionTimedOut=TimeoutError)
    package = module("videox_fun")
    package.__path__ = [str(clone / "videox_fun")]
    package = module("videox_fun.data")
    package.__path__ = [str(clone / "videox_fun" / "data")]
    data = importlib.import_module("videox_fun.data.dataset_image_video")
    sampling = importlib.import_module("videox_fun.data.bucket_sampler")
    given = flags(folder / "flags.txt")
    side = int(given.get("video_sample_size", 512))
    dataset = data.ImageVideoDataset(
        given["train_data_meta"],
        given["train_data_dir"],
        video_sample_size=side,
        video_sample_stride=int(given["video_sample_stride"]),
        video_sample_n_frames=int(given["video_sample_n_frames"]),
        image_sample_size=side,
        text_drop_ratio=0.0,
        enable_bucket="enable_bucket" in given,
        return_file_name=True,
    )
    sizes = {name: [x / 512 * side for x in size] for name, size in sampling.ASPECT_RATIO_512.items()}
    random.seed(0)
    sampler = sampling.AspectRatioBatchImageVideoSampler(
        sampler=sampling.RandomSampler(dataset, generator=torch.Generator().manual_seed(0)),
        dataset=dataset.dataset, batch_size=1, train_folder=given["train_data_dir"], drop_last=True,
        aspect_ratios=sizes,
    )  # fmt: skip
    for batch in sampler:
        for place in batch:
            example = dataset[place]
            if example["file_name"] != Path(dataset.dataset[place]["file_path"]).name:
                continue  # another clip was drawn in its place
            frames = example["pixel_values"]
            # As collate_fn of scripts/wan2.1/train.py: the nearest size, frames cut to 4k + 1.
            high, wide = frames.shape[1:3]
            closest, _ = sampling.get_closest_ratio(high, wide, ratios=sizes)
            high_to, wide_to = (int(x / 16) * 16 for x in closest)
            frames = frames[: (len(frames) - 1) // 4 * 4 + 1]
            if high_to / high > wide_to / wide:
                resized = (int(wide * high_to / high), high_to)
            else:
                resized = (wide_to, int(high * wide_to / wide))
            top, left = (resized[1] - high_to) // 2, (resized[0] - wide_to) // 2
            made = [
                cv2.resize(frame, resized)[top : top + high_to, left : left + wide_to] for frame in frames
            ]
            seen.add(np.stack(made), example["text"], file=example["file_name"])
    del setup
    seen.note(stood_in=stood)
