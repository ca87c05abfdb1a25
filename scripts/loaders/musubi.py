"""kohya-ss/musubi-tuner: `BlueprintGenerator` and the batches of which latents are cached."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

import numpy as np
from loaders.common import Seen, stand_in

_ARCHITECTURES = {
    "wan2.1": "ARCHITECTURE_WAN",
    "wan2.2-a14b": "ARCHITECTURE_WAN",
    "hunyuanvideo": "ARCHITECTURE_HUNYUAN_VIDEO",
    "hunyuanvideo-1.5": "ARCHITECTURE_HUNYUAN_VIDEO_1_5",
    "framepack": "ARCHITECTURE_FRAMEPACK",
    "kandinsky-5": "ARCHITECTURE_KANDINSKY5",
}


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Cache latents and texts as empty files, then count what training finds of them."""
    del clone
    stood = stand_in("safetensors", "accelerate", "diffusers", "toml", "voluptuous")
    config = importlib.import_module("musubi_tuner.dataset.config_utils")
    architectures = importlib.import_module("musubi_tuner.dataset.architectures")
    user = config.load_user_config(str(folder / "dataset.toml"))
    generator = config.BlueprintGenerator(config.ConfigSanitizer())
    architecture = getattr(architectures, _ARCHITECTURES[setup["model"]])
    blueprint = generator.generate(user, argparse.Namespace(debug_dataset=False), architecture=architecture)
    group = config.generate_dataset_group_by_blueprint(blueprint.dataset_group)
    trained = 0
    for dataset in group.datasets:
        Path(dataset.cache_directory).mkdir(parents=True, exist_ok=True)
        for _, batch in dataset.retrieve_latent_cache_batches(1):
            for item in batch:
                Path(item.latent_cache_path).touch()
                seen.add(np.asarray(item.content), item.caption)
        for batch in dataset.retrieve_text_encoder_output_cache_batches(1):
            for item in batch:
                Path(item.text_encoder_output_cache_path).touch()
        dataset.prepare_for_training()
        trained += dataset.num_train_items
    faults = [] if trained == len(seen.lines) else [f"training finds {trained} of {len(seen.lines)} latents"]
    seen.note(stood_in=stood, faults=faults)
