"""Trainers that look for clips and captions in folders, or lists, of fixed names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from tools.export.items import Item
from tools.export.layouts.base import Layout, below, join, place
from tools.export.layouts.formats import flags_text, literal
from tools.export.trainers.base import Setup


class Cosmos(Layout):
    """``videos/KEY.mp4`` with ``metas/KEY.txt``, and the data set of an experiment of Cosmos-Predict2.5.

    As in `cosmos_predict2/experiments/base/cosmos_nemo_assets.py` of nvidia-cosmos/cosmos-predict2.5.
    """

    folder = "videos"

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """A caption for each clip, and arguments of `VideoDataset`."""
        for item in items:
            name = below(item.file, join(split, self.folder))
            yield f"metas/{PurePosixPath(name).with_suffix('.txt')}", item.caption
        width, height = setup.sizes[0]
        yield (
            "config.py",
            "# Arguments of VideoDataset and get_generic_dataloader in an experiment.\n"
            f"dataset = dict(\n    dataset_dir={literal(place(folder, split))},\n"
            f"    num_frames={setup.frames[0]},\n    video_size=({height}, {width}),\n)\n"
            f"dataloader = dict(batch_size={setup.batch_size})\n",
        )


class CogVideoX(Layout):
    """``prompts.txt`` and ``videos.txt``, line by line, and flags of THUDM/CogVideo's `finetune/train.py`."""

    folder = "videos"

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """As many prompts as videos: a blank line is none."""
        named = [item for item in items if item.caption.strip()]
        yield "prompts.txt", "".join(f"{item.caption}\n" for item in named)
        yield "videos.txt", "".join(f"{below(item.file, split)}\n" for item in named)
        width, height = setup.sizes[0]
        yield (
            "flags.txt",
            flags_text(
                [
                    ("--data_root", place(folder, split)),
                    ("--caption_column", "prompts.txt"),
                    ("--video_column", "videos.txt"),
                    ("--train_resolution", f"{setup.frames[0]}x{height}x{width}"),
                    ("--batch_size", setup.batch_size),
                    ("--gradient_accumulation_steps", setup.accumulation),
                ]
            ),
        )
