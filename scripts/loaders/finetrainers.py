"""a-r-r-o-w/finetrainers: the data sets of training.json, from `initialize_dataset` to the combined one.

`datasets.Video` opens a file by decord, as it did in the versions that the trainer was written for.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from loaders.common import Seen, channels_last, module, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Each example once; the order is the loader's."""
    del setup
    import datasets
    import decord

    importlib.import_module("torchvision.io")  # the module below becomes a part of it
    stood = stand_in("diffusers", "accelerate", "peft", "wandb", always=True)
    module("torchvision.io.video_reader", VideoReader=type("VideoReader", (), {}))
    package = module("finetrainers")
    package.__path__ = [str(clone / "finetrainers")]
    for name in ("constants", "functional"):  # else the package has stand-ins under these names
        importlib.import_module(f"finetrainers.{name}")
    utils = importlib.import_module("finetrainers.utils.import_utils")
    vars(utils)["is_datasets_version"] = lambda operation, version: operation == "<"  # 3.4.0
    opened: Any = lambda self, value, *rest, **more: decord.VideoReader(value["path"])  # noqa: E731
    type.__setattr__(datasets.Video, "decode_example", opened)
    data = importlib.import_module("finetrainers.data.dataset")
    sets = []
    for given in json.loads((folder / "training.json").read_text("utf-8"))["datasets"]:
        root, kind = given.pop("data_root"), given.pop("dataset_type")
        given["video_resolution_buckets"] = [tuple(one) for one in given["video_resolution_buckets"]]
        found = data.initialize_dataset(root, kind, streaming=True, infinite=False)
        sets.append(data.wrap_iterable_dataset_for_preprocessing(found, kind, given))
    for sample in data.combine_datasets(sets, buffer_size=1):
        seen.add(channels_last(sample["video"]), sample["caption"])
    seen.note(stood_in=stood)
