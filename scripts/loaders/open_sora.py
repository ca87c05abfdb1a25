"""hpcaitech/Open-Sora: `VideoTextDataset` and `VariableVideoBatchSampler` with config.py and metadata.csv."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import pandas
import torch
from loaders.common import Seen, module, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """One epoch of each GPU, with drop_last as scripts/diffusion/train.py has it."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tempfile.mkdtemp()}/store", rank=0, world_size=1
    )
    stood = stand_in(
        "colossalai", "mmengine", "liger_kernel", "flash_attn", "opensora.acceleration", always=True
    )
    stood += stand_in("pandarallel", "ftfy", "bs4", always=True)
    package = module("opensora")
    package.__path__ = [str(clone / "opensora")]

    io = importlib.import_module("torchvision.io")
    if not hasattr(io, "write_video"):  # newer versions have none of these; the loader does not use them
        io.write_video = None  # type: ignore[attr-defined]
        module("torchvision.io.video", _check_av_available=lambda: None)

    class Registry:
        def register_module(self, *names: Any) -> Any:
            return lambda made: made

    module("opensora.registry", DATASETS=Registry())
    module("opensora.utils")
    module("opensora.utils.misc", log_message=lambda *_, **__: None)
    module("opensora.utils.logger", log_message=lambda *_, **__: None, is_main_process=lambda: True)
    data = importlib.import_module("opensora.datasets.datasets")
    sampling = importlib.import_module("opensora.datasets.sampler")
    vars(sampling)["sync_object_across_devices"] = lambda made, *_, **__: made
    pandas.DataFrame.parallel_apply = lambda self, *args, **kwargs: self.apply(*args, **kwargs)  # type: ignore[attr-defined]
    config: dict[str, Any] = {}
    exec((folder / "config.py").read_text("utf-8"), config)
    buckets = {name: value for name, value in config["bucket_config"].items() if name != "_delete_"}
    dataset = data.VideoTextDataset(transform_name="resize_crop", **config["dataset"])
    for rank in range(setup["gpus"]):
        sampler = sampling.VariableVideoBatchSampler(
            dataset, bucket_config=buckets, num_replicas=setup["gpus"], rank=rank, shuffle=True, seed=0,
            drop_last=True,
        )  # fmt: skip
        for batch in sampler:
            for name in batch:
                example = dataset[name]
                seen.add(example["video"].permute(1, 2, 3, 0), example["text"], file=example["path"])
    seen.note(stood_in=stood)
