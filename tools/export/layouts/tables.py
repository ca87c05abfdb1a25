"""Trainers that read a table of files and captions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from tools.datasets.sources.videofolder import split_of
from tools.errors import UserError
from tools.export.items import Item
from tools.export.layouts.base import Layout, below, join, place
from tools.export.layouts.formats import csv_text, flags_text, json_lines, json_text, literal
from tools.export.trainers.base import Setup

_MISSING = {
    *("", "<NA>", "NULL", "NaN", "None", "n/a", "nan", "null", "NA", "N/A", "#N/A", "#NA", "#N/A N/A"),
    *("-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
"""Cells that pandas reads as missing, also where they are quoted."""


_TRAIN = "train"
"""The split of Hugging Face's VideoFolder that clips without one are in."""


class LTXTrainer(Layout):
    """``metadata.json`` for Lightricks/LTX-2's `packages/ltx-trainer/scripts/process_dataset.py`.

    JSON, as a caption such as "NA" is read as missing from CSV.
    """

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """The table, and the command's arguments with the buckets that have clips."""
        rows = [{"caption": item.caption, "video": below(item.file, split)} for item in items]
        yield "metadata.json", json_text(rows)
        given = self.trainer.option(setup, "buckets")
        shapes = given or [(*size, frames) for size in setup.sizes for frames in setup.frames]
        found = {
            (bucket.width, bucket.height, bucket.frames)
            for bucket in self.summary(items, setup, split).buckets
        }
        buckets = ";".join(
            "x".join(map(str, shape)) for shape in shapes if tuple(shape) in found or not found
        )
        flags: list[tuple[str, ...]] = [(place(folder, split, "metadata.json"),)]
        flags.append(("--resolution-buckets", buckets))
        if not any(item.has_audio for item in items):
            flags.append(("--skip-audio",))
        yield "flags.txt", flags_text(flags)


class DiffSynth(Layout):
    """``metadata.json`` for modelscope/DiffSynth-Studio's `train.py` of each model.

    JSON, as a caption such as "NA" is read as not a number from CSV.
    """

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """The table, and flags. The sound is read from the video file itself."""
        sound = setup.model.sound and any(item.has_audio for item in items)
        rows = []
        for item in items:
            name = below(item.file, split)
            row = {"video": name, "prompt": item.caption}
            rows.append({**row, "input_audio": name} if sound else row)
        yield "metadata.json", json_text(rows)
        most = self.trainer.option(setup, "max_pixels")
        width, height = setup.sizes[0]
        size = [("--height", height), ("--width", width)] if most is None else [("--max_pixels", most)]
        yield (
            "flags.txt",
            flags_text(
                [
                    ("--dataset_base_path", place(folder, split)),
                    ("--dataset_metadata_path", place(folder, split, "metadata.json")),
                    ("--data_file_keys", "video,input_audio" if sound else "video"),
                    *([("--extra_inputs", "input_audio")] if sound else []),
                    *size,
                    ("--num_frames", max(setup.frames)),
                ]
            ),
        )


class VideoXFun(Layout):
    """``metadata.json`` and flags for aigc-apps/VideoX-Fun, as in `scripts/wan2.1/train.sh`."""

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """The list of files, and flags."""
        rows = [
            {"file_path": below(item.file, split), "text": item.caption, "type": "video"} for item in items
        ]
        yield "metadata.json", json_text(rows)
        fixed = self.trainer.option(setup, "fix_sample_size")
        width, height = setup.sizes[0]
        size = ("--fix_sample_size", *fixed) if fixed else ("--video_sample_size", math.isqrt(width * height))
        yield (
            "flags.txt",
            flags_text(
                [
                    ("--train_data_dir", place(folder, split)),
                    ("--train_data_meta", place(folder, split, "metadata.json")),
                    size,
                    ("--video_sample_n_frames", max(setup.frames)),
                    ("--video_sample_stride", self.trainer.option(setup, "video_sample_stride")),
                    ("--train_batch_size", setup.batch_size),
                    ("--gradient_accumulation_steps", setup.accumulation),
                    ("--enable_bucket",),
                ]
            ),
        )


class FastVideo(Layout):
    """``videos2caption.json`` and flags for hao-ai-lab/FastVideo's preprocessing."""

    folder = "videos"

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """What the validator asks for, with paths below ``videos``."""
        rows = [
            {
                "path": below(item.file, join(split, self.folder)),
                "cap": item.caption,
                "fps": float(item.fps),
                "num_frames": item.num_frames,
                "duration": item.num_frames / item.fps,
                "resolution": {"width": item.width, "height": item.height},
            }
            for item in items
        ]
        yield "videos2caption.json", json_text(rows)
        width, height = setup.sizes[0]
        rate = self.trainer.option(setup, "train_fps") or setup.model.fps or items[0].fps
        options = ("video_length_tolerance_range", "drop_short_ratio", "speed_factor")
        values = {
            "dataset_type": "merged",
            "dataset_path": place(folder, split),
            "max_height": height,
            "max_width": width,
            "num_frames": setup.frames[0],
            "train_fps": round(rate),
            **{name: self.trainer.option(setup, name) for name in options},
        }
        yield "flags.txt", flags_text((f"--preprocess.{name}", value) for name, value in values.items())


class OpenSora(Layout):
    """``metadata.csv`` and ``config.py`` for hpcaitech/Open-Sora 2.0.

    Its loader opens paths as they stand in the table, so they begin with `folder`. It fails at a caption that
    pandas reads as missing, such as "NA", and at captions that are numbers all of them, so a no-break space
    goes before those: a blank to its tokenizers, but none to pandas.
    """

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """The table, buckets with the probability 1 and the batch, and the flag that names the table."""
        header = ["path", "text", "num_frames", "height", "width", "aspect_ratio", "resolution", "fps"]
        rows = (
            (
                place(folder, item.file),
                item.caption if _stays_text(item.caption) else f"\N{NO-BREAK SPACE}{item.caption}",
                item.num_frames,
                item.height,
                item.width,
                item.height / item.width,
                item.height * item.width,
                item.fps,
            )
            for item in items
        )
        yield "metadata.csv", csv_text(header, rows)
        given = self.trainer.option(setup, "bucket_config")
        classes = given or {math.isqrt(width * height): setup.frames for width, height in setup.sizes}
        found = {bucket.frames for bucket in self.summary(items, setup, split).buckets}
        lines = []
        for side, lengths in sorted(classes.items()):
            kept = [frames for frames in sorted(lengths) if frames in found or not found]
            body = ", ".join(f"{frames}: (1.0, {setup.batch_size})" for frames in kept)
            lines.append(f'    "{side}px": {{{body}}},\n' if kept else "")
        table = place(folder, split, "metadata.csv")
        yield (
            "config.py",
            "# Beside what configs/diffusion/train/stage1.py has.\n"
            f"dataset = dict(data_path={literal(table)}, fps_max={self.trainer.option(setup, 'fps_max')})\n"
            f'bucket_config = {{\n    "_delete_": True,\n{"".join(lines)}}}\n',
        )
        yield "flags.txt", flags_text([("--dataset.data-path", table)])


def _stays_text(cell: str) -> bool:
    """Whether pandas reads a cell of a CSV as text, also where all others are like it."""
    if cell in _MISSING or cell.lower() in ("true", "false"):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False


class VideoFolder(Layout):
    """``train/metadata.jsonl`` beside the clips, for `VideoFolder` of Hugging Face's datasets and its Hub.

    JSON Lines, as a caption such as "NA" is read as missing from CSV, and "007" as a number. Clips without a
    split are in ``train``: where no folder is called like a split, names of files are searched for such
    words, and files without them are left out.
    """

    def media(self, key: str, split: str = "") -> str:
        """A clip in the folder of its split."""
        return join(split or _TRAIN, f"{key}.mp4")

    def root(self, split: str = "") -> str:
        """The exported folder, in which it finds all splits."""
        del split
        return ""

    def check_splits(self, names: Iterable[str]) -> None:
        """Each split has to be one of Hugging Face's: others would be left out, or mixed up."""
        known: dict[str, str] = {}
        for name in names:
            split = split_of(f"{name}/a")
            if split is None or split in known:
                fault = f"knows no split {name}"
                if split is not None:
                    fault = f"takes {known[split]} and {name} for one split"
                raise UserError(
                    f"--split: videofolder {fault}; call splits train, validation (or val) and test"
                )
            known[split] = name

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """One line a clip, with what it was made of."""
        del setup, folder
        rows = ({"file_name": below(item.file, split or _TRAIN), **facts(item)} for item in items)
        yield join("" if split else _TRAIN, "metadata.jsonl"), json_lines(rows)


def facts(item: Item) -> dict[str, object]:
    """What neutral formats say of a clip."""
    return {
        "caption": item.caption,
        "width": item.width,
        "height": item.height,
        "num_frames": item.num_frames,
        "fps": item.fps,
        "has_audio": item.has_audio,
        "key": item.key,
        "source_row": item.source_row,
        "source_path": item.source_path,
    }
