"""tdrussell/diffusion-pipe: its `Dataset` and `DatasetManager`, with a model that keeps pictures."""

from __future__ import annotations

import importlib
import logging
import sqlite3
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from loaders.common import SIDE, Seen, module, stand_in

# What models/MODEL.py give to PreprocessMediaFile, beside the frame rate.
_ROUND = {
    "wan2.2-5b": (32, 32, 4),
    "ltx-video": (32, 32, 8),
    "ltx-2": (32, 32, 8),
    "minimax-h3": (32, 32, 17),
}


class _VideoFromFile:
    """For submodules/ComfyUI: the first video stream, decoded by PyAV, with the numbers of its header."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def _stream(self, name: str) -> Any:
        with av.open(self.file) as container:
            return getattr(container.streams.video[0], name)

    def get_dimensions(self) -> tuple[int, int]:
        return self._stream("width"), self._stream("height")

    def get_frame_count(self) -> int:
        return self._stream("frames")

    def get_frame_rate(self) -> Fraction:
        return Fraction(self._stream("average_rate"))

    def get_components(self) -> Any:
        from types import SimpleNamespace

        with av.open(self.file) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        images = torch.from_numpy(np.stack(frames)).float() / 255
        return SimpleNamespace(images=images, frame_rate=self.get_frame_rate(), audio=None)


def _older_sqlite() -> None:
    """Its cache asks for transactions as Python 3.12 names them; before, they are the default."""
    if sys.version_info < (3, 12):
        connect = sqlite3.connect

        def connected(*args: Any, autocommit: bool = False, **kwargs: Any) -> Any:
            del autocommit
            return connect(*args, **kwargs)

        sqlite3.connect = connected  # type: ignore[assignment]


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Cache the data set as train.py does, then pull one epoch for each GPU."""
    stood = stand_in("deepspeed", "peft", "bitsandbytes", "comfy_kitchen")
    stood += stand_in("comfy", "comfy_api", "torchaudio", always=True)
    importlib.import_module("comfy_api.latest")
    module("comfy_api.latest", InputImpl=type("InputImpl", (), {"VideoFromFile": _VideoFromFile}))
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tempfile.mkdtemp()}/store", rank=0, world_size=1
    )
    group = torch.distributed.group.WORLD
    dist = {
        "get_rank": lambda *_: 0,
        "barrier": lambda *_: None,
        "get_world_group": lambda: group,
        "get_world_size": lambda *_: 1,
    }
    for name in ("deepspeed", "deepspeed.utils", "deepspeed.utils.logging"):
        importlib.import_module(name)
    comm = module("deepspeed.comm.comm", **dist)
    module("deepspeed.comm", **dist, comm=comm)
    module("deepspeed", comm=importlib.import_module("deepspeed.comm"))
    module("deepspeed.utils.logging", logger=logging.getLogger("deepspeed"))
    _older_sqlite()
    dataset = importlib.import_module("utils.dataset")
    base = importlib.import_module("models.base")
    toml = importlib.import_module("toml")

    name = setup["model"]
    high, wide, frames = _ROUND.get(name, (16, 16, 4))

    class Model:
        name = "kept"
        framerate = setup["fps"]
        pixels_round_to_multiple = 32 if name in ("wan2.2-5b", "ltx-video") else 16

        def model_specific_dataset_config_validation(self, config: Any) -> None:
            del config

        def get_vae(self) -> Any:
            return type("Vae", (), {"load_model_if_needed": lambda self: None})()

        def get_text_encoders(self) -> list[Any]:
            return []

        def get_call_vae_fn(self, vae: Any) -> Any:
            del vae

            def keep(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
                batch, channels, length, height, width = tensor.shape
                small = torch.nn.functional.interpolate(
                    tensor.reshape(batch * channels, length, height, width), size=(SIDE, SIDE), mode="area"
                )
                size = torch.tensor([[height, width]] * batch)
                return {"latents": small.reshape(batch, channels, length, SIDE, SIDE), "size": size}

            return keep

        def get_preprocess_media_file_fn(self) -> Any:
            made = base.PreprocessMediaFile(
                {}, support_video=True, framerate=self.framerate, round_height=high, round_width=wide,
                round_frames=frames,
            )  # fmt: skip
            if name == "minimax-h3":
                made.align_frames = lambda frames: max(frames // 17 * 17, 1)
            return made

    config = toml.load(folder / "dataset.toml")
    model = Model()
    manager = dataset.DatasetManager(model)
    data = dataset.Dataset(config, model)
    manager.register(data)
    manager.cache()
    batches = 0
    for rank in range(setup["gpus"]):
        one = dataset.Dataset(toml.load(folder / "dataset.toml"), model)
        one.cache_metadata(trust_cache=True)
        one.cache_latents(None, trust_cache=True)
        size = {None: setup["batch_size"]}
        one.post_init(rank, setup["gpus"], size, setup["accumulation"], size)
        batches += len(one)
        for number in range(len(one)):
            batch = one[number]
            for place, caption in enumerate(batch["caption"]):
                frames_of = batch["latents"][place].permute(1, 2, 3, 0)
                file = batch["image_spec"][place][-1] if "image_spec" in batch else ""
                height, width = (int(side) for side in batch["size"][place])
                seen.add(frames_of, caption, file=file, size=(height, width))
    seen.note(stood_in=stood, batches=batches)
